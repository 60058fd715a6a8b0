"""Who and what the demo's world consists of, made by the services that everybody's things are made by.

Run again, it makes what is missing: people by their names, songs and playlists by their titles, and the month
of plays, likes and comments of those songs that nobody has heard.
"""

import asyncio
import base64
import hmac
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import msgspec

from veza.access.actor import GUEST, SYSTEM, Member
from veza.core import clock
from veza.core.ids import new_id
from veza.core.pages import MAX_LIMIT, Page
from veza.demo.files import SongFailed, write_song
from veza.demo.follows import add_follows
from veza.demo.life import SPAN, fame_of, live
from veza.demo.mixes import add_mixes
from veza.demo.songs import ARTISTS, SONGS, Song
from veza.demo.talk import CROWD, LISTENER
from veza.parts import Parts
from veza.rooms.accounts.admin import create_user
from veza.rooms.accounts.errors import UserNotFound
from veza.rooms.accounts.profiles import get_by_username
from veza.rooms.accounts.store import User
from veza.rooms.tracks.folder import Walk
from veza.rooms.tracks.imported import Owner
from veza.rooms.tracks.library import Library, Rules, anybody_has_tracks
from veza.rooms.tracks.schemas import TrackSummary
from veza.rooms.tracks.service import list_tracks

# A name that no mail is ever sent to (RFC 2606).
_DOMAIN = "demo.invalid"
# Everything was there before it was heard.
_BEGAN = SPAN + timedelta(days=4)


class DemoRefused(Exception):
    """The demo does not belong where other people's things are, or its files cannot be made."""


class Login(msgspec.Struct, frozen=True):
    """How to sign in as one of the demo's people."""

    email: str
    password: str


class Demo(msgspec.Struct, frozen=True):
    """What there is to look at: whom to sign in as, and the song that most is said about, if it is there."""

    logins: Sequence[Login]
    star: UUID | None


async def make_world(
    parts: Parts,
    *,
    force: bool = False,
    songs: Sequence[Song] = SONGS,
    tell: Callable[[str], None] = lambda _: None,
) -> Demo:
    """Make what is not there yet. ``tell`` hears the title of each song that is made.

    The files of songs come first: where they cannot be made, nothing else is. Raises :class:`DemoRefused`
    then, where there is music already, but neither the demo nor ``force``, and where somebody has a name that
    the demo needs.
    """
    names = [*ARTISTS, LISTENER, *CROWD]
    there = {name: user for name in names if (user := await _find(parts, name)) is not None}
    async with parts.database.read() as view:
        if not (there or force) and await anybody_has_tracks(view):
            raise DemoRefused("there is other people's music here already; --force adds the demo to it.")
    with _workshop() as folder:
        await _play(parts, there, songs, folder, tell)
        with clock.shifted(-_BEGAN):
            people = {name: there.get(name) or await _create(parts, name) for name in names}
        for number, name in enumerate(ARTISTS):
            with clock.shifted(timedelta(days=number + 1) - _BEGAN):
                await _take(parts, people[name], folder / name)
    members = {name: _member(user) for name, user in people.items()}
    await add_follows(parts.database, members)
    tracks: dict[str, TrackSummary] = {}
    for name in ARTISTS:
        tracks |= await _tracks(parts, people[name])
    known = sorted((song for song in songs if song.title in tracks), key=fame_of, reverse=True)
    for song in known:
        await live(parts.database, members, song, tracks[song.title])
    await add_mixes(parts.database, members, {title: track.id for title, track in tracks.items()})
    return Demo(
        [Login(_email(name), _password(parts, name)) for name in (*ARTISTS, LISTENER)],
        tracks[known[0].title].id if known else None,
    )


async def _find(parts: Parts, name: str) -> User | None:
    async with parts.database.read() as view:
        try:
            user = await get_by_username(view, SYSTEM, name)
        except UserNotFound:
            return None
    if user.email != _email(name):
        raise DemoRefused(f"somebody here is called {name}, as one of the demo's people is.")
    return user


async def _create(parts: Parts, name: str) -> User:
    return await create_user(
        parts.database, parts.hasher,
        username=name, email=_email(name), password=_password(parts, name), admin=False,
    )  # fmt: skip


def _member(user: User) -> Member:
    return Member(id=user.id, session_id=new_id(), username=user.username, role=user.role)


@contextmanager
def _workshop() -> Iterator[Path]:
    """A folder with one for each artist, for as long as the block lasts. Raises :class:`DemoRefused`."""
    with ExitStack() as stack:
        try:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="veza-demo-")))
            for name in ARTISTS:
                (folder / name).mkdir()
        except OSError as problem:
            raise DemoRefused(f"there is no room for the files of songs: {problem.strerror}.") from None
        yield folder


async def _play(
    parts: Parts,
    there: Mapping[str, User],
    songs: Sequence[Song],
    folder: Path,
    tell: Callable[[str], None],
) -> None:
    """Write the files of the songs that are missing, each into the folder of its artist."""
    for name in ARTISTS:
        known = await _tracks(parts, there[name]) if name in there else {}
        for song in songs:
            if song.artist == name and song.title not in known:
                tell(song.title)
                try:
                    await asyncio.to_thread(write_song, song, folder / name)
                except SongFailed as problem:
                    raise DemoRefused(str(problem)) from None


async def _take(parts: Parts, user: User, folder: Path) -> None:
    owner, rules = Owner(user.id, user.username), Rules(parts.settings.max_file_size)
    await Library(parts.database, parts.storage, owner, rules).take(Walk(folder).files())


async def _tracks(parts: Parts, user: User) -> Mapping[str, TrackSummary]:
    """What everybody sees of a user's tracks, by title."""
    async with parts.database.read() as view:
        found = await list_tracks(view, GUEST, Page(limit=MAX_LIMIT), user_id=user.id)
    return {track.title: track for track in found.tracks}


def _email(name: str) -> str:
    return f"{name}@{_DOMAIN}"


def _password(parts: Parts, name: str) -> str:
    """Of this installation alone, and the same each time: nobody who knows the source can guess it."""
    _, key = parts.keyring.derive("demo")[0]
    text = base64.b32encode(hmac.digest(key, name.encode(), "sha256")[:10]).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, 16, 4))
