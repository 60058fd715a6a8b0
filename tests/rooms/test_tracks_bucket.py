"""A song whose files lie in a bucket of a real S3: what is told of a folder holds there too."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from tests.rooms.tracks_house import (
    BYTES,
    code,
    plant,
    settled,
    short,  # noqa: F401 - a fixture
    used,
)
from tests.world import World, open_world
from veza.core import clock
from veza.core.db import Database
from veza.core.installation import STAMPS
from veza.rooms.tracks.jobs import sweep_files

# ruff: noqa: F811 - a fixture is asked for by its name

Short = Callable[[str], Path]


async def keys(world: World) -> list[str]:
    every = [entry.key async for entry in world.parts.storage.list()]
    return sorted(key for key in every if not key.startswith(STAMPS))


async def test_a_song_goes_into_a_bucket_and_comes_out(
    database: Database, tmp_path: Path, s3_server: dict[str, str], bucket_url: str, short: Short
) -> None:
    """C27, T18: uploaded, processed, streamed in part, downloaded bit by bit, deleted without a trace."""
    async with open_world(database, tmp_path, work=True, storage_url=bucket_url, s3=s3_server) as world:
        olga, song = await world.person("olga"), short("vorbis.ogg")
        track = (await olga.upload(song))["id"]
        assert (await world.ready(olga, track))["status"] == "ready"
        assert len(await keys(world)) > 3
        whole = await world.guest.get(f"/tracks/{track}/download")
        assert whole.content == song.read_bytes()
        stream = await world.guest.get(f"/tracks/{track}/stream")
        part = await world.guest.get(f"/tracks/{track}/stream", headers={"Range": "bytes=100-199"})
        assert (part.status_code, part.content) == (206, stream.content[100:200])
        beyond = await world.guest.get(f"/tracks/{track}/stream", headers={"Range": "bytes=99999999-"})
        assert code(beyond) == (416, "RANGE_NOT_SATISFIABLE")
        assert await used(world, olga) == song.stat().st_size
        # The track is ready before the worker has cleared up.
        await settled(world, lambda: list(world.parts.storage.scratch.iterdir()) == [])
        assert (await olga.delete(f"/tracks/{track}")).status_code == 200
        async with asyncio.timeout(30):
            while await keys(world):  # noqa: ASYNC110 - a job removes them, and tells nobody
                await asyncio.sleep(0.05)


async def test_what_no_row_names_goes_from_the_bucket(
    database: Database, tmp_path: Path, s3_server: dict[str, str], bucket_url: str
) -> None:
    """C19: an orphan is swept after a day, what a row names stays."""
    async with open_world(database, tmp_path, storage_url=bucket_url, s3=s3_server) as world:
        track = await plant(world, await world.person("olga"))
        named = await keys(world)
        orphan = f"tracks/{track[:-4]}0000/original"
        await world.parts.storage.put_bytes(orphan, b"nobody's")
        await sweep_files(database, world.parts.storage, timedelta(days=1))
        assert await keys(world) == sorted([*named, orphan])
        with clock.shifted(timedelta(days=2)):
            await sweep_files(database, world.parts.storage, timedelta(days=1))
        assert await keys(world) == named


async def test_a_bucket_that_is_away(
    database: Database, tmp_path: Path, s3_server: dict[str, str], bucket_url: str, short: Short
) -> None:
    """X15: bytes are 503 with Retry-After and uploads leave nothing, while everything else answers."""
    async with open_world(database, tmp_path, storage_url=bucket_url, s3=s3_server) as world:
        olga = await world.person("olga")
        track = await plant(world, olga)
        assert (await world.guest.get(f"/tracks/{track}/download")).content == BYTES
    away = {**s3_server, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    async with open_world(database, tmp_path, storage_url=bucket_url, s3=away) as world:
        guest = world.guest
        answer = await guest.get(f"/tracks/{track}/download")
        assert code(answer) == (503, "SERVICE_UNAVAILABLE")
        assert answer.headers["retry-after"] == "5"
        assert (await guest.get(f"/tracks/{track}")).status_code == 200
        olga = await world.person("otto")
        with (short("vorbis.ogg")).open("rb") as song:
            answer = await olga.post("/tracks", files={"file": song})
        assert code(answer) == (503, "SERVICE_UNAVAILABLE")
        assert await used(world, olga) == 0
        assert list(world.parts.storage.scratch.iterdir()) == []
        health = await world.parts.readiness.look()
        assert health.checks == {"database": "ok", "storage": "unavailable", "queue": "ok"}


async def test_an_object_that_is_gone(
    database: Database, tmp_path: Path, s3_server: dict[str, str], bucket_url: str
) -> None:
    """G22: a file lost behind our back is 404, and nothing of the bucket is told."""
    async with open_world(database, tmp_path, storage_url=bucket_url, s3=s3_server) as world:
        track = await plant(world, await world.person("olga"))
        await world.parts.storage.delete_prefix(f"tracks/{track}")
        answer = await world.guest.get(f"/tracks/{track}/download")
        assert answer.status_code == 404
        assert "bucket" not in answer.text
        assert "127.0.0.1" not in answer.text
