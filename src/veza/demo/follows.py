"""Whom the demo's people follow: the listener every artist, artists each other, and the crowd as it likes."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta

from veza.access.actor import Member
from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.pages import Page
from veza.demo.songs import ARTISTS
from veza.demo.talk import CROWD, LISTENER
from veza.rooms.accounts.errors import UserNotFound
from veza.rooms.following import service

_ARTISTS = tuple(ARTISTS)


def pairs() -> Iterator[tuple[str, str]]:
    """Who follows whom, the first one first."""
    yield from ((LISTENER, artist) for artist in _ARTISTS)
    yield from ((one, other) for one in _ARTISTS for other in _ARTISTS if one < other)
    for number, name in enumerate(CROWD):
        # Each the next two or three artists, and every other one the listener, who is often here.
        yield from ((name, _ARTISTS[(number + n) % len(_ARTISTS)]) for n in range(2 + number % 2))
        if number % 2:
            yield name, LISTENER


async def add_follows(database: Database, people: Mapping[str, Member]) -> None:
    """Let those who follow nobody yet follow others, one an hour, up to a day before now."""
    async with database.read() as view:
        new = {name for name, one in people.items() if not await _count(view, one)}
    found = [pair for pair in pairs() if pair[0] in new]
    for number, (follower, followed) in enumerate(found):
        with clock.shifted(timedelta(hours=number - len(found) - 24)), suppress(UserNotFound):
            # Not there for each other where somebody has signed in as one and blocked the other.
            async with database.write() as tx:
                await service.follow(tx, people[follower], people[followed].id)


async def _count(view: Tx, one: Member) -> int:
    return (await service.list_following(view, one, one.id, Page(limit=1), "desc")).total
