"""What tests of playlists share: making them, looking into them, and counting again."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from tests.world import JSON, Person, World
from veza.access.actor import Actor, Member
from veza.core.db import Statement
from veza.core.ids import new_id
from veza.core.pages import Page
from veza.rooms.accounts import service as accounts
from veza.rooms.playlists import service
from veza.rooms.playlists.schemas import PlaylistDraft

WHOLE = Page(limit=10_000)


def member(person: Person, role: str = "user") -> Member:
    """Somebody as the services know them."""
    return Member(id=UUID(person.id), session_id=new_id(), username=person.username, role=role)


async def somebody(world: World, name: str) -> Person:
    """A user who never signs in: without a password to be hashed, which takes longer than most tests."""
    async with world.parts.database.write() as tx:
        user = await accounts.create_user(
            tx, username=name, email=f"{name}@example.com", password_hash="", email_verified=True
        )
    data = {"user": {"id": str(user.id), "username": name}, "token": {"refresh_token": ""}}
    return Person(world.guest.client, data)


async def make(world: World, owner: Person, *, public: bool = True, title: str = "Evening") -> UUID:
    """A playlist with nothing in it; its id."""
    async with world.parts.database.write() as tx:
        draft = PlaylistDraft(title, is_public=public)
        return (await service.create(tx, member(owner), draft)).id


async def look(world: World, actor: Actor, playlist_id: UUID) -> list[tuple[int, str]]:
    """All that somebody sees of a playlist: positions and tracks."""
    async with world.parts.database.read() as view:
        found = (await service.list_tracks(view, actor, playlist_id, WHOLE)).tracks
    return [(track.position, str(track.id)) for track in found]


async def tracks_of(person: Person, playlist_id: Any, query: str = "limit=100") -> list[JSON]:
    """A page of a playlist's tracks, as somebody gets it."""
    answer = await person.get(f"/playlists/{playlist_id}/tracks?{query}")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"]["tracks"])


async def put(world: World, owner: Person, playlist_id: Any, track_ids: Iterable[str]) -> None:
    """Add these tracks at the end."""
    for track_id in track_ids:
        answer = await owner.post(f"/playlists/{playlist_id}/tracks", json={"track_id": track_id})
        assert answer.status_code == 200, answer.text
    await check_sums(world)


async def check_sums(world: World) -> None:
    """P9: what is kept of every playlist is what its rows add up to."""
    kept, entries, follows, public, totals = await _at_once(
        world,
        "SELECT id, track_count, listed_count, total_ms, listed_ms, follower_count FROM playlists",
        "SELECT playlist_id, COUNT(*), SUM(CASE WHEN listed THEN 1 ELSE 0 END), "
        "SUM(duration_ms), SUM(CASE WHEN listed THEN duration_ms ELSE 0 END), COUNT(DISTINCT place) "
        "FROM playlist_entries GROUP BY playlist_id",
        "SELECT playlist_id, COUNT(*) FROM playlist_follows GROUP BY playlist_id",
        "SELECT user_id, COUNT(*) FROM playlists WHERE is_public AND NOT closed GROUP BY user_id",
        "SELECT scope, total FROM playlist_counts WHERE total <> 0",
    )
    counted = {playlist_id: [int(value) for value in sums] for playlist_id, *sums in entries}
    following = dict(follows)
    for playlist_id, *sums, followers in kept:
        assert [*sums, sums[0]] == counted.get(playlist_id, [0] * 5)
        assert followers == following.get(playlist_id, 0)
    rows = {_text(owner): count for owner, count in public}
    assert dict(totals) == rows | ({"": sum(rows.values())} if rows else {})


async def _at_once(world: World, *questions: str) -> list[list[tuple[Any, ...]]]:
    """What each of these finds, all as of one moment: jobs may be under way."""
    async with world.parts.database.snapshot() as view:
        return [
            [row async for rows in view.scan(Statement(sa.text(question))) for row in rows]
            for question in questions
        ]


def _literal(world: World, one: UUID) -> str:
    return f"'{one}'" if world.parts.database.shared else f"x'{one.hex}'"


def _text(raw: Any) -> str:
    return str(raw if isinstance(raw, UUID) else UUID(bytes=bytes(raw)))


async def places(world: World, playlist_id: UUID) -> list[int]:
    """The places of all entries, in order."""
    this = _literal(world, playlist_id)
    rows = await world.parts.database.rows(
        f"SELECT place FROM playlist_entries WHERE playlist_id = {this} ORDER BY place"
    )
    return [place for (place,) in rows]
