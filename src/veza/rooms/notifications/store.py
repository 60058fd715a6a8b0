"""All SQL about what people are told."""

from collections.abc import AsyncIterator, Collection, Iterable
from datetime import datetime
from functools import cache
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Id, Statement, Tx, any_of
from veza.core.pages import Page
from veza.rooms.notifications.tables import notifications

N = notifications.c
# Beyond this offset a page takes milliseconds to walk to.
DEEP = 5_000


class Row(msgspec.Struct, frozen=True):
    """One notification as it is kept."""

    id: UUID
    user_id: UUID
    seq: int
    type: str
    group_key: str | None
    actor_ids: list[str]
    actor_count: int
    subject_id: UUID | None
    detail: str | None
    read_at: datetime | None
    created_at: datetime
    updated_at: datetime

    def unread(self, read_seq: int) -> bool:
        """Whether its reader has not read it, who has read all up to there."""
        return self.read_at is None and self.seq > read_seq


class Gone(msgspec.Struct, frozen=True):
    """What was removed of somebody, for the counts of their box."""

    user_id: UUID
    seq: int
    read_at: datetime | None


class Aged(msgspec.Struct, frozen=True):
    """One that has been kept for long enough, or leads nowhere any more."""

    id: UUID
    user_id: UUID


_COLUMNS = [N[name] for name in Row.__struct_fields__]
_user, _id = sa.bindparam("user", type_=Id), sa.bindparam("id", type_=Id)
_mine = N.user_id == _user
_one = sa.and_(_mine, N.id == _id)
_read_seq = sa.bindparam("read_seq", type_=sa.BigInteger)
_unread = sa.and_(N.read_at.is_(None), N.seq > _read_seq)
_count = sa.bindparam("count", type_=sa.BigInteger)
_ADD: Statement[None] = Statement(sa.insert(notifications))
_FIND = Statement(sa.select(*_COLUMNS).where(_one), Row)
_LATEST = Statement(
    sa.select(*_COLUMNS)
    .where(_mine, N.group_key == sa.bindparam("group"), N.created_at > sa.bindparam("since"))
    .order_by(N.seq.desc())
    .limit(1),
    Row,
)
_CHANGE: Statement[None] = Statement(
    sa.update(notifications)
    .where(N.id == _id)
    .values(
        seq=sa.bindparam("new_seq", type_=sa.BigInteger),
        actor_ids=sa.bindparam("actors", type_=N.actor_ids.type),
        actor_count=sa.bindparam("actor_total", type_=sa.BigInteger),
        detail=sa.bindparam("new_detail"),
        updated_at=sa.bindparam("at", type_=N.updated_at.type),
    )
)
_READ: Statement[None] = Statement(
    sa.update(notifications).where(_one, _unread).values(read_at=sa.bindparam("at"))
)
_gone = (N.user_id, N.seq, N.read_at)
_REMOVE = Statement(sa.delete(notifications).where(_one).returning(*_gone), Gone)
_AFTER = Statement(
    sa.select(*_COLUMNS)
    .where(_mine, N.seq > sa.bindparam("after", type_=sa.BigInteger))
    .order_by(N.seq)
    .limit(_count),
    Row,
)
_UNREAD_AFTER = Statement(
    sa.select(*_COLUMNS)
    .where(_mine, _unread, N.seq > sa.bindparam("after", type_=sa.BigInteger), any_of(N.type, "types"))
    .order_by(N.seq.desc())
    .limit(_count),
    Row,
)
_COUNT_UNREAD_AFTER = Statement(sa.select(sa.func.count()).where(_mine, _unread), int, heavy=True)
_some_read = (
    sa.select(N.id)
    .where(_mine, sa.or_(N.read_at.is_not(None), N.seq <= _read_seq))
    .order_by(N.seq)
    .limit(_count)
)
_REMOVE_READ = Statement(sa.delete(notifications).where(N.id.in_(_some_read)).returning(*_gone), Gone)
_some_unsettled = (
    sa.select(N.id).where(_mine, N.read_at.is_(None), N.seq <= _read_seq).order_by(N.seq).limit(_count)
)
_SETTLE: Statement[None] = Statement(
    sa.update(notifications).where(N.id.in_(_some_unsettled)).values(read_at=sa.bindparam("at"))
)
_OLDEST = Statement(
    sa.delete(notifications)
    .where(N.id.in_(sa.select(N.id).where(_mine).order_by(N.seq).limit(_count)))
    .returning(*_gone),
    Gone,
)
_READ_BEFORE = Statement(
    sa.select(N.id, N.user_id).where(N.read_at < sa.bindparam("before")).order_by(N.read_at).limit(_count),
    Aged,
)
_MADE_BEFORE = Statement(
    sa.select(N.id, N.user_id).where(N.id < sa.bindparam("before", type_=Id)).order_by(N.id).limit(_count),
    Aged,
)
_RELEASED = Statement(
    sa.select(N.id, N.user_id)
    .where(N.subject_id == sa.bindparam("track", type_=Id), N.type == sa.literal_column("'track_released'"))
    .limit(_count),
    Aged,
)
_REMOVE_SOME = Statement(sa.delete(notifications).where(any_of(N.id, "ids")).returning(*_gone), Gone)
_OF_USER = Statement(sa.select(*_COLUMNS).where(_mine).order_by(N.seq), Row, heavy=True)


