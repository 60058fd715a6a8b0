"""A share that comes to nothing, is tried anew, and then turns out to have been handed over all the same."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from structlog.testing import capture_logs

from tests.rooms.market_house import ORDERS, offer_track
from tests.rooms.payments_house import Shop, open_shop
from tests.world import JSON, Person
from veza.core import clock
from veza.core.db import Database
from veza.core.ids import new_id
from veza.core.jobs import Job
from veza.rooms.marketplace.errors import PaymentUnavailable
from veza.rooms.marketplace.payment_kinds import (
    PATIENCE,
    PAY_SELLERS,
    TAKE_BACK_TWICE,
    PaySellers,
)
from veza.rooms.marketplace.payments import Handover


class Race:
    """One job asks for olga's share of an order; another is refused it meanwhile, and it is tried anew."""

    def __init__(self, shop: Shop, olga: Person, stan: Person, bob: Person) -> None:
        self.shop, self.olga, self.stan, self.bob = shop, olga, stan, bob
        self.provider: Any = shop.world.parts.providers.list_money()[0]
        self.order: JSON = {}
        self.account = ""

    async def run(
        self,
        *,
        alone: bool = False,
        dies: bool = False,
        refunds: bool = False,
        late: bool = False,
        lost: bool = False,
    ) -> None:
        """Where olga sells ``alone``, no payment is enough for two shares of hers: the second is refused.

        The first job ``dies`` before it hears the answer; or its question comes ``late``. What the provider
        answers when it is tried anew is ``lost``.
        """
        hand_over = self.provider.hand_over

        async def hang(what: Handover) -> str:
            self.provider.hand_over = hand_over
            self.order = {"id": str(what.order_id)}
            await self._refuse(what.order_id)
            made: str = "" if late else await hand_over(what)
            self.shop.stripe.lost = "POST /v1/transfers" if lost else ""
            await self.shop.deliver(self.shop.stripe.told("account.updated"))
            assert await self.share() == ("begun" if lost else "failed" if alone else "done", 2)
            if refunds:
                assert (await self.olga.post(f"{ORDERS}/{what.order_id}/refund")).is_success
                await self.shop.work()
            if late:
                with clock.shifted(PATIENCE):
                    await self.shop.work()
                await hand_over(what)
            if dies:
                raise PaymentUnavailable
            return made

        sold = [await offer_track(self.shop.world, self.olga, price=10)]
        sold += [] if alone else [await offer_track(self.shop.world, self.stan, price=12)]
        self.provider.hand_over = hang
        await self.shop.order(self.bob, *(product["id"] for product in sold))

    async def _refuse(self, order_id: UUID) -> None:
        """A job of the same kind is refused; then the seller is ready again."""
        self.shop.stripe.set_transfers(self.account, "inactive")
        job = Job(new_id(), PAY_SELLERS.name, "{}", 1, clock.now())
        await self.shop.tasks[PAY_SELLERS.name].run(job, PaySellers(order_id))
        assert await self.share() == ("failed", 1)
        self.shop.stripe.forget_keys()
        self.shop.stripe.set_transfers(self.account)

    async def share(self) -> tuple[str, int]:
        """How olga's share of the order stands, and at which attempt."""
        rows = await self.shop.world.parts.database.rows(
            "SELECT state, attempt FROM seller_shares ORDER BY id"
        )
        state, attempt = rows[-1]
        return state, attempt

    def handed(self) -> list[int]:
        """What is left of each transfer that was made of the order."""
        found = self.shop.stripe.list("transfer", transfer_group=self.order["id"])
        return [one["amount"] - one["amount_reversed"] for one in found]

    async def settle(self, *, days: int = 4) -> None:
        """Whatever is done later, is done."""
        for day in range(0, 2 * days, 2):
            with clock.shifted(timedelta(days=day)):
                await self.shop.again()
        assert self.shop.put_off == []


async def test_a_share_that_is_made_after_all_beside_another(database: Database, tmp_path: Path) -> None:
    """K15, K17: whoever asked hears it, or does not live to; nobody keeps it twice, nor do the books."""
    async with open_shop(database, tmp_path) as shop:
        race = Race(shop, *[await shop.person(name) for name in ("olga", "stan", "bob")])
        race.account = await shop.connect(race.olga)
        with capture_logs() as logs:
            await race.run()  # heard at once
        assert race.handed() == [0, 900]
        assert [one["event"] for one in logs if "twice" in one["event"]] == ["payments.handed_twice"]
        await race.run(dies=True)
        assert race.handed() == [900, 900]
        await race.settle()
        assert race.handed() == [0, 900]
        await race.run(dies=True, refunds=True)  # the second was taken back by this
        await race.settle()
        assert race.handed() == [0, 0]
        # Asked by a machine that stood still for longer than anybody is waited for.
        await race.run(dies=True, late=True)
        assert race.handed() == [900, 900]
        await race.settle()
        assert race.handed() == [900, 0]
        await shop.prove()
        # What an earlier version has queued does not say what was asked for.
        await race.run(dies=True)
        await database.script(
            "UPDATE jobs SET payload = REPLACE(payload, '\"amount\":900', '\"x\":1') "
            "WHERE kind = 'marketplace.look_again'"
        )
        await race.settle()
        assert race.handed() == [0, 900]
        await shop.prove()
        assert (await shop.sums())["handed"] == 4 * 900


