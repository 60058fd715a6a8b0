"""All SQL about what and who is best: an artist's tracks of a period, and their listeners of all time."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx, any_of
from veza.rooms.accounts.tables import users
from veza.rooms.plays.tables import fans, play_days
from veza.rooms.tracks.tables import tracks

DAYS = play_days.c


class Fan(msgspec.Struct, frozen=True):
    """Somebody who listens to an artist."""

    user_id: UUID
    username: str
    plays: int
    heard_ms: int


class Candidate(msgspec.Struct, frozen=True):
    """A track and its plays in a period; ``play_count`` are those of all time by others than its owner."""

    track_id: UUID
    play_count: int
    plays: int


class PlayedTrack(msgspec.Struct, frozen=True):
    """A track and how much of it was heard in a period."""

    track_id: UUID
    title: str
    plays: int
    heard_ms: int


_FANS = Statement(
    sa.select(fans.c.user_id, users.c.username, fans.c.plays, fans.c.heard_ms)
    .select_from(fans.join(users, users.c.id == fans.c.user_id))
    .where(fans.c.artist_id == sa.bindparam("artist"))
    .order_by(fans.c.plays.desc(), fans.c.user_id.desc())  # as the index has them
    .limit(sa.bindparam("most")),
    Fan,
)
_some = (
    sa.select(tracks.c.id, tracks.c.play_count)
    .where(tracks.c.user_id == sa.bindparam("artist"), tracks.c.listed)
    .order_by(tracks.c.play_count.desc(), tracks.c.id.desc())
    .limit(sa.bindparam("most"))
    .offset(sa.bindparam("after"))
    .cte("some")
)


def _in_period(name: str, track: sa.ColumnElement[UUID]) -> sa.ColumnElement[int]:
    found = sa.select(sa.func.sum(DAYS[name])).where(
        DAYS.track_id == track, DAYS.day >= sa.bindparam("first"), DAYS.day <= sa.bindparam("last")
    )
    return sa.cast(sa.func.coalesce(found.scalar_subquery(), 0), sa.BigInteger).label(name)


# Of very many candidates few are the best: of those alone the rest is read.
_CANDIDATES = Statement(
    sa.select(_some.c.id.label("track_id"), _some.c.play_count, _in_period("plays", _some.c.id)).order_by(
        _some.c.play_count.desc(), _some.c.id.desc()
    ),
    Candidate,
    heavy=True,
)
_PLAYED = Statement(
    sa.select(
        tracks.c.id.label("track_id"),
        tracks.c.title,
        _in_period("plays", tracks.c.id),
        _in_period("heard_ms", tracks.c.id),
    ).where(any_of(tracks.c.id, "ids")),
    PlayedTrack,
    heavy=True,
)


async def top_fans(tx: Tx, artist_id: UUID, most: int) -> list[Fan]:
    """Who hears most of an artist."""
    return await tx.all(_FANS, artist=artist_id, most=most)


async def candidates(
    tx: Tx, artist_id: UUID, first: int, last: int, *, most: int, after: int
) -> list[Candidate]:
    """So many of an artist's listed tracks after so many, those most played of all time first."""
    return await tx.all(_CANDIDATES, artist=artist_id, first=first, last=last, most=most, after=after)


async def played_tracks(tx: Tx, ids: Sequence[UUID], first: int, last: int) -> list[PlayedTrack]:
    """What was heard of these tracks, in no order."""
    return await tx.all(_PLAYED, ids=ids, first=first, last=last)
