"""Orders: all or nothing, each thing once, at the price of the moment, whoever else wants what."""

import asyncio
import random
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.rooms.listening_house import rows_of
from tests.rooms.market_house import ORDERS, PRODUCTS, bought, buy, offer, offer_track, prove
from tests.rooms.tracks_house import NOBODY, code
from tests.world import JSON, PASSWORD, World, open_world
from veza.core import clock
from veza.core.db import Database
from veza.core.events import EventJob
from veza.core.ids import new_id
from veza.core.jobs import Job
from veza.core.postage import Postage
from veza.rooms.marketplace import settling
from veza.rooms.marketplace.jobs import MarketJobs
from veza.rooms.marketplace.payments import Begun, Payment

NOTHING = {"orders": 0, "order_items": 0, "licences": 0, "ledger": 0}


class Slow:
    """A provider that takes its time: nothing is paid until it says so."""

    name = "slow"
    moves_money = True

    def __init__(self) -> None:
        self.begun: list[Payment] = []
        self.refunds: dict[str, int] = {}

    async def begin(self, payment: Payment) -> Begun:
        self.begun.append(payment)
        return Begun(
            paid=False, reference=f"pay-{len(self.begun)}", url=f"https://pay.example/{len(self.begun)}"
        )

    async def refund(self, reference: str, amount: int, currency: str, key: str) -> None:
        self.refunds[key] = amount


async def test_an_order_is_as_the_document_says(database: Database, tmp_path: Path) -> None:
    """K6, K14: the price of the moment stays; its buyer sees all, a seller their own lines."""
    async with open_world(database, tmp_path, platform_fee=1_250) as world:
        olga, stan, bob, adam = [
            await world.person(n, r)
            for n, r in (("olga", "user"), ("stan", "user"), ("bob", "user"), ("adam", "admin"))
        ]
        one, two = await offer_track(world, olga, price=9.99), await offer(stan, price=5.01)
        order = await bought(bob, one["id"], two["id"])
        assert (order["buyer_id"], order["total_amount"], order["currency"]) == (bob.id, 15, "EUR")
        assert (order["status"], [item["price"] for item in order["items"]]) == ("completed", [9.99, 5.01])
        await olga.put(f"{PRODUCTS}/{one['id']}", json={"price": 99, "title": "Dear"})
        path = f"{ORDERS}/{order['id']}"
        assert (await bob.get(path)).json()["data"] == order == (await adam.get(path)).json()["data"]
        hers = (await olga.get(path)).json()["data"]
        assert (hers["total_amount"], [item["product_id"] for item in hers["items"]]) == (9.99, [one["id"]])
        assert "bob@" not in (await olga.get(path)).text
        sold = (await olga.get("/marketplace/sales/orders")).json()
        assert (sold["data"], sold["pagination"]["total"]) == ([hers], 1)
        assert (await bob.get("/marketplace/sales/orders")).json()["data"] == []
        assert code(await (await world.person("eve")).get(path)) == (404, "ORDER_NOT_FOUND")
        assert code(await world.guest.get(path)) == (401, "UNAUTHENTICATED")
        mine = (await bob.get(ORDERS)).json()
        assert (mine["data"], mine["pagination"]["total"]) == ([order], 1)
        assert (await stan.get(ORDERS)).json()["data"] == []
        rows = await database.rows("SELECT account, kind, amount FROM ledger ORDER BY position, account")
        assert [(a, k, int(n)) for a, k, n in rows] == [
            ("fees", "sale", 125), ("payments", "sale", -999), ("seller", "sale", 874),
            ("fees", "sale", 63), ("held", "sale", 438), ("payments", "sale", -501),
        ]  # fmt: skip
        await prove(world)
        await check_receipts(world, order)


async def check_receipts(world: World, order: JSON) -> None:
    """A25: three an hour to an address that nobody confirmed, each tried as often as need be."""
    parts = world.parts
    room = MarketJobs(parts.database, parts.mailer, "http://veza.test", Postage(parts.limiter))
    told = EventJob(new_id(), "order.completed", {"order_id": order["id"], "user_id": order["buyer_id"]})
    for confirmed, tries, sent in (("false", (1, 1, 1, 1, 2), 4), ("true", (1, 1), 6)):
        await parts.database.script(f"UPDATE users SET email_verified = {confirmed}")
        for attempt in tries:
            await room.send_receipt(Job(new_id(), "", "", attempt, clock.now()), told)
        assert len(list(parts.settings.mail_folder.glob("*.eml"))) == sent


