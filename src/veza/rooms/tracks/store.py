"""All SQL about tracks."""

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import product
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx
from veza.core.pages import Page
from veza.core.text import fold
from veza.rooms.tracks.schemas import Track, TrackSummary
from veza.rooms.tracks.tables import renditions, track_counts, tracks

T = tracks.c
# Beyond this offset a page is found in the index first and its rows are read afterwards.
DEEP = 100


class TrackFilter(msgspec.Struct, frozen=True):
    """Which tracks, in which order; ``own`` lists everything of ``user_id``, ready and public or not."""

    user_id: UUID | None = None
    genre_key: str | None = None
    format: str | None = None
    sort: str = "created_at"
    descending: bool = True
    own: bool = False

    @property
    def scope(self) -> str:
        """The name of this filter's kept count."""
        return scope_of(self.user_id, self.genre_key, self.format)


class RenditionFile(msgspec.Struct, frozen=True):
    """Where a rendition's bytes are, and what they are."""

    name: str
    key: str
    mime: str
    size: int


def scope_of(user_id: UUID | None, genre_key: str | None, form: str | None) -> str:
    """The name of a kept count: of a user's, a genre's or a format's tracks, or a combination."""
    return f"{user_id or ''}|{genre_key or ''}|{form or ''}"


_SUMMARY = [tracks.c[name] for name in TrackSummary.__struct_fields__]
_SORTS = {"created_at": T.created_at, "title": T.title_key, "popularity": T.play_count}
_INSERT: Statement[None] = Statement(sa.insert(tracks))
_GET = Statement(
    sa.select(*(tracks.c[name] for name in Track.__struct_fields__)).where(T.id == sa.bindparam("id")), Track
)
_DELETE: Statement[None] = Statement(sa.delete(tracks).where(T.id == sa.bindparam("id")))
_COUNT = Statement(sa.select(track_counts.c.total).where(track_counts.c.scope == sa.bindparam("scope")), int)
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
_FILENAME = Statement(sa.select(T.filename).where(T.id == sa.bindparam("id")), str)
_OWNED = Statement(sa.select(sa.func.count()).where(T.user_id == sa.bindparam("user_id")), int)
_FILES = Statement(sa.select(T.id).where(T.user_id == sa.bindparam("user_id")), UUID)
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


async def find(tx: Tx, track_id: UUID) -> Track | None:
    """The track, whoever asks."""
    return await tx.first(_GET, id=track_id)


async def page(tx: Tx, wanted: TrackFilter, page: Page) -> list[TrackSummary]:
    """One page of a list."""
    statement = _page_statement(
        by=tuple(name for name in ("user_id", "genre_key", "format") if getattr(wanted, name) is not None),
        sort=wanted.sort,
        descending=wanted.descending,
        own=wanted.own,
        deep=page.offset >= DEEP,
    )
    return await tx.all(
        statement,
        user_id=wanted.user_id,
        genre_key=wanted.genre_key,
        format=wanted.format,
        limit=page.limit,
        offset=page.offset,
    )


@cache
def _page_statement(
    *, by: tuple[str, ...], sort: str, descending: bool, own: bool, deep: bool
) -> Statement[TrackSummary]:
    conditions = [tracks.c[name] == sa.bindparam(name) for name in by]
    if not own:
        conditions.append(T.listed)
    ordering = [column.desc() if descending else column.asc() for column in (_SORTS[sort], T.id)]
    here = {
        "limit": sa.bindparam("limit", type_=sa.BigInteger),
        "offset": sa.bindparam("offset", type_=sa.BigInteger),
    }
    if not deep:
        chosen = sa.select(*_SUMMARY).where(*conditions).order_by(*ordering)
        return Statement(chosen.limit(here["limit"]).offset(here["offset"]), TrackSummary)
    ids = sa.select(T.id).where(*conditions).order_by(*ordering).limit(here["limit"]).offset(here["offset"])
    found = ids.subquery("found")
    joined = sa.select(*_SUMMARY).select_from(found.join(tracks, T.id == found.c.id)).order_by(*ordering)
    return Statement(joined, TrackSummary)


