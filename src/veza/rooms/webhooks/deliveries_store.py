"""All SQL about deliveries."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx, any_of
from veza.core.db.types import to_micros
from veza.rooms.webhooks.schemas import Attempt
from veza.rooms.webhooks.tables import webhook_deliveries as deliveries

D = deliveries.c
# Of one delivery, however often it is begun anew; the oldest go.
MOST_ATTEMPTS = 50
# Of what waits for a hook, which is as old as its events but for what was asked for anew.
_LATEST = 500
_NEVER = datetime.max.replace(tzinfo=UTC)
LAST = UUID(int=(1 << 128) - 1)
# What is still to be delivered; and what has come to an end, and can be begun anew.
PENDING = ("fresh", "waiting")
CONCLUDED = ("delivered", "failed", "skipped")


class Due(msgspec.Struct, frozen=True):
    """A delivery that is to be tried."""

    event_id: UUID
    kind: str
    data: Any
    event_at: datetime
    queued_at: datetime
    due_at: datetime
    attempt: int
    attempts: list[Any]

    @property
    def tries(self) -> list[Attempt]:
        """All attempts so far."""
        return msgspec.convert(self.attempts, list[Attempt])


class Row(msgspec.Struct, frozen=True):
    """A delivery as it is kept."""

    webhook_id: UUID
    event_id: UUID
    kind: str
    event_at: datetime
    status: str
    due_at: datetime | None
    attempts: list[Any]
    headers: dict[str, str] | None
    body: str | None
    concluded_at: datetime | None


_hook = D.webhook_id == sa.bindparam("hook")
_one = sa.and_(_hook, D.event_id == sa.bindparam("event"))
_row = sa.select(*(D[name] for name in Row.__struct_fields__))
_due = sa.select(*(D[name] for name in Due.__struct_fields__)).where(_hook, D.status == "waiting")
_ADD: Statement[None] = Statement(sa.insert(deliveries))
_FIND = Statement(_row.where(_one), Row)
_LOCK = Statement(_row.where(_one).with_for_update(), Row)
# Nothing of an ordered hook overtakes what is not taken in: another process may be about to do that, and
# whoever takes in at the same time passes over what it holds.
# Looked for by its place in the index of hooks: PostgreSQL would look through what is fresh of all.
_place = sa.tuple_(sa.bindparam("hook", type_=D.webhook_id.type), sa.literal("fresh", D.status.type))
_from_there = (
    sa.select(D.webhook_id, D.status, D.event_id)
    .where(sa.tuple_(D.webhook_id, D.status) >= _place)
    .order_by(D.webhook_id, D.status, D.event_id)
    .limit(1)
    .correlate(None)
    .subquery()
)
_is_fresh = sa.and_(_from_there.c.webhook_id == sa.bindparam("hook"), _from_there.c.status == "fresh")
_first_fresh = sa.select(_from_there.c.event_id).where(_is_fresh).scalar_subquery()
in_turn = D.event_id < sa.func.coalesce(_first_fresh, sa.literal(LAST, D.event_id.type))
# The most overdue first; of an ordered hook the first that happened, due or not.
_PICK = Statement(
    _due.where(D.due_at <= sa.bindparam("now")).order_by(D.due_at, D.event_id).limit(sa.bindparam("count")),
    Due,
)
_PICK_FIRST = Statement(_due.where(in_turn).order_by(D.event_id).limit(sa.bindparam("count")), Due)
_PUT_OFF = Statement(
    _due.where(D.due_at > sa.bindparam("now"), D.event_id > sa.bindparam("after"))
    .order_by(D.event_id)
    .limit(sa.bindparam("count")),
    Due,
)
_RETIME: Statement[None] = Statement(
    sa.update(deliveries)
    .where(_one, D.status == "waiting", D.attempt == sa.bindparam("before"))
    .values({name: sa.bindparam(f"new_{name}", type_=D[name].type) for name in ("due_at", "attempts")})
)
_TRIED: Statement[None] = Statement(
    sa.update(deliveries)
    .where(_one, D.status == "waiting", D.attempt == sa.bindparam("before"))
    .values(
        {
            name: sa.bindparam(f"new_{name}", type_=D[name].type)
            for name in ("status", "due_at", "attempt", "attempts", "headers", "body", "concluded_at")
        }
    )
)
_REQUEUE: Statement[None] = Statement(
    sa.update(deliveries)
    .where(_one, D.status == sa.bindparam("before"))
    .values(
        status=sa.bindparam("new_status"),
        due_at=sa.bindparam("new_due_at", type_=D.due_at.type),
        attempt=0,
        concluded_at=None,
        queued_at=sa.bindparam("now"),
    )
)
_SINCE = Statement(
    _row.where(_hook, D.event_id > sa.bindparam("after"), D.kind != sa.bindparam("not_kind"))
    .order_by(D.event_id)
    .limit(sa.bindparam("count")),
    Row,
)
_ENDED = Statement(
    _row.where(
        _hook,
        D.status == sa.bindparam("status"),
        D.event_id > sa.bindparam("after"),
        D.kind != sa.bindparam("not_kind"),
        D.concluded_at >= sa.bindparam("since"),
    )
    .order_by(D.event_id)
    .limit(sa.bindparam("count")),
    Row,
)
_later = (_hook, D.status == "waiting", D.due_at > sa.bindparam("now"))
_NEXT = Statement(sa.select(D.event_id).where(*_later).order_by(D.due_at).limit(sa.bindparam("count")), UUID)
# Locked in the order in which whoever writes down what came of attempts does it.
_held = (
    sa.select(D.event_id).where(*_later, any_of(D.event_id, "events")).order_by(D.event_id).with_for_update()
)
_HASTEN: Statement[None] = Statement(
    sa.update(deliveries).where(_hook, D.event_id.in_(_held)).values(due_at=sa.bindparam("now"))
)
_pending = sa.or_(D.status == "fresh", D.status == "waiting")
_latest = (
    sa.select(D.queued_at)
    .where(_hook, D.status == sa.bindparam("of_status"))
    .order_by(D.event_id.desc())
    .limit(_LATEST)
    .subquery()
)
_LAST_QUEUED = Statement(
    sa.select(_latest.c.queued_at).order_by(_latest.c.queued_at.desc()).limit(1), datetime
)
_some = (
    sa.select(D.event_id)
    .where(_hook, _pending, D.queued_at < sa.bindparam("until"))
    .order_by(D.event_id)
    .limit(sa.bindparam("count"))
    .with_for_update()
)
_SKIP: Statement[None] = Statement(
    sa.update(deliveries)
    .where(_hook, D.event_id.in_(_some))
    .values(status="skipped", due_at=None, concluded_at=sa.bindparam("now"))
)
_old = (
    sa.select(D.event_id)
    .where(_hook, D.event_id < sa.bindparam("until"))
    .order_by(D.event_id)
    .limit(sa.bindparam("count"))
    .with_for_update()
)
_REMOVE: Statement[None] = Statement(sa.delete(deliveries).where(_hook, D.event_id.in_(_old)))
_NEXT_HOOK = Statement(
    sa.select(D.webhook_id).where(D.webhook_id > sa.bindparam("after")).order_by(D.webhook_id).limit(1), UUID
)


def first_id_at(moment: datetime) -> UUID:
    """No event of this moment or later has a smaller id (RFC 9562, 5.7)."""
    return UUID(int=max(to_micros(moment) // 1000, 0) << 80)


async def add(tx: Tx, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write new deliveries down: of a hook, an event, and its status; the rest follows from these."""
    common: dict[str, Any] = {
        "due_at": None,
        "attempt": 0,
        "attempts": [],
        "headers": None,
        "body": None,
        "concluded_at": None,
    }
    await tx.run_many(_ADD, [{**common, **row} for row in rows])


