"""Who and what the demo's world consists of, made by the services that everybody's things are made by.

Run again, it makes what is missing: accounts by their names, songs by their content. What comes with further
rooms (likes, plays, comments, playlists) is added behind the songs, at the end of :func:`make_world`.
"""

import asyncio
import base64
import hmac
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from veza.demo.files import write_song
from veza.demo.songs import ARTISTS, SONGS, Song
from veza.parts import Parts
from veza.rooms.accounts.admin import create_user
from veza.rooms.accounts.errors import UserNotFound
from veza.rooms.accounts.profiles import get_user_by_username
from veza.rooms.accounts.store import User
from veza.rooms.tracks.folder import Walk
from veza.rooms.tracks.imported import Owner
from veza.rooms.tracks.library import Library, Rules, others_have_tracks

# A name that no mail is ever sent to (RFC 2606).
_DOMAIN = "demo.invalid"
LISTENER = "mira"


class DemoRefused(Exception):
    """The demo does not belong where other people's things are."""


class Login(msgspec.Struct, frozen=True):
    """How to sign in as one of the demo's people."""

    email: str
    password: str


async def make_world(
    parts: Parts,
    *,
    force: bool = False,
    songs: Sequence[Song] = SONGS,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Login]:
    """Make what is not there yet; how to sign in. ``tell`` hears the title of each song that is made.

    Raises :class:`DemoRefused` where there are tracks of others and not ``force``, or somebody has a name
    that the demo needs.
    """
    names = [*ARTISTS, LISTENER]
    there = {name: user for name in names if (user := await _find(parts, name)) is not None}
    async with parts.database.read() as view:
        if not force and await others_have_tracks(view, [user.id for user in there.values()]):
            raise DemoRefused("there is other people's music here already; --force adds the demo to it.")
    people = {name: there.get(name) or await _create(parts, name) for name in names}
    for name in ARTISTS:
        own = [song for song in songs if song.artist == name]
        await _add_songs(parts, people[name], own, tell)
    return [Login(_email(name), _password(parts, name)) for name in names]


async def _find(parts: Parts, name: str) -> User | None:
    async with parts.database.read() as view:
        try:
            user = await get_user_by_username(view, name)
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


async def _add_songs(parts: Parts, user: User, songs: Sequence[Song], tell: Callable[[str], None]) -> None:
    with tempfile.TemporaryDirectory(prefix="veza-demo-") as name:
        folder = Path(name)
        for song in songs:
            tell(song.title)
            await asyncio.to_thread(write_song, song, folder)
        rules = Rules(parts.settings.max_file_size)
        await Library(parts.database, parts.storage, Owner(user.id, user.username), rules).take(
            Walk(folder).files()
        )


def _email(name: str) -> str:
    return f"{name}@{_DOMAIN}"


def _password(parts: Parts, name: str) -> str:
    """Of this installation alone, and the same each time: nobody who knows the source can guess it."""
    _, key = parts.keyring.derive("demo")[0]
    text = base64.b32encode(hmac.digest(key, name.encode(), "sha256")[:10]).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, 16, 4))
