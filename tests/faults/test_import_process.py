"""`veza import` as an operator has it: beside a running server, without one, killed, and told to stop."""

import asyncio
import hashlib
import random
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.faults.nursery import Forked
from tests.faults.test_process_serve import WAIT, Served, run, serving, start
from tests.media.hostile import id3, id3_frame
from tests.rooms.tracks_house import short
from tests.world import PASSWORD
from veza.rooms.tracks.library import BATCH_FILES

__all__ = ["short"]

Short = Callable[[str], Path]
FILES = 260  # two batches and a little


@pytest.fixture
def music(tmp_path: Path, short: Short) -> Path:
    """Many small files, no two of them alike."""
    body = short("rate8.mp3").read_bytes()
    for number in range(FILES):
        path = tmp_path / "music" / f"{number // 50}" / f"{number:04}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(id3([id3_frame("TIT2", b"\x03Song %d" % number)]) + body)
    return tmp_path / "music"


async def add_ada(folder: Path) -> None:
    words = ("users", "create", "--username", "ada", "--email", "ada@example.com", "--password-stdin")
    code, _, said = await run(folder, *words, typed=f"{PASSWORD}\n")
    assert code == 0, said


def ask(folder: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(apsw.Connection(str(folder / "veza.db"))) as connection:
        connection.set_busy_timeout(5000)
        return list(connection.execute(sql))


def count(folder: Path) -> int:
    return int(str(ask(folder, "SELECT count(*) FROM tracks")[0][0]))


def check_files(folder: Path) -> None:
    """Every row's file is there, whole."""
    for raw, sha256 in ask(folder, "SELECT id, sha256 FROM tracks"):
        name = bytes(raw).hex()
        name = "-".join((name[:8], name[8:12], name[12:16], name[16:20], name[20:]))
        data = (folder / "files" / "tracks" / name / "original").read_bytes()
        assert hashlib.sha256(data).hexdigest() == sha256


async def test_a_running_server_shows_what_another_process_imports(tmp_path: Path, music: Path) -> None:
    """X9: what it remembered of lists and of people is forgotten, and the work behind begins at once."""
    folder = tmp_path / "data"
    async with serving(folder) as served:
        ada = {
            "username": "ada",
            "email": "ada@example.com",
            "password": PASSWORD,
            "password_confirm": PASSWORD,
        }
        await served.client.post("/auth/register", json=ada)
        for _ in range(2):  # once from the database, once as it was kept
            assert (await listed(served))["pagination"]["total"] == 0
        code, out, err = await run(folder, "import", str(music), "--user", "Ada")
        assert (code, err) == (0, ""), out
        assert f"Added {FILES} tracks" in out
        # It looks twenty times a second whether another process wrote.
        async with asyncio.timeout(WAIT):
            while (found := await listed(served))["pagination"]["total"] != FILES:  # noqa: ASYNC110 - as below
                await asyncio.sleep(0.02)
        song = f"/tracks/{found['tracks'][0]['id']}/stream"
        assert (await served.client.get(song, headers={"Range": "bytes=0-1"})).status_code == 206
        async with asyncio.timeout(WAIT):
            while not ask(folder, "SELECT 1 FROM renditions"):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        assert await served.end() == 0
    check_files(folder)


async def listed(served: Served) -> Any:
    return (await served.client.get("/tracks")).json()["data"]


async def test_stopped_or_killed_it_goes_on_from_there(tmp_path: Path, music: Path) -> None:
    """C19: no row without its whole file, nothing twice, and nothing forgotten."""
    folder = tmp_path / "data"
    await add_ada(folder)
    stopped = await begun(folder, music, 1)
    stopped.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(stopped.communicate(), WAIT)
    done = count(folder)
    if done < FILES:
        assert stopped.returncode == 1
        assert "the same command goes on from here" in err.decode()
    assert done == FILES or done % BATCH_FILES == 0
    check_files(folder)

    killed = await begun(folder, music, done)
    await asyncio.sleep(random.uniform(0, 0.3))
    if killed.returncode is None:
        killed.kill()
    await killed.communicate()
    check_files(folder)

    code, out, err = await run(folder, "import", str(music), "--user", "ada")
    assert (code, err) == (0, ""), out
    assert count(folder) == FILES
    check_files(folder)
    assert ask(folder, "SELECT total FROM track_counts WHERE scope = '||'") == [(FILES,)]


async def begun(folder: Path, music: Path, tracks: int) -> Forked:
    """An import that has as many tracks, or is over."""
    process = await start(folder, "import", str(music), "--user", "ada")
    async with asyncio.timeout(WAIT):
        while count(folder) < tracks and process.returncode is None:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
    return process


async def test_without_a_server_it_can_do_the_work_behind_it_too(tmp_path: Path, short: Short) -> None:
    folder, one = tmp_path / "data", tmp_path / "one"
    one.mkdir()
    (one / "song.mp3").write_bytes(short("a.mp3").read_bytes())
    (one / "fake.flac").write_bytes(b"nothing of the kind" * 9)
    await add_ada(folder)
    code, out, err = await run(folder, "import", str(one), "--user", "ada", "--wait")
    assert (code, err) == (0, ""), out
    assert "fake.flac" in out
    assert len(ask(folder, "SELECT 1 FROM renditions")) == 3
    code, out, err = await run(folder, "import", str(one), "--user", "nobody")
    assert (code, out, err.startswith("veza: ")) == (1, "", True)