async def test_a_share_that_is_made_after_all_in_place_of_another(database: Database, tmp_path: Path) -> None:
    """K15, K17: it is the share then, less what was given back since, or is paid to the seller by hand."""
    async with open_shop(database, tmp_path, payout_minimum=1) as shop:
        olga, stan, bob = [await shop.person(name) for name in ("olga", "stan", "bob")]
        race = Race(shop, olga, stan, bob)
        race.account = await shop.connect(olga)
        for dies in (False, True):
            await race.run(alone=True, dies=dies)
            await race.settle()
            assert (race.handed(), (await race.share())[0]) == ([900], "done")
            await shop.prove()
        assert (await olga.post(f"{ORDERS}/{race.order['id']}/refund")).is_success
        await shop.work()
        assert race.handed() == [0]
        await race.run(alone=True, dies=True, refunds=True)
        await race.settle()
        assert race.handed() == [0]
        await shop.prove()
        assert await shop.sums() == {"payments": -1_000, "fees": 100, "handed": 900}
        await race.run(alone=True, dies=True)
        answer = await olga.post("/marketplace/payouts", json={"amount": 6})
        assert answer.status_code == 201, answer.text
        await race.settle()
        assert race.handed() == [300]
        await shop.prove()
        assert (await olga.get("/marketplace/balance")).json()["data"]["available"] == 0


async def test_a_share_that_is_made_twice_and_not_given_back(database: Database, tmp_path: Path) -> None:
    """K15, K17: it waits while nobody knows; an answer that is lost is one reversal; who is poor owes it."""
    async with open_shop(database, tmp_path) as shop:
        race = Race(shop, *[await shop.person(name) for name in ("olga", "stan", "bob")])
        race.account = await shop.connect(race.olga)
        await race.run(lost=True)
        assert (race.handed(), shop.put_off) == ([900, 900], [PAY_SELLERS.name])
        first, _ = shop.stripe.list("transfer", transfer_group=race.order["id"])
        shop.stripe.lost = f"POST /v1/transfers/{first['id']}/reversals"
        await shop.again()
        with clock.shifted(PATIENCE):
            await shop.again()
        assert (race.handed(), shop.put_off) == ([0, 900], [TAKE_BACK_TWICE.name])
        shop.stripe.lost = ""
        shop.stripe.forget_keys()
        await race.settle()
        assert race.handed() == [0, 900]
        await shop.prove()
        shop.stripe.poor.add(race.account)
        await race.run()
        assert shop.put_off == [TAKE_BACK_TWICE.name]
        with capture_logs() as logs:
            shop.stripe.answers.clear()
            await shop.again(give_up=True, tried=True)
            assert [one for one in logs if one["event"] == "payments.not_taken_back"] == []
            await shop.again()  # it is asked once more
        assert [one["amount"] for one in logs if one["event"] == "payments.not_taken_back"] == [900]
        asked = [key.partition(":again:")[2] for key in shop.stripe.answers if "reversal" in key]
        assert asked == ["1", "2"], "each time anew: what was refused is refused for a day under its key"
        shop.stripe.poor.clear()
        await race.settle()  # it is looked for once more, and owed as before
        assert race.handed() == [900, 900]
        assert (await race.olga.get("/marketplace/balance")).json()["data"]["available"] == -9
        await shop.prove()
        product = await offer_track(shop.world, race.olga, price=10)
        await shop.order(race.bob, product["id"])
        assert (await race.olga.get("/marketplace/balance")).json()["data"]["available"] == 0
        await shop.prove()


async def test_a_share_that_is_made_more_than_once_by_one_attempt(database: Database, tmp_path: Path) -> None:
    """K15, K17: by machines that stood still until Stripe forgot the key; one is left."""
    async with open_shop(database, tmp_path) as shop:
        olga, stan, bob = [await shop.person(name) for name in ("olga", "stan", "bob")]
        await shop.connect(olga)
        provider: Any = shop.world.parts.providers.list_money()[0]
        hand_over = provider.hand_over
        machines: list[Handover] = []
        for dies, still in ((False, 1), (False, 2), (True, 2)):

            async def stand_still(what: Handover, *, dies: bool = dies, still: int = still) -> str:
                """While this does, its lease is over, and another does its job."""
                machines.append(what)
                if len(machines) <= still:
                    job = Job(new_id(), PAY_SELLERS.name, "{}", 1, clock.now())
                    await shop.tasks[PAY_SELLERS.name].run(job, PaySellers(what.order_id))
                    shop.stripe.forget_keys()
                made: str = await hand_over(what)
                if dies and what is machines[0]:
                    raise PaymentUnavailable
                return made

            provider.hand_over = stand_still
            sold = [await offer_track(shop.world, seller, price=40) for seller in (olga, stan, stan)]
            order = await shop.order(bob, *(one["id"] for one in sold))
            assert len(machines) == still + 1
            machines.clear()
            provider.hand_over = hand_over
            for day in range(0, 8, 2):
                with clock.shifted(timedelta(days=day)):
                    await shop.again()
            assert shop.put_off == []
            made = shop.stripe.list("transfer", transfer_group=order["id"])
            assert [one["amount"] - one["amount_reversed"] for one in made] == [3_600, *[0] * still]
            await shop.prove()
