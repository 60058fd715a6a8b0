"""All SQL about playlists themselves; what is in them and who works on them have stores of their own."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Id, Statement, Tx, any_of
from veza.core.pages import MAX_LIMIT, Page
from veza.core.text import fold
from veza.rooms.accounts.tables import users
from veza.rooms.playlists.hidden_store import take_away
from veza.rooms.playlists.schemas import Playlist, PlaylistSummary
from veza.rooms.playlists.tables import (
    playlist_collaborators,
    playlist_counts,
    playlist_entries,
    playlist_follows,
    playlists,
)

P = playlists.c
E = playlist_entries.c
C = playlist_collaborators.c
F = playlist_follows.c
# Beyond this offset a page takes milliseconds to walk to; as does one of more than callers may ask for.
DEEP = 5_000


class Sight(msgspec.Struct, frozen=True):
    """Whose eyes see a playlist: what is theirs, and with ``all`` every track, but nothing of the hidden."""

    viewer: UUID | None
    all: bool = False
    hidden: frozenset[UUID] = frozenset()


class Wanted(msgspec.Struct, frozen=True):
    """Which playlists: those of one user, if one is named; and only public or private ones, if so said."""

    user_id: UUID | None = None
    is_public: bool | None = None

    def branches(self, sight: Sight) -> tuple[str, ...]:
        """Of what the list is made: public ones, the viewer's own private ones, those of others with them."""
        own = ("own",) if self.user_id in {None, sight.viewer} else ()
        public = () if self.is_public is False else ("public",)
        return public if self.is_public else (*public, *own, "shared")

    def whose(self, sight: Sight) -> str:
        """Of which users: one, any, or any but the hidden."""
        return "one" if self.user_id else "not hidden" if sight.hidden else "any"


class Sums(msgspec.Struct, frozen=True):
    """What entries add up to, or add: all of them, and those whose tracks everybody sees; milliseconds."""

    count: int = 0
    listed: int = 0
    total_ms: int = 0
    listed_ms: int = 0

    @classmethod
    def of(cls, ms: int, *, listed: bool) -> "Sums":
        """What one entry adds."""
        return cls(1, int(listed), ms, ms if listed else 0)

    def __sub__(self, other: "Sums") -> "Sums":
        return Sums(
            self.count - other.count,
            self.listed - other.listed,
            self.total_ms - other.total_ms,
            self.listed_ms - other.listed_ms,
        )


class CoverFolders(msgspec.Struct, frozen=True):
    """Where the cover of a playlist lies that somebody uploaded, and the one made of its tracks' covers."""

    cover: str | None
    mosaic: str | None


viewer = sa.bindparam("viewer", type_=Id)
sees_all = sa.bindparam("all", type_=sa.Boolean)
_one = P.id == sa.bindparam("id")
# What everybody sees: few are closed, so they have no index of their own.
listed = sa.and_(P.is_public, sa.not_(P.closed))

_unlisted = sa.and_(E.playlist_id == P.id, sa.not_(E.listed), E.track_owner == viewer)
_own_count = sa.select(sa.func.count()).where(_unlisted).correlate(playlists).scalar_subquery()
_own_ms = (
    sa.select(sa.func.coalesce(sa.func.sum(E.duration_ms), 0))
    .where(_unlisted)
    .correlate(playlists)
    .scalar_subquery()
)
# What somebody sees: what everybody sees, and what is their own.
_count = sa.case(
    (P.track_count == P.listed_count, P.listed_count),
    (sees_all, P.track_count),
    else_=P.listed_count + sa.cast(_own_count, sa.BigInteger),
)
_ms = sa.case(
    (P.track_count == P.listed_count, P.listed_ms),
    (sees_all, P.total_ms),
    else_=P.listed_ms + sa.cast(_own_ms, sa.BigInteger),
)
_permission = sa.case(
    (P.user_id == viewer, sa.literal_column("'owner'")),
    else_=sa.select(C.permission)
    .where(C.playlist_id == P.id, C.user_id == viewer)
    .correlate(playlists)
    .scalar_subquery(),
)
_following = (
    sa.select(F.user_id).where(F.playlist_id == P.id, F.user_id == viewer).correlate(playlists).exists()
)
_SHOWN = {
    "username": users.c.username,
    "track_count": _count.label("track_count"),
    "total_duration": (sa.cast(_ms, sa.Double) / sa.literal_column("1000.0")).label("total_duration"),
    "permission": sa.type_coerce(_permission, sa.Text).label("permission"),
    "is_following": sa.type_coerce(_following, sa.Boolean).label("is_following"),
}


