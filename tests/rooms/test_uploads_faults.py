"""Uploads in chunks, and what goes wrong meanwhile: callers that leave, disks that fail, nodes that die."""

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from obstore.store import MemoryStore

from tests.rooms.tracks_house import code, files, settled, used
from tests.rooms.uploads_house import Sender, chunks_left, form, wave
from tests.world import PASSWORD, Person, World, open_world
from veza.app import make_app
from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.ids import new_id
from veza.core.installation import stamp
from veza.core.jobs import Job, NoPayload
from veza.core.storage import ObjectStorage, open_chunks
from veza.parts import make_parts
from veza.rooms.tracks.jobs import sweep_files as sweep_tracks
from veza.rooms.uploads import store
from veza.rooms.uploads.jobs import UploadJobs, reconcile, sweep_files
from veza.settings import Settings

BIG = 3 << 20
NOW = timedelta(0)


def scratch(world: World) -> list[Path]:
    return list(world.parts.storage.scratch.iterdir())


async def sweep(world: World) -> None:
    """What the recurring job does."""
    await stamp(world.parts.database, world.parts.storage)
    jobs = UploadJobs(world.parts.database, world.parts.storage, world.parts.chunks)
    await jobs.sweep(Job(new_id(), "uploads.sweep", "{}", 1, clock.now()), NoPayload())


async def signed_in_again(world: World, name: str) -> Person:
    """Somebody whose token has run out meanwhile."""
    login = {"email": f"{name}@example.com", "password": PASSWORD}
    data = (await world.guest.post("/auth/login", json=login)).json()["data"]
    return Person(world.client({"Authorization": f"Bearer {data['token']['access_token']}"}), data)


async def ended(world: World, sender: Sender, content: bytes) -> None:
    """The upload goes on where it stood, and its file is the sender's."""
    await sender.send_all((await sender.state())["missing_chunks"])
    done = await sender.complete()
    assert done.status_code == 201, done.text
    assert done.json()["data"]["md5"] == hashlib.md5(content).hexdigest()
    assert scratch(world) == []


def fail(number: int) -> Callable[..., Any]:
    def failing(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return failing


@pytest.mark.parametrize("at", [200, 1 << 20, BIG])
async def test_a_chunk_that_is_cut_off_is_not_there(database: Database, tmp_path: Path, at: int) -> None:
    """C18, C30: however far it came; its place is free, and the list of what is missing is true."""
    content = wave(BIG * 2 + 100)
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        sender = Sender(olga, content, BIG)
        await sender.start()
        await sender.send(1)
        body, headers = form([*sender.fields(2).items(), ("chunk", sender.chunk(2))])
        answer = await olga.post("/tracks/chunk", content=body[:at], headers=headers)
        assert code(answer) == (400, "INVALID_REQUEST")
        state = await sender.state()
        assert (state["received"], state["missing_chunks"]) == ([1], [2, 3])
        assert scratch(world) == []
        await ended(world, sender, content)


@pytest.mark.parametrize(("call", "number", "status"), [
    ("pwrite", errno.ENOSPC, 507), ("fdatasync", errno.EIO, 503), ("fsync", errno.EIO, 503),
])  # fmt: skip
async def test_a_disk_that_fails_under_a_chunk(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, status: int
) -> None:
    """C21, C22, F5: it is not counted, the server lives, and later it works."""
    content = wave(50_000)
    async with open_world(database, tmp_path) as world:
        sender = Sender(await world.person("olga"), content, 20_000)
        await sender.start()
        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail(number))
            if call != "fdatasync":
                assert (await sender.send(1)).status_code == status
                other_kind = {"file": ("a.txt", b"hello")}
                assert (await sender.person.post("/uploads", files=other_kind)).status_code == status
        await sender.send(1)
        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail(number))
            if call != "fsync":
                assert (await sender.send(2)).status_code == status
        assert (await sender.state())["received"] == [1]
        with monkeypatch.context() as patch:
            patch.setattr(os, "ftruncate", fail(errno.ENOSPC))
            other = Sender(sender.person, content, 20_000)
            assert code(await other.start()) == (507, "INSUFFICIENT_STORAGE")
        assert await used(world, sender.person) == len(content)
        assert chunks_left(world) == [sender.id]
        await ended(world, sender, content)


