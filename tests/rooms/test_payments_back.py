"""Money that goes back: by refunds, by Stripe's own dashboard, by the buyer's bank; the books follow."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from tests.rooms.listening_house import rows_of
from tests.rooms.market_house import ORDERS, bought, link, offer_track
from tests.rooms.payments_house import open_shop
from tests.rooms.tracks_house import code
from tests.world import PASSWORD
from veza.core import clock
from veza.core.db import Database
from veza.rooms.marketplace import reconciling
from veza.rooms.marketplace.payment_kinds import AskPayment


async def test_a_refund_takes_back_the_sellers_share(database: Database, tmp_path: Path) -> None:
    """K15: line by line, each once; who cannot give theirs back owes it, and gets less of the next."""
    async with open_shop(database, tmp_path) as shop:
        olga, stan, bob = [await shop.person(name) for name in ("olga", "stan", "bob")]
        account = await shop.connect(olga)
        one, two, own = (
            await offer_track(shop.world, olga, price=10),
            await offer_track(shop.world, stan, price=5),
            await offer_track(shop.world, olga),
        )
        order = await shop.order(bob, one["id"], two["id"], own["id"])
        assert (await stan.post(f"{ORDERS}/{order['id']}/refund")).json()["data"][
            "status"
        ] == "partially_refunded"
        await shop.work()
        assert shop.charge(order)["amount_refunded"] == 500
        assert shop.stripe.list("transfer_reversal") == []
        shop.stripe.poor.add(account)
        assert (await olga.post(f"{ORDERS}/{order['id']}/refund")).json()["data"]["status"] == "refunded"
        assert code(await olga.post(f"{ORDERS}/{order['id']}/refund")) == (409, "NOTHING_TO_REFUND")
        await shop.work()
        assert shop.put_off == ["marketplace.take_back"]
        await shop.again(give_up=True)
        await shop.again()  # it is asked once more
        # The platform has paid for her: 18.00 of 19.99 were handed over.
        assert await shop.sums() == {"seller": -1_799, "handed": 1_799}
        await shop.prove()
        shop.stripe.poor.clear()
        await shop.order(bob, (await offer_track(shop.world, olga, price=30))["id"])
        assert await shop.sums() == {"payments": -3_000, "fees": 300, "handed": 2_700}
        await shop.prove()


async def test_what_stripes_dashboard_gives_back_is_booked(database: Database, tmp_path: Path) -> None:
    """K15: some at the platform's expense; all takes everything back; never more than was paid."""
    async with open_shop(database, tmp_path) as shop:
        olga, bob = await shop.person("olga"), await shop.person("bob")
        await shop.connect(olga)
        one, two, three = [await offer_track(shop.world, olga, price=10) for _ in range(3)]
        whole, some, race = [await shop.order(bob, product["id"]) for product in (one, two, three)]
        for order in (whole, some):
            shop.stripe.refund({"payment_intent": shop.intent(order), "amount": 300})
            shop.stripe.refund({"payment_intent": shop.intent(order), "amount": 100})
        await shop.deliver()
        assert await shop.sums() == {
            "payments": -2_200, "concessions": -800, "fees": 300, "handed": 2_700,
        }  # fmt: skip
        assert (await shop.see(bob, whole))["status"] == "completed"
        assert (await bob.get(f"/marketplace/download/{one['id']}")).status_code == 200
        await shop.prove()
        shop.stripe.refund({"payment_intent": shop.intent(whole), "amount": 600})
        await shop.deliver()
        got = await shop.see(bob, whole)
        assert (got["status"], got["items"][0]["refunded"]) == ("refunded", True)
        assert code(await bob.get(f"/marketplace/download/{one['id']}")) == (403, "NOT_PURCHASED")
        await olga.post(f"{ORDERS}/{some['id']}/refund")
        # Somebody is quicker at the dashboard than the job that is to give back here.
        await olga.post(f"{ORDERS}/{race['id']}/refund")
        shop.stripe.refund({"payment_intent": shop.intent(race), "amount": 250})
        await shop.work()
        await shop.deliver()
        assert [shop.charge(order)["refunded"] for order in (whole, some, race)] == [True] * 3
        assert await shop.sums() == {}
        assert sum(one["amount"] for one in shop.stripe.list("transfer_reversal")) == 2_700
        events = await database.rows("SELECT COUNT(*) FROM events WHERE kind = 'order.refunded'")
        assert events == [(3,)]
        await shop.prove()