async def test_what_cannot_be_bought_leaves_nothing(database: Database, tmp_path: Path) -> None:
    """K1, K2, K3, K4, K6, K7, K9, G6: and with one thing that cannot be had nothing is bought."""
    async with open_world(database, tmp_path) as world:
        olga, bob = await world.person("olga"), await world.person("bob")
        good, own = await offer(olga), await offer(bob)
        draft, gone = await offer(olga, status="draft"), await offer(olga)
        dollars = await offer(olga, currency="USD")
        await olga.put(f"{PRODUCTS}/{gone['id']}", json={"status": "archived"})
        item = {"product_id": good["id"]}
        rows: list[tuple[Any, int, str]] = [
            ([], 422, "VALIDATION_ERROR"), ([item] * 2, 422, "VALIDATION_ERROR"),
            ("x", 422, "VALIDATION_ERROR"),
            ([{"product_id": NOBODY[:-3] + f"{n:03}"} for n in range(101)], 422, "VALIDATION_ERROR"),
            ([item, {"product_id": own["id"]}], 422, "OWN_PRODUCT"),
            ([item, {"product_id": draft["id"]}], 409, "PRODUCT_NOT_AVAILABLE"),
            ([item, {"product_id": gone["id"]}], 409, "PRODUCT_NOT_AVAILABLE"),
            ([item, {"product_id": NOBODY}], 404, "PRODUCT_NOT_FOUND"),
            ([item, {"product_id": dollars["id"]}], 422, "MIXED_CURRENCIES"),
            ([item | {"expected_price": 9.98}], 409, "PRICE_CHANGED"),
            ([item | {"expected_price": 9.999}], 422, "VALIDATION_ERROR"),
            ([item | {"expected_price": "9.99"}], 422, "VALIDATION_ERROR"),
            ([item | {"price": 0.01}], 422, "VALIDATION_ERROR"), ([{}], 422, "VALIDATION_ERROR"),
        ]  # fmt: skip
        for items, status, expected in rows:
            assert code(await bob.post(ORDERS, json={"items": items})) == (status, expected), items
        for extra in ({"total_amount": 0.01}, {"currency": "EUR"}, {"buyer_id": olga.id}):
            answer = await bob.post(ORDERS, json={"items": [item], **extra})
            assert code(answer) == (422, "VALIDATION_ERROR")
        assert code(await world.guest.post(ORDERS, json={"items": [item]})) == (401, "UNAUTHENTICATED")
        assert await rows_of(world, *NOTHING) == NOTHING
        right = await bob.post(ORDERS, json={"items": [item | {"expected_price": 9.99}]})
        assert right.status_code == 201
        assert code(await buy(bob, good["id"])) == (409, "ALREADY_OWNED")
        assert await rows_of(world, "orders", "licences") == {"orders": 1, "licences": 1}


async def test_an_exclusive_licence_sells_once(database: Database, tmp_path: Path) -> None:
    """K5, K17: of fifty who buy it at once, one does; the others are told that it is gone."""
    async with open_world(database, tmp_path) as world:
        olga, buyers = await world.person("olga"), [await world.person(f"buyer{n}") for n in range(5)]
        one = await offer_track(world, olga, license_type="exclusive", price=500)
        other = await offer(olga)
        answers = await asyncio.gather(*(buy(buyers[n % 5], other["id"], one["id"]) for n in range(50)))
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 49
        assert await rows_of(world, "orders", "licences", "order_items") == {
            "orders": 1, "licences": 2, "order_items": 2,
        }  # fmt: skip
        owner = next(n % 5 for n, answer in enumerate(answers) if answer.status_code == 201)
        assert code(await buy(buyers[owner], one["id"])) == (409, "ALREADY_OWNED")
        assert code(await buy(buyers[owner - 1], one["id"])) == (409, "PRODUCT_NOT_AVAILABLE")
        assert code(await olga.put(f"{PRODUCTS}/{one['id']}", json={"status": "active"})) == (
            409,
            "ILLEGAL_STATUS",
        )
        again = {"title": "A", "price": 1, "product_type": "track", "track_id": one["track_id"]}
        assert code(await olga.post(PRODUCTS, json=again)) == (409, "TRACK_ALREADY_FOR_SALE")
        await prove(world)


