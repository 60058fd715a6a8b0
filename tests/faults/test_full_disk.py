"""A server whose disk is full, read only, or has no descriptor left, at any moment that one can think of."""

import asyncio
import errno
import itertools
import os
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import apsw
import httpx

from tests.faults.refusing import Refusing, refusing
from tests.faults.test_process_serve import WAIT, Served, person, serving
from tests.rooms.uploads_house import Sender, wave
from tests.world import PASSWORD, Person

# More calls than any request makes.
MOST = 400
REFUSED = {503: "SERVICE_UNAVAILABLE", 507: "INSUFFICIENT_STORAGE"}


class Scene:
    """Ada, at a server whose disk is in our hands."""

    def __init__(self, served: Served, kernel: Refusing, ada: Person) -> None:
        self.served, self.kernel, self.ada = served, kernel, ada

    async def count(self, path: str) -> int:
        """How many of her things there are."""
        data = (await self.ada.get(path)).json()["data"]
        return int(data["pagination"]["total"])

    async def works(self) -> bool:
        answer = await self.served.client.get(f"{self.served.url}/readyz")
        return answer.status_code == 200


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    data = folder / "data"
    data.mkdir(0o700)
    with refusing(data) as kernel:
        async with serving(data, REFUSING=kernel.address, VEZA_RATE_LIMIT_ENABLED="false") as served:
            await served.client.post("/auth/register", json=person("ada"))
            login = {"email": "ada@example.com", "password": PASSWORD}
            answer = await served.client.post("/auth/login", json=login)
            found = answer.json()["data"]
            served.client.headers["Authorization"] = f"Bearer {found['token']['access_token']}"
            yield Scene(served, kernel, Person(served.client, found))
            assert await served.end() == 0


# Which are done once: to ask again changes nothing; and of places for chunks there are few.
ONCE = {"a chunk", "the last chunk", "all chunks", "a place for chunks"}
# What is asked, with a number that is another one each time, and what of it is to be seen.
Deed = tuple[Callable[[int], Awaitable[httpx.Response]], Callable[[], Awaitable[Any]]]


def deeds(here: Scene, sender: Sender) -> dict[str, Deed]:
    """One of each way to write: rows, files whole and in chunks, files that become others."""
    ada = here.ada

    async def bio() -> Any:
        return (await ada.get(f"/users/{ada.id}")).json()["data"]["profile"]["bio"]

    async def received() -> Any:
        return (await sender.state())["chunks_received"]

    async def started() -> Any:
        return (await ada.get(f"/tracks/quota/{ada.id}")).json()["data"]["quota"]["used"]

    start = {"filename": "a.mp3", "total_chunks": 1, "total_size": 9}
    return {
        "a row": (lambda n: ada.put(f"/users/{ada.id}", json={"bio": f"Number {n}"}), bio),
        "many rows": (
            lambda n: ada.post("/playlists", json={"title": f"Number {n}", "description": "x" * 2_000}),
            lambda: here.count("/playlists?limit=1"),
        ),
        "a file": (
            lambda n: ada.post("/uploads", files={"file": ("a.txt", f"Number {n}".encode() * 5_000)}),
            lambda: here.count("/uploads?limit=1"),
        ),
        "a track": (
            lambda n: ada.post("/tracks", files={"file": ("a.wav", wave(9_000, n))}),
            lambda: here.count(f"/tracks?limit=1&user_id={ada.id}"),
        ),
        "a chunk": (lambda n: sender.send(1), received),
        "the last chunk": (lambda n: sender.send(2), received),
        "all chunks": (lambda n: sender.complete(), lambda: here.count(f"/tracks?limit=1&user_id={ada.id}")),
        "a place for chunks": (lambda n: ada.post("/tracks/initiate", json=start), started),
    }


async def test_a_disk_that_is_full_from_any_write_on(tmp_path: Path) -> None:
    """X5, C21, C22, F5: whatever is refused first, the answer is true: done and to be seen, or not at all.

    Each write of each kind of request is once the first of all that fail, and once the only one; the next
    request finds everything as if nothing had been.
    """
    async with scene(tmp_path) as here:
        sender = Sender(here.ada, wave(9_000), 6_000, "chunks.wav")
        assert (await sender.start()).status_code == 200
        refusals = 0
        for name, (do, seen) in deeds(here, sender).items():
            for number in range(1, MOST):
                before = await seen()
                # All from here on; and where that is over, this one alone.
                here.kernel.refuse(errno.ENOSPC, first=number)
                answer = await do(2 * number)
                if refused := here.kernel.allow():
                    refusals += 1
                    before = judge((name, number, here.kernel.refused), answer, before, await seen())
                    if not answer.is_success:
                        here.kernel.refuse(errno.ENOSPC, first=number, last=number)
                        answer = await do(2 * number + 1)
                        here.kernel.allow()
                        before = judge((name, number, here.kernel.refused), answer, before, await seen())
                    if answer.is_success and name in ONCE:
                        break
                if not refused:
                    assert answer.is_success, (name, number, answer.text)
                    assert await seen() != before
                    break
            else:
                raise AssertionError(f"{name} never came to an end")
        assert refusals > 50
        assert await here.works()
        scratch = tmp_path / "data" / "files" / ".scratch"
        async with asyncio.timeout(WAIT):  # a job may be at work
            while await asyncio.to_thread(os.listdir, scratch):  # noqa: ASYNC110 - another process does it
                await asyncio.sleep(0.05)
    with closing(apsw.Connection(str(tmp_path / "data" / "veza.db"))) as database:
        assert database.pragma("integrity_check") == "ok"


