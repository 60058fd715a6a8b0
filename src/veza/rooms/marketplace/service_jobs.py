"""What is done for services when nobody waits for it: mails, and what follows from time and from goodbyes."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
import structlog

from veza.core import clock
from veza.core.db import Database
from veza.core.events import EventJob
from veza.core.jobs import Job, NoPayload, enqueue, finish
from veza.core.mail import Mailer, MailRefused, render
from veza.core.postage import Postage
from veza.core.worker import Task
from veza.rooms.marketplace import deliveries_store, delivering, orders_store, settling
from veza.rooms.marketplace.events import RevisionAsked, ServiceAccepted, ServiceDelivered, ServiceOrdered
from veza.rooms.marketplace.kinds import ACCEPT_DUE, DISPUTED, REFUND_UNDELIVERED, TELL_OF_SERVICE

log = structlog.get_logger()

# Which mail tells of what.
TEMPLATES: Mapping[str, str] = {
    ServiceOrdered.kind: "service_ordered",
    ServiceDelivered.kind: "service_delivered",
    RevisionAsked.kind: "service_revision",
    ServiceAccepted.kind: "service_accepted",
}
_PIECE = 200


class _Told(msgspec.Struct, frozen=True):
    order_id: UUID
    product_id: UUID
    user_id: UUID


class _Gone(msgspec.Struct, frozen=True):
    user_id: UUID


class ServiceJobs:
    """The jobs of services, with what they work on."""

    def __init__(self, database: Database, mailer: Mailer, base_url: str, postage: Postage) -> None:
        self._database = database
        self._mailer = mailer
        self._base_url = base_url
        self._postage = postage

    def tasks(self) -> Sequence[Task]:
        """What the worker is to know."""
        return [
            Task(TELL_OF_SERVICE, self.tell),
            Task(ACCEPT_DUE, self.accept_due),
            Task(REFUND_UNDELIVERED, self.refund_undelivered),
        ]

    async def tell(self, job: Job, told: EventJob) -> None:
        """Write to whoever is to do something about a service, or to know of it."""
        about = msgspec.convert(told.data, _Told)
        async with self._database.read() as view:
            items = await orders_store.items_of(view, [about.order_id])
            person = await orders_store.find_addressee(view, about.user_id)
        item = next((item for item in items if item.product_id == about.product_id), None)
        over = told.kind == ServiceDelivered.kind and item is not None and item.due_at is None
        if item is None or person is None or over:
            return
        if not await self._postage.covers(job, person.email, confirmed=person.email_verified):
            return
        mail = render(
            TEMPLATES[told.kind],
            to=person.email,
            public_url=self._base_url,
            username=person.username,
            title=item.title,
            order_id=str(item.order_id),
            when=item.due_at or item.sold_at or clock.now(),
        )
        try:
            await self._mailer.send(mail, key=job.id)
        except MailRefused as refusal:
            log.info("mail.refused", user_id=str(about.user_id), reason=str(refusal))

    async def accept_due(self, job: Job, what: NoPayload) -> None:
        """What buyers have said nothing about in time counts as accepted."""
        del job, what
        while True:
            async with self._database.read() as view:
                due = await deliveries_store.list_due(view, clock.now(), _PIECE)
            for place in due:
                async with self._database.write() as tx:
                    await delivering.accept_if_due(tx, place)
            if len(due) < _PIECE:
                return

    async def refund_undelivered(self, job: Job, told: EventJob) -> None:
        """Whoever ordered a service of somebody who is gone gets their money back; not amid a dispute."""
        seller_id = msgspec.convert(told.data, _Gone).user_id
        async with self._database.read() as view:
            order_ids = await deliveries_store.list_open_of(view, seller_id)
        over = True
        for order_id in order_ids:
            async with self._database.write() as tx:
                over = await settling.refund_undelivered(tx, order_id, seller_id) and over
        if not over:
            async with self._database.write() as tx:
                await finish(tx, job)
                await enqueue(tx, REFUND_UNDELIVERED, told, delay=DISPUTED)
