"""Services: ordered, delivered, sent back, accepted, or given back; the money follows, to the cent."""

import asyncio
import re
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.rooms.listening_house import until
from tests.rooms.market_house import ORDERS, bought, buy, link, offer, offer_track, prove
from tests.rooms.tracks_house import GIB, NOBODY, code
from tests.world import JSON, PASSWORD, Person, World, open_world
from veza.core import clock
from veza.core.db import Database, Statement
from veza.core.ids import new_id
from veza.core.jobs import NoPayload
from veza.core.postage import Postage
from veza.rooms.accounts import quota
from veza.rooms.marketplace import licences_store
from veza.rooms.marketplace.jobs import MarketJobs
from veza.rooms.marketplace.service_jobs import ServiceJobs
from veza.rooms.uploads import service as uploads
from veza.rooms.uploads import uploads_store
from veza.rooms.uploads.schemas import Upload

JOB: Any = None
NOTHING = NoPayload()
DELIVERIES = "/marketplace/sales/deliveries"


async def put_upload(world: World, owner: Person, content: bytes, status: str = "completed") -> str:
    """An uploaded text of somebody's; its id."""
    now, upload_id = clock.now(), new_id()
    await world.parts.storage.put_bytes(uploads.original_key(upload_id), content)
    upload = Upload(
        upload_id, UUID(owner.id), "document", "mix.txt", "text/plain", len(content), status, None, now, now
    )
    async with world.parts.database.write() as tx:
        await quota.reserve(tx, upload.user_id, upload.size, GIB)
        await uploads_store.add(tx, upload)
    return str(upload_id)


def path_of(order: JSON, what: str = "", number: int = 0) -> str:
    """The address of a service of an order, or of what is done with it."""
    return f"{ORDERS}/{order['id']}/services/{order['items'][number]['product_id']}{what}"


async def money(world: World) -> dict[str, int]:
    """What stands in each account, in cents."""
    rows = await world.parts.database.rows("SELECT account, SUM(amount) FROM ledger GROUP BY account")
    return {str(account): int(amount) for account, amount in rows if amount}


async def waiting(person: Person, query: str = "") -> list[tuple[str, str]]:
    """The services that somebody sold, and how far each is."""
    answer = (await person.get(f"{DELIVERIES}{query}")).json()
    assert answer["pagination"]["total"] == len(answer["data"])
    return [(one["title"], one["delivery"]) for one in answer["data"]]


