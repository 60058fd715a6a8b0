"""Services that are paid for by Stripe: their sellers are handed nothing of them before they are accepted."""

import asyncio
from datetime import timedelta
from pathlib import Path

from tests.rooms.market_house import ORDERS, offer, offer_track
from tests.rooms.payments_house import Shop, open_shop
from tests.rooms.test_market_payouts import PAYOUTS, STATEMENT, have
from tests.rooms.test_market_services import path_of
from tests.rooms.tracks_house import code
from tests.world import JSON, PASSWORD, Person
from veza.core import clock
from veza.core.db import Database
from veza.core.ids import new_id
from veza.core.jobs import Job, NoPayload


async def hand_in(seller: Person, *orders: JSON) -> None:
    """The first thing in these orders is a service, and is delivered."""
    for order in orders:
        answer = await seller.post(path_of(order, "/deliver"), json={"note": "Here"})
        assert answer.status_code == 200, answer.text


async def accept_due(shop: Shop) -> None:
    """What is done every hour, and what follows."""
    task = shop.tasks["marketplace.accept_due"]
    await task.run(Job(new_id(), task.kind.name, "{}", 1, clock.now()), NoPayload())
    await shop.work()


async def test_a_share_waits_until_services_are_accepted(database: Database, tmp_path: Path) -> None:
    """K14, K15: accepted, it is handed over once, whatever else is told; refunded before, never."""
    async with open_shop(database, tmp_path) as shop:
        olga, stan, bob = [await shop.person(name) for name in ("olga", "stan", "bob")]
        account = await shop.connect(olga)
        await shop.connect(stan)
        mix, song = await offer(olga, price=20), await offer_track(shop.world, olga, price=10)
        other, never = await offer_track(shop.world, stan, price=5), await offer(stan, price=8)
        order = await shop.order(bob, mix["id"], song["id"], other["id"])
        given_up = await shop.order(bob, never["id"])
        assert await shop.sums() == {
            "payments": -4_300, "fees": 430, "held": 2_520, "seller": 900, "handed": 450,
        }  # fmt: skip
        assert [one["amount"] for one in shop.stripe.list("transfer")] == [450]
        shop.stripe.set_transfers(account)  # told once more that she can be paid
        await shop.deliver()
        await hand_in(olga, order)
        await hand_in(stan, given_up)
        assert (await stan.post(f"{ORDERS}/{given_up['id']}/refund")).status_code == 200
        await shop.work()
        assert code(await bob.post(path_of(given_up, "/accept"))) == (409, "NOT_DELIVERED")
        assert shop.charge(given_up)["refunded"]
        assert [one["amount"] for one in shop.stripe.list("transfer")] == [450]
        await shop.prove()
        answers = await asyncio.gather(*(bob.post(path_of(order, "/accept")) for _ in range(3)))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
        await shop.work()
        await shop.deliver(*shop.stripe.events)
        await shop.ask_missed()
        assert [one["amount"] for one in shop.stripe.list("transfer")] == [450, 2_700]
        assert shop.stripe.list("transfer_reversal") == []
        assert await shop.sums() == {"payments": -3_500, "fees": 350, "handed": 3_150}
        lines = (await olga.get(STATEMENT)).json()["data"]
        assert [(one["kind"], one["gross"], one["net"], one["balance"]) for one in lines] == [
            ("sale", 10, 9, 9), ("release", 20, 18, 27), ("handed", -27, -27, 0),
        ]  # fmt: skip
        assert {one["order_id"] for one in lines} == {order["id"]}
        assert {one["payout_id"] for one in lines} == {None}
        await shop.prove()


async def test_a_share_waits_no_longer_for_a_service_that_is_late(database: Database, tmp_path: Path) -> None:
    """K15, K17: its buyer takes it back, and what else its seller sold in the order is handed over."""
    async with open_shop(database, tmp_path, deliver_days=5) as shop:
        olga, bob = await shop.person("olga"), await shop.person("bob")
        await shop.connect(olga)
        song, mix = await offer_track(shop.world, olga, price=10), await offer(olga, price=20)
        order = await shop.order(bob, song["id"], mix["id"])
        assert shop.stripe.list("transfer") == []
        await database.script(f"UPDATE order_items SET sold_at = sold_at - {5 * 86_400_000_000}")
        assert (await bob.post(f"{ORDERS}/{order['id']}/refund")).status_code == 200
        await shop.work()
        assert [one["amount"] for one in shop.stripe.list("transfer")] == [900]
        assert await shop.sums() == {"payments": -1_000, "fees": 100, "handed": 900}
        await shop.prove()