async def test_a_dispute_freezes_what_was_bought(database: Database, tmp_path: Path) -> None:
    """K15: told of before the payment is; won, all is as before; lost, as if refunded, but for the fee."""
    async with open_shop(database, tmp_path) as shop:
        olga, bob = await shop.person("olga"), await shop.person("bob")
        await shop.connect(olga)
        one, two = [await offer_track(shop.world, olga, price=10) for _ in range(2)]
        won, lost = [await bought(bob, product["id"]) for product in (one, two)]
        for order in (won, lost):
            shop.stripe.pay(shop.session(order))
        disputes = [shop.stripe.dispute(shop.intent(order), 1_000) for order in (won, lost)]
        created = [event for event in shop.stripe.events if event["type"] == "charge.dispute.created"]
        await shop.deliver(*created)
        await shop.deliver()
        for product, order in ((one, won), (two, lost)):
            assert (await shop.see(bob, order))["status"] == "completed"
            assert code(await bob.get(f"/marketplace/download/{product['id']}")) == (403, "PURCHASE_DISPUTED")
            answer = await bob.get(f"/tracks/{product['track_id']}/download")
            assert code(answer) == (403, "PURCHASE_REQUIRED")
            assert code(await olga.post(f"{ORDERS}/{order['id']}/refund")) == (409, "ORDER_DISPUTED")
        # Nothing is handed over while it may have to be given back.
        assert await shop.sums() == {"disputes": -5_000, "provider": 3_000, "fees": 200, "seller": 1_800}
        balance = (await olga.get("/marketplace/balance")).json()["data"]
        assert (balance["available"], balance["pending"]) == (0, 18)
        assert (await olga.get("/marketplace/sales")).json()["data"]["balance"] == {"EUR": 0}
        await shop.prove()
        old = await shop.outcomes(won, lost)
        shop.stripe.close(disputes[0]["id"], won=True)
        shop.stripe.close(disputes[1]["id"], won=False)
        news = [event for event in shop.stripe.events if event["id"] not in shop.stripe.delivered]
        await shop.deliver(*reversed(news), *created, *news)
        assert (await shop.world.guest.get(await link(bob, one["id"]))).status_code == 200
        assert (await bob.get(f"/tracks/{one['track_id']}/download")).status_code == 200
        assert (await shop.see(bob, lost))["status"] == "refunded"
        assert code(await bob.get(f"/marketplace/download/{two['id']}")) == (403, "NOT_PURCHASED")
        assert await shop.sums() == {
            "payments": -1_000, "fees": 100, "handed": 900, "disputes": -3_000, "provider": 3_000,
        }  # fmt: skip
        before = await shop.sums()
        for order_id, outcome in old:  # an answer that was on the way for long
            async with database.write() as tx:
                await reconciling.follow(tx, AskPayment(order_id), outcome)
        assert await shop.sums() == before
        assert (await bob.get(f"/marketplace/download/{one['id']}")).status_code == 200
        kinds = await database.rows("SELECT kind FROM events WHERE kind LIKE 'order.disp%' ORDER BY id")
        assert [kind for (kind,) in kinds] == ["order.disputed"] * 2 + ["order.dispute_closed"] * 2
        await shop.prove()


async def test_a_dispute_takes_back_what_was_handed_over(database: Database, tmp_path: Path) -> None:
    """K15: an address that was signed before is frozen too; a part that is lost is the platform's loss."""
    async with open_shop(database, tmp_path) as shop:
        olga, bob = await shop.person("olga"), await shop.person("bob")
        await shop.connect(olga)
        one, two = [await offer_track(shop.world, olga, price=10) for _ in range(2)]
        all_of_it, part = [await shop.order(bob, product["id"]) for product in (one, two)]
        address = await link(bob, one["id"])
        first = shop.stripe.dispute(shop.intent(all_of_it), 1_000)
        second = shop.stripe.dispute(shop.intent(part), 400)
        await shop.deliver()
        assert code(await shop.world.guest.get(address)) == (403, "PURCHASE_DISPUTED")
        for dispute in (first, second):
            shop.stripe.close(dispute["id"], won=False)
        await shop.deliver()
        assert code(await shop.world.guest.get(address)) == (403, "NOT_PURCHASED")
        assert (await bob.get(f"/marketplace/download/{two['id']}")).status_code == 200
        assert await shop.sums() == {
            "payments": -600, "concessions": -400, "fees": 100, "handed": 900,
            "disputes": -3_000, "provider": 3_000,
        }  # fmt: skip
        await shop.prove()


