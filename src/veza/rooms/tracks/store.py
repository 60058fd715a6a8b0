"""All SQL about tracks."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import product
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx, any_of
from veza.core.pages import Page
from veza.core.text import fold
from veza.rooms.tracks.schemas import Track, TrackSummary
from veza.rooms.tracks.tables import renditions, track_counts, track_stats, tracks

T = tracks.c
# Beyond this offset a page is found in the index first and its rows are read afterwards.
DEEP = 100
# Beyond this one even the index takes milliseconds to walk.
VERY_DEEP = 20_000


class TrackFilter(msgspec.Struct, frozen=True):
    """Which tracks, in which order; ``own`` lists everything of ``user_id``, ready and public or not.

    Those of the ``hidden`` users are left out. An empty ``genre_key`` is one that no track has.
    """

    user_id: UUID | None = None
    genre_key: str | None = None
    format: str | None = None
    sort: str = "created_at"
    descending: bool = True
    own: bool = False
    hidden: frozenset[UUID] = frozenset()

    @property
    def by(self) -> tuple[str, ...]:
        """The columns that it filters by."""
        return tuple(name for name in ("user_id", "genre_key", "format") if getattr(self, name) is not None)

    @property
    def scope(self) -> str:
        """The name of this filter's kept count."""
        return scope_of(self.user_id, self.genre_key, self.format)

    @property
    def hidden_scopes(self) -> list[str]:
        """The names of the kept counts of what is left out of it."""
        users = [self.user_id] if self.user_id else self.hidden
        return [scope_of(user_id, self.genre_key, self.format) for user_id in users]


class RenditionFile(msgspec.Struct, frozen=True):
    """Where a rendition's bytes are, and what they are."""

    name: str
    key: str
    mime: str
    size: int


class NewTrack(msgspec.Struct, frozen=True):
    """A track to be written, with what only the store keeps of it."""

    track: Track
    sha256: str
    filename: str


class Titled(msgspec.Struct, frozen=True):
    """How a track is called, whose it is, and whether everybody sees it."""

    id: UUID
    user_id: UUID
    title: str
    listed: bool


# The kept count of all tracks, listed or not.
ALL_TRACKS = "*"


def scope_of(user_id: UUID | None, genre_key: str | None, form: str | None) -> str:
    """The name of a kept count: of a user's, a genre's or a format's tracks, or a combination."""
    return f"{user_id or ''}|{genre_key or ''}|{form or ''}"


