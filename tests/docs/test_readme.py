"""The README's first session and the tutorial, run as they stand there, by a server started as they say."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, sections
from tests.media.corpus import BY_NAME, make

ADDRESS = "http://127.0.0.1:8080"
SONGS = ["vorbis.ogg", "a.mp3", "s16.flac", "s16.wav"]
SECONDS = 3.0
PATIENCE = 180

pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="the session is one with curl")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder in which the server is started and the lines are pasted."""
    for name in SONGS:
        make(BY_NAME[name], tmp_path, SECONDS)
    return tmp_path


@pytest.fixture
def server(home: Path) -> Iterator[str]:
    """A server as `make serve` starts it, on a free port; its address."""
    # The session of four songs, with its waiting, is more than one person does in a minute.
    environment = environment_of(home) | {"VEZA_PORT": "0", "VEZA_RATE_LIMIT_GLOBAL": "10000/min"}
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", "from veza.cli import main; main()", "serve"],
            cwd=home,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield address_of(process, home / "log")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


def environment_of(home: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(home), "LC_ALL": "C.UTF-8"}


def address_of(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"ready at (http\S+)", log.read_text())
        if found:
            return found[1]
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def script(address: str) -> str:
    """The lines of the section: what is said once, then what is done with each song, and the rest."""
    parts = re.split(
        r"^<!-- (?:for each song|once more) -->$", section("A first session"), flags=re.MULTILINE
    )
    first, each, last = (lines(part) for part in parts)
    assert ADDRESS in first
    songs = "\n".join(f'SONG="$PWD/{name}"\n{each}' for name in SONGS)
    return f"set -euo pipefail\n{first}\n{songs}\n{last}".replace(ADDRESS, address)


def section(title: str) -> str:
    return dict(sections((ROOT / "README.md").read_text("utf-8")))[title]


def lines(text: str) -> str:
    """What is to be pasted."""
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE))


def run(text: str, home: Path, **variables: str) -> str:
    """What these lines say, if none of them fails; they look again sooner than a person would.

    But not all the time: to look takes two programs, and as much of the CPU as what they wait for.
    """
    done = subprocess.run(
        ["bash"],
        input=f"sleep() {{ command sleep 0.4; }}\n{text}",
        cwd=home,
        env=environment_of(home) | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{(home / 'log').read_text()}"
    return done.stdout


def test_the_first_session_and_the_tutorial_work_as_they_stand_there(server: str, home: Path) -> None:
    """From signing up to signing out, with everything between; then a folder, and the demo beside it all."""
    said = run(script(server), home)
    assert said.count("\nready\n") == len(SONGS)
    assert said.count("TRACK_NOT_FOUND") == len(SONGS)
    assert len(re.findall(r"(?im)^content-range: bytes 10000-19999/", said)) == len(SONGS)
    assert said.count('"total_plays":1,') == said.count('"comments":[{') == len(SONGS)
    assert '"missing_chunks":[],"progress":100.0' in said
    assert re.search(r"^http\S+/verify-email\?token=\S+$", said, re.MULTILINE)
    assert one_is_left(home / "data" / "files" / "tracks"), "files of deleted tracks are still there"

    (home / ".venv").symlink_to(Path(sys.executable).parents[1])
    (home / "Music").mkdir()
    for name in SONGS:
        (home / name).rename(home / "Music" / name)
    said = run(f"set -euo pipefail\n{lines(section('A whole library'))}", home)
    # One of them is in the library already: it came in chunks.
    assert re.findall(r"^(Would add|Added) (\d) tracks", said, re.MULTILINE) == [
        ("Would add", "3"),
        ("Added", "3"),
    ]

    make(BY_NAME["a.mp3"], home / "Music", SECONDS).rename(home / "Music" / "song.mp3")
    tutorial = lines((ROOT / "docs/tutorial.md").read_text("utf-8"))
    assert ADDRESS in tutorial
    port = server.rpartition(":")[2]
    said = run(f"set -euo pipefail\n{tutorial.replace(ADDRESS, server)}", home, VEZA_PORT=port)
    assert {"PURCHASE_REQUIRED", '"type":"track_liked"', '"type":"user_followed"'} <= set(said.splitlines())
    assert f"It is ready at {server}." in said

    command, force = re.findall(r"`(\.venv/bin/veza demo|--force)`", section("Start"))
    assert "/hls/master.m3u8" in run(f"{command} {force}", home)


def one_is_left(folder: Path) -> bool:
    """Whether files of one track are left, once the job that removes those of others has come round."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if len({path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}) == 1:
            return True
        time.sleep(0.05)
    return False
