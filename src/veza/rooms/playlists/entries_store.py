"""All SQL about what is in playlists, and in which order.

Entries are ordered by ``place``, a number with room between one and the next: to add, remove or move one is
to write one row. Positions are not kept but counted, along an index that holds all that is asked for it: so
they are 1…n without gaps, whatever was done. All that changes entries holds their playlist (``store.lock``).
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Id, Statement, Tx, any_of
from veza.core.pages import Page
from veza.rooms.accounts.tables import users
from veza.rooms.playlists.schemas import PlaylistTrack
from veza.rooms.playlists.store import Sight, Sums, sees_all, viewer
from veza.rooms.playlists.tables import playlist_entries, playlists
from veza.rooms.tracks.schemas import TrackSummary
from veza.rooms.tracks.tables import tracks

E = playlist_entries.c
T = tracks.c
# Between two entries there is room for forty more at the same spot, and at either end for millions.
GAP = 1 << 40


class Entry(msgspec.Struct, frozen=True):
    """One entry: its place, and what is known of its track."""

    track_id: UUID
    place: int
    listed: bool
    track_owner: UUID
    duration_ms: int

    @property
    def sums(self) -> Sums:
        """What it adds to those of its playlist."""
        return Sums.of(self.duration_ms, listed=self.listed)

    def seen_by(self, sight: Sight) -> bool:
        """Whether somebody sees its track."""
        if self.track_owner in sight.hidden:
            return False
        return sight.all or self.listed or self.track_owner == sight.viewer


class Slot(msgspec.Struct, frozen=True):
    """A track in its turn, and whether somebody sees it."""

    track_id: UUID
    seen: bool


class Held(msgspec.Struct, frozen=True):
    """A track in a playlist of somebody's, for the export of their data."""

    playlist_id: UUID
    track_id: UUID
    added_at: datetime


_names = Entry.__struct_fields__
_in_one = E.playlist_id == sa.bindparam("playlist", type_=Id)
_this = sa.and_(_in_one, E.track_id == sa.bindparam("track", type_=Id))
_others = sa.and_(_in_one, E.track_id != sa.bindparam("besides", type_=Id))
_in_order = (E.place, E.track_id)
_limit = sa.bindparam("limit", type_=sa.BigInteger)
_offset = sa.bindparam("offset", type_=sa.BigInteger)

_ADD: Statement[None] = Statement(
    sa.text(
        "INSERT INTO playlist_entries (playlist_id, track_id, place, listed, track_owner, duration_ms, "
        "added_by, added_at) VALUES (:playlist, :track, :place, :listed, :owner, :ms, :by, :at) "
        "ON CONFLICT (playlist_id, track_id) DO NOTHING"
    ).bindparams(
        sa.bindparam("playlist", type_=Id),
        sa.bindparam("track", type_=Id),
        sa.bindparam("place", type_=sa.BigInteger),
        sa.bindparam("listed", type_=sa.Boolean),
        sa.bindparam("owner", type_=Id),
        sa.bindparam("ms", type_=sa.BigInteger),
        sa.bindparam("by", type_=Id),
        sa.bindparam("at", type_=E.added_at.type),
    )
)
_FIND = Statement(sa.select(*(E[name] for name in _names)).where(_this), Entry)
_REMOVE: Statement[None] = Statement(sa.delete(playlist_entries).where(_this))
_MOVE: Statement[None] = Statement(
    sa.update(playlist_entries).where(_this).values(place=sa.bindparam("new_place", type_=sa.BigInteger))
)
# In the order of the list, which is one parameter, of any length. Rows written anew cost PostgreSQL half of
# what as many changed ones do.
_ORDER: Statement[None] = Statement(
    sa.text(
        "WITH old AS (DELETE FROM playlist_entries WHERE playlist_id = :playlist RETURNING *) "
        "INSERT INTO playlist_entries (playlist_id, track_id, place, listed, track_owner, duration_ms, "
        "added_by, added_at) "
        "SELECT old.playlist_id, old.track_id, new.number * :gap, old.listed, old.track_owner, "
        "old.duration_ms, old.added_by, old.added_at FROM old "
        "JOIN json_array_elements_text(CAST(:ids AS json)) WITH ORDINALITY AS new (id, number) "
        "ON CAST(new.id AS uuid) = old.track_id ORDER BY new.number"
    ).bindparams(
        sa.bindparam("gap", type_=sa.BigInteger),
        sa.bindparam("ids", type_=sa.Text),
        sa.bindparam("playlist", type_=Id),
    )
)
_LAST = Statement(sa.select(E.place).where(_others).order_by(E.place.desc()).limit(1), int)
_BEFORE = Statement(
    sa.select(E.place)
    .where(_others, E.place < sa.bindparam("place", type_=sa.BigInteger))
    .order_by(E.place.desc())
    .limit(1),
    int,
)


