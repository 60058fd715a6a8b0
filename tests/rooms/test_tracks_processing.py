"""From uploaded bytes to a track that can be heard: whatever is cut off, deleted or broken on the way."""

import asyncio
import errno
import hashlib
import os
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.media.corpus import ffmpeg
from tests.rooms.test_uploads_files import picture, send, settle
from tests.rooms.tracks_house import (
    check_counts,
    code,
    files,
    plant,
    settled,
    short,  # noqa: F401 - a fixture
    used,
)
from tests.world import open_world
from veza.app import _running, working, working_alone
from veza.core import clock
from veza.core import worker as worker_module
from veza.core.db import Database
from veza.core.ids import new_id
from veza.core.installation import stamp
from veza.core.jobs import Job, LeaseLost, NoPayload
from veza.core.storage import LocalStorage, NoSuchFile
from veza.media import MediaLimits, renditions
from veza.media.fragments import Fragments
from veza.parts import Parts
from veza.rooms.tracks import jobs as track_jobs
from veza.rooms.tracks.jobs import ProcessTrack, TrackJobs

# ruff: noqa: F811 - a fixture is asked for by its name

Short = Callable[[str], Path]
Running = Callable[[Parts], AbstractAsyncContextManager[None]]


async def column(database: Database, name: str, table: str = "tracks") -> list[Any]:
    return [row[0] for row in await database.rows(f"SELECT {name} FROM {table}")]


async def job_row(database: Database) -> tuple[UUID, str]:
    rows = await database.rows("SELECT id, payload FROM jobs WHERE kind = 'tracks.process'")
    raw, payload = rows[0]
    return raw if isinstance(raw, UUID) else UUID(bytes=bytes(raw)), payload


async def set_attempt(database: Database, attempt: int) -> None:
    await database.script(f"UPDATE jobs SET attempt = {attempt}, run_at = 0 WHERE kind = 'tracks.process'")


