"""What a seller owes otherwise is reckoned with one share at a time, whatever is handed over beside it."""

import asyncio
from contextvars import Context
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.rooms.market_house import ORDERS, offer_track
from tests.rooms.payments_house import open_shop
from tests.rooms.test_payments_twice import Race
from tests.stripe_fake.params import Refused
from veza.core.db import Database
from veza.rooms.marketplace import reconciling, sellers_store, shares
from veza.rooms.marketplace.kinds import PAY_BACK
from veza.rooms.marketplace.payment_kinds import TAKE_BACK, TAKE_BACK_TWICE, AskPayment


async def test_one_debt_holds_back_one_share_of_two(database: Database, tmp_path: Path) -> None:
    """K15, K17: a share that was made after all and one that is begun at once pay no debt with each other."""
    async with open_shop(database, tmp_path, payout_minimum=1) as shop:
        olga, bob = await shop.person("olga"), await shop.person("bob")
        account = await shop.connect(olga)
        first, second = [await offer_track(shop.world, olga, price=10) for _ in range(2)]
        shop.stripe.objects[account]["capabilities"]["transfers"] = "inactive"
        await shop.order(bob, first["id"])
        answer = await olga.post("/marketplace/payouts", json={"amount": 9})
        assert answer.status_code == 201, answer.text
        shop.stripe.objects[account]["capabilities"]["transfers"] = "active"
        order = await shop.order(bob, second["id"], pay=False)
        shop.stripe.pay(shop.session(order))
        ((order_id, outcome),) = await shop.outcomes(order)
        async with database.write() as tx:
            await reconciling.follow(tx, AskPayment(order_id), outcome)
            (share,) = await sellers_store.shares_of(tx, UUID(olga.id))
        begun = []

        async def begin() -> None:
            async with database.write() as tx:
                begun.extend(await shares.begin(tx, order_id))

        async with database.write() as tx:
            await shares.done(tx, share, "tr_made")
            beside = asyncio.get_running_loop().create_task(begin(), context=Context())
            await asyncio.wait([beside], timeout=0.3)
        await beside
        # She was paid 9.00 by hand, and 9.00 of the first order after all: of the second nothing is hers.
        sums = await shop.sums()
        assert (begun, sums.get("seller", 0), sums["handed"]) == ([], 0, 900)


async def test_what_was_taken_back_is_not_owed(database: Database, tmp_path: Path) -> None:
    """K15, K17: once it can be, whatever was said before; by hand, all or some; or the answer was lost."""
    async with open_shop(database, tmp_path) as shop:
        race = Race(shop, *[await shop.person(name) for name in ("olga", "stan", "bob")])
        race.account = await shop.connect(race.olga)
        # Stripe keeps a refusal for a day, by the key that it was asked under.
        shop.stripe.poor.add(race.account)
        await race.run()
        await shop.again()
        assert shop.put_off == [TAKE_BACK_TWICE.name]
        shop.stripe.poor.clear()
        await shop.again(days=4)
        assert (race.handed(), shop.put_off) == ([0, 900], [])
        shop.stripe.poor.add(race.account)
        assert (await race.olga.post(f"{ORDERS}/{race.order['id']}/refund")).is_success
        await shop.work()
        shop.stripe.poor.clear()
        await shop.again()
        assert (race.handed(), shop.put_off) == ([0, 0], [])
        assert [one["amount"] for one in shop.stripe.list("transfer_reversal")] == [900, 900]
        await shop.prove()
        # Somebody was quicker at Stripe's dashboard, with some of it, or all.
        for amount in (900, 250):
            await race.run(dies=True)
            first, second = shop.stripe.list("transfer", transfer_group=race.order["id"])
            shop.stripe.reverse(first["id"], {"amount": amount})
            await race.settle()
            assert race.handed() == [0, 900]
        assert (await race.olga.post(f"{ORDERS}/{race.order['id']}/refund")).is_success
        shop.stripe.reverse(second["id"], {"amount": 250})
        await shop.work()
        assert (race.handed(), shop.put_off) == ([0, 0], [])
        await shop.prove()
        # The answer to the last try is lost: of what is made beside a share, and of a share.
        await race.run(dies=True)
        first, second = shop.stripe.list("transfer", transfer_group=race.order["id"])
        shop.stripe.lost = f"POST /v1/transfers/{first['id']}/reversals"
        await shop.again()
        assert (race.handed(), shop.put_off) == ([0, 900], [TAKE_BACK_TWICE.name])
        await shop.again(give_up=True)
        await shop.again()
        shop.stripe.lost = f"POST /v1/transfers/{second['id']}/reversals"
        assert (await race.olga.post(f"{ORDERS}/{race.order['id']}/refund")).is_success
        await shop.work()
        assert (race.handed(), shop.put_off) == ([0, 0], [TAKE_BACK.name])
        await shop.again(give_up=True)
        await shop.again()
        assert (await race.olga.get("/marketplace/balance")).json()["data"]["available"] == 0
        assert shop.put_off == []
        await shop.prove()


async def test_a_refund_that_was_refused_is_asked_for_anew(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K17: Stripe says no for a day to whoever asks again under the same key."""
    async with open_shop(database, tmp_path) as shop:
        olga, bob = await shop.person("olga"), await shop.person("bob")
        product = await offer_track(shop.world, olga, price=10)
        order = await shop.order(bob, product["id"])

        def too_poor(_params: Any) -> Any:
            raise Refused("Insufficient funds in your Stripe balance.", code="balance_insufficient")

        with monkeypatch.context() as patch:
            patch.setattr(shop.stripe, "refund", too_poor)
            assert (await olga.post(f"{ORDERS}/{order['id']}/refund")).is_success
            await shop.work()
            await shop.again()
        assert shop.put_off == [PAY_BACK.name]
        shop.stripe.lost = "POST /v1/refunds"
        await shop.again(days=4)
        assert shop.put_off == [PAY_BACK.name]
        await shop.again(days=6)
        assert shop.put_off == []
        assert [one["amount"] for one in shop.stripe.list("refund")] == [1_000]
        await shop.prove()