def _seen(*, hiding: bool) -> sa.ColumnElement[bool]:
    """What somebody sees; with ``hiding`` somebody from whom users are hidden."""
    seen = sa.or_(sees_all, E.listed, E.track_owner == viewer)
    return sa.and_(seen, sa.not_(any_of(E.track_owner, "hidden"))) if hiding else seen


@cache
def _slots_statement(*, hiding: bool) -> Statement[Slot]:
    seen = sa.type_coerce(_seen(hiding=hiding), sa.Boolean).label("seen")
    return Statement(sa.select(E.track_id, seen).where(_in_one).order_by(*_in_order), Slot)


@cache
def _at_statement(*, hiding: bool) -> Statement[int]:
    seen = sa.select(E.place).where(_others, _seen(hiding=hiding))
    return Statement(seen.order_by(*_in_order).limit(1).offset(_offset), int)


@cache
def _page_statement(*, hiding: bool) -> Statement[PlaylistTrack]:
    window = (
        sa.select(E.track_id, E.place)
        .where(_in_one, _seen(hiding=hiding))
        .order_by(*_in_order)
        .limit(_limit)
        .offset(_offset)
        .subquery("these")
    )
    number = sa.func.row_number().over(order_by=(window.c.place, window.c.track_id)).label("number")
    found = sa.select(window.c.track_id, number).subquery("found")
    shown = {
        "position": sa.cast(found.c.number + _offset, sa.BigInteger).label("position"),
        "added_by": users.c.id.label("added_by"),
        "added_by_username": users.c.username.label("added_by_username"),
        "added_at": E.added_at,
    }
    adder = users.c.id == E.added_by
    if hiding:
        adder = sa.and_(adder, sa.not_(any_of(users.c.id, "hidden")))
    return Statement(
        sa.select(*(shown[n] if n in shown else T[n] for n in PlaylistTrack.__struct_fields__))
        .select_from(
            found.join(playlist_entries, sa.and_(_in_one, E.track_id == found.c.track_id))
            .join(tracks, T.id == found.c.track_id)
            .outerjoin(users, adder)
        )
        # Asked again of the tracks themselves: their copies may be a moment behind.
        .where(sa.or_(sees_all, T.listed, T.user_id == viewer))
        .order_by(found.c.number),
        PlaylistTrack,
        heavy=hiding,  # of the hidden there may be very many to pass over
    )


# Only the first ones are looked at, for it might be that none has a cover.
LOOKED_AT = 100
_first = (
    sa.select(E.track_id, E.place).where(_in_one, E.listed).order_by(*_in_order).limit(LOOKED_AT)
).subquery("first")
_COVERED = Statement(
    sa.select(*(T[name] for name in TrackSummary.__struct_fields__))
    .select_from(_first.join(tracks, T.id == _first.c.track_id))
    .where(T.listed, T.has_cover)
    .order_by(_first.c.place, _first.c.track_id)
    .limit(_limit),
    TrackSummary,
)

_HELD = Statement(
    sa.select(E.playlist_id, E.track_id, E.added_at)
    .where(
        E.playlist_id.in_(sa.select(playlists.c.id).where(playlists.c.user_id == viewer)),
        sa.or_(E.listed, E.track_owner == viewer),
    )
    .order_by(E.playlist_id, *_in_order),
    Held,
    heavy=True,
)
_some = sa.select(E.track_id).where(_in_one).limit(_limit)
_FORGET: Statement[None] = Statement(sa.delete(playlist_entries).where(_in_one, E.track_id.in_(_some)))