async def test_a_song_becomes_a_track(database: Database, tmp_path: Path, short: Short) -> None:
    """C32, T18, T19: tags fill what nobody said, progress only rises, and all that is offered plays."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        song = short("vorbis.ogg")
        bare = await olga.upload(song)
        said = await olga.upload(
            song, title="Mine", artist="Me", genre="Folk", year="1970", is_public="false"
        )
        assert (await olga.put(f"/tracks/{bare['id']}", json={"artist": "Somebody"})).status_code == 200
        seen: list[int] = []
        async with working(world.parts):
            while not seen or seen[-1] < 100:
                status = (await olga.get(f"/tracks/{bare['id']}/status")).json()["data"]
                assert status["status"] == ("ready" if status["progress"] == 100 else "processing")
                seen.append(status["progress"])
                await asyncio.sleep(0.02)
            assert (await world.ready(olga, said["id"]))["status"] == "ready"
        assert seen == sorted(seen)
        names = ("title", "artist", "album", "genre", "year")
        found = [(await olga.get(f"/tracks/{one['id']}")).json()["data"]["track"] for one in (bare, said)]
        assert [found[0][name] for name in names] == ["Étude", "Somebody", "Nights", "Jazz", 2021]
        assert [found[1][name] for name in names] == ["Mine", "Me", "Nights", "Folk", 1970]
        assert found[0]["duration"] == pytest.approx(0.35, abs=0.05)
        assert found[0]["format"] == "ogg"
        assert found[0]["audio"]["codec"] == "vorbis"
        assert set(await column(database, "sha256")) == {hashlib.sha256(song.read_bytes()).hexdigest()}
        assert [t["id"] for t in (await world.guest.get("/tracks?genre=JAZZ")).json()["data"]["tracks"]] == [
            bare["id"]
        ]
        await check_counts(world)
        for quality in ("high", "low", "opus"):
            answer = await world.guest.get(f"/tracks/{bare['id']}/stream?quality={quality}")
            assert answer.headers["content-type"] in {"audio/mp4", "audio/webm", "audio/ogg"}
            assert answer.headers["x-content-type-options"] == "nosniff"
            await asyncio.to_thread(ffmpeg, "-i", "pipe:0", "-f", "null", "-", data=answer.content)
        assert code(await world.guest.get(f"/tracks/{bare['id']}/stream?quality=best")) == (
            400,
            "INVALID_REQUEST",
        )
        original = await world.guest.get(f"/tracks/{bare['id']}/download")
        assert (original.content, original.headers["content-type"]) == (song.read_bytes(), "audio/ogg")
        assert not [name for name in files(world) if name.startswith(".scratch")]


async def test_what_cannot_be_decoded_fails(database: Database, tmp_path: Path, short: Short) -> None:
    """C33: its owner is told why, its bytes are given back and its files are gone; it stays failed."""
    broken = tmp_path / "broken.flac"
    whole = short("s16.flac").read_bytes()
    broken.write_bytes(whole[:42] + bytes(len(whole)))
    async with open_world(database, tmp_path, work=True) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        track = (await olga.upload(broken))["id"]
        status = await world.ready(olga, track)
        assert (status["status"], status["progress"] < 100) == ("failed", True)
        assert status["error"].startswith(("UNDECODABLE_AUDIO: ", "UNSUPPORTED_AUDIO: "))
        assert await used(world, olga) == 0
        await settled(world, lambda: not files(world))
        assert (await stan.get(f"/tracks/{track}")).status_code == 404
        assert (await olga.delete(f"/tracks/{track}")).status_code == 200
        assert await used(world, olga) == 0


async def test_what_no_encoder_can_do_with_is_given_up(
    database: Database, tmp_path: Path, short: Short, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C33: it decodes, but its encoder ends with an error: three tries, never one more, and no room taken."""
    begun: list[int] = []

    def hopeless(*_: object) -> list[str]:
        begun.append(1)
        return ["-c:a", "no-such-encoder", "out.mp4"]

    monkeypatch.setattr(renditions, "_outputs", hopeless)
    monkeypatch.setattr(worker_module, "FIRST_RETRY", timedelta(milliseconds=5))
    monkeypatch.setattr(worker_module, "AWAY_RETRY", timedelta(milliseconds=5))
    async with open_world(database, tmp_path, work=True) as world:
        olga = await world.person("olga")
        track = (await olga.upload(short("a.mp3")))["id"]
        status = await world.ready(olga, track)
        assert (status["status"], len(begun)) == ("failed", 3)
        assert status["error"].startswith("PROCESSING_FAILED: ")
        await settled(world, lambda: not files(world, track))
        assert await used(world, olga) == 0