def _columns(kind: type[msgspec.Struct]) -> list[Any]:
    return [_SHOWN[name] if name in _SHOWN else P[name] for name in kind.__struct_fields__]


_with_owner = playlists.join(users, users.c.id == P.user_id)
_FIND = Statement(sa.select(*_columns(Playlist)).select_from(_with_owner).where(_one), Playlist)
_SOME = Statement(
    sa.select(*_columns(PlaylistSummary)).select_from(_with_owner).where(any_of(P.id, "ids"), listed),
    PlaylistSummary,
)
_LOCK = Statement(sa.select(P.id).where(_one).with_for_update(), UUID)
_LOCK_MANY = Statement(sa.select(P.id).where(any_of(P.id, "ids")).order_by(P.id).with_for_update(), UUID)
_OF_USER = Statement(
    sa.select(*_columns(PlaylistSummary)).select_from(_with_owner).where(P.user_id == viewer).order_by(P.id),
    PlaylistSummary,
)
_OTHERWISE = Statement(
    sa.select(P.id)
    .where(P.user_id == sa.bindparam("owner", type_=Id), P.closed != sa.bindparam("closed", type_=sa.Boolean))
    .order_by(P.id)
    .limit(sa.bindparam("most", type_=sa.BigInteger)),
    UUID,
)
_INSERT: Statement[None] = Statement(sa.insert(playlists))
_DELETE: Statement[None] = Statement(sa.delete(playlists).where(_one))
_COUNT = Statement(
    sa.select(playlist_counts.c.total).where(playlist_counts.c.scope == sa.bindparam("scope")), int
)
_SUM = Statement(
    sa.select(sa.cast(sa.func.sum(playlist_counts.c.total), sa.BigInteger)).where(
        any_of(playlist_counts.c.scope, "scopes")
    ),
    int,
)
_ADD_COUNT: Statement[None] = Statement(
    sa.text(
        "INSERT INTO playlist_counts (scope, total) VALUES (:scope, :change) "
        "ON CONFLICT (scope) DO UPDATE SET total = playlist_counts.total + excluded.total"
    ).bindparams(sa.bindparam("scope", type_=sa.Text), sa.bindparam("change", type_=sa.BigInteger))
)
_ADD: Statement[None] = Statement(
    sa.update(playlists)
    .where(any_of(P.id, "ids"))
    .values(
        track_count=P.track_count + sa.bindparam("count_more", type_=sa.BigInteger),
        listed_count=P.listed_count + sa.bindparam("listed_more", type_=sa.BigInteger),
        total_ms=P.total_ms + sa.bindparam("total_ms_more", type_=sa.BigInteger),
        listed_ms=P.listed_ms + sa.bindparam("listed_ms_more", type_=sa.BigInteger),
        version=P.version + 1,
        updated_at=sa.bindparam("at"),
    )
)
_FOLLOWERS: Statement[None] = Statement(
    sa.update(playlists)
    .where(any_of(P.id, "ids"))
    .values(follower_count=P.follower_count + sa.bindparam("change", type_=sa.BigInteger))
)
_OWNER = Statement(sa.select(P.user_id).where(_one), UUID)
_COVERS = Statement(sa.select(P.cover, P.mosaic).where(_one), CoverFolders)
_SET_MOSAIC: Statement[None] = Statement(
    sa.update(playlists).where(_one).values(mosaic=sa.bindparam("folder", type_=sa.Text))
)
_SIZE = Statement(sa.select(P.track_count).where(_one), int)
_private = sa.not_(P.is_public)
_shared_with = playlist_collaborators.join(playlists, P.id == C.playlist_id)


async def find(tx: Tx, playlist_id: UUID, sight: Sight) -> Playlist | None:
    """The playlist as somebody sees it, whether they may or not."""
    found = await tx.first(_FIND, id=playlist_id, viewer=sight.viewer, all=sight.all)
    return (await take_away(tx, [found], sight.hidden))[0] if found else None


