"""What is said to the program that makes models, and what it answers."""

import asyncio
import sys
from contextlib import suppress

import msgspec

_PROGRAM = "veza.rooms.recommendations.child"
# Seconds after which it is not coming any more.
PATIENCE = 1800
_SAID = 2_000


class Order(msgspec.Struct, frozen=True):
    """Learn from the database at this URL, and write a new file; ``now`` in microseconds since 1970."""

    database: str
    path: str
    now: int


class Outcome(msgspec.Struct, frozen=True):
    """What was made: the file's ``size`` in bytes and SHA-256, what it is about, from how many rows."""

    size: int
    digest: str
    tracks: int
    playlists: int
    rows: int


class NotMade(Exception):
    """The program ended without a model; its last words."""


async def carry_out(order: Order) -> Outcome:
    """Have a model made by a process of its own. Raises :class:`NotMade`; when cancelled, it ends as well."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", _PROGRAM,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin is not None
    try:
        # Stdin stays open as long as we live: its end is the child's.
        child.stdin.write(msgspec.json.encode(order) + b"\n")
        async with asyncio.timeout(PATIENCE):
            said, complaints = await asyncio.gather(_all(child.stdout), _all(child.stderr))
            await child.wait()
    except TimeoutError:
        raise NotMade("it took too long") from None
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        child.stdin.close()
        await asyncio.shield(child.wait())
    if child.returncode != 0:
        raise NotMade(complaints.decode("utf-8", "replace")[-_SAID:])
    return msgspec.json.decode(said, type=Outcome)


async def _all(stream: asyncio.StreamReader | None) -> bytes:
    return await stream.read() if stream is not None else b""