async def test_what_the_kernel_refuses_fails_no_upload(
    database: Database, tmp_path: Path, short: Short, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X5, X7, C33: room for a folder, a pipe, room for what was made; it is done by what is the first try."""
    refused: list[str] = []
    song = short("a.mp3")

    def refusing(name: str, number: int, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            ours = name != "folder" or args[0].name.startswith("process-")
            if ours and name not in refused:
                refused.append(name)
                raise OSError(number, os.strerror(number))
            return real(*args, **options)

        return call

    monkeypatch.setattr(worker_module, "AWAY_RETRY", timedelta(milliseconds=5))
    monkeypatch.setattr(Path, "mkdir", refusing("folder", errno.ENOSPC, Path.mkdir))
    monkeypatch.setattr(os, "pipe", refusing("pipe", errno.EMFILE, os.pipe))
    monkeypatch.setattr(Fragments, "finish", refusing("file", errno.ENOSPC, Fragments.finish))
    async with open_world(database, tmp_path, work=True) as world:
        olga = await world.person("olga")
        track = (await olga.upload(song))["id"]
        assert (await world.ready(olga, track))["status"] == "ready"
        assert refused == ["folder", "pipe", "file"]
        assert [name for name in files(world, track) if "/1-" in name]


async def test_what_is_not_here_is_waited_for(
    database: Database, tmp_path: Path, short: Short, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X4: a worker with another storage fails nothing that was acknowledged, however often it tries."""
    missed: list[str] = []
    fetch = LocalStorage.fetch_to

    async def seen(storage: LocalStorage, key: str, path: Path) -> Path:
        try:
            return await fetch(storage, key, path)
        except NoSuchFile:
            missed.append(key.split("/", maxsplit=1)[0])
            raise

    monkeypatch.setattr(LocalStorage, "fetch_to", seen)
    monkeypatch.setattr(worker_module, "AWAY_RETRY", timedelta(milliseconds=5))
    async with open_world(database, tmp_path) as world:
        olga, folder = await world.person("olga"), world.parts.storage.local_path("tracks").parent
        track = (await olga.upload(short("a.mp3")))["id"]
        upload = (await send(olga, picture(), "a.png")).json()["data"]["upload_id"]
        held = await used(world, olga)
        for name in ("tracks", "uploads"):
            (folder / name).rename(tmp_path / name)
        async with working(world.parts):
            await settled(world, lambda: min(map(missed.count, ("tracks", "uploads"))) > 5)
            for path in (f"/tracks/{track}/status", f"/uploads/{upload}/status"):
                assert (await olga.get(path)).json()["data"]["status"] == "processing"
            for name in ("tracks", "uploads"):
                (tmp_path / name).rename(folder / name)
            assert (await world.ready(olga, track))["status"] == "ready"
            assert (await settle(olga, upload))["status"] == "completed"
        assert await used(world, olga) == held


async def test_work_that_is_cut_off_is_done_again(database: Database, tmp_path: Path, short: Short) -> None:
    """C33: a worker that stops in the middle loses nothing; one that keeps dying is given up."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        track = (await olga.upload(short("a.mp3")))["id"]
        progress = [0]
        for _ in range(2):
            async with working(world.parts):
                await asyncio.sleep(0.15)
            progress += await column(database, "progress")
        assert progress == sorted(progress)
        async with working(world.parts):
            assert (await world.ready(olga, track))["status"] == "ready"
        assert await column(database, "kind", "jobs WHERE kind = 'tracks.process'") == []
        lost = (await olga.upload(short("a.mp3")))["id"]
        await set_attempt(database, 3)
        async with working(world.parts):
            status = await world.ready(olga, lost)
            assert status["error"].startswith("PROCESSING_FAILED: ")
            await settled(world, lambda: not files(world, lost))
        assert await used(world, olga) == short("a.mp3").stat().st_size
        assert await column(database, "kind", "jobs WHERE kind = 'tracks.process' AND dead_at IS NULL") == []


async def test_what_was_cut_off_takes_no_room(database: Database, tmp_path: Path) -> None:
    """C19: where nobody else can be at work, leftovers go at the start, and not only after a day."""
    async with open_world(database, tmp_path) as world:
        scratch = world.parts.storage.scratch
        (scratch / "process-x" / "out").mkdir(parents=True)
        (scratch / "process-x" / "out" / "aac_160.m4a").write_bytes(b"x")
        (scratch / "intake-x").write_bytes(b"x")
        async with working(world.parts):
            assert [*scratch.iterdir()] == [] or database.shared
            assert len([*scratch.iterdir()]) == 2 or not database.shared


@pytest.mark.parametrize("running", [partial(_running, work=False), working_alone])
async def test_what_was_cut_off_goes_after_a_day_wherever_it_lies(
    database: Database, tmp_path: Path, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C19, G28: from the start on each process sweeps its own scratch, also one that only serves."""
    monkeypatch.setattr("veza.core.storage_base._LOOK_SECONDS", 0.01)
    async with open_world(database, tmp_path) as world:
        scratch = world.parts.storage.scratch
        async with running(world.parts):
            (scratch / "young").write_bytes(b"x")
            for name in ("intake-x", "intake-y"):
                (scratch / name).write_bytes(b"x")
                os.utime(scratch / name, (0, 0))
                async with asyncio.timeout(30):
                    while (scratch / name).exists():  # noqa: ASYNC110 - nobody tells
                        await asyncio.sleep(0.01)
            assert [path.name for path in scratch.iterdir()] == ["young"]


@pytest.mark.parametrize("attempts", [(1, 2), (2, 2)], ids=["thought dead", "given back"])
async def test_only_one_worker_finishes(
    attempts: tuple[int, int], database: Database, tmp_path: Path, short: Short
) -> None:
    """C33: of two who process a track, since one was thought dead, one is kept, and the other's files go.

    So it is of two under one number, where the first still ends as it gives back what it was at.
    """
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        track = (await olga.upload(short("a.mp3")))["id"]
        job_id, payload = await job_row(database)
        await set_attempt(database, 2)
        told = ProcessTrack(UUID(track), "a", "olga")
        both = [
            TrackJobs(database, world.parts.storage, MediaLimits()).process(
                Job(job_id, "tracks.process", payload, attempt, clock.now()), told
            )
            for attempt in attempts
        ]
        outcomes = await asyncio.gather(*both, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {LeaseLost, type(None)}
        kept = await column(database, "key", "renditions")
        assert (len(kept), {key.split("/")[2][:2] for key in kept}) == (3, {"2-"})
        assert sorted(kept) == [name for name in files(world, track) if "-" in name.split("/")[2][:2]]
        assert await column(database, "kind", "events WHERE kind = 'track.processed'") == ["track.processed"]


@pytest.mark.parametrize("moment", ["before", "between", "after"])
async def test_deleted_while_it_is_processed(
    database: Database, tmp_path: Path, short: Short, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T11: whenever that is, no file is left, no job, no byte of the quota."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        track = (await olga.upload(short("a.mp3")))["id"]
        real = track_jobs.process

        async def delete() -> None:
            assert (await olga.delete(f"/tracks/{track}")).status_code == 200

        async def process(*args: Any, **options: Any) -> Any:
            # `between`: it is noticed as soon as there is progress to tell. `after`: only when all is done.
            if moment == "between":
                await delete()
            done = await real(*args, **options)
            if moment == "after":
                await delete()
            return done

        monkeypatch.setattr(track_jobs, "process", process)
        if moment == "before":
            await delete()
        async with working(world.parts):
            open_jobs = "SELECT COUNT(*) FROM jobs WHERE kind IN ('tracks.process', 'tracks.remove_files')"
            async with asyncio.timeout(30):
                while (await database.rows(open_jobs))[0][0] or files(world):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.02)
        assert await used(world, olga) == 0
        assert await column(database, "error", "jobs WHERE error IS NOT NULL") == []


async def test_the_sweep_takes_what_no_track_names(database: Database, tmp_path: Path) -> None:
    """T11, C34: files of no track, of a failed one and of attempts that died go, but no young ones."""
    async with open_world(database, tmp_path) as world:
        olga, storage = await world.person("olga"), world.parts.storage
        living, busy = await plant(world, olga), await plant(world, olga, "processing")
        failed, nobody = await plant(world, olga, "failed"), living[:-4] + "ffff"
        kept = [*files(world, living), *files(world, busy)]
        assert {f"tracks/{living}/peaks.dat", f"tracks/{living}/cover-320.jpg"} <= set(kept)
        stray = [f"tracks/{living}/2/aac_96", f"tracks/{busy}/1/aac_96", f"tracks/{nobody}/original"]
        stray += [f"tracks/{living}/notes.txt", "tracks/no-id/x", *files(world, failed)]
        for key in stray[:5]:
            await storage.put_bytes(key, b"x")
        everything = files(world)
        await stamp(database, storage)
        job = Job(new_id(), "tracks.sweep", "{}", 1, clock.now())
        sweep = partial(TrackJobs(database, storage, MediaLimits()).sweep, job, NoPayload())
        await sweep()
        assert files(world) == everything
        old = time.time() - 25 * 3600
        for name in everything:
            os.utime(storage.local_path(name), (old, old))
        await sweep()
        assert files(world) == sorted(kept)