async def find(tx: Tx, hook_id: UUID, event_id: UUID) -> Row | None:
    """A delivery."""
    return await tx.first(_FIND, hook=hook_id, event=event_id)


async def lock(tx: Tx, hook_id: UUID, event_id: UUID) -> Row | None:
    """A delivery, which nobody else changes until ``tx`` ends."""
    return await tx.first(_LOCK, hook=hook_id, event=event_id)


async def page(
    tx: Tx, hook_id: UUID, before: UUID | None, limit: int, status: Sequence[str], kind: str | None
) -> list[Row]:
    """Some of the deliveries of a hook, the newest first."""
    found: list[Row] = []
    for one in status or (None,):
        statement = _page_statement(by_status=one is not None, by_kind=kind is not None)
        found += await tx.all(
            statement, hook=hook_id, before=before or LAST, status=one, kind=kind, limit=limit
        )
    return sorted(found, key=lambda row: row.event_id, reverse=True)[:limit]


@cache
def _page_statement(*, by_status: bool, by_kind: bool) -> Statement[Row]:
    chosen = _row.where(_hook, D.event_id < sa.bindparam("before"))
    if by_status:
        chosen = chosen.where(D.status == sa.bindparam("status"))
    if by_kind:
        chosen = chosen.where(D.kind == sa.bindparam("kind"))
    return Statement(chosen.order_by(D.event_id.desc()).limit(sa.bindparam("limit")), Row, heavy=by_kind)


