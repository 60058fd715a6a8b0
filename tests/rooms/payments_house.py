"""What tests of payments share: a shop that is paid by Stripe, and its jobs, done when the test says so."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
import sqlalchemy as sa

from tests.rooms.market_house import bought, prove
from tests.stripe_fake import FakeStripe, fake_stripe
from tests.world import JSON, Person, World, open_world
from veza import reactions
from veza.core import clock
from veza.core.db import Database, Statement
from veza.core.ids import new_id
from veza.core.jobs import BURY, CLAIM, RESTART, Job, LeaseLost, NoPayload, finish
from veza.rooms.marketplace.errors import PaymentUnavailable
from veza.rooms.marketplace.ledger_store import Entry
from veza.rooms.marketplace.payment_jobs import NotYet
from veza.rooms.marketplace.payments import Outcome, ProviderRefused
from veza.rooms.marketplace.tables import ledger

_OF_ORDER = Statement(
    sa.select(ledger)
    .where(ledger.c.order_id == sa.bindparam("order"))
    .order_by(ledger.c.position, ledger.c.id),
    Entry,
)
LATER = (PaymentUnavailable, ProviderRefused, NotYet, LookupError)


class Shop:
    """The world, Stripe beside it, and what goes on between them."""

    def __init__(self, world: World, stripe: FakeStripe) -> None:
        self.world = world
        self.stripe = stripe
        self.tasks = {task.kind.name: task for task in reactions.tasks(world.parts)}
        self.put_off: list[str] = []

    async def person(self, name: str, role: str = "user") -> Person:
        return await self.world.person(name, role)

    async def work(self) -> None:
        """Do every job about payments that is due, and what follows from them; what fails is put off."""
        kinds = [name for name in self.tasks if name.startswith("marketplace.") and "send" not in name]
        while True:
            now = clock.now()
            async with self.world.parts.database.write() as tx:
                jobs = await tx.all(
                    CLAIM, lane="default", kinds=kinds, now=now, until=now + timedelta(1), count=1
                )
            if not jobs:
                return
            await self.do(jobs[0])

    async def do(self, job: Job) -> None:
        """Do one job; what fails is put off."""
        task = self.tasks[job.kind]
        try:
            await task.run(job, msgspec.json.decode(job.payload, type=task.kind.payload))
        except LATER:
            self.put_off.append(job.kind)
            return
        async with self.world.parts.database.write() as tx:
            try:
                await finish(tx, job)
            except LeaseLost:
                await tx.run(RESTART, job_id=job.id, lease=job.attempt, until=clock.now())

    async def again(self, *, give_up: bool = False, tried: bool = False, days: int = 2) -> None:
        """What was put off is due again, so many days from now; or it was tried often enough.

        That is with the try before; or it is ``tried`` once more.
        """
        self.put_off.clear()
        if give_up:
            async with self.world.parts.database.write() as tx:
                now = clock.now() + timedelta(days=10)
                kinds = list(self.tasks)
                jobs = await tx.all(CLAIM, lane="default", kinds=kinds, now=now, until=now, count=100)
            if tried:
                for job in jobs:
                    await self.do(job)
            async with self.world.parts.database.write() as tx:
                for job in jobs:
                    task = self.tasks[job.kind]
                    told = await tx.first(
                        BURY, job_id=job.id, lease=job.attempt, now=now, problem="tried often enough"
                    )
                    if told is not None and task.dead is not None:
                        await task.dead(tx, msgspec.json.decode(told, type=task.kind.payload))
            await self.work()
            return
        with clock.shifted(timedelta(days=days)):
            await self.work()

    async def deliver(self, *events: JSON, **signing: Any) -> None:
        """Bring Veza these notices, or all that wait, and let follow what follows."""
        answers = await self.stripe.deliver(self.world.guest.client, *events, **signing)
        assert {answer.status_code for answer in answers} <= {200}, [answer.text for answer in answers]
        await self.work()

    async def ask_missed(self) -> None:
        """What is done every quarter of an hour."""
        task = self.tasks["marketplace.ask_missed"]
        await task.run(Job(new_id(), task.kind.name, "{}", 1, clock.now()), NoPayload())
        await self.work()

    async def order(self, buyer: Person, *product_ids: str, pay: bool = True) -> JSON:
        """An order, paid for and told of."""
        order = await bought(buyer, *product_ids)
        if pay:
            self.stripe.pay(self.session(order))
            await self.deliver()
        return await self.see(buyer, order)

    async def see(self, person: Person, order: JSON) -> JSON:
        """An order as somebody sees it."""
        return dict((await person.get(f"/marketplace/orders/{order['id']}")).json()["data"])

    async def kinds_of(self, *answers: httpx.Response) -> list[str]:
        """What is in the log of the requests that were answered so."""
        ids = {answer.headers["x-request-id"] for answer in answers}
        rows = await self.world.parts.database.rows("SELECT kind, request_id FROM events ORDER BY id")
        return [kind for kind, request_id in rows if request_id in ids]

    async def outcomes(self, *orders: JSON) -> list[tuple[UUID, Outcome]]:
        """What Stripe says now of the payments of these orders."""
        provider = self.world.parts.providers.list_money()[0]
        return [(UUID(one["id"]), await provider.look(self.session(one))) for one in orders]

    def session(self, order: JSON) -> str:
        """The Checkout Session of an order."""
        found = self.stripe.list("checkout.session", client_reference_id=order["id"])
        assert len(found) == 1
        return str(found[0]["id"])

    def intent(self, order: JSON) -> str:
        """What was paid in it."""
        return str(self.stripe.objects[self.session(order)]["payment_intent"])

    def charge(self, order: JSON) -> JSON:
        """The movement of money within that."""
        return self.stripe.objects[self.stripe.objects[self.intent(order)]["latest_charge"]]

    async def connect(self, seller: Person) -> str:
        """A seller is paid by Stripe from now on; their account."""
        answer = await seller.post("/marketplace/payouts/account")
        assert answer.status_code == 200, answer.text
        account = str(answer.json()["data"]["url"]).rpartition("/")[2]
        self.stripe.set_transfers(account)
        await self.deliver()
        return account

    async def sums(self) -> dict[str, int]:
        """What each account of the ledger adds up to, in minor units, without those at zero."""
        rows = await self.world.parts.database.rows(
            "SELECT account, SUM(amount) FROM ledger GROUP BY account"
        )
        return {account: int(amount) for account, amount in rows if int(amount)}

    async def entries(self, order_id: str) -> list[tuple[str, str, int]]:
        """Kind, account and amount of all that is booked of an order."""
        async with self.world.parts.database.read() as view:
            found = await view.all(_OF_ORDER, order=UUID(order_id))
        return [(one.kind, one.account, one.amount) for one in found]

    async def prove(self) -> None:
        """The ledger is right, and says the same as Stripe's books."""
        await prove(self.world)
        sums, stripe = await self.sums(), self.stripe
        for charge in stripe.list("charge"):
            order_id = charge["metadata"]["veza_order"]
            # What is disputed and not won is with the buyer's bank.
            disputes = stripe.list("dispute", charge=charge["id"])
            taken = sum(one["amount"] for one in disputes if one["status"] != "won")
            refunds = stripe.list("refund", charge=charge["id"])
            sent = sum(one["amount"] for one in refunds if one["status"] == "succeeded")
            there = charge["amount"] - sent - taken
            entries = [row for row in await self.entries(order_id) if row[1] == "payments"]
            assert -sum(amount for *_, amount in entries) == there, (charge, disputes, entries)
        handed = sum(one["amount"] - one["amount_reversed"] for one in stripe.list("transfer"))
        assert sums.get("handed", 0) == handed
        fees = sum(move["fee"] for one in stripe.list("dispute") for move in one["balance_transactions"])
        assert sums.get("provider", 0) == fees
        assert sum(sums.values()) == 0


@asynccontextmanager
async def open_shop(database: Database, folder: Path, **choices: Any) -> AsyncIterator[Shop]:
    """A world whose orders are paid by Stripe; a tenth of each sale is the platform's."""
    async with (
        fake_stripe() as (stripe, settings),
        open_world(database, folder, **{"platform_fee": 1_000, **settings, **choices}) as world,
    ):
        try:
            yield Shop(world, stripe)
        finally:
            await world.parts.providers.close()