async def test_a_double_click_is_one_order(database: Database, tmp_path: Path) -> None:
    """K5, K20, G29: fifty at once without a key are one order and 409s; with one, the same answer again."""
    async with open_world(database, tmp_path) as world:
        olga, bob = await world.person("olga"), await world.person("bob")
        one, two = await offer(olga), await offer(olga)
        answers = await asyncio.gather(*(buy(bob, one["id"]) for _ in range(50)))
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 49
        key = {"Idempotency-Key": "click"}
        answers = await asyncio.gather(*(buy(bob, two["id"], headers=key) for _ in range(10)))
        assert {code(a) for a in answers if a.status_code != 201} <= {(409, "IDEMPOTENCY_IN_PROGRESS")}
        again = await buy(bob, two["id"], headers=key)
        assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
        assert code(await buy(bob, one["id"], headers=key)) == (409, "IDEMPOTENCY_KEY_REUSED")
        assert await rows_of(world, "orders", "licences") == {"orders": 2, "licences": 2}
        newest = again.json()["data"]
        for person, path in ((bob, ORDERS), (olga, "/marketplace/sales/orders")):
            listed = [(await person.get(f"{path}?limit=1&page={n}")).json() for n in (1, 2, 3)]
            assert [len(one["data"]) for one in listed] == [1, 1, 0]
            assert listed[0]["data"] == [newest] != listed[1]["data"]
            assert {one["pagination"]["total"] for one in listed} == {2}
            for query in ("page=0", "limit=101", "limit=x"):
                assert code(await person.get(f"{path}?{query}"))[0] == 400, query
        await prove(world)


async def test_what_happens_at_once_happens_one_after_the_other(database: Database, tmp_path: Path) -> None:
    """K18: carts that cross, beside a seller who archives and changes prices: all is as if in a row."""
    async with open_world(database, tmp_path, platform_fee=333) as world:
        olga, buyers = await world.person("olga"), [await world.person(f"buyer{n}") for n in range(4)]
        things = [await offer_track(world, olga, price=n + 0.37, title=str(n)) for n in range(6)]
        things += [await offer(olga, license_type="exclusive", price=100) for _ in range(2)]
        ids = [thing["id"] for thing in things]
        dice = random.Random(7)

        async def act(n: int) -> tuple[int, str]:
            if n % 4 == 3:
                body = dice.choice(
                    [{"status": "archived"}, {"status": "active"}, {"price": dice.randrange(999) / 100}]
                )
                answer = await olga.put(f"{PRODUCTS}/{dice.choice(ids)}", json=body)
            else:
                answer = await buy(buyers[n % 3 + n % 2], *dice.sample(ids, dice.randrange(1, 5)))
            return answer.status_code, answer.text

        answers = await asyncio.gather(*(act(n) for n in range(80)))
        assert {status for status, _ in answers} <= {200, 201, 409}, answers
        exclusive = "FROM order_items WHERE license_type = 'exclusive' GROUP BY product_id"
        assert {
            int(count) for _, count in await database.rows(f"SELECT product_id, COUNT(*) {exclusive}")
        } <= {1}
        twice = "orders JOIN order_items ON order_id = id GROUP BY buyer_id, product_id HAVING COUNT(*) > 1"
        assert await database.rows(f"SELECT product_id FROM {twice}") == []
        await prove(world)


async def test_what_is_not_paid_for_is_not_given(database: Database, tmp_path: Path) -> None:
    """K19: with a provider that takes its time the order waits; it is completed once, or paid back."""
    async with open_world(database, tmp_path) as world:
        slow = Slow()
        shop = world.app.given["shop"]
        shop._provider = slow
        olga, bob, eve = [await world.person(name) for name in ("olga", "bob", "eve")]
        one, free = await offer_track(world, olga, license_type="exclusive"), await offer(olga, price=0)
        order = await bought(bob, one["id"])
        rival = await bought(eve, one["id"])
        assert (order["status"], order["payment_url"]) == ("pending", "https://pay.example/1")
        assert [(payment.amount, payment.currency) for payment in slow.begun] == [(999, "EUR")] * 2
        assert await rows_of(world, "licences", "ledger") == {"licences": 0, "ledger": 0}
        assert code(await bob.get(f"/marketplace/download/{one['id']}")) == (403, "NOT_PURCHASED")
        assert code(await olga.get(f"{ORDERS}/{order['id']}")) == (404, "ORDER_NOT_FOUND")
        assert code(await olga.post(f"{ORDERS}/{order['id']}/refund")) == (404, "ORDER_NOT_FOUND")
        assert (await bought(bob, free["id"]))["status"] == "completed"
        for paid, expected in ((order, "completed"), (order, "completed"), (rival, "cancelled")):
            async with database.write() as tx:
                assert (await settling.settle(tx, UUID(paid["id"]))).status == expected
        got = (await bob.get(f"{ORDERS}/{order['id']}")).json()["data"]
        assert (got["status"], got["payment_url"]) == ("completed", None)
        jobs = await database.rows("SELECT payload FROM jobs WHERE kind = 'marketplace.pay_back'")
        assert [rival["id"] in payload for (payload,) in jobs] == [True]
        assert await rows_of(world, "licences") == {"licences": 2}
        await prove(world)


