"""Orders that are paid by Stripe: once, for the right amount, whatever of its notices comes when."""

import asyncio
import json
import random
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tests.rooms.listening_house import rows_of
from tests.rooms.market_house import ORDERS, buy, link, offer, offer_track
from tests.rooms.payments_house import open_shop
from tests.rooms.tracks_house import BYTES, code
from tests.stripe_fake.params import Refused
from veza.core import clock
from veza.core.db import Database
from veza.core.events import EventJob
from veza.core.ids import new_id
from veza.core.jobs import Job
from veza.rooms.marketplace import sellers_store
from veza.rooms.marketplace.sellers_store import SellerAccount


async def test_what_is_paid_for_is_given_once(database: Database, tmp_path: Path) -> None:
    """K5, K19: it waits for the payment; notices come twice, and the last first; sellers get their shares."""
    async with open_shop(database, tmp_path) as shop:
        olga, stan, bob = [await shop.person(name) for name in ("olga", "stan", "bob")]
        one, two = (
            await offer_track(shop.world, olga, price=9.99),
            await offer_track(shop.world, stan, price=5.01),
        )
        account = await shop.connect(olga)
        order = await shop.order(bob, one["id"], two["id"], pay=False)
        session = shop.stripe.objects[shop.session(order)]
        assert (order["status"], order["payment_url"]) == ("pending", session["url"])
        assert (session["amount_total"], session["currency"]) == (1_500, "eur")
        assert await rows_of(shop.world, "licences", "ledger") == {"licences": 0, "ledger": 0}
        assert code(await bob.get(f"/marketplace/download/{one['id']}")) == (403, "NOT_PURCHASED")
        again = await asyncio.gather(*(buy(bob, one["id"]) for _ in range(5)))
        assert {code(answer) for answer in again} == {(409, "ORDER_PENDING")}
        assert order["id"] in again[0].text
        shop.stripe.pay(session["id"])
        news = shop.stripe.events[-3:]
        assert {event["type"] for event in news} == {
            "checkout.session.completed", "payment_intent.succeeded", "charge.succeeded",
        }  # fmt: skip
        await shop.deliver(*reversed(news), *news)
        assert (await shop.see(bob, order))["status"] == "completed"
        await shop.deliver(*news)
        assert await rows_of(shop.world, "orders", "licences", "charges") == {
            "orders": 1, "licences": 2, "charges": 1,
        }  # fmt: skip
        assert (await shop.world.guest.get(await link(bob, one["id"]))).content == BYTES
        [share] = shop.stripe.list("transfer")
        assert (share["destination"], share["amount"], share["transfer_group"]) == (account, 899, order["id"])
        assert await shop.sums() == {"payments": -1_500, "fees": 150, "seller": 451, "handed": 899}
        await shop.connect(stan)  # what has waited for him follows
        assert await shop.sums() == {"payments": -1_500, "fees": 150, "handed": 1_350}
        emitted = await database.rows("SELECT COUNT(*) FROM events WHERE kind = 'order.completed'")
        assert emitted == [(1,)]
        await shop.prove()


async def test_a_forged_notice_changes_nothing(database: Database, tmp_path: Path) -> None:
    """K19: unsigned, signed with another secret, of old, or changed after; two secrets are good at a time."""
    async with open_shop(database, tmp_path, rate_limit_enabled=True, rate_limit_global="9/min") as shop:
        olga, bob = await shop.person("olga"), await shop.person("bob")
        order = await shop.order(bob, (await offer_track(shop.world, olga))["id"], pay=False)
        shop.stripe.pay(shop.session(order))
        body = json.dumps(shop.stripe.told("checkout.session.completed"))
        signed = shop.stripe.sign(body)
        forged: list[tuple[str, str]] = [
            (body, ""), (body, "t=1"), (body, "v1=abc"), (body, "nonsense"), (body + " ", signed),
            (body, shop.stripe.sign(body, secret="whsec_another")),
            (body, shop.stripe.sign(body, age=301)), (body, signed.replace("t=", "t=1")),
            (body, signed.replace("v1=", "v0=")), ("\ud800", signed), ("[]", shop.stripe.sign("[]")),
        ]  # fmt: skip
        before = await database.rows("SELECT COUNT(*) FROM jobs")
        for text, signature in forged:
            raw = text.encode("utf-8", "surrogatepass")
            answer = await shop.world.guest.post(
                "/payments/stripe/webhook", content=raw, headers={"Stripe-Signature": signature}
            )
            assert code(answer) == (400, "INVALID_SIGNATURE"), signature
        assert await database.rows("SELECT COUNT(*) FROM jobs") == before
        assert await rows_of(shop.world, "provider_notices") == {"provider_notices": 0}
        await shop.work()
        assert (await shop.see(bob, order))["status"] == "pending"
        # What it has no use for, or is not about an order of ours, is acknowledged, and beyond all limits.
        dispute = {"id": "dp_x", "object": "dispute", "payment_intent": "pi_x", "metadata": {}}
        charge = {
            "id": "ch_x",
            "object": "charge",
            "payment_intent": None,
            "metadata": {"veza_order": bob.id},
        }
        customer = {"id": "cus_x", "object": "customer"}
        await shop.deliver(
            shop.stripe.happen("charge.dispute.created", dispute),
            shop.stripe.happen("charge.refunded", charge),
            shop.stripe.happen("customer.created", customer),
        )
        await shop.deliver(shop.stripe.told("checkout.session.completed"), secret="whsec_the-old-one")
        assert shop.put_off == []
        rows = await database.rows("SELECT status FROM orders")
        assert rows == [("completed",)]


