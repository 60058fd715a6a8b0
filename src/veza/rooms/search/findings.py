"""The kinds of things that are found, and what each is to search.

A further room's things join by a :class:`Finding` in ``FINDINGS``, with tables of their kind and the events
after which :func:`veza.rooms.search.following.follow` looks at them again.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar
from uuid import UUID

from veza.access.actor import GUEST, SYSTEM, Actor
from veza.core.db import Tx
from veza.core.text import fold
from veza.rooms.accounts import profiles
from veza.rooms.accounts.errors import UserNotFound
from veza.rooms.accounts.schemas import Profile
from veza.rooms.playlists import service as playlists
from veza.rooms.playlists.errors import PlaylistNotFound
from veza.rooms.playlists.schemas import PlaylistSummary
from veza.rooms.search import source_store
from veza.rooms.search.entries_store import Document, Kind
from veza.rooms.search.postgres_store import PostgresIndex
from veza.rooms.search.source_store import Cursor, PlaylistText, TrackText, UserText
from veza.rooms.search.sqlite_store import SqliteIndex
from veza.rooms.search.store import Index
from veza.rooms.search.words import mark, words_of
from veza.rooms.tracks import service as tracks
from veza.rooms.tracks.errors import TrackNotFound
from veza.rooms.tracks.schemas import TrackSummary


class Finding(ABC):
    """How one kind of thing is found."""

    kind: ClassVar[Kind]

    @abstractmethod
    async def find(self, tx: Tx, thing_id: UUID) -> Document | None:
        """What search may know of a thing; None where strangers do not see it."""

    @abstractmethod
    async def show(self, tx: Tx, actor: Actor, ids: Sequence[UUID], base_url: str) -> Sequence[Any]:
        """The things with these ids that ``actor`` sees, in the order of the ids."""

    @abstractmethod
    async def read(self, tx: Tx, cursor: Cursor | None) -> tuple[Sequence[Document], Cursor | None]:
        """The next of all there is, on SQLite in the order of finding; and where to go on."""

    @abstractmethod
    async def total(self, tx: Tx) -> int:
        """How many there are."""


class Tracks(Finding):
    """Tracks that are ready and public: by title, artist, album, genre and tags."""

    kind = Kind("tracks", owner=("tracks", "user_id"), popularity=("tracks", "play_count"))

    async def find(self, tx: Tx, thing_id: UUID) -> Document | None:
        """What search may know of a track."""
        try:
            track = await tracks.get_visible(tx, SYSTEM, thing_id)
        except TrackNotFound:
            return None
        return _track(track) if track.listed else None

    async def show(self, tx: Tx, actor: Actor, ids: Sequence[UUID], base_url: str) -> Sequence[TrackSummary]:
        """Summaries of tracks."""
        del base_url
        return await tracks.list_by_ids(tx, ids, actor)

    async def read(self, tx: Tx, cursor: Cursor | None) -> tuple[Sequence[Document], Cursor | None]:
        """The next of all tracks that are ready and public."""
        found, cursor = await source_store.tracks(tx, cursor)
        return [_track(track) for track in found], cursor

    async def total(self, tx: Tx) -> int:
        """How many tracks are ready and public."""
        return await source_store.count_tracks(tx)


class Users(Finding):
    """Users, by the name that everybody sees; never by address, full name or anything else."""

    kind = Kind("users", owner=("users", "id"))

    async def find(self, tx: Tx, thing_id: UUID) -> Document | None:
        """What search may know of a user."""
        try:
            user = await profiles.get_visible(tx, GUEST, thing_id)
        except UserNotFound:
            return None
        return _user(UserText(user.id, user.username, user.created_at))

    async def show(self, tx: Tx, actor: Actor, ids: Sequence[UUID], base_url: str) -> Sequence[Profile]:
        """Profiles as guests see them."""
        del actor
        return [Profile.of(user, GUEST, base_url) for user in await profiles.list_by_ids(tx, ids)]

    async def read(self, tx: Tx, cursor: Cursor | None) -> tuple[Sequence[Document], Cursor | None]:
        """The next of all users."""
        found, cursor = await source_store.users(tx, cursor)
        return [_user(user) for user in found], cursor

    async def total(self, tx: Tx) -> int:
        """How many users there are."""
        return await source_store.count_users(tx)


class Playlists(Finding):
    """Playlists that are public, by title."""

    kind = Kind("playlists", owner=("playlists", "user_id"), popularity=("playlists", "follower_count"))

    async def find(self, tx: Tx, thing_id: UUID) -> Document | None:
        """What search may know of a playlist."""
        try:
            return _playlist(await playlists.get_visible(tx, GUEST, thing_id))
        except PlaylistNotFound:
            return None

    async def show(
        self, tx: Tx, actor: Actor, ids: Sequence[UUID], base_url: str
    ) -> Sequence[PlaylistSummary]:
        """Playlists with the numbers of what ``actor`` sees."""
        del base_url
        return await playlists.list_by_ids(tx, actor, ids)

    async def read(self, tx: Tx, cursor: Cursor | None) -> tuple[Sequence[Document], Cursor | None]:
        """The next of all playlists that are public."""
        found, cursor = await source_store.playlists(tx, cursor)
        return [_playlist(playlist) for playlist in found], cursor

    async def total(self, tx: Tx) -> int:
        """How many playlists are public."""
        return await source_store.count_playlists(tx)


TRACKS, USERS, PLAYLISTS = Tracks(), Users(), Playlists()
FINDINGS: Sequence[Finding] = (TRACKS, USERS, PLAYLISTS)


@cache
def _index(kind: Kind, dialect: str) -> Index:
    return SqliteIndex(kind) if dialect == "sqlite" else PostgresIndex(kind)


def index_of(finding: Finding, tx: Tx) -> Index:
    """What is known of a kind in the database of ``tx``."""
    return _index(finding.kind, tx.database.dialect)


def genre_mark(genre_key: str) -> str:
    """The mark of all tracks of a genre, as it is folded."""
    return mark("genre", genre_key)


def format_mark(form: str) -> str:
    """The mark of all tracks in a format."""
    return mark("format", form)


def owner_mark(user_id: UUID) -> str:
    """The mark of all things of a user."""
    return mark("owner", user_id.hex)


def _track(track: TrackText | Any) -> Document:
    words = words_of((track.title, track.artist, track.album, track.genre, *track.tags))
    words.add(format_mark(track.format))
    if genre := fold(track.genre or ""):
        words.add(genre_mark(genre))
    return Document(
        track.id, frozenset(words), fold(track.title), track.play_count, track.duration, track.created_at
    )


def _user(user: UserText) -> Document:
    return Document(
        user.id, frozenset(words_of((user.username,))), fold(user.username), 0, 0.0, user.created_at
    )


def _playlist(one: PlaylistText | PlaylistSummary) -> Document:
    words = words_of((one.title,)) | {owner_mark(one.user_id)}
    return Document(one.id, frozenset(words), fold(one.title), one.follower_count, 0.0, one.created_at)