async def add(tx: Tx, playlist_id: UUID, entry: Entry, added_by: UUID) -> bool:
    """Write an entry; whether its track was not there before."""
    return await tx.run(
        _ADD, playlist=playlist_id, track=entry.track_id, place=entry.place, listed=entry.listed,
        owner=entry.track_owner, ms=entry.duration_ms, by=added_by, at=clock.now(),
    ) == 1  # fmt: skip


async def find(tx: Tx, playlist_id: UUID, track_id: UUID) -> Entry | None:
    """The entry of a track."""
    return await tx.first(_FIND, playlist=playlist_id, track=track_id)


async def remove(tx: Tx, playlist_id: UUID, track_id: UUID) -> None:
    """Remove the entry of a track."""
    await tx.run(_REMOVE, playlist=playlist_id, track=track_id)


async def list_slots(tx: Tx, playlist_id: UUID, sight: Sight) -> list[Slot]:
    """All of a playlist, in order, and what of it somebody sees."""
    statement = _slots_statement(hiding=bool(sight.hidden))
    return await tx.all(statement, playlist=playlist_id, **_given(sight))


async def move(tx: Tx, playlist_id: UUID, track_id: UUID, place: int) -> None:
    """Give an entry another place."""
    await tx.run(_MOVE, playlist=playlist_id, track=track_id, new_place=place)


async def order(tx: Tx, playlist_id: UUID, track_ids: Sequence[UUID]) -> None:
    """Give all entries new places, in this order."""
    if tx.database.dialect == "sqlite":
        # One by one by their key: joined with a list, SQLite would go through the list for each of them.
        places = ((track_id, n * GAP) for n, track_id in enumerate(track_ids, 1))
        rows = ({"playlist": playlist_id, "track": one, "new_place": place} for one, place in places)
        await tx.run_many(_MOVE, rows)
        return
    ids = msgspec.json.encode([track_id.hex for track_id in track_ids]).decode()
    await tx.run(_ORDER, playlist=playlist_id, ids=ids, gap=GAP)


async def last_place(tx: Tx, playlist_id: UUID, besides: UUID) -> int | None:
    """The place of the last entry, that of the track ``besides`` left out; None if there is no other."""
    return await tx.first(_LAST, playlist=playlist_id, besides=besides)


async def place_before(tx: Tx, playlist_id: UUID, besides: UUID, place: int) -> int | None:
    """The place of the entry before this place, if there is one."""
    return await tx.first(_BEFORE, playlist=playlist_id, besides=besides, place=place)


async def place_at(tx: Tx, playlist_id: UUID, sight: Sight, besides: UUID, position: int) -> int | None:
    """The place of what somebody sees at this position, if anything is there."""
    statement = _at_statement(hiding=bool(sight.hidden))
    return await tx.first(
        statement, playlist=playlist_id, besides=besides, offset=position - 1, **_given(sight)
    )


async def page(tx: Tx, playlist_id: UUID, sight: Sight, page: Page) -> list[PlaylistTrack]:
    """One page of the tracks that somebody sees."""
    statement = _page_statement(hiding=bool(sight.hidden))
    return await tx.all(
        statement, playlist=playlist_id, limit=page.limit, offset=page.offset, **_given(sight)
    )


def _given(sight: Sight) -> dict[str, Any]:
    return {"viewer": sight.viewer, "all": sight.all, "hidden": sight.hidden}


async def list_covered(tx: Tx, playlist_id: UUID, most: int) -> list[TrackSummary]:
    """Of its first hundred tracks that everybody sees, the first that have a cover."""
    return await tx.all(_COVERED, playlist=playlist_id, limit=most)


async def list_held(tx: Tx, user_id: UUID) -> list[Held]:
    """What somebody sees in their own playlists, each in its order."""
    return await tx.all(_HELD, viewer=user_id)


async def forget(tx: Tx, playlist_id: UUID, most: int) -> int:
    """Remove so many entries of a playlist that is gone; how many there were."""
    return await tx.run(_FORGET, playlist=playlist_id, limit=most)
