"""Models as files: made by a process of their own, fetched, checked, replaced, and removed."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.rooms.listening_house import rows_of, song
from tests.rooms.taste_house import _learns_here as _learns_here  # noqa: PLC0414 - a fixture for all tests here
from tests.rooms.taste_house import hear, learned
from tests.rooms.tracks_house import files
from tests.slices import HAS_SLICES, slice_of
from tests.world import World, open_world
from veza.app import working
from veza.core import clock
from veza.core.background import NICENESS, NICEST, SLICE_NS
from veza.core.db import Database
from veza.core.errors import Unavailable
from veza.core.ids import new_id
from veza.core.storage import LocalStorage
from veza.rooms.recommendations import jobs, orders, shelf, store
from veza.rooms.recommendations.model import Kind
from veza.rooms.recommendations.orders import NotMade, Order, carry_out
from veza.rooms.recommendations.shelf import Shelf


async def listened(world: World) -> list[str]:
    """Two tracks that two people heard."""
    olga, bob, cleo = [await world.person(name) for name in ("olga", "bob", "cleo")]
    songs = [await song(world, olga) for _ in range(2)]
    for one in (bob, cleo):
        await hear(one, *songs)
    return songs


async def test_a_process_of_its_own_makes_it_when_its_hour_has_come(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X6: the job has it made, by whoever runs jobs; whoever serves hears of it, and finds all in it."""
    monkeypatch.setattr(jobs, "carry_out", carry_out)
    async with open_world(database, tmp_path) as world:
        songs = await listened(world)
        await database.script("DELETE FROM jobs")
        warm = asyncio.create_task(world.parts.shelf.run())
        async with working(world.parts), asyncio.timeout(60):
            while world.parts.shelf._model is None:  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.05)
        warm.cancel()
        model = world.parts.shelf._model
        assert [str(model.id_of(number)) for number in model.numbers(Kind.TRACK)] == songs
        assert [[other for other, *_ in model.neighbours(n, Kind.TRACK)] for n in (0, 1)] == [[1], [0]]
        assert files(world, "model-") == []


async def test_where_nobody_heard_anything_nothing_is_made(database: Database, tmp_path: Path) -> None:
    async with open_world(database, tmp_path) as world:
        await song(world, await world.person("olga"))
        (task,) = jobs.tasks(database, world.parts.storage)
        await task.run(None, None)  # type: ignore[arg-type]  # it looks at neither
        assert await rows_of(world, "recommendation_models") == {"recommendation_models": 0}
        assert await world.parts.shelf.present() is None


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_process_that_fails_says_why_and_leaves_nothing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that is given up ends at once."""
    path = tmp_path / "model"
    path.write_bytes(b"")
    with pytest.raises(NotMade, match="FileExistsError"):
        await carry_out(Order(database.url, str(path), 0))
    path.unlink()
    begun: asyncio.Future[asyncio.subprocess.Process] = asyncio.get_running_loop().create_future()
    start = asyncio.create_subprocess_exec

    async def start_and_halt(*program: Any, **pipes: Any) -> asyncio.subprocess.Process:
        child = await start(*program, **pipes)
        child.send_signal(signal.SIGSTOP)  # it has no order yet, and will not be done when it is given up
        begun.set_result(child)
        return child

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_and_halt)
    making = asyncio.create_task(carry_out(Order(database.url, str(path), 0)))
    child = await begun
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert child.returncode == -signal.SIGKILL
    assert not path.exists()


# The program, which never comes to the end of its work.
ENDLESS = """
import asyncio
from veza.rooms.recommendations import child

async def make(order):
    await asyncio.Event().wait()