async def list_public(tx: Tx, ids: Sequence[UUID], sight: Sight) -> list[PlaylistSummary]:
    """Of these playlists the public ones that are not of the hidden, in any order."""
    found = await tx.all(_SOME, ids=ids, viewer=sight.viewer, all=sight.all) if ids else []
    return await take_away(tx, [one for one in found if one.user_id not in sight.hidden], sight.hidden)


async def lock(tx: Tx, playlist_id: UUID) -> bool:
    """Nobody else changes the playlist or anything in it until ``tx`` is over; whether there is one.

    What is to be known of it is asked afterwards: only then is all seen that others have just changed.
    """
    return await tx.first(_LOCK, id=playlist_id) is not None


async def lock_many(tx: Tx, ids: Sequence[UUID]) -> list[UUID]:
    """The same for many: those that there are, in the order of their ids."""
    return await tx.all(_LOCK_MANY, ids=ids) if ids else []


async def owner_of(tx: Tx, playlist_id: UUID) -> UUID | None:
    """Whose playlist it is."""
    return await tx.first(_OWNER, id=playlist_id)


async def find_covers(tx: Tx, playlist_id: UUID) -> CoverFolders:
    """Where the covers of a playlist lie."""
    return await tx.first(_COVERS, id=playlist_id) or CoverFolders(None, None)


async def set_mosaic(tx: Tx, playlist_id: UUID, folder: str) -> None:
    """Where the cover lies that was made of its tracks' covers."""
    await tx.run(_SET_MOSAIC, id=playlist_id, folder=folder)


async def size(tx: Tx, playlist_id: UUID) -> int:
    """How many entries a playlist has, whoever sees them."""
    return await tx.first(_SIZE, id=playlist_id) or 0


async def list_of(tx: Tx, user_id: UUID) -> list[PlaylistSummary]:
    """Every playlist of a user, as they see it."""
    return await tx.all(_OF_USER, viewer=user_id, all=False)


async def list_otherwise(tx: Tx, user_id: UUID, most: int, *, closed: bool) -> list[UUID]:
    """So many playlists of a user of which it is not so: closed, or open."""
    return await tx.all(_OTHERWISE, owner=user_id, most=most, closed=closed)


async def add(tx: Tx, playlist: Playlist) -> None:
    """Write a new playlist, with nothing in it."""
    names = ("id", "user_id", "title", "description", "is_public", "closed", "created_at", "updated_at")
    row = {name: getattr(playlist, name) for name in names}
    sums = dict.fromkeys(("listed_count", "track_count", "total_ms", "listed_ms", "follower_count"), 0)
    row |= {"title_key": fold(playlist.title), "version": 0, "cover": None, "mosaic": None}
    await tx.run(_INSERT, **row, **sums)
    await _count_listed(tx, playlist, 1)


async def change(tx: Tx, before: Playlist, changes: Mapping[str, Any]) -> None:
    """Change columns of a playlist that is locked, and the kept counts with it."""
    values = {**changes, "updated_at": clock.now()}
    if "title" in values:
        values["title_key"] = fold(values["title"])
    await tx.run(
        _update_statement(tuple(sorted(values))), id=before.id, **{f"new_{k}": v for k, v in values.items()}
    )
    after = msgspec.structs.replace(
        before, **{name: changes[name] for name in ("user_id", "is_public", "closed") if name in changes}
    )
    if (after.user_id, after.listed) != (before.user_id, before.listed):
        await _count_listed(tx, before, -1)
        await _count_listed(tx, after, 1)


@cache
def _update_statement(names: tuple[str, ...]) -> Statement[None]:
    values = {name: sa.bindparam(f"new_{name}", type_=P[name].type) for name in names}
    return Statement(sa.update(playlists).where(_one).values(**values))


async def delete(tx: Tx, playlist: PlaylistSummary) -> None:
    """Delete a playlist that is locked; its entries and followers are left to be removed."""
    await tx.run(_DELETE, id=playlist.id)
    await _count_listed(tx, playlist, -1)


async def _count_listed(tx: Tx, playlist: PlaylistSummary, change: int) -> None:
    if playlist.listed:
        # Always in the same order, so that two transactions never wait for each other.
        for scope in ("", str(playlist.user_id)):
            await tx.run(_ADD_COUNT, scope=scope, change=change)


async def count_public(tx: Tx) -> int:
    """How many everybody sees."""
    return await tx.first(_COUNT, scope="") or 0