async def add_many(tx: Tx, rows: Iterable[Row]) -> None:
    """Write notifications down."""
    await tx.run_many(_ADD, [msgspec.structs.asdict(row) for row in rows])


async def find(tx: Tx, user_id: UUID, notification_id: UUID) -> Row | None:
    """Somebody's notification."""
    return await tx.first(_FIND, user=user_id, id=notification_id)


async def find_latest(tx: Tx, user_id: UUID, group: str, since: datetime) -> Row | None:
    """The latest notification of a group, if it was begun since then.

    No other of the group that was begun since then is unread: one that is, is joined.
    """
    return await tx.first(_LATEST, user=user_id, group=group, since=since)


async def change(tx: Tx, row: Row) -> None:
    """Keep what another act, or one less, has made of a notification."""
    await change_many(tx, [row])


async def change_many(tx: Tx, rows: Iterable[Row]) -> None:
    """The same, of several in boxes that are held."""
    changes = [
        {
            "id": row.id,
            "new_seq": row.seq,
            "actors": row.actor_ids,
            "actor_total": row.actor_count,
            "new_detail": row.detail,
            "at": row.updated_at,
        }
        for row in rows
    ]
    await tx.run_many(_CHANGE, changes)


async def read(tx: Tx, user_id: UUID, notification_id: UUID, read_seq: int, at: datetime) -> bool:
    """Mark as read; whether it was unread."""
    return await tx.run(_READ, user=user_id, id=notification_id, read_seq=read_seq, at=at) == 1


async def remove(tx: Tx, user_id: UUID, notification_id: UUID) -> Gone | None:
    """Remove one; what it was."""
    return await tx.first(_REMOVE, user=user_id, id=notification_id)


async def page(tx: Tx, user_id: UUID, page: Page, *, unread_only: bool, read_seq: int) -> list[Row]:
    """One page, the latest first."""
    statement = _page_statement(unread_only=unread_only, deep=page.offset >= DEEP)
    return await tx.all(statement, user=user_id, read_seq=read_seq, limit=page.limit, offset=page.offset)


@cache
def _page_statement(*, unread_only: bool, deep: bool) -> Statement[Row]:
    # The places of a page are found in the index alone; only its own rows are read.
    places = (
        sa.select(N.seq)
        .where(_mine, *([_unread] if unread_only else []))
        .order_by(N.seq.desc())
        .limit(sa.bindparam("limit", type_=sa.BigInteger))
        .offset(sa.bindparam("offset", type_=sa.BigInteger))
        .subquery()
    )
    chosen = (
        sa.select(*_COLUMNS)
        .select_from(places.join(notifications, sa.and_(N.seq == places.c.seq, _mine)))
        .order_by(N.seq.desc())
    )
    return Statement(chosen, Row, heavy=deep)


async def list_after(tx: Tx, user_id: UUID, seq: int, most: int) -> list[Row]:
    """The first so many after a place, in order."""
    return await tx.all(_AFTER, user=user_id, after=seq, count=most)


async def list_unread(
    tx: Tx, user_id: UUID, types: Collection[str], *, after: int, read_seq: int, most: int
) -> list[Row]:
    """The latest so many of these types that are unread and after a place."""
    return await tx.all(_UNREAD_AFTER, user=user_id, types=types, after=after, read_seq=read_seq, count=most)


async def count_unread(tx: Tx, user_id: UUID, read_seq: int) -> int:
    """How many are unread after a place."""
    return await tx.first(_COUNT_UNREAD_AFTER, user=user_id, read_seq=read_seq) or 0


async def remove_read(tx: Tx, user_id: UUID, read_seq: int, most: int) -> list[Gone]:
    """Remove so many that are read, the oldest first."""
    return await tx.all(_REMOVE_READ, user=user_id, read_seq=read_seq, count=most)


async def settle(tx: Tx, user_id: UUID, read_seq: int, at: datetime, most: int) -> bool:
    """Write into so many rows that all up to a place has been read; whether there may be more."""
    return await tx.run(_SETTLE, user=user_id, read_seq=read_seq, at=at, count=most) >= most


async def remove_oldest(tx: Tx, user_id: UUID, most: int) -> list[Gone]:
    """Remove so many of somebody's, the oldest first."""
    return await tx.all(_OLDEST, user=user_id, count=most)


async def list_read_before(tx: Tx, moment: datetime, most: int) -> list[Aged]:
    """So many that were read before a moment."""
    return await tx.all(_READ_BEFORE, before=moment, count=most)


async def list_made_before(tx: Tx, first: UUID, most: int) -> list[Aged]:
    """So many whose ids are smaller than this one."""
    return await tx.all(_MADE_BEFORE, before=first, count=most)


async def list_released(tx: Tx, track_id: UUID, most: int) -> list[Aged]:
    """So many of those by which followers were told of a track."""
    return await tx.all(_RELEASED, track=track_id, count=most)


async def remove_some(tx: Tx, ids: Collection[UUID]) -> list[Gone]:
    """Remove these; what they were."""
    return await tx.all(_REMOVE_SOME, ids=ids)


def pieces_of(view: Tx, user_id: UUID) -> AsyncIterator[list[Row]]:
    """Everything that somebody is told."""
    return view.pieces(_OF_USER, user=user_id)
