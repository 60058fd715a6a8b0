"""All SQL about rooms."""

from collections.abc import Collection
from datetime import datetime
from functools import cache
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Id, Statement, Tx, any_of
from veza.core.pages import Page
from veza.rooms.chat.tables import chat_members, chat_rooms

R = chat_rooms.c
M = chat_members.c


class RoomRow(msgspec.Struct, frozen=True):
    """A room as it is kept."""

    id: UUID
    type: str
    name: str
    topic: str
    pair: str | None
    seq: int
    version: int
    message_count: int
    member_count: int
    slow_seconds: int
    created_by: UUID | None
    created_at: datetime
    last_message_at: datetime | None
    about_id: UUID | None = None


class Seat(RoomRow, frozen=True):
    """A room, and what one user is in it: ``role`` is None for who is no member."""

    role: str | None = None
    read_seq: int | None = None
    muted_until: datetime | None = None


class About(msgspec.Struct, frozen=True):
    """A room of a track or playlist, and which one that is."""

    id: UUID
    type: str
    about_id: UUID


class State(msgspec.Struct, frozen=True):
    """How far a room is: the place of its last change, and the version of who may hear it."""

    id: UUID
    seq: int
    version: int


class Totals(msgspec.Struct, frozen=True):
    """How many rooms there are, and how much was said in them."""

    rooms: int
    messages: int


_BIG = sa.BigInteger
_columns = [R[name] for name in RoomRow.__struct_fields__]
_one = R.id == sa.bindparam("room", type_=Id)
_seated = chat_rooms.outerjoin(
    chat_members, sa.and_(M.room_id == R.id, M.user_id == sa.bindparam("user", type_=Id))
)
_seat = sa.select(*_columns, M.role, M.read_seq, M.muted_until).select_from(_seated)
_FIND = Statement(_seat.where(_one), Seat)
_BY_PAIR = Statement(_seat.where(R.pair == sa.bindparam("pair")), Seat)
_BY_SUBJECT = Statement(_seat.where(R.about_id == sa.bindparam("about", type_=Id)), Seat)
_about = sa.select(R.id, R.type, R.about_id)
_ABOUT = Statement(_about.where(_one, R.about_id.is_not(None)), About)
_ABOUT_OF = Statement(_about.where(R.about_id == sa.bindparam("about", type_=Id)), About)
_OWN_ABOUT = Statement(
    _about.select_from(chat_rooms.join(chat_members, M.room_id == R.id)).where(
        M.user_id == sa.bindparam("user", type_=Id), R.about_id.is_not(None)
    ),
    About,
)
_HOLD = Statement(sa.select(*_columns).where(_one).with_for_update(), RoomRow)
_HOLD_SOME = Statement(
    sa.select(*_columns).where(any_of(R.id, "rooms")).order_by(R.id).with_for_update(), RoomRow
)
_STATES = Statement(sa.select(R.id, R.seq, R.version).where(any_of(R.id, "rooms")), State)
_ADD: Statement[None] = Statement(sa.insert(chat_rooms))
_SAID: Statement[None] = Statement(
    sa.update(chat_rooms)
    .where(_one)
    .values(
        seq=sa.bindparam("to", type_=_BIG),
        message_count=R.message_count + sa.bindparam("more", type_=_BIG),
        last_message_at=sa.bindparam("at", type_=R.last_message_at.type),
    )
)
_CHANGED: Statement[None] = Statement(sa.update(chat_rooms).where(_one).values(seq=R.seq + 1))
_PEOPLE: Statement[None] = Statement(
    sa.update(chat_rooms)
    .where(_one)
    .values(version=R.version + 1, member_count=R.member_count + sa.bindparam("more", type_=_BIG))
)
_EDIT: Statement[None] = Statement(
    sa.update(chat_rooms)
    .where(_one)
    .values(
        name=sa.bindparam("new_name"),
        topic=sa.bindparam("new_topic"),
        slow_seconds=sa.bindparam("slow", type_=sa.Integer),
    )
)
_REMOVE: Statement[None] = Statement(sa.delete(chat_rooms).where(_one))
_TOTALS = Statement(
    sa.select(
        sa.func.count().label("rooms"),
        sa.cast(sa.func.coalesce(sa.func.sum(R.message_count), 0), _BIG).label("messages"),
    ).select_from(chat_rooms),
    Totals,
    heavy=True,
)


async def find(tx: Tx, room_id: UUID, user_id: UUID) -> Seat | None:
    """The room, and what this user is in it."""
    return await tx.first(_FIND, room=room_id, user=user_id)


async def find_pair(tx: Tx, pair: str, user_id: UUID) -> Seat | None:
    """The direct room of two people."""
    return await tx.first(_BY_PAIR, pair=pair, user=user_id)


