"""Jobs that hand over shares, in any order, any of them killed wherever it waits for the provider."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from tests.rooms.market_house import ORDERS, offer_track
from tests.rooms.payments_house import Shop, open_shop
from tests.world import Person
from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.jobs import CLAIM, RESTART, Job, enqueue
from veza.rooms.marketplace import shares, superseded
from veza.rooms.marketplace.orders_store import Order
from veza.rooms.marketplace.payment_kinds import ASK_ACCOUNT, PAY_SELLERS, AskAccount, PaySellers
from veza.rooms.marketplace.sellers_store import Share

# Of these some have a share made twice, and some one that is made after it was given up.
SEEDS = (4, 5, 10, 16)
STEPS = 40
HANG = 0.1
# How often a refusal is forgotten before the next step, and asked for anew; else it is said again for a day.
FORGOTTEN = 0.8
ASKED = ("find_handovers", "hand_over", "take_back")
MINUTES = timedelta(minutes=11)


class Machine:
    """Begins jobs, and lets each go on, or die, before and after all that it asks the provider."""

    def __init__(self, shop: Shop, dice: Random) -> None:
        self.shop, self.dice = shop, dice
        self.provider: Any = shop.world.parts.providers.list_money()[0]
        self.waiting: dict[asyncio.Task[None], asyncio.Future[None]] = {}
        self.running: dict[asyncio.Task[None], Job] = {}
        self.moved = asyncio.Event()
        self.real = {name: getattr(self.provider, name) for name in ASKED}

    def __enter__(self) -> None:
        for name, real in self.real.items():
            setattr(self.provider, name, self._slow(real))

    def __exit__(self, *_: object) -> None:
        for name, real in self.real.items():
            setattr(self.provider, name, real)

    def _slow(self, real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def ask(*told: Any) -> Any:
            await self._wait()
            try:
                return await real(*told)
            finally:  # its answer comes later, whatever that is
                await self._wait()

        return ask

    async def _wait(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.waiting[task] = asyncio.get_running_loop().create_future()
        self.moved.set()
        try:
            await self.waiting[task]
        finally:
            self.waiting.pop(task, None)

    async def begin(self) -> None:
        """A worker takes a job that is due."""
        kinds = [name for name in self.shop.tasks if name.startswith("marketplace.") and "send" not in name]
        now, until = clock.now(), clock.now() + timedelta(1)
        async with self.shop.world.parts.database.write() as tx:
            jobs = await tx.all(CLAIM, lane="default", kinds=kinds, now=now, until=until, count=1)
        for job in jobs:
            task = asyncio.create_task(self.shop.do(job))
            self.running[task] = job
            task.add_done_callback(lambda _: self.moved.set())
        await self.rest()

    async def rest(self) -> None:
        """Until each job is over, or waits for the provider."""
        while any(not task.done() and task not in self.waiting for task in self.running):
            self.moved.clear()
            await self.moved.wait()
        for task in [task for task in self.running if task.done()]:
            del self.running[task]
            with suppress(asyncio.CancelledError):
                await task

    async def go_on(self) -> None:
        """One that waits for the provider does not any more: mostly the last that came; others hang."""
        if self.waiting:
            waiting = list(self.waiting)
            task = self.dice.choice(waiting) if self.dice.random() < HANG else waiting[-1]
            self.waiting.pop(task).set_result(None)
            await self.rest()

    async def die(self) -> None:
        """The worker of one that waits is killed; its job is taken over at once, or much later."""
        if self.waiting:
            task = self.dice.choice(list(self.waiting))
            job = self.running[task]
            del self.waiting[task]
            task.cancel()
            await self.rest()
            if self.dice.random() < 0.5:
                async with self.shop.world.parts.database.write() as tx:
                    await tx.run(RESTART, job_id=job.id, lease=job.attempt, until=clock.now())


class Life:
    """What happens to one order of olga's, and perhaps stan's, who is never paid by the provider."""

    def __init__(self, shop: Shop, dice: Random, people: tuple[Person, Person, Person], account: str) -> None:
        self.shop, self.dice, self.account = shop, dice, account
        self.olga, self.stan, self.bob = people
        self.refunded = False

    async def run(self) -> None:
        """All of it; at its end olga has what is hers, and nothing twice."""
        sold = [await offer_track(self.shop.world, self.olga, price=10)]
        if self.dice.random() < 0.7:
            sold.append(await offer_track(self.shop.world, self.stan, price=12))
        machine = Machine(self.shop, self.dice)
        with ExitStack() as stack:
            with machine:
                order = await self.shop.order(self.bob, *(product["id"] for product in sold), pay=False)
                self.shop.stripe.pay(self.shop.session(order))
                await self.shop.stripe.deliver(self.shop.world.guest.client)
                for _ in range(2):  # two ask for the same share at once, and it is refused
                    await self._pay(order["id"])
                    for _ in range(6):
                        await machine.begin()
                self._set_transfers("inactive")
                for _ in range(STEPS):
                    await self._step(machine, order["id"], stack)
                while machine.waiting:
                    await machine.go_on()
            self._set_transfers("active")
            for _ in range(5):
                stack.enter_context(clock.shifted(timedelta(days=2)))
                await self.shop.ask_missed()
                self.shop.put_off.clear()
                await self.shop.work()
            assert self.shop.put_off == []
        made = self.shop.stripe.list("transfer", transfer_group=order["id"])
        handed = sum(one["amount"] - one["amount_reversed"] for one in made)
        rows = await self.shop.entries(order["id"])
        left = sum(amount for _, account, amount in rows if account == "seller") - 1_080 * (len(sold) - 1)
        # Where the provider would not hand it over again, she can still ask for it by hand.
        assert (left, handed) in ({(0, 0)} if self.refunded else {(0, 900), (900, 0)})
        await self.shop.prove()

    async def _step(self, machine: Machine, order_id: str, stack: ExitStack) -> None:
        deed = self.dice.choices(
            ["begin", "go on", "die", "pay", "ready", "not ready", "refund", "minutes", "forget"],
            [9, 14, 0.5, 1, 3, 1, 0.2, 0.5, 0.5],
        )[0]
        stripe = self.shop.stripe
        if self.dice.random() < FORGOTTEN:
            stripe.answers = {key: said for key, said in stripe.answers.items() if said[1] == 200}
        match deed:
            case "begin":
                await machine.begin()
            case "go on":
                await machine.go_on()
            case "die":
                await machine.die()
            case "pay":
                await self._pay(order_id)
            case "ready" | "not ready":
                self._set_transfers("active" if deed == "ready" else "inactive")
                async with self.shop.world.parts.database.write() as tx:
                    await enqueue(tx, ASK_ACCOUNT, AskAccount(self.account))
            case "refund":
                answer = await self.olga.post(f"{ORDERS}/{order_id}/refund")
                self.refunded = self.refunded or answer.is_success
            case "minutes":
                stack.enter_context(clock.shifted(MINUTES))
            case "forget":
                stripe.forget_keys()

    async def _pay(self, order_id: str) -> None:
        async with self.shop.world.parts.database.write() as tx:
            await enqueue(tx, PAY_SELLERS, PaySellers(UUID(order_id)))

    def _set_transfers(self, state: str) -> None:
        self.shop.stripe.objects[self.account]["capabilities"]["transfers"] = state


async def test_nobody_is_paid_twice_whoever_dies_when(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K15, K17: of many orders, each with dice of its own; the books are right, and Stripe's the same."""
    seen: Counter[str] = Counter()
    taken_back, keep = superseded.taken_back, shares.keep

    async def count_twice(*told: Any) -> None:
        seen["twice"] += 1
        await taken_back(*told)

    async def count_kept(tx: Tx, order: Order, share: Share, reference: str) -> None:
        seen["after all"] += share.state == "failed"
        await keep(tx, order, share, reference)

    monkeypatch.setattr(superseded, "taken_back", count_twice)
    monkeypatch.setattr(shares, "keep", count_kept)
    async with open_shop(database, tmp_path) as shop:
        people = (await shop.person("olga"), await shop.person("stan"), await shop.person("bob"))
        account = await shop.connect(people[0])
        for seed in SEEDS:
            await Life(shop, Random(seed), people, account).run()
    assert seen.keys() == {"twice", "after all"}, seen