async def test_a_refund_turns_everything_back(database: Database, tmp_path: Path) -> None:
    """K14, K15: by the seller of a line, or an admin; each line once; what was exclusive sells again."""
    async with open_world(database, tmp_path, platform_fee=777) as world:
        olga, stan, bob, adam = [
            await world.person(n, r)
            for n, r in (("olga", "user"), ("stan", "user"), ("bob", "user"), ("adam", "admin"))
        ]
        one = await offer_track(world, olga, license_type="exclusive", price=33.33)
        two = await offer(stan, price=0.01)
        order = await bought(bob, one["id"], two["id"])
        path = f"{ORDERS}/{order['id']}"
        assert code(await bob.post(f"{path}/refund")) == (409, "NOT_LATE")
        assert code(await (await world.person("eve")).post(f"{path}/refund")) == (404, "ORDER_NOT_FOUND")
        hers = (await olga.post(f"{path}/refund")).json()["data"]
        assert (hers["status"], hers["items"][0]["refunded"]) == ("partially_refunded", True)
        assert code(await olga.post(f"{path}/refund")) == (409, "NOTHING_TO_REFUND")
        assert code(await bob.get(f"/marketplace/download/{one['id']}")) == (404, "PRODUCT_NOT_FOUND")
        assert (await adam.post(f"{path}/refund")).json()["data"]["status"] == "refunded"
        assert code(await adam.post(f"{path}/refund")) == (409, "NOTHING_TO_REFUND")
        assert code(await bob.post(f"{path}/refund")) == (403, "FORBIDDEN")
        assert (await olga.put(f"{PRODUCTS}/{one['id']}", json={"status": "active"})).status_code == 200
        assert (await bought(bob, one["id"], two["id"]))["status"] == "completed"
        sums = await database.rows(
            "SELECT account, SUM(amount) FROM ledger GROUP BY account ORDER BY account"
        )
        assert [(account, int(amount)) for account, amount in sums] == [
            ("fees", 259), ("held", 1), ("payments", -3334), ("seller", 3074),
        ]  # fmt: skip
        kinds = await database.rows("SELECT kind FROM events WHERE kind LIKE 'order.%' ORDER BY id")
        assert [kind for (kind,) in kinds] == [
            "order.completed",
            "order.refunded",
            "order.refunded",
            "order.completed",
        ]
        await prove(world)


async def test_accounts_end_and_books_stay(database: Database, tmp_path: Path) -> None:
    """U8, K16: orders and the ledger outlast both accounts; licences end with their owner's."""
    async with open_world(database, tmp_path) as world:
        olga, bob = await world.person("olga"), await world.person("bob")
        sold, unsold = await offer_track(world, olga), await offer(olga)
        order = await bought(bob, sold["id"])
        export = (await bob.get(f"/users/{bob.id}/export")).json()["data"]["marketplace"]
        assert ([one["id"] for one in export["orders"]], len(export["licences"])) == ([order["id"]], 1)
        export = (await olga.get(f"/users/{olga.id}/export")).json()["data"]["marketplace"]
        assert (len(export["products"]), len(export["sales"]), export["balance"]) == (2, 1, {"EUR": 9.99})
        assert bob.id not in str(export)
        for person in (olga, bob):
            answer = await person.delete(f"/users/{person.id}", json={"password": PASSWORD})
            assert answer.status_code == 200, answer.text
            await prove(world)
        assert code(await world.guest.get(f"{PRODUCTS}/{unsold['id']}")) == (404, "PRODUCT_NOT_FOUND")
        assert await rows_of(world, "orders", "order_items", "licences", "products", "ledger") == {
            "orders": 1, "order_items": 1, "licences": 0, "products": 1, "ledger": 2,
        }  # fmt: skip


async def test_random_carts_are_exact_through_the_service(database: Database, tmp_path: Path) -> None:
    """K8, K17: hundreds of orders and refunds, and every cent is where it belongs."""
    async with open_world(database, tmp_path, platform_fee=1_234) as world:
        people = [await world.person(name) for name in ("ann", "bob", "cleo")]
        dice = random.Random(11)
        things = [(n % 2, await offer(people[n % 2], price=dice.randrange(100_000) / 100)) for n in range(60)]
        total = 0
        for cart in range(20):
            wanted = things[cart * 3 : cart * 3 + 3]
            order = await bought(people[2], *(thing["id"] for _, thing in wanted))
            cents = sum(round(thing["price"] * 100) for _, thing in wanted)
            assert order["total_amount"] == cents / 100
            total += cents
            if cart % 4 == 0:
                back = await people[cart % 2].post(f"{ORDERS}/{order['id']}/refund")
                total -= sum(round(thing["price"] * 100) for who, thing in wanted if who == cart % 2)
                assert back.status_code == 200
        [(paid,)] = await database.rows("SELECT -SUM(amount) FROM ledger WHERE account = 'payments'")
        assert int(paid) == total
        await prove(world)