async def test_a_service_from_order_to_acceptance(database: Database, tmp_path: Path) -> None:
    """K14, K15: who may do what when; the seller's money is held meanwhile; the latest file comes down."""
    async with open_world(database, tmp_path, work=True, platform_fee=1_000) as world:
        olga, bob, eve, adam = [
            await world.person(name, "admin" if name == "adam" else "user")
            for name in ("olga", "bob", "eve", "adam")
        ]
        mix, song = await offer(olga, title="A mix", price=50), await offer_track(world, olga, price=1)
        order = await bought(bob, mix["id"], song["id"])
        assert [item["delivery"] for item in order["items"]] == ["ordered", None]
        assert await money(world) == {"fees": 510, "held": 4_500, "payments": -5_100, "seller": 90}
        assert await waiting(olga) == [("A mix", "ordered")] == await waiting(olga, "?delivery=ordered")
        assert await waiting(olga, "?delivery=accepted") == await waiting(bob) == []
        assert code(await bob.get(f"/marketplace/download/{mix['id']}")) == (409, "NOTHING_TO_DOWNLOAD")
        first, second = [await put_upload(world, olga, text) for text in (b"rough", b"smooth")]
        theirs, raw = await put_upload(world, bob, b"x"), await put_upload(world, olga, b"x", "processing")
        deliver, accept, revision = [path_of(order, f"/{w}") for w in ("deliver", "accept", "revision")]
        refused: list[tuple[Person, str, Any, int]] = [
            (world.guest, deliver, {"note": "Hi"}, 401), (eve, deliver, {"note": "Hi"}, 404),
            (bob, deliver, {"note": "Hi"}, 403), (adam, deliver, {"note": "Hi"}, 403),
            (olga, deliver, {}, 422), (olga, deliver, {"note": "x" * 5_001}, 422),
            (olga, deliver, {"upload_id": NOBODY}, 404), (olga, deliver, {"upload_id": theirs}, 404),
            (olga, deliver, {"upload_id": raw}, 409), (bob, accept, None, 409), (eve, accept, None, 404),
            (bob, revision, {"reason": "x"}, 409), (olga, path_of(order, "/deliver", 1), {"note": "x"}, 404),
        ]  # fmt: skip
        for person, address, body, status in refused:
            answer = await person.post(address, json=body)
            assert answer.status_code == status, (address, body, answer.text)
        key = {"Idempotency-Key": "once"}
        body = {"note": "Here", "upload_id": first}
        twice = [await olga.post(deliver, json=body, headers=key) for _ in range(2)]
        assert twice[0].content == twice[1].content
        done = twice[0].json()["data"]
        assert done["delivery"] == "delivered"
        assert [(one["note"], one["filename"], one["size"]) for one in done["handed_over"]] == [
            ("Here", "mix.txt", 5)
        ]
        assert code(await olga.post(deliver, json={"note": "Again"})) == (409, "NOT_TO_DELIVER")
        await told_of_deliveries(world, 1)
        url = await link(bob, mix["id"])
        assert (await world.guest.get(url)).content == b"rough"
        assert code(await olga.post(accept)) == (403, "FORBIDDEN")
        assert code(await bob.post(revision, json={"reason": ""})) == (422, "VALIDATION_ERROR")
        back = (await bob.post(revision, json={"reason": "Louder"})).json()["data"]
        assert (back["delivery"], back["due_at"], back["handed_over"][0]["reason"]) == (
            "revision", None, "Louder",
        )  # fmt: skip
        assert (await olga.post(deliver, json={"upload_id": second})).status_code == 200
        await told_of_deliveries(world, 2)
        assert (await world.guest.get(url)).content == b"smooth"
        assert (await olga.delete(f"/uploads/{second}")).status_code == 200
        seen = [(await person.get(path_of(order))).json()["data"] for person in (bob, olga, adam)]
        assert seen[0] == seen[1] == seen[2]
        assert [one["note"] for one in seen[0]["handed_over"]] == ["Here", ""]
        assert code(await eve.get(path_of(order))) == (404, "SERVICE_NOT_FOUND")
        assert (await money(world))["held"] == 4_500
        done = (await bob.post(accept)).json()["data"]
        assert (done["delivery"], done["due_at"]) == ("accepted", None)
        assert await money(world) == {"fees": 510, "payments": -5_100, "seller": 4_590}
        assert code(await bob.post(accept)) == (409, "NOT_DELIVERED")
        items = (await bob.get(f"{ORDERS}/{order['id']}")).json()["data"]["items"]
        assert [item["delivery"] for item in items] == ["accepted", None]
        await check_bought_again(world, bob, olga, order)
        # The seller gives back what is not a service; of this nothing more, but for an admin.
        part = (await olga.post(f"{ORDERS}/{order['id']}/refund")).json()["data"]
        assert [item["refunded"] for item in part["items"]] == [False, True]
        assert code(await olga.post(f"{ORDERS}/{order['id']}/refund")) == (409, "NOTHING_TO_REFUND")
        parts = world.parts
        await MarketJobs(database, parts.mailer, "http://veza.test", Postage(parts.limiter)).release_files(
            JOB, NOTHING
        )
        assert (await world.guest.get(await link(bob, mix["id"]))).content == b"smooth"
        assert (await adam.post(f"{ORDERS}/{order['id']}/refund")).json()["data"]["status"] == "refunded"
        assert code(await world.guest.get(url)) == (403, "NOT_PURCHASED")
        assert await money(world) == {}
        assert await waiting(olga) == [("A mix", "refunded")] * 2
        await prove(world)
        expected = Counter(
            {
                "A revision of your service is wanted": 1, "A service of yours was ordered": 2,
                "What you ordered was delivered": 3, "Your service was accepted": 1,
                "Your order of 51.00 EUR": 1, "Your order of 50.00 EUR": 1, "You made a sale": 2,
                "A refund of 1.00 EUR": 1, "A refund of 50.00 EUR": 2,
            }
        )  # fmt: skip
        await until(lambda: asyncio.to_thread(lambda: subjects(world) == expected))