async def test_an_order_waits_no_longer_than_its_payment(database: Database, tmp_path: Path) -> None:
    """K19, X15: lost notices are asked for; who does not pay has ordered nothing; banks take days."""
    async with open_shop(database, tmp_path) as shop:
        olga, bob, eve = [await shop.person(name) for name in ("olga", "bob", "eve")]
        ids = [(await offer_track(shop.world, olga))["id"] for _ in range(5)]
        lost, idle, slow, bad, given_up = [await shop.order(bob, one, pay=False) for one in ids]
        shop.stripe.pay(shop.session(lost))
        shop.stripe.expire_session(shop.session(idle))
        for late in (slow, bad):
            shop.stripe.pay(shop.session(late), later=True)
        assert code(await eve.post(f"{ORDERS}/{given_up['id']}/cancel")) == (404, "ORDER_NOT_FOUND")
        assert code(await bob.post(f"{ORDERS}/{slow['id']}/cancel")) == (409, "PAYMENT_UNDER_WAY")
        answer = await bob.post(f"{ORDERS}/{given_up['id']}/cancel")
        assert answer.json()["data"]["status"] == "cancelled"
        assert await shop.kinds_of(answer) == ["order.cancelled"]
        assert code(await bob.post(f"{ORDERS}/{given_up['id']}/cancel")) == (409, "ORDER_NOT_PENDING")
        shop.stripe.delivered |= {event["id"] for event in shop.stripe.events}  # says Stripe
        await shop.ask_missed()
        assert (await shop.see(bob, lost))["status"] == "pending"
        with clock.shifted(timedelta(minutes=11)):
            await shop.ask_missed()
        orders = [lost, idle, slow, bad]
        assert [(await shop.see(bob, one))["status"] for one in orders] == [
            "completed", "cancelled", "pending", "pending",
        ]  # fmt: skip
        shop.stripe.arrive(shop.session(slow), good=True)
        shop.stripe.arrive(shop.session(bad), good=False)
        await shop.ask_missed()  # these Stripe knows to be undelivered
        assert [(await shop.see(bob, one))["status"] for one in (slow, bad)] == ["completed", "cancelled"]
        assert await rows_of(shop.world, "licences") == {"licences": 2}
        assert (await buy(bob, ids[1])).status_code == 201
        await shop.prove()


async def test_the_wrong_amount_buys_nothing(database: Database, tmp_path: Path) -> None:
    """K6, K19: nor does another currency; what comes too late, or cannot be had any more, is paid back."""
    async with open_shop(database, tmp_path) as shop:
        olga, bob, eve = [await shop.person(name) for name in ("olga", "bob", "eve")]
        orders = [
            await shop.order(bob, (await offer_track(shop.world, olga))["id"], pay=False) for _ in range(4)
        ]
        less, dollars, early, late = orders
        shop.stripe.pay(shop.session(less), amount=998)
        shop.stripe.pay(shop.session(dollars), currency="usd")
        shop.stripe.refund({"payment_intent": shop.stripe.pay(shop.session(early))["id"]})
        await shop.world.parts.database.script("UPDATE orders SET status = 'cancelled'"
                                               f" WHERE payment_ref = '{shop.session(late)}'")  # fmt: skip
        shop.stripe.pay(shop.session(late))
        one = await offer_track(shop.world, olga, license_type="exclusive", price=500)
        first, second = [await shop.order(person, one["id"], pay=False) for person in (bob, eve)]
        shop.stripe.pay(shop.session(first))
        shop.stripe.pay(shop.session(second))
        await shop.deliver()
        found = [(await shop.see(bob, order))["status"] for order in (*orders, first)]
        assert found == ["cancelled"] * 4 + ["completed"]
        assert (await shop.see(eve, second))["status"] == "cancelled"
        assert await rows_of(shop.world, "licences") == {"licences": 1}
        for order in (*orders, second):
            assert shop.charge(order)["refunded"]
        assert len(shop.stripe.list("refund")) == 5
        await shop.prove()
        # And whoever has paid is told that it was in vain.
        sent = shop.tasks["marketplace.send_cancelled"]
        rows = await database.rows(f"SELECT payload FROM jobs WHERE kind = '{sent.kind.name}'")
        for (payload,) in rows:
            job = Job(new_id(), sent.kind.name, payload, 1, clock.now())
            await sent.run(job, msgspec.json.decode(payload, type=EventJob))
        mails = [path.read_text() for path in shop.world.parts.settings.mail_folder.glob("*.eml")]
        for amount in ("9.98 EUR", "9.99 USD", "500.00 EUR"):
            assert any(f"you have paid {amount} for your order" in mail for mail in mails), amount