async def total(tx: Tx, wanted: TrackFilter) -> int:
    """How many tracks a filter finds: kept, not counted, but for an owner's own list."""
    if wanted.own:
        return await tx.first(_OWNED, user_id=wanted.user_id) or 0
    return await tx.first(_COUNT, scope=wanted.scope) or 0


async def add(tx: Tx, track: Track, *, sha256: str, filename: str) -> None:
    """Write a new track, which nobody but its owner sees yet."""
    row = {name: getattr(track, name) for name in Track.__struct_fields__}
    await tx.run(_INSERT, **row, **_keys(row), sha256=sha256, filename=filename, listed=False)


async def change(tx: Tx, before: Track, changes: Mapping[str, Any]) -> Track:
    """Change columns of a track, and the kept counts with it; what it is afterwards."""
    after = msgspec.structs.replace(before, **changes, updated_at=clock.now())
    values = {name: getattr(after, name) for name in changes} | _keys(changes)
    values |= {"listed": after.listed, "updated_at": after.updated_at}
    await tx.run(
        _update_statement(tuple(sorted(values))),
        track_id=before.id,
        **{f"new_{k}": v for k, v in values.items()},
    )
    await _count(tx, before, -1)
    await _count(tx, after, 1)
    return after


@cache
def _update_statement(names: tuple[str, ...]) -> Statement[None]:
    values = {name: sa.bindparam(f"new_{name}", type_=tracks.c[name].type) for name in names}
    return Statement(sa.update(tracks).where(T.id == sa.bindparam("track_id")).values(**values))


async def delete(tx: Tx, track: Track) -> bool:
    """Delete a track; False when somebody else just did."""
    if not await tx.run(_DELETE, id=track.id):
        return False
    await _count(tx, track, -1)
    return True


async def _count(tx: Tx, track: Track, change: int) -> None:
    if not track.listed:
        return
    genre = _fold_genre(track.genre)
    scopes = {
        scope_of(*combination)
        for combination in product((None, track.user_id), (None, genre), (None, track.format))
    }
    # Always in the same order, so that two transactions never wait for each other.
    await tx.run_many(_ADD_COUNT, [{"scope": scope, "change": change} for scope in sorted(scopes)])


async def progress(tx: Tx, track_id: UUID, percent: int) -> None:
    """Move a track's progress forward; never back."""
    await tx.run(_PROGRESS, track_id=track_id, percent=percent)


async def filename(tx: Tx, track_id: UUID) -> str:
    """The name of the uploaded file."""
    return await tx.first(_FILENAME, id=track_id) or "track"


async def ids_of(tx: Tx, user_id: UUID) -> list[UUID]:
    """Every track of a user."""
    return await tx.all(_FILES, user_id=user_id)


async def set_renditions(tx: Tx, track_id: UUID, rows: Iterable[Mapping[str, Any]]) -> None:
    """Put these renditions in the place of those there are."""
    await tx.run(_DROP_RENDITIONS, track_id=track_id)
    await tx.run_many(_ADD_RENDITION, [{"track_id": track_id, **row} for row in rows])


async def rendition(tx: Tx, track_id: UUID, name: str) -> RenditionFile | None:
    """One rendition of a track."""
    return await tx.first(_RENDITION, track_id=track_id, name=name)


def _fold_genre(genre: str | None) -> str | None:
    return fold(genre) if genre else None


def _keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """The folded columns that go with these."""
    keys: dict[str, Any] = {}
    if "title" in values:
        keys["title_key"] = fold(values["title"])
    if "artist" in values:
        keys["artist_key"] = fold(values["artist"])
    if "genre" in values:
        keys["genre_key"] = _fold_genre(values["genre"])
    return keys