async def test_accounts_end_amid_payments(database: Database, tmp_path: Path) -> None:
    """U8, K16: a seller's share stays in the books, a buyer who left is paid back; nobody waits in vain."""
    async with open_shop(database, tmp_path) as shop:
        olga, bob, eve = [await shop.person(name) for name in ("olga", "bob", "eve")]
        await shop.connect(olga)
        one, two = (
            await offer_track(shop.world, olga, price=10),
            await offer_track(shop.world, olga, price=10),
        )
        sold = await shop.order(bob, one["id"])
        waiting = await shop.order(eve, two["id"], pay=False)
        shop.stripe.pay(shop.session(waiting))
        shop.stripe.dispute(shop.intent(sold), 1_000)
        gone = asyncio.gather(
            *(
                person.delete(f"/users/{person.id}", json={"password": PASSWORD})
                for person in (olga, eve, bob)
            )
        )
        await shop.deliver()
        assert [answer.status_code for answer in await gone] == [200] * 3
        await shop.deliver()
        with clock.shifted(timedelta(hours=1)):
            await shop.ask_missed()
        assert await rows_of(shop.world, "licences", "seller_accounts") == {
            "licences": 0,
            "seller_accounts": 0,
        }
        [(status,)] = await database.rows(
            f"SELECT status FROM orders WHERE payment_ref = '{shop.session(waiting)}'"
        )
        # Whichever was first: that she left, or that it was paid.
        assert shop.charge(waiting)["refunded"] == (status == "cancelled")
        await shop.prove()


async def test_what_is_disputed_pays_no_debts(database: Database, tmp_path: Path) -> None:
    """K15: who owes a share is not handed the next because of what their buyer's bank may take back."""
    async with open_shop(database, tmp_path) as shop:
        olga, bob = await shop.person("olga"), await shop.person("bob")
        account = await shop.connect(olga)
        one, two, three = [await offer_track(shop.world, olga, price=10) for _ in range(3)]
        order = await shop.order(bob, one["id"])
        shop.stripe.poor.add(account)
        await olga.post(f"{ORDERS}/{order['id']}/refund")
        await shop.work()
        await shop.again(give_up=True)
        await shop.again()  # it is asked once more
        assert await shop.sums() == {"seller": -900, "handed": 900}
        disputed = await bought(bob, two["id"])
        shop.stripe.pay(shop.session(disputed))
        dispute = shop.stripe.dispute(shop.intent(disputed), 1_000)
        await shop.deliver()
        await shop.order(bob, three["id"])
        assert (await shop.sums())["handed"] == 900
        await shop.prove()
        shop.stripe.close(dispute["id"], won=True)
        await shop.deliver()
        assert (await shop.sums())["handed"] == 1_800
        await shop.prove()


@pytest.mark.parametrize("won", [False, True])
async def test_a_dispute_of_what_came_for_nothing(database: Database, tmp_path: Path, *, won: bool) -> None:
    """K15: what was paid goes back once the bank has decided, and the fee of that is in the books."""
    async with open_shop(database, tmp_path) as shop:
        olga, bob = await shop.person("olga"), await shop.person("bob")
        product = await offer_track(shop.world, olga, price=10)
        order = await shop.order(bob, product["id"], pay=False)
        shop.stripe.pay(shop.session(order), amount=900)
        dispute = shop.stripe.dispute(shop.intent(order), 900)
        await shop.deliver()
        assert (await shop.see(bob, order))["status"] == "cancelled"
        assert await shop.sums() == {"disputes": -1_500, "provider": 1_500}
        assert await database.rows("SELECT kind FROM events WHERE kind LIKE 'order.dispute%'") == []
        await shop.prove()
        shop.stripe.close(dispute["id"], won=won)
        await shop.deliver()
        await shop.again()
        assert [one["amount"] for one in shop.stripe.list("refund")] == ([900] if won else [])
        assert await shop.sums() == {"disputes": -1_500, "provider": 1_500}
        await shop.prove()
