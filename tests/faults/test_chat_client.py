"""`veza chat` as people have it: a process with a keyboard and a screen."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.faults.chat_clients import open_room, serving_here, talker
from tests.world import PASSWORD
from veza.core.db import Database


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_somebody_talks_from_a_terminal(database: Database, tmp_path: Path) -> None:
    """H8: what is said is text, whatever marks are in it."""
    async with serving_here(database, tmp_path / "data", rate_limit_enabled=False) as served:
        ann, bob = await talker(served.url, "ann"), await talker(served.url, "bob")
        room_id = await open_room(ann, bob)
        await ann.open()
        await ann.ask("join", room_id=room_id)
        await ann.ask("message", room_id=room_id, content="[red]before", client_id="1")
        words = ("chat", room_id, "--server", served.url, "--email", "bob@example.com")
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "veza", *words, "--password-stdin", stdin=PIPE, stdout=PIPE
        )
        client.stdin.write(f"{PASSWORD}\nhello from a terminal\none\ntwo\nthree\n".encode())
        await ann.until(lambda: "hello from a terminal" in [one["content"] for one in ann.messages()])
        await ann.until(lambda: "three" in [one["content"] for one in ann.messages()])
        assert [one["content"] for one in ann.messages()][-3:] == ["one", "two", "three"]
        await ann.ask("message", room_id=room_id, content="first\nbob not me", client_id="3")
        await ann.ask("message", room_id=room_id, content="hello back", client_id="2")
        shown = b""
        async with asyncio.timeout(30):
            while b"hello back" not in shown:
                shown += await client.stdout.readline()
        assert b"ann [red]before" in shown
        assert b"bob hello from a terminal" in shown
        assert b"ann first\n    bob not me\n" in shown
        out, _ = await asyncio.wait_for(client.communicate(b"/quit\n"), 30)
        assert client.returncode == 0, out
        await asyncio.gather(ann.end(), bob.end())
