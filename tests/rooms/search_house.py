"""Tracks to be found: planted ready, without files, by the same events as real ones."""

from datetime import datetime
from typing import Any
from uuid import UUID

from tests.world import Person, World
from veza.core import clock
from veza.core.ids import new_id
from veza.rooms.tracks import store
from veza.rooms.tracks.events import TrackProcessed
from veza.rooms.tracks.schemas import Audio, Track


async def add(world: World, owner: Person, *titles: str, **fields: Any) -> list[str]:
    """Tracks of these titles, ready and public unless ``fields`` say otherwise; their ids."""
    async with world.parts.database.write() as tx:
        return [str((await _add(tx, owner, title, fields)).id) for title in titles]


async def _add(tx: Any, owner: Person, title: str, fields: dict[str, Any]) -> Track:
    now: datetime = fields.get("created_at", clock.now())
    given: dict[str, Any] = {
        "artist": "Nobody", "album": None, "genre": None, "year": None, "duration": 180.0, "format": "flac",
        "is_public": True, "status": "ready", "play_count": 0, "created_at": now, **fields,
    }  # fmt: skip
    track = Track(
        id=new_id(), user_id=UUID(owner.id), title=title, file_size=1, audio=Audio(), downloadable=True,
        progress=0, error=None, has_cover=False, like_count=0, comment_count=0, updated_at=now,
        **given | {"status": "processing"},
    )  # fmt: skip
    await store.add(tx, track, filename="x.flac")
    if given["status"] != "processing":
        await store.change(tx, track, {"status": given["status"]})
        tx.emit(TrackProcessed(track.id, track.user_id))
    return track


async def titles(world: World, question: str, person: Person | None = None, **more: Any) -> list[str]:
    """The titles that somebody finds, in their order."""
    return [track["title"] for track in (await found(world, question, person, **more))["tracks"]]


async def found(world: World, question: str, person: Person | None = None, **more: Any) -> dict[str, Any]:
    """The whole answer to a question about tracks."""
    answer = await (person or world.guest).get("/tracks/search", params={"q": question, **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def check_index(world: World) -> None:
    """What search keeps agrees with itself and with what strangers see."""
    database = world.parts.database
    rows = database.rows
    words = "words" if database.dialect == "sqlite" else "array_to_string(tsvector_to_array(words), ' ')"
    kinds = {"tracks": "tracks WHERE listed", "users": "users", "playlists": "playlists WHERE is_public"}
    for kind, listed in ((kind, f"SELECT id FROM {these}") for kind, these in kinds.items()):
        table = f"search_{kind}"
        entries = await rows(f"SELECT id, {words} FROM {table}")
        assert sorted(row[0] for row in entries) == sorted(row[0] for row in await rows(listed))
        counted: dict[str, int] = {}
        for _, text in entries:
            for word in text.split():
                if not word.startswith("\ue000"):
                    counted[word] = counted.get(word, 0) + 1
        assert dict(await rows(f"SELECT word, entries FROM {table}_words")) == counted
        typos = {word for (word,) in await rows(f"SELECT DISTINCT word FROM {table}_typos")}
        assert typos <= counted.keys()
