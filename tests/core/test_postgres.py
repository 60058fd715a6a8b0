"""The PostgreSQL that the tests run on is theirs alone, and goes with them however they end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from tests.postgres import start_postgres

HOLDER = """
import time
from tests.postgres import start_postgres
print(start_postgres()[0], flush=True)
time.sleep(60)
"""


def folder_of(address: str) -> Path:
    return Path(address.partition("host=")[2])


def wait_until_gone(pid: int, folder: Path) -> None:
    deadline = time.monotonic() + 60
    while folder.exists() or Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the server outlived its tests"
        time.sleep(0.05)


def server_pid(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])


async def test_a_server_of_version_15_or_newer_answers_and_leaves_nothing() -> None:
    address, stop = start_postgres()
    folder = folder_of(address)
    pid = server_pid(folder)
    try:
        connection = await asyncpg.connect(address)
        try:
            assert connection.get_server_version().major >= 15
            assert await connection.fetchval("show listen_addresses") == ""
            assert await connection.fetchval("show server_encoding") == "UTF8"
        finally:
            await connection.close()
    finally:
        stop()
    wait_until_gone(pid, folder)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_the_process_that_started_it(sign: signal.Signals) -> None:
    root = Path(__file__).parents[2]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=root
    )
    with holder:
        assert holder.stdout is not None
        folder = folder_of(holder.stdout.readline().strip())
        pid = server_pid(folder)
        os.kill(holder.pid, sign)
    wait_until_gone(pid, folder)