async def pick(tx: Tx, hook_id: UUID, count: int, *, ordered: bool) -> list[Due]:
    """What is to be delivered now, at most so much; of an ordered hook what comes next, due or not."""
    if ordered:
        return await tx.all(_PICK_FIRST, hook=hook_id, count=count)
    return await tx.all(_PICK, hook=hook_id, now=clock.now(), count=count)


async def note_attempt(tx: Tx, hook_id: UUID, event_id: UUID, before: int, **new: Any) -> bool:
    """Write down what came of an attempt, unless somebody else did or it is not to be delivered any more."""
    changes = {f"new_{name}": value for name, value in new.items()}
    return await tx.run(_TRIED, hook=hook_id, event=event_id, before=before, **changes) == 1


async def list_put_off(tx: Tx, hook_id: UUID, after: UUID, count: int) -> list[Due]:
    """What is to be delivered later than now, of the events after this one."""
    return await tx.all(_PUT_OFF, hook=hook_id, now=clock.now(), after=after, count=count)


async def retime(tx: Tx, hook_id: UUID, due: Due, due_at: datetime, attempts: list[Attempt]) -> None:
    """Have what was not tried meanwhile be due then, and have been tried at these times."""
    await tx.run(
        _RETIME,
        hook=hook_id,
        event=due.event_id,
        before=due.attempt,
        new_due_at=due_at,
        new_attempts=attempts,
    )


async def requeue(tx: Tx, row: Row, enabled_since: datetime, due_at: datetime | None = None) -> bool:
    """Have what has come to an end be delivered once more; False where it has begun anew already.

    It is queued after its hook was turned on, whatever was done to the clock since; and taken in, unless it
    is known when it is due.
    """
    changed = await tx.run(
        _REQUEUE, hook=row.webhook_id, event=row.event_id, before=row.status,
        now=max(clock.now(), enabled_since), new_status="waiting" if due_at else "fresh", new_due_at=due_at,
    )  # fmt: skip
    return changed == 1


async def list_since(tx: Tx, hook_id: UUID, after: UUID, count: int, *, without: str) -> list[Row]:
    """Deliveries of the events after this one, the oldest first; those of one kind are left out."""
    return await tx.all(_SINCE, hook=hook_id, after=after, count=count, not_kind=without)


async def list_ended(
    tx: Tx, hook_id: UUID, status: str, since: datetime, after: UUID, count: int, *, without: str
) -> list[Row]:
    """As :func:`list_since`, but what has come to this end, and since then."""
    return await tx.all(
        _ENDED, hook=hook_id, status=status, since=since, after=after, count=count, not_kind=without
    )


async def hasten(tx: Tx, hook_id: UUID, most: int) -> bool:
    """Have what is due later be due now, at most so much at a time; whether there may be more."""
    now = clock.now()
    found = await tx.all(_NEXT, hook=hook_id, now=now, count=most)
    # Fewer where some are tried in this moment.
    await tx.run(_HASTEN, hook=hook_id, now=now, events=found)
    return len(found) >= most


async def skip(tx: Tx, hook_id: UUID, until: datetime | None, most: int) -> bool:
    """Skip what was queued before then, or all, at most so much at a time; whether there may be more."""
    return await tx.run(_SKIP, hook=hook_id, until=until or _NEVER, now=clock.now(), count=most) >= most


async def last_queued(tx: Tx, hook_id: UUID) -> datetime | None:
    """When the last of what is still to be delivered was queued, as far as the latest events say."""
    found = list[datetime]()
    for one in PENDING:
        found += await tx.all(_LAST_QUEUED, hook=hook_id, of_status=one)
    return max(found, default=None)


async def remove(tx: Tx, hook_id: UUID, until: UUID, most: int) -> bool:
    """Remove the oldest deliveries of a hook, of events before this one; whether there may be more."""
    return await tx.run(_REMOVE, hook=hook_id, until=until, count=most) >= most


async def next_hook(tx: Tx, after: UUID) -> UUID | None:
    """The next hook, by id, that there are deliveries of, whether or not there is still the hook itself."""
    return await tx.first(_NEXT_HOOK, after=after)