async def test_stripe_is_away(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """K5, K17, X15: nothing is left of what is refused; an answer that is lost is asked for again."""
    monkeypatch.setattr("stripe.HTTPXClient.sleep_async", lambda *_: asyncio.sleep(0))
    async with open_shop(database, tmp_path) as shop:
        olga, bob = await shop.person("olga"), await shop.person("bob")
        three = await offer_track(shop.world, olga)
        answers = await asyncio.gather(*(buy(bob, three["id"]) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 4
        waiting = await rows_of(shop.world, "orders")
        one, cheap, free = (
            await offer_track(shop.world, olga),
            await offer_track(shop.world, olga, price=0.49),
            await offer_track(shop.world, olga, price=0),
        )
        shop.stripe.down = True
        answer = await buy(bob, one["id"])
        assert code(answer) == (503, "PAYMENT_UNAVAILABLE")
        assert "Retry-After" in answer.headers
        assert (await buy(bob, free["id"])).json()["data"]["status"] == "completed"
        shop.stripe.down = False
        refused = await buy(bob, cheap["id"])
        assert code(refused) == (422, "AMOUNT_REFUSED")
        assert await rows_of(shop.world, "orders") == {"orders": waiting["orders"] + 1}
        sessions = len(shop.stripe.list("checkout.session"))
        shop.stripe.broken = 2
        order = await shop.order(bob, one["id"], pay=False)
        assert len(shop.stripe.list("checkout.session")) == sessions + 1
        shop.stripe.pay(shop.session(order))
        shop.stripe.down = True
        await shop.deliver()
        assert "marketplace.ask_payment" in shop.put_off
        shop.stripe.down = False
        await shop.again()
        assert (await shop.see(bob, order))["status"] == "completed"
        shop.stripe.broken = 1
        await olga.post(f"{ORDERS}/{order['id']}/refund")
        await shop.work()
        assert [one["amount"] for one in shop.stripe.list("refund")] == [999]
        await shop.prove()


async def test_sellers_say_where_their_money_goes(database: Database, tmp_path: Path) -> None:
    """G6: once; what is refused is tried again when Stripe says so; it is gone with the account."""
    async with open_shop(database, tmp_path) as shop:
        olga, bob = await shop.person("olga"), await shop.person("bob")
        path = "/marketplace/payouts/account"
        assert code(await shop.world.guest.get(path)) == (401, "UNAUTHENTICATED")
        state = (await olga.get(path)).json()["data"]
        assert (state["provider"], state["connected"], state["ready"]) == ("stripe", False, False)
        assert code(await olga.post(path, json={"country": "Austria"})) == (422, "VALIDATION_ERROR")
        links = await asyncio.gather(*(olga.post(path, json={"country": "AT"}) for _ in range(5)))
        assert {answer.json()["data"]["connected"] for answer in links} == {True}
        assert await shop.kinds_of(*links) == ["user.payout_account_opened"]
        [account] = shop.stripe.list("account")
        assert (account["country"], account["metadata"]) == ("AT", {"veza_user": olga.id})
        assert account["id"] in links[0].json()["data"]["url"]
        order = await shop.order(bob, (await offer_track(shop.world, olga, price=10))["id"])
        assert shop.stripe.list("transfer") == []
        shop.stripe.set_transfers(account["id"])
        news = shop.stripe.told("account.updated")
        account["capabilities"]["transfers"] = "inactive"  # by now: it is asked, and not believed
        await shop.deliver(news)
        assert (await olga.get(path)).json()["data"]["ready"] is False
        shop.stripe.set_transfers(account["id"])
        await shop.deliver()
        assert (await olga.get(path)).json()["data"]["ready"] is True
        assert [one["amount"] for one in shop.stripe.list("transfer")] == [900]
        export = (await olga.get(f"/users/{olga.id}/export")).json()["data"]["marketplace"]
        assert export["payout_account"]["account"] == account["id"]
        assert [one["order_id"] for one in export["shares"]] == [order["id"]]
        account["capabilities"]["transfers"] = "inactive"  # and nobody says so
        await shop.order(bob, (await offer_track(shop.world, olga, price=20))["id"])
        assert (await shop.sums())["seller"] == 1_800
        shop.stripe.set_transfers(account["id"])
        await shop.deliver()
        assert await shop.sums() == {"payments": -3_000, "fees": 300, "handed": 2_700}
        await shop.prove()


async def test_who_asks_twice_at_once_has_one_account(database: Database, tmp_path: Path) -> None:
    """G6: of several at once, wherever they are, one writes it down and the others find it there."""
    async with open_shop(database, tmp_path) as shop:
        olga, now = UUID((await shop.person("olga")).id), clock.now()

        async def add(name: str) -> bool:
            async with database.write() as tx:
                return await sellers_store.add(
                    tx, SellerAccount(olga, "stripe", name, ready=False, created_at=now, updated_at=now)
                )

        for number in range(10):
            added = await asyncio.gather(*(add(f"acct_{number}") for _ in range(5)))
            assert sorted(added) == [False] * 4 + [True]
            async with database.write() as tx:
                await sellers_store.drop(tx, olga)


async def test_where_no_money_moves(database: Database, tmp_path: Path) -> None:
    """K19: without a provider there is nobody to be paid by, and nobody whose notices are taken."""
    async with open_shop(database, tmp_path, payment_provider="instant", stripe_secret_key="") as shop:
        olga = await shop.person("olga")
        for method in (olga.get, olga.post):
            assert code(await method("/marketplace/payouts/account")) == (409, "PAYOUTS_NOT_OFFERED")
        answer = await olga.post("/payments/stripe/webhook", json={})
        assert code(answer) == (404, "PAYMENT_PROVIDER_NOT_FOUND")
        page = await shop.world.guest.get("http://veza.test/payments/returned")
        assert page.status_code == 200


async def test_many_orders_whose_notices_come_at_random(database: Database, tmp_path: Path) -> None:
    """K5, K17, K18: any number of times, in any order, some never; refunds, disputes, Stripe's dashboard."""
    dice = random.Random(random.getrandbits(32))  # the same again with the -p that is said at the start
    async with open_shop(database, tmp_path) as shop:
        sellers, bob = [await shop.person(name) for name in ("olga", "stan")], await shop.person("bob")
        await shop.connect(sellers[0])
        orders = []
        for _ in range(6):
            things = []
            for _ in range(dice.randrange(1, 4)):
                price = dice.randrange(50, 3_000) / 100
                seller = dice.choice(sellers)
                service = dice.random() < 0.3
                made = offer(seller, price=price) if service else offer_track(shop.world, seller, price=price)
                things.append((await made)["id"])
            orders.append(await shop.order(bob, *things, pay=False))
        for order in orders:
            shop.stripe.pay(shop.session(order))
        acts: list[Any] = []
        for number, order in enumerate(orders):
            intent, total = shop.intent(order), round(order["total_amount"] * 100)
            some = dice.randrange(1, total)
            if number % 4 == 0:
                acts.append(lambda i=intent, n=some: shop.stripe.refund({"payment_intent": i, "amount": n}))
            elif number % 4 == 1:
                acts.append(lambda i=intent, n=total: shop.stripe.dispute(i, n))
            elif number % 4 == 2:
                acts.append(
                    lambda i=intent, n=some: shop.stripe.close(shop.stripe.dispute(i, n)["id"], won=False)
                )
        dice.shuffle(acts)
        for act in acts:
            with suppress(Refused):  # a seller was quicker
                act()
            told = dice.sample(shop.stripe.events, k=3)
            await shop.deliver(*told)
            order, seller = dice.choice(orders), dice.choice(sellers)
            await seller.post(f"{ORDERS}/{order['id']}/refund")
            order = dice.choice(orders)
            for item in order["items"]:
                path = f"{ORDERS}/{order['id']}/services/{item['product_id']}"
                for person in sellers:
                    await person.post(f"{path}/deliver", json={"note": "Here"})
                await bob.post(f"{path}/accept")
            await shop.work()
        for dispute in shop.stripe.list("dispute", status="needs_response"):
            shop.stripe.close(dispute["id"], won=dice.random() < 0.5)
        await shop.connect(sellers[1])
        told = [*shop.stripe.events, *dice.sample(shop.stripe.events, 20)]
        dice.shuffle(told)
        await shop.deliver(*told)
        await shop.again()
        assert set(shop.put_off) <= {"marketplace.pay_back"}
        await shop.again(give_up=True)  # Stripe refunds nothing of what is lost in part
        states = {(await shop.see(bob, order))["status"] for order in orders}
        assert states <= {"completed", "partially_refunded", "refunded", "cancelled"}
        await shop.prove()
