"""Chunks over real sockets: slow senders, servers that stop, disks that lose their power."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.server_harness import QUICK
from tests.rooms.test_uploads_faults import ended, scratch
from tests.rooms.tracks_house import code, settled
from tests.rooms.uploads_house import Sender, form, wave
from tests.world import World, open_world
from veza.core import server
from veza.core.db import Database
from veza.core.metrics import metrics
from veza.core.server import Limits, serve_async
from veza.rooms.uploads import receiving

SIZE = 100_000


class Served:
    """An application behind a server of its own."""

    def __init__(self) -> None:
        self.port, self.stop, self.drained = 0, asyncio.Event(), asyncio.Event()
        self.up = asyncio.Event()

    def ready(self, _host: str, port: int) -> None:
        self.port = port
        self.up.set()

    async def begin(self, sender: Sender, number: int, much: int) -> tuple[asyncio.StreamReader, Any]:
        """Send a head, and so many bytes of the body; what reads the answer, and what writes the rest."""
        body, headers = form([*sender.fields(number).items(), ("chunk", sender.chunk(number))])
        head = {"Host": "veza.test", "Content-Length": str(len(body)), **headers,
                "Authorization": sender.person.client.headers["authorization"]}  # fmt: skip
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"POST /api/v1/tracks/chunk HTTP/1.1\r\n{lines}\r\n".encode() + body[:much])
        await writer.drain()
        return reader, writer


@asynccontextmanager
async def serving(world: World, **limits: Any) -> AsyncIterator[Served]:
    served = Served()
    task = asyncio.create_task(
        serve_async(
            world.app, port=0, ready=served.ready, stop=served.stop, signals=False, drain_seconds=3,
            on_drain=served.drained.set, limits=Limits(**{**QUICK, **limits}),
        )
    )  # fmt: skip
    await asyncio.wait_for(served.up.wait(), 30)
    try:
        yield served
    finally:
        served.stop.set()
        await asyncio.wait_for(task, 30)


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body of an answer."""
    async with asyncio.timeout(30):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = [line.partition(": ") for line in head.split("\r\n")[1:]]
        headers = {name.lower(): value for name, _, value in lines}
        body = await reader.readexactly(int(headers["content-length"]))
    return int(head.split()[1]), headers, json.loads(body)


async def test_a_chunk_that_drips(database: Database, tmp_path: Path) -> None:
    """C30: 408 when its time is over; it is not there, its bytes are gone, and it can be sent again."""
    content = wave(SIZE * 2 + 100)
    async with open_world(database, tmp_path) as world, serving(world) as served:
        sender = Sender(await world.person("olga"), content, SIZE)
        await sender.start()
        await sender.send(1)
        reader, writer = await served.begin(sender, 2, 60_000)
        answer = asyncio.create_task(answer_of(reader))
        while not answer.done():
            writer.write(b"x")
            await asyncio.sleep(0.05)
        status, _, body = await answer
        assert (status, body["error"]["code"]) == (408, "REQUEST_TIMEOUT")
        writer.close()
        await settled(world, lambda: scratch(world) == [])
        assert (await sender.state())["missing_chunks"] == [2, 3]
        await ended(world, sender, content)


async def test_a_server_that_stops_amid_chunks(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C31: what ends in time counts, the rest is 503 with Retry-After; the next server goes on from there."""
    content, late, gone_within = wave(SIZE * 2 + 100), asyncio.Event(), server._Server._gone_within

    async def gone_late(stopping: server._Server, seconds: float) -> bool:
        """The time that there is to end is over when the test says so."""
        if late.is_set():
            return await gone_within(stopping, seconds)
        await late.wait()
        return False

    monkeypatch.setattr(server._Server, "_gone_within", gone_late)
    async with open_world(database, tmp_path) as world:
        sender = Sender(await world.person("olga"), content, SIZE)
        await sender.start()
        await sender.send(3)
        async with serving(world, body_window_seconds=30) as served:
            quick, quick_writer = await served.begin(sender, 1, 60_000)
            slow, slow_writer = await served.begin(sender, 2, 60_000)
            await settled(world, lambda: metrics.in_flight == 2)
            served.stop.set()
            await asyncio.wait_for(served.drained.wait(), 30)
            rest = form([*sender.fields(1).items(), ("chunk", sender.chunk(1))])[0][60_000:]
            quick_writer.write(rest)
            status, _, body = await answer_of(quick)
            assert (status, body["data"]["received_chunks"]) == (200, 2)
            late.set()
            status, headers, body = await answer_of(slow)
            assert (status, body["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert int(headers["retry-after"]) > 0
            for writer in (quick_writer, slow_writer):
                writer.close()
        await settled(world, lambda: scratch(world) == [])
        assert (await sender.state())["missing_chunks"] == [2]
        async with serving(world) as served:
            body, _ = form([*sender.fields(2).items(), ("chunk", sender.chunk(2))])
            reader, writer = await served.begin(sender, 2, len(body))
            assert (await answer_of(reader))[0] == 200
            writer.close()
        await ended(world, sender, content)


async def test_a_chunk_without_end(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C8, F3: no length was told: 413 as soon as it is too large, and nothing is left."""
    monkeypatch.setattr(receiving, "MAX_CHUNK_BYTES", SIZE)
    async with open_world(database, tmp_path) as world:
        sender = Sender(await world.person("olga"), wave(SIZE), SIZE)
        await sender.start()
        sent = 0
        body, headers = form([*sender.fields(1).items(), ("chunk", b"")])

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            yield body[: -len(b"\r\n--cut-here--\r\n")]
            while sent < SIZE * 1_000:
                sent += 10_000
                yield bytes(10_000)

        answer = await sender.person.post("/tracks/chunk", content=endless(), headers=headers)
        assert code(answer) == (413, "FILE_TOO_LARGE")
        assert sent < SIZE * 30
        assert scratch(world) == []
        assert (await sender.state())["received"] == []


async def test_a_power_cut_loses_no_chunk(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C20: before a chunk is acknowledged its file is synced, and so is each folder that got a new name."""
    content = wave(SIZE + 10)
    async with open_world(database, tmp_path) as world:
        sender = Sender(await world.person("olga"), content, SIZE)
        synced: list[str] = []

        def watched(call: Callable[[int], None]) -> Callable[[int], None]:
            def sync(file: int) -> None:
                synced.append(Path(f"/proc/self/fd/{file}").readlink().name)
                call(file)

            return sync

        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, watched(getattr(os, name)))
        await sender.start()
        chunks = world.parts.chunks.folder  # type: ignore[attr-defined]  # of the local one
        assert {"whole", sender.id, chunks.name} <= set(synced), "the file, its folder, and where that stands"
        synced.clear()
        await sender.send(1)
        assert synced[0].startswith("intake-"), "the first, whose place is not known, lies beside"
        assert sender.id in synced[1:]
        synced.clear()
        await sender.send(2)
        assert "whole" in synced, "the second lies in its place"
        monkeypatch.undo()
        await ended(world, sender, content)