def judge(where: Any, answer: httpx.Response, before: Any, after: Any) -> Any:
    """Whether an answer is true, by what was to be seen before and after it; the latter."""
    if answer.is_success:
        assert after != before, (where, "was said to be done")
        return after
    said = (where, answer.status_code, answer.text)
    assert answer.json()["error"]["code"] == REFUSED.get(answer.status_code), said
    assert after == before, (said, before, after)
    return after


async def test_a_disk_that_is_read_only(tmp_path: Path) -> None:
    """X4: all is still read, from the database and from files; each write is 503, and later all is well."""
    async with scene(tmp_path) as here:
        sender = Sender(here.ada, wave(9_000), 6_000, "chunks.wav")
        assert (await sender.start()).status_code == 200
        asked = {name: do for name, (do, _) in deeds(here, sender).items() if name != "all chunks"}
        song = (await here.ada.post("/tracks", files={"file": ("a.wav", wave(9_000))})).json()["data"][
            "track"
        ]
        here.kernel.refuse(errno.EROFS, first=1)
        for name, do in asked.items():
            answer = await do(0)
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True), (name, answer.text)
        for path in (f"/users/{here.ada.id}", "/tracks", "/playlists", "/notifications", "/auth/me"):
            assert (await here.ada.get(path)).status_code == 200, path
        assert (await here.ada.get(f"/tracks/{song['id']}/stream?quality=original")).content == wave(9_000)
        assert not await here.works()
        here.kernel.allow()
        assert await here.works()
        for name, do in asked.items():
            assert (await do(0)).is_success, name


async def test_no_descriptor_is_left(tmp_path: Path) -> None:
    """X7: who is connected is answered, if need be with 503; nobody hangs, and later all is well."""
    async with scene(tmp_path) as here:
        pid = here.served.process.pid
        await until_no_job_is_left(tmp_path / "data")
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        file = {"file": ("a.txt", b"hello" * 50_000)}
        for _ in range(3):
            await asyncio.to_thread(leave_none, pid, hard)
            answer = await here.ada.post("/uploads", files=file)
            assert answer.status_code == 503, answer.text
            assert (await here.ada.get(f"/users/{here.ada.id}")).status_code == 200
        await asyncio.to_thread(leave_none, pid, hard)  # also of what it has let go since
        began = time.monotonic()
        met = await asyncio.gather(*(knock(here.served.url) for _ in range(20)))
        assert time.monotonic() - began < 20, "some hung"
        assert 200 not in met
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        assert (await here.ada.post("/uploads", files=file)).status_code == 201
        assert await asyncio.gather(*(knock(here.served.url) for _ in range(20))) == [200] * 20


async def until_no_job_is_left(data: Path) -> None:
    """A job that ends gives descriptors back."""

    def left() -> int:
        with closing(apsw.Connection(str(data / "veza.db"), flags=apsw.SQLITE_OPEN_READONLY)) as database:
            database.set_busy_timeout(5000)
            return int(database.execute("SELECT count(*) FROM jobs WHERE unique_key IS NULL").get)

    async with asyncio.timeout(WAIT):
        while await asyncio.to_thread(left):  # noqa: ASYNC110 - another process does them
            await asyncio.sleep(0.05)


def leave_none(pid: int, hard: int) -> None:
    """Refuse a process every descriptor more, also in place of those that it closes within half a second."""
    limit, since = hard, time.monotonic()
    while time.monotonic() - since < 0.5:
        if (free := first_free(pid)) < limit:
            limit, since = free, time.monotonic()
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, hard))
        time.sleep(0.005)


def first_free(pid: int) -> int:
    opened = {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in itertools.count() if number not in opened)


async def knock(url: str) -> int:
    """The status that somebody gets on a connection of their own; 0 for one that is closed."""
    async with httpx.AsyncClient(timeout=15) as client:
        try:
            return (await client.get(f"{url}/healthz")).status_code
        except httpx.TransportError:
            return 0
