"""Learning for a world, without a process of its own for each time."""

from typing import Any
from uuid import UUID

import pytest

from tests.rooms.listening_house import play
from tests.world import Person, World
from veza.access.actor import Member
from veza.core.ids import new_id
from veza.core.installation import stamp
from veza.rooms.playlists import filling, people_store, service
from veza.rooms.playlists.schemas import Addition, PlaylistChanges, PlaylistDraft
from veza.rooms.recommendations import child, jobs, shelf


@pytest.fixture(autouse=True)
def _learns_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learn in this process, as the child does; what the child itself adds has tests of its own.

    Whoever asks waits for the new model, however long it takes to be opened.
    """
    monkeypatch.setattr(jobs, "carry_out", child.make)
    monkeypatch.setattr(shelf, "PATIENCE", 60.0)


async def learned(world: World) -> None:
    """Learn from all there is."""
    await stamp(world.parts.database, world.parts.storage)
    await jobs.learn(world.parts.database, world.parts.storage)


async def hear(person: Person, *track_ids: str) -> None:
    """Play these, in this order."""
    for track_id in track_ids:
        assert (await play(person, track_id)).status_code == 200


async def shown(person: Person, path: str = "/tracks/recommendations", **query: Any) -> list[tuple[str, str]]:
    """What is recommended: the id and the reason of each."""
    answer = await person.get(path, params=query)
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["data"].values()
    return [(one["id"], one["reason"]) for one in found]


async def ids(person: Person, path: str = "/tracks/recommendations", **query: Any) -> list[str]:
    """The ids of what is recommended."""
    return [thing_id for thing_id, _ in await shown(person, path, **query)]


def member(person: Person) -> Member:
    """Somebody as the services know them."""
    return Member(id=UUID(person.id), session_id=new_id(), username=person.username, role="user")


async def playlist(
    world: World, owner: Person, *track_ids: str, public: bool = True, title: str = "Mix"
) -> str:
    """A playlist of these tracks; its id."""
    actor = member(owner)
    async with world.parts.database.write() as tx:
        made = await service.create(tx, actor, PlaylistDraft(title, is_public=public))
        for track_id in track_ids:
            await filling.add(tx, actor, made.id, Addition(UUID(track_id)))
    return str(made.id)


async def follow_playlist(world: World, person: Person, playlist_id: str) -> None:
    """Follow it, as the room of playlists writes it down."""
    async with world.parts.database.write() as tx:
        await people_store.follow(tx, UUID(playlist_id), UUID(person.id))


async def work_on(world: World, person: Person, playlist_id: str) -> None:
    """Let somebody read it."""
    async with world.parts.database.write() as tx:
        await people_store.add(tx, UUID(playlist_id), UUID(person.id), "read")


async def turn_private(world: World, owner: Person, playlist_id: str) -> None:
    """From now on nobody else sees it."""
    async with world.parts.database.write() as tx:
        found = await service.get_visible(tx, member(owner), UUID(playlist_id))
        await service.update(tx, member(owner), found, PlaylistChanges(is_public=False))


async def drop(world: World, owner: Person, playlist_id: str) -> None:
    """Delete it."""
    async with world.parts.database.write() as tx:
        await service.delete(tx, await service.get_visible(tx, member(owner), UUID(playlist_id)))
