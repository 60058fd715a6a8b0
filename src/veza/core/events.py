"""What happened, written down in the transaction that made it happen (a transactional outbox).

A service says ``tx.emit(TrackUploaded(...))``. At the commit the event becomes a row of ``events``, and each
reaction to it a row of ``jobs``, or of ``event_queue`` where many are done together: if the change is kept,
so are its consequences, and if not, neither. What must be true with the very commit happens at once, in the
same transaction.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Id, Json, Statement, Time, Tx, metadata
from veza.core.ids import new_id
from veza.core.jobs import JobKind, enqueue


class Event(msgspec.Struct, frozen=True):
    """Something that happened; its fields say to what, and hold nothing secret."""

    kind: ClassVar[str]


class Context(msgspec.Struct, frozen=True):
    """Who caused an event, and from where."""

    actor_id: UUID | None = None
    ip: str = ""
    user_agent: str = ""
    request_id: str = ""


class EventJob(msgspec.Struct, frozen=True):
    """What a reaction is told: the event's id and kind, and its fields."""

    event_id: UUID
    kind: str
    data: dict[str, Any]


events = sa.Table(
    "events",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("data", Json, nullable=False),
    sa.Column("actor_id", Id),
    sa.Column("ip", sa.Text, nullable=False),
    sa.Column("user_agent", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Index("ix_events_kind_created_at", "kind", "created_at"),
)


# Of what is done for many events together nothing is written but which event it is, for which kind of job.
event_queue = sa.Table(
    "event_queue",
    metadata,
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("event_id", Id, nullable=False),
    sa.PrimaryKeyConstraint("kind", "event_id"),
    sqlite_with_rowid=False,
)
QUEUED = "veza_events"


class Source(msgspec.Struct, frozen=True):
    """By whom and from where an event was caused, and when."""

    ip: str
    created_at: datetime
    actor_id: UUID | None


_SOURCE = Statement(
    sa.select(events.c.ip, events.c.created_at, events.c.actor_id).where(
        events.c.id == sa.bindparam("event_id")
    ),
    Source,
)
_INSERT: Statement[None] = Statement(sa.insert(events))
_QUEUE: Statement[None] = Statement(sa.insert(event_queue))


class Recorded(msgspec.Struct, frozen=True):
    """An event as it was written down: its id, when it happened, and who caused it."""

    id: UUID
    event: Event
    at: datetime
    who: Context


Reactions = Mapping[type[Event], Sequence[JobKind[EventJob]]]
# What is done in the transaction that emits an event: quick; what it emits itself is written as well.
AtOnce = Mapping[type[Event], Sequence[Callable[[Tx, Any], Awaitable[None]]]]
# Told of all events of a transaction together, once they are written down; bound as what is done at once.
Witness = Callable[[Tx, Sequence[Recorded]], Awaitable[None]]


async def find_source(tx: Tx, event_id: UUID) -> Source | None:
    """From where an event was caused, and when; None once it is forgotten."""
    return await tx.first(_SOURCE, event_id=event_id)


class Outbox:
    """Records events and queues what follows from them; one instance is a database's ``record_events``."""

    def __init__(
        self, reactions: Reactions, at_once: AtOnce | None = None, witnesses: Sequence[Witness] = ()
    ) -> None:
        self._reactions = reactions
        self._at_once = at_once or {}
        self._witnesses = witnesses

    async def __call__(self, tx: Tx, emitted: Sequence[Event]) -> None:
        """Write ``emitted`` and their jobs in ``tx``, and do what follows at once."""
        recorded: list[Recorded] = []
        who = tx.context() if tx.context else Context()
        for event in emitted:
            event_id, data, at = new_id(), msgspec.to_builtins(event), clock.now()
            recorded.append(Recorded(event_id, event, at, who))
            await tx.run(
                _INSERT,
                id=event_id,
                kind=event.kind,
                data=data,
                actor_id=who.actor_id,
                ip=who.ip,
                user_agent=who.user_agent,
                request_id=who.request_id,
                created_at=at,
            )
            for job in self._reactions.get(type(event), ()):
                if job.together:
                    await tx.run(_QUEUE, kind=job.name, event_id=event_id)
                    tx.notify(QUEUED)
                else:
                    await enqueue(tx, job, EventJob(event_id, event.kind, data))
        # After all rows, whatever they are of: what is done at once may hold others up until the commit.
        for event in emitted:
            for react in self._at_once.get(type(event), ()):
                await react(tx, event)
        for witness in self._witnesses:
            await witness(tx, recorded)
