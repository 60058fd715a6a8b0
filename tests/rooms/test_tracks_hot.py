"""Reads that are answered from the edge: always true to the last write, and to who asks."""

from pathlib import Path
from typing import Any
from uuid import UUID

import apsw
import pytest

from tests.world import World, open_world
from veza.core import clock
from veza.core.db import Database
from veza.core.db.sqlite import SqliteDatabase
from veza.core.ids import new_id
from veza.rooms.tracks import service, store
from veza.rooms.tracks.hot import LISTED_FROM, SHOWN_FROM
from veza.rooms.tracks.schemas import Audio, Track


async def add(world: World, owner: str, title: str, *, public: bool = True) -> str:
    """A ready track of this owner."""
    person = await world.person(owner)
    now = clock.now()
    track = Track(
        id=new_id(), user_id=UUID(person.id), title=title, artist=owner, album=None, genre="Jazz", year=None,
        duration=1.5, format="flac", file_size=1, audio=Audio(), is_public=public, downloadable=True,
        status="processing", progress=0, error=None, has_cover=False, like_count=0, play_count=0,
        comment_count=0, created_at=now, updated_at=now,
    )  # fmt: skip
    async with world.parts.database.write() as tx:
        await store.add(tx, track, filename="x.flac")
        await store.change(tx, track, {"status": "ready", "progress": 100})
    return str(track.id)


async def test_answers_are_true_to_the_last_write(database: Database, tmp_path: Path) -> None:
    """A change is in the very next answer, in lists, totals and details, whatever was kept before."""
    async with open_world(database, tmp_path) as world:
        ann = await world.person("ann")
        track_id = await add(world, "ann", "First")
        for _ in range(3):
            assert (await world.guest.get("/tracks")).json()["data"]["pagination"]["total"] == 1
            assert (await world.guest.get(f"/tracks/{track_id}")).json()["data"]["track"]["title"] == "First"
        for title in ("Second", "Third"):
            assert (await ann.put(f"/tracks/{track_id}", json={"title": title})).status_code == 200
            listed = (await world.guest.get("/tracks?genre=jazz&sort_by=title")).json()["data"]["tracks"]
            assert [track["title"] for track in listed] == [title]
            assert (await world.guest.get(f"/tracks/{track_id}")).json()["data"]["track"]["title"] == title
        assert (await ann.put(f"/tracks/{track_id}", json={"is_public": False})).status_code == 200
        assert (await world.guest.get(f"/tracks/{track_id}")).status_code == 404
        assert (await world.guest.get("/tracks")).json()["data"]["pagination"]["total"] == 0
        assert (await ann.get(f"/tracks/{track_id}")).status_code == 200
        assert (await ann.delete(f"/tracks/{track_id}")).status_code == 200
        assert (await ann.get(f"/tracks/{track_id}")).status_code == 404


async def test_members_share_bytes_but_no_cache(database: Database, tmp_path: Path) -> None:
    """G24, G32: what a member gets is `private`, and an owner's own list is nobody else's."""
    async with open_world(database, tmp_path) as world:
        ann, bob = await world.person("ann"), await world.person("bob")
        track_id = await add(world, "ann", "Open")
        hidden = await add(world, "ann", "Hidden", public=False)
        for path in ("/tracks", f"/tracks/{track_id}", f"/tracks?user_id={ann.id}"):
            guest, member = await world.guest.get(path), await bob.get(path)
            assert guest.content == member.content
            assert guest.headers["cache-control"] == "public, no-cache"
            assert member.headers["cache-control"] == "private, no-store"
            assert {guest.headers["vary"], member.headers["vary"]} == {"Authorization"}
        for name in ("user_id", "user%5fid"):
            await world.guest.get(f"/tracks?{name}={ann.id}")  # is kept, as guests see it
            own = (await ann.get(f"/tracks?{name}={ann.id}")).json()["data"]["tracks"]
            assert {track["id"] for track in own} == {track_id, hidden}, name
        assert (await bob.get(f"/tracks/{hidden}")).status_code == 404


@pytest.mark.parametrize("signed_in", [False, True])
async def test_a_known_answer_is_not_sent_again(
    database: Database, tmp_path: Path, *, signed_in: bool
) -> None:
    """If-None-Match is answered with 304 and no body, until something changes."""
    async with open_world(database, tmp_path) as world:
        ann = await world.person("ann")
        asker = ann if signed_in else world.guest
        track_id = await add(world, "ann", "Same")
        for path in ("/tracks", f"/tracks/{track_id}"):
            first = await asker.get(path)
            known = {"If-None-Match": first.headers["etag"]}
            again = await asker.get(path, headers=known)
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == first.headers["etag"]
            assert "x-request-id" in again.headers
            await ann.put(f"/tracks/{track_id}", json={"title": f"Other than {path}"})
            assert (await asker.get(path, headers=known)).status_code == 200


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_an_answer_is_kept_until_a_table_is_written_to_that_it_comes_from(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who signs in changes no list; what is read for an answer is what its shelf watches."""
    assert isinstance(database, SqliteDatabase)
    read: set[str] = set()
    reads = 0
    ask = service.list_tracks

    async def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal reads
        reads += 1
        return await ask(*arguments, **options)

    def authorize(operation: int, table: str | None, *_: Any) -> int:
        if operation == apsw.SQLITE_READ and table:
            read.add(table)
        return apsw.SQLITE_OK

    monkeypatch.setattr(service, "list_tracks", counted)
    async with open_world(database, tmp_path) as world:
        ann, track_id = await world.person("ann"), await add(world, "ann", "Kept")
        database.reader.authorizer = authorize
        for path, tables in (("/tracks?genre=jazz", LISTED_FROM), (f"/tracks/{track_id}", SHOWN_FROM)):
            read.clear()
            assert (await world.guest.get(path)).status_code == 200
            assert read == set(tables)
        database.reader.authorizer = None
        assert reads == 1
        await world.person("bob")
        assert (await ann.put(f"/users/{ann.id}", json={"bio": "new"})).status_code == 200
        assert (await world.guest.get("/tracks?genre=jazz")).status_code == 200
        assert reads == 1
        assert (await ann.put(f"/tracks/{track_id}", json={"title": "New"})).status_code == 200
        answer = await world.guest.get("/tracks?genre=jazz")
        assert (reads, answer.json()["data"]["tracks"][0]["title"]) == (2, "New")