_SUMMARY = [tracks.c[name] for name in TrackSummary.__struct_fields__]
_SORTS = {"created_at": T.created_at, "title": T.title_key, "popularity": T.play_count}
_INSERT: Statement[None] = Statement(sa.insert(tracks))
# A track by itself shows its plays as they are; lists are sorted by what `tracks` has, which follows soon.
_PLAYS = sa.select(track_stats.c.charted).where(track_stats.c.track_id == T.id).correlate(tracks)
_PLAY_COUNT = sa.func.coalesce(_PLAYS.scalar_subquery(), T.play_count).label("play_count")
_FULL = sa.select(
    *(_PLAY_COUNT if name == "play_count" else tracks.c[name] for name in Track.__struct_fields__)
)
_GET = Statement(_FULL.where(T.id == sa.bindparam("id")), Track)
# Who sees it is asked with it: so what one may not see takes no longer to be missed than what is not there.
_GET_SEEN = Statement(
    _FULL.where(
        T.id == sa.bindparam("id"),
        sa.or_(
            T.listed,
            T.user_id == sa.bindparam("viewer_id"),
            sa.bindparam("everything", type_=sa.Boolean),
        ),
    ),
    Track,
)
_LOCK = Statement(_FULL.where(T.id == sa.bindparam("id")).with_for_update(), Track)
_KEEP = Statement(_FULL.where(T.id == sa.bindparam("id")).with_for_update(read=True), Track)
_LISTED = Statement(sa.select(*_SUMMARY).where(any_of(T.id, "ids"), T.listed), TrackSummary)
_TITLES = Statement(sa.select(T.id, T.user_id, T.title, T.listed).where(any_of(T.id, "ids")), Titled)
_OTHERWISE = Statement(
    sa.select(T.id)
    .where(T.user_id == sa.bindparam("user_id"), T.closed != sa.bindparam("closed"))
    .order_by(T.id)
    .limit(sa.bindparam("most", type_=sa.BigInteger)),
    UUID,
)
_OF_USER = Statement(_FULL.where(T.user_id == sa.bindparam("user_id")).order_by(T.id), Track)
_LOCK_USERS = Statement(
    _FULL.where(T.user_id == sa.bindparam("user_id")).order_by(T.id).with_for_update(), Track
)
_DELETE: Statement[None] = Statement(sa.delete(tracks).where(T.id == sa.bindparam("id")))
_COUNT = Statement(sa.select(track_counts.c.total).where(track_counts.c.scope == sa.bindparam("scope")), int)
_SUM = Statement(
    sa.select(sa.cast(sa.func.sum(track_counts.c.total), sa.BigInteger)).where(
        any_of(track_counts.c.scope, "scopes")
    ),
    int,
)
_ADD_COUNT: Statement[None] = Statement(
    sa.text(
        "INSERT INTO track_counts (scope, total) VALUES (:scope, :change) "
        "ON CONFLICT (scope) DO UPDATE SET total = track_counts.total + excluded.total"
    ).bindparams(sa.bindparam("scope", type_=sa.Text), sa.bindparam("change", type_=sa.BigInteger))
)
_PROGRESS: Statement[None] = Statement(
    sa.update(tracks)
    .where(T.id == sa.bindparam("track_id"), T.status == "processing", T.progress < sa.bindparam("percent"))
    .values(progress=sa.bindparam("percent"))
)
_DELETE_OF_USER: Statement[None] = Statement(sa.delete(tracks).where(T.user_id == sa.bindparam("user_id")))
_ADD_RENDITION: Statement[None] = Statement(sa.insert(renditions))
_DROP_RENDITIONS: Statement[None] = Statement(
    sa.delete(renditions).where(renditions.c.track_id == sa.bindparam("track_id"))
)
_RENDITION = Statement(
    sa.select(renditions.c.name, renditions.c.key, renditions.c.mime, renditions.c.size).where(
        renditions.c.track_id == sa.bindparam("track_id"), renditions.c.name == sa.bindparam("name")
    ),
    RenditionFile,
)
_KEYS = Statement(sa.select(renditions.c.key).where(renditions.c.track_id == sa.bindparam("track_id")), str)


async def find(tx: Tx, track_id: UUID) -> Track | None:
    """The track, whoever asks."""
    return await tx.first(_GET, id=track_id)


async def find_seen(tx: Tx, track_id: UUID, viewer_id: UUID | None, *, everything: bool) -> Track | None:
    """The track, if it is listed or this user's own; or if they see everything."""
    return await tx.first(_GET_SEEN, id=track_id, viewer_id=viewer_id, everything=everything)


async def lock(tx: Tx, track_id: UUID) -> Track | None:
    """The track, which nobody else changes until ``tx`` is over."""
    return await tx.first(_LOCK, id=track_id)


async def keep(tx: Tx, track_id: UUID) -> Track | None:
    """The track, which nobody changes until ``tx`` is over; others may keep it so as well."""
    return await tx.first(_KEEP, id=track_id)


async def list_of(tx: Tx, user_id: UUID) -> list[Track]:
    """Every track of a user."""
    return await tx.all(_OF_USER, user_id=user_id)


async def list_otherwise(tx: Tx, user_id: UUID, most: int, *, closed: bool) -> list[UUID]:
    """So many tracks of a user of which it is not so: closed, or open."""
    return await tx.all(_OTHERWISE, user_id=user_id, most=most, closed=closed)