child.make = make
child.main()
"""


def test_a_process_ends_with_whoever_started_it(tmp_path: Path) -> None:
    """X6: the end of its input is theirs."""
    order = msgspec.json.encode(Order("sqlite:///nowhere", str(tmp_path / "model"), 0)) + b"\n"
    program = [sys.executable, "-c", ENDLESS]
    ended = subprocess.run(program, input=order, capture_output=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, b"", b"")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priority")
def test_learning_gives_way_to_whoever_serves() -> None:
    """It may take minutes, and whoever wakes up beside it does not wait for it."""
    gentle = min(os.getpriority(os.PRIO_PROCESS, 0) + NICENESS, NICEST)
    command = [sys.executable, "-m", orders._PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        until = time.monotonic() + 20
        while os.getpriority(os.PRIO_PROCESS, child.pid) != gentle or (
            HAS_SLICES and slice_of(child.pid) != SLICE_NS
        ):
            assert time.monotonic() < until
            time.sleep(0.02)


async def test_a_new_one_takes_the_place_of_the_old(database: Database, tmp_path: Path) -> None:
    """Two are kept, with their files; whoever has the old one in hand keeps it until they are done."""
    async with open_world(database, tmp_path) as world:
        songs = await listened(world)
        here = world.parts.shelf
        models = []
        for _ in range(4):
            await learned(world)
            models.append(await here.present())
            assert await here.present() is models[-1]
        assert len(set(map(id, models))) == 4
        assert [str(model.id_of(0)) for model in models if model] == [songs[0]] * 4, (
            "removed files, still open"
        )
        async with database.read() as view:
            kept = await store.list_all(view)
        assert len(kept) == 2
        assert files(world, "recommendations/") == sorted(made.key for made in kept)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_file_that_no_row_names_goes_after_a_day(database: Database, tmp_path: Path) -> None:
    async with open_world(database, tmp_path) as world:
        await listened(world)
        orphan = f"{store.FOLDER}/{new_id()}"
        await world.parts.storage.put_bytes(orphan, b"of a process that was killed")
        await learned(world)
        assert orphan in files(world, "recommendations/")
        with clock.shifted(jobs.ORPHAN_AGE + timedelta(minutes=1)):
            await learned(world)
        assert orphan not in files(world, "recommendations/")


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_damaged_one_is_not_used(database: Database, tmp_path: Path) -> None:
    """X3: the one before serves on, and a whole one is taken up again."""
    async with open_world(database, tmp_path) as world:
        await listened(world)
        here, storage = world.parts.shelf, world.parts.storage
        await learned(world)
        first = await here.present()
        await learned(world)
        async with database.read() as view:
            made = await store.newest(view)
        assert made is not None
        damaged = bytearray(await storage.get_bytes(made.key, 1 << 20))
        damaged[-1] ^= 1
        await storage.put_bytes(made.key, bytes(damaged))
        assert await here.present() is first
        assert await here.present() is first
        await learned(world)
        assert await here.present() is not first


class Elsewhere(LocalStorage):
    """A storage whose files are on another machine."""

    slow = 0.0
    away = False
    asked = 0

    async def fetch_to(self, key: str, path: Path) -> Path:
        self.asked += 1
        if self.away:
            raise Unavailable
        await asyncio.sleep(self.slow)
        return Path(shutil.copy(await super().fetch_to(key, path), path))


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_on_another_machine_it_is_fetched_once_and_leaves_no_copy(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks meanwhile waits a moment, and then is served without it."""
    async with open_world(database, tmp_path) as world:
        await listened(world)
        await learned(world)
        storage = Elsewhere(tmp_path / "data" / "files")
        there = Shelf(database, storage)
        many = await asyncio.gather(*(there.present() for _ in range(20)))
        assert len(set(map(id, many))) == 1
        assert many[0] is not None
        assert list(storage.scratch.glob("model-*")) == []
        monkeypatch.setattr(shelf, "PATIENCE", 0.01)
        storage.slow = 0.2
        await learned(world)
        assert await there.present() is many[0]
        monkeypatch.setattr(shelf, "PATIENCE", 60)
        assert await there.present() is not many[0]
        await storage.close()


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_while_the_storage_is_away_the_one_before_serves_on(database: Database, tmp_path: Path) -> None:
    """Nobody waits for what was just asked for in vain; half a minute later it is asked for again."""
    async with open_world(database, tmp_path) as world:
        await listened(world)
        await learned(world)
        storage = Elsewhere(tmp_path / "data" / "files")
        there = Shelf(database, storage)
        first = await there.present()
        await learned(world)
        storage.away = True
        assert {await there.present() for _ in range(3)} == {first}
        assert storage.asked == 2
        storage.away = False
        assert await there.present() is first
        with clock.shifted(timedelta(seconds=shelf.AGAIN)):
            assert await there.present() not in {first, None}
        await storage.close()


def test_a_server_does_not_load_what_learns() -> None:
    """What learning needs of memory is never part of a process that serves; nor is numpy, until it draws."""
    loaded = "import sys, veza.process; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    modules = done.stdout.split()
    assert "numpy" not in modules
    assert "stripe" not in modules, "only where its key is set"
    assert [name for name in modules if name.startswith(("opentelemetry", "google"))] == [], "as above"
    names = {name.rpartition(".")[2] for name in modules if "recommendations" in name}
    assert names & {"learning", "gathering", "training", "writing", "child"} == set()
    assert {"model", "ranking", "service"} <= names