async def test_a_disk_that_fails_while_it_is_completed(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C21, C22, C26: no track, nothing half, and the next try makes one."""
    content = wave(50_000)
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        sender = Sender(olga, content, 20_000)
        await sender.start()
        await sender.send_all()
        for call, number, status in (("pwrite", errno.ENOSPC, 507), ("fsync", errno.EIO, 503)):
            with monkeypatch.context() as patch:
                patch.setattr(os, call, fail(number))
                assert (await sender.complete()).status_code == status
            assert scratch(world) == []
        assert (await olga.get("/tracks", params={"user_id": olga.id})).json()["data"]["tracks"] == []

        async def crash(*_: object) -> None:
            raise RuntimeError("killed")

        with monkeypatch.context() as patch:
            patch.setattr(store, "end", crash)
            assert (await sender.complete()).status_code == 500
        await ended(world, sender, content)
        tracks = (await olga.get("/tracks", params={"user_id": olga.id})).json()["data"]["tracks"]
        assert len(tracks) == 1
        await sweep_tracks(database, world.parts.storage, NOW)
        assert files(world, "original") == [f"tracks/{tracks[0]['id']}/original"]
        assert await used(world, olga) == len(content)


async def test_a_chunk_that_comes_while_it_is_completed(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C10, C26: the track is of the chunks that were there when it was made, or it is not made."""
    content = wave(50_000)
    async with open_world(database, tmp_path) as world:
        sender = Sender(await world.person("olga"), content, 20_000)
        await sender.start()
        await sender.send_all()
        put = world.parts.storage.put_file

        async def slow(key: str, path: Path) -> Any:
            if key.startswith("tracks/"):
                assert (await sender.send(2, bytes(20_000))).status_code == 200
            return await put(key, path)

        with monkeypatch.context() as patch:
            patch.setattr(world.parts.storage, "put_file", slow)
            assert code(await sender.complete()) == (409, "UPLOAD_CHANGED")
        await sender.send(2)
        await ended(world, sender, content)


async def test_uploads_that_nobody_goes_on_with(database: Database, tmp_path: Path) -> None:
    """C15, C28: a day after the last chunk it is 410, and its bytes are free again; twice changes nothing."""
    content = wave(50_000)
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        sender, other = Sender(olga, content, 20_000), Sender(olga, content, 20_000)
        for one in (sender, other):
            await one.start()
            await one.send(1)
        with clock.shifted(timedelta(hours=23)):
            await sender.send(2)
            await sweep(world)
            assert await used(world, olga) == len(content) * 2
        with clock.shifted(timedelta(hours=24, minutes=1)):
            sender.person = other.person = olga = await signed_in_again(world, "olga")
            for answer in (await other.send(2), await other.complete()):
                assert code(answer) == (410, "UPLOAD_EXPIRED")
            assert code(await olga.get(f"/tracks/resume/{other.id}")) == (410, "UPLOAD_EXPIRED")
            for _ in range(2):
                await sweep(world)
                assert await used(world, olga) == len(content)
            assert code(await other.send(2)) == (410, "UPLOAD_EXPIRED")
            assert (await sender.state())["missing_chunks"] == [3]
        with clock.shifted(timedelta(days=40)):
            await sweep(world)
            await sweep(world)
            olga = await signed_in_again(world, "olga")
            assert code(await olga.get(f"/tracks/resume/{other.id}")) == (404, "UPLOAD_NOT_FOUND")
            assert await used(world, olga) == 0
            assert chunks_left(world) == []


async def test_chunks_that_a_disk_has_lost_are_asked_for_again(database: Database, tmp_path: Path) -> None:
    """C34, C19: what is counted is there; what nobody counts goes."""
    content = wave(90_000)
    async with open_world(database, tmp_path) as world:
        sender = Sender(await world.person("olga"), content, 20_000)
        await sender.start()
        for number in (1, 2, 3, 2):
            await sender.send(number)
        folder = world.parts.chunks.folder  # type: ignore[attr-defined]  # of the local one
        (folder / str(new_id())).mkdir()
        await reconcile(database, world.parts.chunks)
        assert (await sender.state())["received"] == [1, 2, 3]
        beside = [path for path in (folder / sender.id).iterdir() if path.name != "whole"]
        assert len(beside) == 2, "the first, whose place was not known, and the one that came again"
        for path in beside:
            path.write_bytes(b"half")
        await reconcile(database, world.parts.chunks)
        state = await sender.state()
        assert state["received"] == [number for number in (1, 2, 3) if number in state["received"]]
        assert len(state["received"]) == 1
        (folder / sender.id / "whole").unlink()
        await reconcile(database, world.parts.chunks)
        assert (await sender.state())["received"] == []
        await sweep_files(database, world.parts.storage, world.parts.chunks, NOW)
        assert chunks_left(world) == [sender.id]
        await ended(world, sender, content)


@asynccontextmanager
async def two_nodes(database: Database, tmp_path: Path, *, remote: bool) -> AsyncIterator[list[World]]:
    """Two servers with one database and one storage: a folder of theirs, or a bucket."""
    settings = Settings(data_dir=tmp_path / "data", rate_limit_enabled=False)
    bucket, worlds = MemoryStore(), []
    for number in range(2):
        parts = make_parts(settings, database=database)
        if remote:
            storage = ObjectStorage(bucket, tmp_path / f"scratch-{number}")
            parts = msgspec.structs.replace(parts, storage=storage, chunks=open_chunks(storage))
        worlds.append(World(parts, make_app(parts, work=False)))
    await database.start()
    yield worlds


@pytest.mark.parametrize("remote", [False, True], ids=["folder", "bucket"])
async def test_any_node_takes_any_chunk(database: Database, tmp_path: Path, *, remote: bool) -> None:
    """C11, C19, C24, C31: whoever is asked, the file is the same; all complete it, and get one track."""
    content = wave(BIG + 100_001)
    async with two_nodes(database, tmp_path, remote=remote) as worlds:
        olga = await worlds[0].person("olga")
        there = Person(worlds[1].client(dict(olga.client.headers)), {})
        sender, second = Sender(olga, content, 300_000), Sender(there, content, 300_000)
        await sender.start()
        second.id = sender.id
        numbers = range(1, sender.total + 1)
        sending = [one.send(number) for number in numbers for one in (sender, second)]
        for answer in await asyncio.gather(*sending):
            assert answer.status_code == 200, answer.text
        await second.send(3, bytes(300_000))
        await sender.send(3)
        answers = await asyncio.gather(sender.complete(), second.complete(), sender.complete())
        assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
        assert len({answer.text for answer in answers}) == 1
        data = answers[0].json()["data"]
        assert data["sha256"] == hashlib.sha256(content).hexdigest()
        sent = await olga.get(f"/tracks/{data['track']['id']}/download")
        assert sent.content == content
        assert await used(worlds[0], olga) == len(content)
        await sweep_files(database, worlds[1].parts.storage, worlds[1].parts.chunks, NOW)
        assert [one async for one, _ in worlds[0].parts.chunks.list()] == []


async def test_a_chunk_whose_commit_fails_is_not_there(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C19, X1: the bytes alone count for nothing."""
    content = wave(50_000)
    async with open_world(database, tmp_path, work=True) as world:
        sender = Sender(await world.person("olga"), content, 20_000)
        await sender.start()
        put = store.put_chunk

        async def crash(tx: Tx, *rest: Any) -> Any:
            await put(tx, *rest)
            raise RuntimeError("killed")

        with monkeypatch.context() as patch:
            patch.setattr(store, "put_chunk", crash)
            assert (await sender.send(1)).status_code == 500
        assert (await sender.state())["received"] == []
        await sender.send_all()
        await sender.person.delete(f"/tracks/resume/{sender.id}")
        await settled(world, lambda: not files(world))