async def list_listed(tx: Tx, ids: Sequence[UUID]) -> list[TrackSummary]:
    """Of these tracks the ones that everybody sees, in any order."""
    return await tx.all(_LISTED, ids=ids) if ids else []


async def list_titles(tx: Tx, ids: Sequence[UUID]) -> list[Titled]:
    """How these tracks are called, and who may know it; in any order."""
    return await tx.all(_TITLES, ids=ids) if ids else []


async def page(tx: Tx, wanted: TrackFilter, page: Page) -> list[TrackSummary]:
    """One page of a list."""
    statement = _page_statement(
        by=wanted.by, sort=wanted.sort, descending=wanted.descending, own=wanted.own,
        deep=(page.offset >= DEEP) + (page.offset >= VERY_DEEP), hiding=bool(wanted.hidden),
    )  # fmt: skip
    return await tx.all(
        statement,
        user_id=wanted.user_id,
        genre_key=wanted.genre_key,
        format=wanted.format,
        hidden=wanted.hidden,
        limit=page.limit,
        offset=page.offset,
    )


@cache
def _page_statement(
    *, by: tuple[str, ...], sort: str, descending: bool, own: bool, deep: int, hiding: bool
) -> Statement[TrackSummary]:
    conditions = _conditions(by, own=own)
    if hiding:  # and there may be very many of theirs to pass over
        conditions.append(sa.not_(any_of(T.user_id, "hidden")))
    ordering = [column.desc() if descending else column.asc() for column in (_SORTS[sort], T.id)]
    here = {
        "limit": sa.bindparam("limit", type_=sa.BigInteger),
        "offset": sa.bindparam("offset", type_=sa.BigInteger),
    }
    if not deep:
        chosen = sa.select(*_SUMMARY).where(*conditions).order_by(*ordering)
        return Statement(chosen.limit(here["limit"]).offset(here["offset"]), TrackSummary, heavy=hiding)
    ids = sa.select(T.id).where(*conditions).order_by(*ordering).limit(here["limit"]).offset(here["offset"])
    found = ids.subquery("found")
    joined = sa.select(*_SUMMARY).select_from(found.join(tracks, T.id == found.c.id)).order_by(*ordering)
    return Statement(joined, TrackSummary, heavy=deep > 1 or hiding)


def _conditions(by: tuple[str, ...], *, own: bool) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = [tracks.c[name] == sa.bindparam(name) for name in by]
    return conditions if own else [*conditions, T.listed]


async def total(tx: Tx, wanted: TrackFilter) -> int:
    """How many tracks a filter finds: kept, not counted, but for an owner's own list."""
    if wanted.own:
        here = {"user_id": wanted.user_id, "genre_key": wanted.genre_key, "format": wanted.format}
        return await tx.first(_count_statement(wanted.by), **here) or 0
    if wanted.genre_key == "":
        return 0
    total = await tx.first(_COUNT, scope=wanted.scope) or 0
    if total and wanted.hidden:
        total -= await tx.first(_SUM, scopes=wanted.hidden_scopes) or 0
    return total


@cache
def _count_statement(by: tuple[str, ...]) -> Statement[int]:
    return Statement(sa.select(sa.func.count(T.id)).where(*_conditions(by, own=True)), int)


async def add(tx: Tx, track: Track, *, filename: str) -> None:
    """Write a new track, which nobody but its owner sees yet; the sum of its bytes comes later."""
    await tx.run(_INSERT, **_row(track, sha256="", filename=filename, listed=False))
    await _count(tx, come=[track])


async def add_many(tx: Tx, new: Sequence[NewTrack]) -> None:
    """Write many tracks of one batch, of which some may be listed at once, and the kept counts."""
    rows = [_row(one.track, sha256=one.sha256, filename=one.filename, listed=one.track.listed) for one in new]
    await tx.run_many(_INSERT, rows)
    await _count(tx, come=[one.track for one in new])


def _row(track: Track, **more: Any) -> dict[str, Any]:
    row = {name: getattr(track, name) for name in Track.__struct_fields__}
    return row | _keys(row) | more


