"""Learning for a world, without a process of its own for each time."""

from typing import Any

import pytest

from tests.rooms.listening_house import play
from tests.world import Person, World
from veza.rooms.recommendations import child, jobs


@pytest.fixture(autouse=True)
def _learns_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learn in this process, as the child does; what the child itself adds has tests of its own."""
    monkeypatch.setattr(jobs, "carry_out", child.make)


async def learned(world: World) -> None:
    """Learn from all there is."""
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