async def check_bought_again(world: World, buyer: Person, seller: Person, before: JSON) -> None:
    """K4, K5: a service is ordered anew once it is accepted, one at a time; what was delivered stays."""
    product, link_of = before["items"][0]["product_id"], f"/marketplace/download/{{}}?order_id={before['id']}"
    answers = await asyncio.gather(*(buy(buyer, product) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 4
    again = next(answer.json()["data"] for answer in answers if answer.status_code == 201)
    assert code(await buy(buyer, product)) == (409, "ALREADY_OWNED")
    old = (await buyer.get(link_of.format(product))).json()["data"]["url"].partition("/api/v1")[2]
    for address in (old, await link(buyer, product)):
        assert (await world.guest.get(address)).content == b"smooth"
    file = await put_upload(world, seller, b"another")
    assert (await seller.post(path_of(again, "/deliver"), json={"upload_id": file})).is_success
    await told_of_deliveries(world, 3)
    assert (await world.guest.get(await link(buyer, product))).content == b"another"
    assert (await world.guest.get(old)).content == b"smooth"
    other = old.replace(before["id"], again["id"])
    assert code(await world.guest.get(other)) == (403, "SIGNATURE_INVALID")
    assert code(await buyer.get(link_of.format(product).replace(before["id"], NOBODY))) == (
        403, "NOT_PURCHASED",
    )  # fmt: skip
    await prove(world)
    assert (await seller.post(f"{ORDERS}/{again['id']}/refund")).is_success
    assert (await world.guest.get(await link(buyer, product))).content == b"smooth"


async def test_what_was_delivered_long_ago(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K15: it comes down by its order, however often the service was ordered since; for its buyer alone."""
    monkeypatch.setattr(licences_store, "MOST", 1)
    async with open_world(database, tmp_path) as world:
        olga, bob, eve = [await world.person(name) for name in ("olga", "bob", "eve")]
        lesson = await offer(olga, price=0)
        orders = []
        for number in range(3):
            orders.append(await bought(bob, lesson["id"]))
            file = await put_upload(world, olga, b"lesson %d" % number)
            assert (await olga.post(path_of(orders[-1], "/deliver"), json={"upload_id": file})).is_success
            assert (await bob.post(path_of(orders[-1], "/accept"))).is_success
        await bought(eve, lesson["id"])
        for number, order in enumerate(orders):
            path = f"/marketplace/download/{lesson['id']}?order_id={order['id']}"
            url = (await bob.get(path)).json()["data"]["url"].partition("/api/v1")[2]
            assert (await world.guest.get(url)).content == b"lesson %d" % number
            assert code(await eve.get(path)) == (403, "NOT_PURCHASED")


async def told_of_deliveries(world: World, count: int) -> None:
    """Wait until so many mails say that something was delivered: none does any more once it is sent back."""
    await until(lambda: asyncio.to_thread(lambda: subjects(world)["What you ordered was delivered"] == count))


def subjects(world: World) -> Counter[str]:
    """What mails were about, and how many."""
    texts = [path.read_text() for path in world.parts.settings.mail_folder.glob("*.eml")]
    return Counter(re.findall("^Subject: (.*)$", "\n".join(texts), re.MULTILINE))


def service_jobs(world: World) -> ServiceJobs:
    """What is done for services now and then."""
    parts = world.parts
    return ServiceJobs(parts.database, parts.mailer, "http://veza.test", Postage(parts.limiter))


async def test_time_accepts_and_a_goodbye_gives_back(database: Database, tmp_path: Path) -> None:
    """K16, K17, U8: after two weeks it is accepted; who leaves before owes it; each once, however often."""
    async with open_world(database, tmp_path, work=True, accept_days=3, deliver_days=5) as world:
        olga, stan, bob = [await world.person(name) for name in ("olga", "stan", "bob")]
        done, open_, hers = [await offer(one, price=10) for one in (olga, olga, stan)]
        first, second = await bought(bob, done["id"]), await bought(bob, open_["id"], hers["id"])
        for order in (first, second):
            assert (await olga.post(path_of(order, "/deliver"), json={"note": "!"})).status_code == 200
        assert (await bob.post(path_of(second, "/revision"), json={"reason": "?"})).status_code == 200

        async def state(order: JSON, number: int = 0) -> str:
            found = (await bob.get(f"{ORDERS}/{order['id']}")).json()["data"]
            return str(found["items"][number]["delivery"])

        with clock.shifted(timedelta(days=3, seconds=-30)):
            await service_jobs(world).accept_due(JOB, NOTHING)
        assert await state(first) == "delivered"
        with clock.shifted(timedelta(days=3, seconds=1)):
            await asyncio.gather(*(service_jobs(world).accept_due(JOB, NOTHING) for _ in range(3)))
        assert await state(first) == "accepted"
        assert (await state(second), await money(world)) == (
            "revision", {"held": 2_000, "payments": -3_000, "seller": 1_000},
        )  # fmt: skip
        assert (await olga.delete(f"/users/{olga.id}", json={"password": PASSWORD})).status_code == 200
        await until(lambda: _is(state(second), "refunded"))
        assert await money(world) == {"held": 1_000, "payments": -2_000, "seller": 1_000}
        found = (await bob.get(f"{ORDERS}/{second['id']}")).json()["data"]
        assert (found["status"], [item["refunded"] for item in found["items"]]) == (
            "partially_refunded", [True, False],
        )  # fmt: skip
        await check_late(world, bob, stan)
        # Many at once: one of them, and the money moves once.
        both = [stan.post(f"{ORDERS}/{second['id']}/refund")]
        await stan.post(path_of(second, "/deliver", 1), json={"note": "Done"})
        both += [bob.post(path_of(second, "/accept", 1)) for _ in range(4)]
        answers = [answer.status_code for answer in await asyncio.gather(*both)]
        assert sorted(answers) == [200, 409, 409, 409, 409]
        await prove(world)


async def check_late(world: World, buyer: Person, seller: Person) -> None:
    """K15, K17: who waits for too long gets their money back, also for what is not revised; nobody sooner."""
    before = await money(world)
    first, second, song = [
        await offer(seller, price=price) for price in (20, 30)
    ] + [await offer_track(world, seller, price=5)]  # fmt: skip
    order = await bought(buyer, first["id"], second["id"], song["id"])
    refund = f"{ORDERS}/{order['id']}/refund"
    assert code(await buyer.post(refund)) == (409, "NOT_LATE")
    assert (await seller.post(path_of(order, "/deliver"), json={"note": "Rough"})).is_success
    sent_back = await buyer.post(path_of(order, "/revision"), json={"reason": "No"})
    late_at = datetime.fromisoformat(sent_back.json()["data"]["late_at"])
    assert timedelta(days=4) < late_at - clock.now() <= timedelta(days=5)
    ago = 5 * 86_400_000_000
    steps = [
        (f"UPDATE order_items SET sold_at = sold_at - {ago - 60_000_000}", [], "NOT_LATE"),
        (f"UPDATE order_items SET sold_at = sold_at - {ago}", [False, True, False], "NOT_LATE"),
        (f"UPDATE deliveries SET returned_at = returned_at - {ago}", [True, True, False], "FORBIDDEN"),
    ]
    for passes, refunded, then in steps:
        async with world.parts.database.write() as tx:  # in turn with those who work
            await tx.run(Statement(sa.text(passes)))
        answer = await buyer.post(refund)
        items = answer.json()["data"]["items"] if answer.is_success else []
        assert [item["refunded"] for item in items] == refunded
        assert code(await buyer.post(refund))[1] == then
    more = {name: amount - before[name] for name, amount in (await money(world)).items()}
    assert more == {"held": 0, "payments": -500, "seller": 500}


async def _is(found: Any, wanted: str) -> bool:
    return bool(await found == wanted)
