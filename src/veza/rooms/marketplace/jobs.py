"""What is done for the marketplace when nobody waits for it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import structlog

from veza.core.db import Database
from veza.core.events import EventJob
from veza.core.jobs import Job, NoPayload
from veza.core.mail import Mailer, MailRefused, render
from veza.core.postage import Postage
from veza.core.worker import Task
from veza.rooms.accounts.closing import closing
from veza.rooms.marketplace import copies, orders_store, products, products_store
from veza.rooms.marketplace.closing import close
from veza.rooms.marketplace.copies import spoken
from veza.rooms.marketplace.kinds import (
    CLOSE_USER,
    MARK_TRACKS,
    RELEASE_FILES,
    SEND_CANCELLED,
    SEND_RECEIPT,
    SEND_REFUND,
    MarkTracks,
)
from veza.rooms.marketplace.money import written
from veza.rooms.tracks import sales

log = structlog.get_logger()

_PIECE = 200


class _Told(msgspec.Struct, frozen=True):
    order_id: UUID
    user_id: UUID
    product_ids: Sequence[UUID] = ()
    amount: int = 0
    currency: str = ""


class MarketJobs:
    """The jobs of this room, with what they work on."""

    def __init__(self, database: Database, mailer: Mailer, base_url: str, postage: Postage) -> None:
        self._database = database
        self._mailer = mailer
        self._base_url = base_url
        self._postage = postage

    def tasks(self) -> Sequence[Task]:
        """What the worker is to know."""
        return [
            Task(SEND_RECEIPT, self.send_receipt),
            Task(SEND_REFUND, self.send_refund),
            Task(SEND_CANCELLED, self.send_cancelled),
            Task(MARK_TRACKS, self.mark_tracks),
            Task(RELEASE_FILES, self.release_files),
            closing(self._database, CLOSE_USER, close),
        ]

    async def send_receipt(self, job: Job, told: EventJob) -> None:
        """Tell a buyer what they bought, and where they get it."""
        await self._send(job, "receipt", msgspec.convert(told.data, _Told))

    async def send_refund(self, job: Job, told: EventJob) -> None:
        """Tell a buyer what was given back."""
        await self._send(job, "refund", msgspec.convert(told.data, _Told))

    async def send_cancelled(self, job: Job, told: EventJob) -> None:
        """Tell a buyer whose order came to nothing that what they have paid goes back; else they know."""
        about = msgspec.convert(told.data, _Told)
        if about.amount:
            await self._send(job, "order_cancelled", about)

    async def _send(self, job: Job, template: str, told: _Told) -> None:
        async with self._database.read() as view:
            order = await orders_store.find(view, told.order_id)
            items = await orders_store.items_of(view, [told.order_id])
            buyer = await orders_store.find_addressee(view, told.user_id)
            formats = await copies.list_formats(view, [item.product_id for item in items])
        if order is None or buyer is None:
            return
        if not await self._postage.covers(job, buyer.email, confirmed=buyer.email_verified):
            return
        shown = [item for item in items if not told.product_ids or item.product_id in told.product_ids]
        about: dict[str, Any] = {
            "username": buyer.username,
            "order_id": str(order.id),
            "when": order.completed_at or order.created_at,
            "lines": [
                (item.title, written(item.price, order.currency), spoken(formats[item.product_id]))
                for item in shown
            ],
            "total": written(told.amount or order.total, told.currency or order.currency),
        }
        mail = render(template, to=buyer.email, public_url=self._base_url, **about)
        try:
            await self._mailer.send(mail, key=job.id)
        except MailRefused as refusal:
            log.info("mail.refused", user_id=str(told.user_id), reason=str(refusal))

    async def mark_tracks(self, job: Job, what: MarkTracks) -> None:
        """Say anew of these tracks whether they are for sale."""
        del job
        async with self._database.write() as tx:
            await products.mark(tx, await sales.hold(tx, what.track_ids))

    async def release_files(self, job: Job, what: NoPayload) -> None:
        """Let go of sold files that nobody has a licence for; a sweep then removes those of no row."""
        del job, what
        after = ""
        while True:
            async with self._database.read() as view:
                keys = await sales.list_kept(view, after, _PIECE)
            if not keys:
                return
            after = keys[-1]
            for key in keys:
                async with self._database.write() as tx:
                    await products_store.hold_with_key(tx, key)
                    await sales.hold_kept(tx, key)
                    if not await orders_store.is_needed(tx, key):
                        await sales.release(tx, [key])