async def find_of(tx: Tx, about_id: UUID, user_id: UUID) -> Seat | None:
    """The room of a track or playlist, and what this user is in it."""
    return await tx.first(_BY_SUBJECT, about=about_id, user=user_id)


async def find_about(tx: Tx, room_id: UUID) -> About | None:
    """Which track or playlist a room is of, if it is of one."""
    return await tx.first(_ABOUT, room=room_id)


async def find_about_of(tx: Tx, about_id: UUID) -> About | None:
    """The room of a track or playlist, whoever asks."""
    return await tx.first(_ABOUT_OF, about=about_id)


async def list_own_about(tx: Tx, user_id: UUID) -> list[About]:
    """The rooms of tracks and playlists that a user is in."""
    return await tx.all(_OWN_ABOUT, user=user_id)


async def hold(tx: Tx, room_id: UUID) -> RoomRow | None:
    """The room, in which nobody else does anything until ``tx`` is over."""
    return await tx.first(_HOLD, room=room_id)


async def hold_some(tx: Tx, room_ids: Collection[UUID]) -> dict[UUID, RoomRow]:
    """Those of these rooms that there are, held, the smallest id first."""
    return {room.id: room for room in await tx.all(_HOLD_SOME, rooms=room_ids)}


async def list_states(tx: Tx, room_ids: Collection[UUID]) -> list[State]:
    """How far these rooms are."""
    return await tx.all(_STATES, rooms=room_ids)


async def add(tx: Tx, room: RoomRow) -> None:
    """Write a room down. Raises UniqueViolation where two people have one already."""
    await tx.run(_ADD, **msgspec.structs.asdict(room))


async def said(tx: Tx, room_id: UUID, seq: int, more: int) -> None:
    """So many messages more were said in a room that is held, the last of them at ``seq``."""
    await tx.run(_SAID, room=room_id, to=seq, more=more, at=clock.now())


async def changed(tx: Tx, room_id: UUID) -> None:
    """Something that was said in a room, which is held, has changed."""
    await tx.run(_CHANGED, room=room_id)


async def count_people(tx: Tx, room_id: UUID, more: int) -> None:
    """Who is in a room, which is held, or may do what there, has changed; so many more are."""
    await tx.run(_PEOPLE, room=room_id, more=more)


async def edit(tx: Tx, room_id: UUID, name: str, topic: str, slow_seconds: int) -> None:
    """Change what a room is."""
    await tx.run(_EDIT, room=room_id, new_name=name, new_topic=topic, slow=slow_seconds)


async def remove(tx: Tx, room_id: UUID) -> None:
    """Remove a room; what was in it is forgotten in pieces."""
    await tx.run(_REMOVE, room=room_id)


async def totals(tx: Tx) -> Totals:
    """What there is in all rooms."""
    found = await tx.first(_TOTALS)
    assert found is not None
    return found


async def page_own(tx: Tx, user_id: UUID, page: Page, without: Collection[UUID] = ()) -> list[Seat]:
    """The rooms that a user is in, but for some; those first in which something was said last."""
    statement = _page(own=True, all_of_them=not without)
    given = {"without": without} if without else {}
    return await tx.all(statement, user=user_id, limit=page.limit, offset=page.offset, **given)


async def page_public(tx: Tx, user_id: UUID, page: Page) -> list[Seat]:
    """The public rooms, the largest first."""
    return await tx.all(_page(own=False), user=user_id, limit=page.limit, offset=page.offset)


@cache
def _page(*, own: bool, all_of_them: bool = True) -> Statement[Seat]:
    if own:
        wanted = [] if all_of_them else [sa.not_(any_of(R.id, "without"))]
        chosen = _seat.where(M.user_id.is_not(None), *wanted).order_by(
            sa.func.coalesce(R.last_message_at, R.created_at).desc(), R.id.desc()
        )
    else:
        chosen = _seat.where(R.type == "public").order_by(R.member_count.desc(), R.id.desc())
    bounds = {name: sa.bindparam(name, type_=_BIG) for name in ("limit", "offset")}
    return Statement(chosen.limit(bounds["limit"]).offset(bounds["offset"]), Seat)


_COUNT_OWN = Statement(sa.select(sa.func.count()).where(M.user_id == sa.bindparam("user", type_=Id)), int)
_COUNT_PUBLIC = Statement(sa.select(sa.func.count()).where(R.type == "public"), int, heavy=True)


async def count_own(tx: Tx, user_id: UUID) -> int:
    """In how many rooms a user is."""
    return await tx.first(_COUNT_OWN, user=user_id) or 0


async def count_public(tx: Tx) -> int:
    """How many public rooms there are."""
    return await tx.first(_COUNT_PUBLIC) or 0
