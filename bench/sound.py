"""Bytes of sound on their way out: a large download beside nginx's, and many listeners at their own pace."""

import asyncio
import http.client
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from getpass import getuser
from pathlib import Path
from uuid import UUID

import uvloop

from bench.load import cpu_seconds, render
from bench.seed import CACHE, seeded, track_id
from bench.servers import Veza
from bench.table import Figure
from bench.tracks import TRACKS
from veza.core.db import open_database
from veza.media import Layout
from veza.rooms.tracks import store
from veza.rooms.tracks.jobs import original_key

_SIZE = 50 * 1024 * 1024
_TIMES = 30  # a download takes 13 or 40 ms, by who has to wake whom: ten said little
_LISTENERS, _SECONDS = 200, 10.0
_RATE = 40_000  # bytes a second: 320 kbit/s
_SEGMENT_SECONDS = 4
_AHEAD = 3  # segments that a player has in store when it settles down


async def sound() -> list[Figure]:
    """Download rate beside nginx's in the same run; what 200 listeners cost, as a part of one core."""
    track = track_id(1)
    described = CACHE / "sound.db"
    await asyncio.to_thread(shutil.copy, seeded(10_000), described)
    await _describe(described, track)
    with Veza(described) as veza:
        original = veza.folder / "files" / original_key(track)
        await asyncio.to_thread(_write, original)
        figures = [await asyncio.to_thread(_download, veza, track, original)]
        for name, listen in (("one file each", _listen_whole), ("HLS", _listen_hls)):
            figures.append(await _listeners(veza, name, listen, track))
    return figures


def _write(original: Path) -> None:
    original.parent.mkdir(parents=True)
    original.write_bytes(os.urandom(_SIZE))
    os.link(original, original.with_name("flac"))


async def _describe(path: Path, track: UUID) -> None:
    """The row of a track with this file as its original and as a rendition of 320 kbit/s."""
    database = open_database(f"sqlite:///{path}")
    piece = _RATE * _SEGMENT_SECONDS
    count = (_SIZE - 2000) // piece
    layout = Layout(1000, 1000, 1000, [piece] * count, [_SEGMENT_SECONDS * 1000] * count)
    row = {"name": "aac_160", "key": f"tracks/{track}/flac", "mime": "audio/mp4", "codec": "mp4a.40.2"}
    async with database.write() as tx:
        await store.set_renditions(tx, track, [row | {"bitrate": 1, "size": _SIZE, "layout": layout}])
        found = await store.lock(tx, track)
        assert found is not None
        await store.change(tx, found, {"file_size": _SIZE})
    await database.close()


def _download(veza: Veza, track: UUID, original: Path) -> Figure:
    target = (veza.host, veza.port, f"{TRACKS}/{track}/download")
    name = f"download of {_SIZE >> 20} MB / nginx"
    if shutil.which("nginx") is None:
        rate = statistics.median(_fetch(*target) for _ in range(_TIMES))
        return Figure(name, f"{rate:,.0f} MB/s", "nginx is not installed", "≥ 0.7", None)
    rates: tuple[list[float], list[float]] = [], []
    with _nginx(original) as other:
        for turn in range(_TIMES):
            for side, where in list(enumerate((target, other)))[:: 1 if turn % 2 == 0 else -1]:
                rates[side].append(_fetch(*where))
    ours, theirs = map(statistics.median, rates)
    share = ours / theirs
    return Figure(name, f"{share:.2f} ({ours:,.0f} MB/s)", f"{theirs:,.0f} MB/s", "≥ 0.7", share >= 0.7)


@contextmanager
def _nginx(file: Path) -> Iterator[tuple[str, int, str]]:
    """A private nginx that serves this one file by the kernel, as it would in production."""
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "file").symlink_to(file)
        config = Path(folder) / "nginx.conf"
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        config.write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors; user {getuser()};"
            "events { worker_connections 64; }"
            f"http {{ access_log off; sendfile on; tcp_nopush on; {temporary}"
            f"server {{ listen 127.0.0.1:{port}; root {folder}; }} }}"
        )
        process = subprocess.Popen(["nginx", "-c", str(config)], stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                with suppress(OSError):
                    _fetch("127.0.0.1", port, "/file")
                    break
                time.sleep(0.05)
            yield "127.0.0.1", port, "/file"
        finally:
            process.terminate()
            process.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _fetch(host: str, port: int, path: str) -> float:
    """MB/s of one download over a connection of its own, into a buffer that is used again."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    buffer, got = bytearray(1 << 20), 0
    began = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    while count := answer.readinto(buffer):
        got += count
    took = time.perf_counter() - began
    connection.close()
    assert got == _SIZE
    return got / took / 1e6


async def _listeners(veza: Veza, name: str, listen, track: UUID) -> Figure:
    """The part of one core that the server takes while everybody listens at 320 kbit/s."""
    late: list[float] = []
    tasks = [
        asyncio.create_task(listen(veza, track, late, n / _LISTENERS * _SEGMENT_SECONDS))
        for n in range(_LISTENERS)
    ]
    await asyncio.sleep(_SEGMENT_SECONDS + 2)
    late.clear()
    used, began = cpu_seconds(veza.pid), time.perf_counter()
    await asyncio.sleep(_SECONDS)
    share = (cpu_seconds(veza.pid) - used) / (time.perf_counter() - began)
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    failed = [one for one in outcomes if not isinstance(one, asyncio.CancelledError)]
    assert not failed, failed[:3]
    worst = max(late, default=0.0)
    return Figure(
        f"{_LISTENERS} listeners at 320 kbit/s, {name}",
        f"{share:.1%} of a core, latest by {worst * 1000:.0f} ms", "", "< 20 %", share < 0.2 and worst < 2,
    )  # fmt: skip


@asynccontextmanager
async def _asked(veza: Veza) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    # Little room on this side, or the system would take minutes of music at once and nobody would be paced.
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    own.setblocking(False)  # noqa: FBT003 - the library's own way
    await asyncio.get_running_loop().sock_connect(own, (veza.host, veza.port))
    reader, writer = await asyncio.open_connection(sock=own, limit=1 << 16)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _head(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 20"), head
    return int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0])


async def _listen_whole(veza: Veza, track: UUID, late: list[float], delay: float) -> None:
    """One request for all of it, read at the pace of the music, a tenth of a second at a time."""
    await asyncio.sleep(delay)
    async with _asked(veza) as (reader, writer):
        writer.write(render("GET", f"{TRACKS}/{track}/stream"))
        await _head(reader)
        began, step = time.perf_counter(), 0
        while True:
            step += 1
            await reader.readexactly(_RATE // 10)
            behind = time.perf_counter() - began - step / 10
            late.append(max(behind, 0.0))
            await asyncio.sleep(max(-behind, 0.0))


async def _listen_hls(veza: Veza, track: UUID, late: list[float], delay: float) -> None:
    """Segment by segment over one connection, each asked for when there is room for it again."""
    await asyncio.sleep(delay)
    async with _asked(veza) as (reader, writer):
        began = time.perf_counter()
        for number in range(1, 1000):
            writer.write(render("GET", f"{TRACKS}/{track}/hls/aac_160/{number}.m4s"))
            asked = time.perf_counter()
            await reader.readexactly(await _head(reader))
            late.append(time.perf_counter() - asked)
            await asyncio.sleep(
                max(began + max(number - _AHEAD, 0) * _SEGMENT_SECONDS - time.perf_counter(), 0)
            )


if __name__ == "__main__":
    for figure in uvloop.run(sound()):
        print(figure)
