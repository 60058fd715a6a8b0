"""What a seller owes otherwise is reckoned with one share at a time, whatever is handed over beside it."""

import asyncio
from contextvars import Context
from pathlib import Path
from uuid import UUID

from tests.rooms.market_house import offer_track
from tests.rooms.payments_house import open_shop
from veza.core.db import Database
from veza.rooms.marketplace import reconciling, sellers_store, shares
from veza.rooms.marketplace.payment_kinds import AskPayment


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