async def add_sums(tx: Tx, ids: Sequence[UUID], more: Sums = Sums()) -> None:  # noqa: B008 - frozen
    """Add as much to what the entries of each of these add up to; each is another version from now on."""
    await tx.run(
        _ADD,
        ids=ids,
        count_more=more.count,
        listed_more=more.listed,
        total_ms_more=more.total_ms,
        listed_ms_more=more.listed_ms,
        at=clock.now(),
    )


async def add_followers(tx: Tx, ids: Sequence[UUID], change: int) -> None:
    """So many followers more, or less, of each of these, which are held."""
    if ids:
        await tx.run(_FOLLOWERS, ids=ids, change=change)


async def page(tx: Tx, sight: Sight, wanted: Wanted, page: Page) -> list[PlaylistSummary]:
    """A page of the playlists that are public or on which the viewer works, but for those of the hidden."""
    whose = wanted.whose(sight)
    long = page.offset >= DEEP or page.limit > MAX_LIMIT
    statement = _page_statement(wanted.branches(sight), whose, long)
    found = await tx.all(
        statement, viewer=sight.viewer, all=sight.all, user=wanted.user_id, hidden=sight.hidden,
        most=page.offset + page.limit, limit=page.limit, offset=page.offset,
    )  # fmt: skip
    return await take_away(tx, found, sight.hidden)


# Whose playlists: a named user's, everybody's, or everybody's but those of the hidden.
_WHOSE: Mapping[str, Sequence[sa.ColumnElement[bool]]] = {
    "one": [P.user_id == sa.bindparam("user", type_=Id)],
    "any": [],
    "not hidden": [sa.not_(any_of(P.user_id, "hidden"))],
}


def _branch(name: str, columns: Sequence[Any], whose: str) -> sa.Select[Any]:
    here = _WHOSE[whose]
    chosen = sa.select(*columns)
    if name == "public":
        return chosen.select_from(playlists).where(listed, *here)
    if name == "own":
        return chosen.select_from(playlists).where(P.user_id == viewer, _private)
    return chosen.select_from(_shared_with).where(C.user_id == viewer, _private, sa.not_(P.closed), *here)


@cache
def _page_statement(branches: tuple[str, ...], whose: str, long: bool) -> Statement[PlaylistSummary]:  # noqa: FBT001 - part of a key
    newest = (P.created_at.desc(), P.id.desc())
    # Of each the newest, from its index; together they hold the page.
    most = sa.bindparam("most", type_=sa.BigInteger)
    parts = [
        _branch(name, (P.id, P.created_at), whose).order_by(*newest).limit(most).subquery()
        for name in branches
    ]
    every = sa.union_all(*(sa.select(part.c.id, part.c.created_at) for part in parts)).subquery("every_one")
    found = (
        sa.select(every.c.id)
        .order_by(every.c.created_at.desc(), every.c.id.desc())
        .limit(sa.bindparam("limit", type_=sa.BigInteger))
        .offset(sa.bindparam("offset", type_=sa.BigInteger))
        .subquery("found")
    )
    joined = found.join(playlists, P.id == found.c.id).join(users, users.c.id == P.user_id)
    shown = sa.select(*_columns(PlaylistSummary)).select_from(joined).order_by(*newest)
    # Of the hidden there may be very many to pass over.
    return Statement(shown, PlaylistSummary, heavy=long or whose == "not hidden")


async def total(tx: Tx, sight: Sight, wanted: Wanted) -> int:
    """How many playlists :func:`page` goes through: the public ones are kept, not counted."""
    branches, found = wanted.branches(sight), 0
    whose = wanted.whose(sight)
    if "public" in branches:
        found = await tx.first(_COUNT, scope=str(wanted.user_id or "")) or 0
        if whose == "not hidden":
            found -= await tx.first(_SUM, scopes=[str(one) for one in sight.hidden]) or 0
    for name in branches:
        if name != "public":
            statement = _count_statement(name, whose)
            here = {"viewer": sight.viewer, "user": wanted.user_id, "hidden": sight.hidden}
            found += await tx.first(statement, **here) or 0
    return found


@cache
def _count_statement(branch: str, whose: str) -> Statement[int]:
    return Statement(_branch(branch, (sa.func.count(P.id),), whose), int)