async def test_nothing_is_accepted_amid_a_dispute(database: Database, tmp_path: Path) -> None:
    """K15: not by time either, which stands still; lost, what was held is refunded; won, all goes on."""
    async with open_shop(database, tmp_path) as shop:
        olga, bob = await shop.person("olga"), await shop.person("bob")
        await shop.connect(olga)
        won, lost = [await shop.order(bob, (await offer(olga, price=10))["id"]) for _ in range(2)]
        await hand_in(olga, won, lost)
        disputes = [shop.stripe.dispute(shop.intent(order), 1_000) for order in (won, lost)]
        await shop.deliver()
        for order in (won, lost):
            assert code(await bob.post(path_of(order, "/accept"))) == (409, "ORDER_DISPUTED")
        with clock.shifted(timedelta(days=20)):
            await accept_due(shop)
            assert await shop.sums() == {"disputes": -5_000, "provider": 3_000, "fees": 200, "held": 1_800}
            await shop.prove()
            shop.stripe.close(disputes[0]["id"], won=True)
            shop.stripe.close(disputes[1]["id"], won=False)
            await shop.deliver()
            await accept_due(shop)
            states = await database.rows("SELECT delivery FROM order_items ORDER BY order_id")
            assert [state for (state,) in states] == ["delivered", "refunded"]
            assert shop.stripe.list("transfer") == []
            assert await shop.sums() == {
                "payments": -1_000, "fees": 100, "held": 900, "disputes": -3_000, "provider": 3_000,
            }  # fmt: skip
            await shop.prove()
        with clock.shifted(timedelta(days=35)):
            await accept_due(shop)
            await accept_due(shop)
        assert [one["amount"] for one in shop.stripe.list("transfer")] == [900]
        await shop.prove()


async def test_a_seller_leaves_amid_a_dispute(database: Database, tmp_path: Path) -> None:
    """K16, U8: what nobody will deliver is given back once the dispute is over; never twice."""
    async with open_shop(database, tmp_path) as shop:
        olga, bob = await shop.person("olga"), await shop.person("bob")
        await shop.connect(olga)
        order = await shop.order(bob, (await offer(olga, price=10))["id"])
        dispute = shop.stripe.dispute(shop.intent(order), 1_000)
        await shop.deliver()
        gone = await olga.delete(f"/users/{olga.id}", json={"password": PASSWORD})
        assert gone.status_code == 200
        await shop.work()
        assert (await shop.see(bob, order))["status"] == "completed"
        shop.stripe.close(dispute["id"], won=True)
        await shop.deliver()
        assert (await shop.see(bob, order))["status"] == "completed"
        await shop.again()
        assert (await shop.see(bob, order))["status"] == "refunded"
        assert shop.charge(order)["amount_refunded"] == 1_000
        await shop.prove()


async def test_by_hand_and_by_stripe_nothing_is_paid_twice(database: Database, tmp_path: Path) -> None:
    """K14, K17: all at once they get what there is; what is disputed waits, and what fails comes back."""
    async with open_shop(database, tmp_path, payout_minimum=100) as shop:
        olga, bob, adam = [
            await shop.person(name, "admin" if name == "adam" else "user") for name in ("olga", "bob", "adam")
        ]
        one, two = [
            await shop.order(bob, (await offer_track(shop.world, olga, price=10))["id"]) for _ in range(2)
        ]
        disputes = [shop.stripe.dispute(shop.intent(order), 1_000) for order in (one, two)]
        await shop.deliver()
        assert await have(olga) == (0, 18, 0)
        assert code(await olga.post(PAYOUTS, json={"amount": 9})) == (409, "INSUFFICIENT_BALANCE")
        for dispute in disputes:
            shop.stripe.close(dispute["id"], won=True)
        await shop.deliver()
        assert await have(olga) == (18, 0, 0)
        _, *answers = await asyncio.gather(
            shop.connect(olga), *(olga.post(PAYOUTS, json={"amount": 5}) for _ in range(5))
        )
        assert {answer.status_code for answer in answers} <= {201, 409}
        asked = [answer.json()["data"]["id"] for answer in answers if answer.status_code == 201]
        handed = sum(share["amount"] for share in shop.stripe.list("transfer"))
        assert handed == 1_800 - 500 * len(asked)
        assert await have(olga) == (0, 0, 5 * len(asked))
        await shop.prove()
        for number, payout in enumerate(asked):
            status = "failed" if number else "paid"
            assert (await adam.put(f"/admin/payouts/{payout}", json={"status": status})).status_code == 200
        assert await have(olga) == (5 * max(len(asked) - 1, 0), 0, 0)
        await shop.prove()
