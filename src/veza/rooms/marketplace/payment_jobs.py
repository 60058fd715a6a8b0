"""Asking payment providers, and having them do things, when nobody waits for it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import structlog

from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.jobs import Job, NoPayload, amend, enqueue, finish
from veza.core.worker import Task
from veza.rooms.marketplace import (
    charges_store,
    looking,
    notices,
    orders_store,
    reconciling,
    sellers,
    sellers_store,
    shares,
    superseded,
)
from veza.rooms.marketplace.kinds import DISPUTED, PAY_BACK, PayBack
from veza.rooms.marketplace.payment_kinds import (
    ASK_ACCOUNT,
    ASK_INTENT,
    ASK_MISSED,
    ASK_PAYMENT,
    LOOK_AGAIN,
    PATIENCE,
    PAY_SELLERS,
    TAKE_BACK,
    TAKE_BACK_TWICE,
    AskAccount,
    AskIntent,
    AskPayment,
    LookAgain,
    PaySellers,
    TakeBack,
    TakeBackTwice,
)
from veza.rooms.marketplace.payments import (
    Handover,
    Made,
    MoneyProvider,
    ProviderRefused,
    Providers,
    RefundWaits,
)
from veza.rooms.marketplace.sellers_store import Share

log = structlog.get_logger()

# Stripe brings a notice again for three days, and tells of it for thirty.
MISSED = timedelta(days=3)
KEPT = timedelta(days=60)
_PIECE = 200


class NotYet(Exception):
    """What is to be done waits for something else; the job is tried again."""


class PaymentJobs:
    """The jobs that deal with providers."""

    def __init__(self, database: Database, providers: Providers) -> None:
        self._database = database
        self._providers = providers

    def tasks(self) -> Sequence[Task]:
        """What the worker is to know."""
        return [
            Task(PAY_BACK, self.pay_back, self.not_paid_back),
            Task(ASK_PAYMENT, self.ask_payment),
            Task(ASK_INTENT, self.ask_intent),
            Task(ASK_ACCOUNT, self.ask_account),
            Task(PAY_SELLERS, self.pay_sellers),
            Task(LOOK_AGAIN, self.look_again, looking.look_later),
            Task(TAKE_BACK, self.take_back, shares.not_taken_back),
            Task(TAKE_BACK_TWICE, self.take_back_twice, superseded.not_taken_back),
            Task(ASK_MISSED, self.ask_missed),
        ]

    def _money(self, name: str) -> MoneyProvider:
        found = self._providers.find_money(name)
        if found is None:
            raise LookupError(f"{name} moves no money here, or is not set up any more")
        return found

    async def pay_back(self, job: Job, what: PayBack) -> None:
        """Have the provider of a payment give some of it back; after a dispute, where there is one."""
        provider = self._providers.get(what.provider)
        try:
            async with self._refusable(job, what):
                await provider.refund(what.reference, what.amount, what.currency, what.key, what.refusals)
        except RefundWaits:
            async with self._database.write() as tx:
                await finish(tx, job)
                await enqueue(tx, PAY_BACK, what, delay=DISPUTED)

    async def not_paid_back(self, tx: Tx, what: PayBack) -> None:
        """A buyer waits for money that only the operator can give back now."""
        log.error("payments.not_paid_back", reference=what.reference, amount=what.amount, what=what.key)
        order_id = UUID(what.key.partition(":")[0])
        await reconciling.owe(tx, order_id, what.amount, what.currency)
        await enqueue(tx, ASK_PAYMENT, AskPayment(order_id))  # some may have gone back otherwise

    async def ask_payment(self, job: Job, what: AskPayment) -> None:
        """Ask what has become of an order's payment, and have the order become that."""
        del job
        async with self._database.read() as view:
            order = await orders_store.find(view, what.order_id)
        if order is not None:
            outcome = await self._money(order.provider).look(order.payment_ref)
            async with self._database.write() as tx:
                await reconciling.follow(tx, what, outcome)

    async def ask_intent(self, job: Job, what: AskIntent) -> None:
        """Ask what a payment is for; it may be none of ours."""
        order_id = await self._money(what.provider).find_order(what.intent)
        if order_id is not None:
            await self.ask_payment(job, AskPayment(order_id))

    async def ask_account(self, job: Job, what: AskAccount) -> None:
        """Ask whether a seller can be paid; whoever waits for that is handed what is theirs."""
        del job
        async with self._database.write() as tx:
            account = await sellers.find(tx, what.account)
        if account is None:
            return
        ready = await self._money(account.provider).is_ready(account.account)
        async with self._database.write() as tx:
            account = await sellers.find(tx, what.account)
            if account is not None:
                await sellers.set_ready(tx, account, ready=ready)

    async def pay_sellers(self, job: Job, what: PaySellers) -> None:
        """Hand an order's sellers their shares; of those who cannot be paid yet, later."""
        del job
        async with self._database.write() as tx:
            begun = await shares.begin(tx, what.order_id)
            order = await orders_store.find(tx, what.order_id)
        refused: ProviderRefused | None = None
        for share, handover in begun:
            assert order is not None  # else nothing was begun
            try:
                await self._hand_over(self._money(order.provider), share, handover)
            except ProviderRefused as no:  # nobody waits for another's sake
                refused = no
        if refused is not None:
            raise refused

    async def _hand_over(self, provider: MoneyProvider, share: Share, handover: Handover) -> None:
        made = await provider.find_handovers(handover) if handover.again else []
        if not made:
            async with self._database.write() as tx:
                if not await shares.may_hand(tx, share, handover):
                    return
            try:
                made = [Made(await provider.hand_over(handover), handover.account, handover.amount)]
            except ProviderRefused:
                async with self._database.write() as tx:
                    await shares.failed(tx, share)
                return
        async with self._database.write() as tx:
            await looking.found(tx, share, made)
            if handover.again:
                await looking.doubt(tx, share)

    async def look_again(self, job: Job, what: LookAgain) -> None:
        """Ask whether a share was handed over after all, or once more, whose answer another was to get."""
        async with self._database.write() as tx:
            found = await looking.find_asked(tx, what)
            order = await orders_store.find(tx, what.order_id)
        if found is None or order is None:
            return
        share, handover = found
        made = await self._money(order.provider).find_handovers(handover)
        async with self._database.write() as tx:
            await finish(tx, job)
            if not await looking.found(tx, share, made):
                await looking.look_later(tx, what)

    async def take_back(self, job: Job, what: TakeBack) -> None:
        """Have some of a seller's share taken back."""
        async with self._database.write() as tx:
            share = await shares.find_handed(tx, what)
            if share is None:
                await finish(tx, job)
        if share is None:
            return
        if share.reference is None:
            raise NotYet
        provider = self._money(what.provider)
        try:
            async with self._refusable(job, what):
                await provider.take_back(share.reference, what.amount, what.key, what.refusals)
        except ProviderRefused:
            if not what.last:
                raise
            async with self._database.write() as tx:
                await finish(tx, job)
                await shares.not_taken_back(tx, what)

    async def take_back_twice(self, job: Job, what: TakeBackTwice) -> None:
        """Have a share taken back that was handed over beside another."""
        async with self._database.write() as tx:
            if not await superseded.decide(tx, job, what):
                return
        provider = self._money(what.provider)
        try:
            async with self._refusable(job, what):
                await provider.take_back(what.reference, what.amount, what.key, what.refusals)
        except ProviderRefused:
            if not what.last:
                raise
            async with self._database.write() as tx:
                await finish(tx, job)
                await superseded.not_taken_back(tx, what)
            return
        async with self._database.write() as tx:
            await superseded.taken_back(tx, job, what)

    @asynccontextmanager
    async def _refusable(self, job: Job, what: PayBack | TakeBack | TakeBackTwice) -> AsyncIterator[None]:
        """Where a provider refuses something for good, the next try asks anew."""
        try:
            yield
        except ProviderRefused as refused:
            if refused.kept:
                async with self._database.write() as tx:
                    await amend(tx, job, msgspec.structs.replace(what, refusals=what.refusals + 1))
            raise

    async def ask_missed(self, job: Job, what: NoPayload) -> None:
        """Ask for what was not told, and after orders that have waited for their payment for some time."""
        del job, what
        now = clock.now()
        for provider in self._providers.list_money():
            with suppress(
                ProviderRefused
            ):  # a key that may not read events; orders are asked after all the same
                for notice in await provider.missed(now - MISSED):
                    async with self._database.write() as tx:
                        await notices.note(tx, provider.name, notice)
        await self._ask_after_shares(now - PATIENCE)
        after = UUID(int=0)
        while True:
            async with self._database.write() as tx:
                waiting = await orders_store.pending_since(tx, now - PATIENCE, after, _PIECE)
                for order in waiting:
                    if self._providers.find_money(order.provider) is not None:
                        key = f"ask:{order.id}"
                        await enqueue(tx, ASK_PAYMENT, AskPayment(order.id), unique_key=key)
            if len(waiting) < _PIECE:
                break
            after = waiting[-1].id
        async with self._database.write() as tx:
            await charges_store.forget(tx, now - KEPT)

    async def _ask_after_shares(self, before: datetime) -> None:
        """What became of those that were begun before: whoever was to find out may have given up."""
        after = UUID(int=0)
        while True:
            async with self._database.write() as tx:
                waiting = await sellers_store.begun_before(tx, before, after, _PIECE)
                for order_id in waiting:
                    await enqueue(tx, PAY_SELLERS, PaySellers(order_id), unique_key=f"pay:{order_id}")
            if len(waiting) < _PIECE:
                return
            after = waiting[-1]