async def change(tx: Tx, before: Track, changes: Mapping[str, Any], *, sha256: str | None = None) -> Track:
    """Change columns of a track that is locked, and the kept counts with it; what it is afterwards."""
    after = msgspec.structs.replace(before, **changes, updated_at=clock.now())
    values = {name: getattr(after, name) for name in changes} | _keys(changes)
    if sha256 is not None:
        values["sha256"] = sha256
    values |= {"listed": after.listed, "updated_at": after.updated_at}
    await tx.run(
        _update_statement(tuple(sorted(values))),
        track_id=before.id,
        **{f"new_{k}": v for k, v in values.items()},
    )
    await _count(tx, gone=[before], come=[after])
    return after


@cache
def _update_statement(names: tuple[str, ...]) -> Statement[None]:
    values = {name: sa.bindparam(f"new_{name}", type_=tracks.c[name].type) for name in names}
    return Statement(sa.update(tracks).where(T.id == sa.bindparam("track_id")).values(**values))


async def delete(tx: Tx, track: Track) -> None:
    """Delete a track that is locked."""
    await tx.run(_DELETE, id=track.id)
    await _count(tx, gone=[track])


async def delete_of(tx: Tx, user_id: UUID) -> list[Track]:
    """Delete every track of a user; what they were."""
    gone = await tx.all(_LOCK_USERS, user_id=user_id)
    await tx.run(_DELETE_OF_USER, user_id=user_id)
    await _count(tx, gone=gone)
    return gone


async def _count(tx: Tx, *, gone: Iterable[Track] = (), come: Iterable[Track] = ()) -> None:
    changes: Counter[str] = Counter()
    for tracks_, step in ((gone, -1), (come, 1)):
        for track in tracks_:
            changes.update(dict.fromkeys(scopes_of(track), step))
    # Always in the same order, so that two transactions never wait for each other; and one by one, since
    # asyncpg's executemany breaks the connection where a row has to be waited for in vain.
    for scope, change in sorted(changes.items()):
        if change:
            await tx.run(_ADD_COUNT, scope=scope, change=change)


async def count_all(tx: Tx) -> int:
    """How many there are, listed or not."""
    return await tx.first(_COUNT, scope=ALL_TRACKS) or 0


def scopes_of(track: Track) -> set[str]:
    """Every kept count that a track is part of."""
    if not track.listed:
        return {ALL_TRACKS}
    parts = ((None, track.user_id), (None, fold_genre(track.genre)), (None, track.format))
    return {ALL_TRACKS, *(scope_of(*combination) for combination in product(*parts))}


async def progress(tx: Tx, track_id: UUID, percent: int) -> int:
    """Move a track's progress forward, never back; how many tracks that were."""
    return await tx.run(_PROGRESS, track_id=track_id, percent=percent)


async def set_renditions(tx: Tx, track_id: UUID, rows: Iterable[Mapping[str, Any]]) -> None:
    """Put these renditions in the place of those there are."""
    await tx.run(_DROP_RENDITIONS, track_id=track_id)
    await tx.run_many(_ADD_RENDITION, [{"track_id": track_id, "layout": None, **row} for row in rows])


async def rendition(tx: Tx, track_id: UUID, name: str) -> RenditionFile | None:
    """One rendition of a track."""
    return await tx.first(_RENDITION, track_id=track_id, name=name)


async def rendition_keys(tx: Tx, track_id: UUID) -> list[str]:
    """Where a track's renditions lie."""
    return await tx.all(_KEYS, track_id=track_id)


def fold_genre(genre: str | None) -> str | None:
    """What a genre is compared by; None for one without a letter."""
    return (fold(genre) or None) if genre else None


def _keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """The folded columns that go with these."""
    keys: dict[str, Any] = {}
    if "title" in values:
        keys["title_key"] = fold(values["title"])
    if "artist" in values:
        keys["artist_key"] = fold(values["artist"])
    if "genre" in values:
        keys["genre_key"] = fold_genre(values["genre"])
    return keys
