import asyncio
import contextlib
import errno
import hashlib
import os
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from veza.core.errors import (
    InsufficientStorage,
    InvalidRequest,
    PayloadTooLarge,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
    VezaError,
)
from veza.core.multipart import FileTooLarge, Form, receive_form
from veza.core.storage_intake import Intake

TYPE = "multipart/form-data; boundary=bound"
FILE = b'Content-Disposition: form-data; name="file"; filename="song.wav"\r\nContent-Type: audio/WAV'
TITLE = b'Content-Disposition: form-data; name="title"'


def body(*parts: tuple[bytes, bytes]) -> bytes:
    return b"".join(b"--bound\r\n%b\r\n\r\n%b\r\n" % part for part in parts) + b"--bound--\r\n"


async def stream(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


async def receive(raw: bytes, folder: Path, *, kind: str = TYPE, step: int = 65536, **options) -> Form:
    taken = {"file_field": "file", "fields": ("title", "artist"), "max_file_bytes": 10_000_000} | options
    chunks = [raw[at : at + step] for at in range(0, len(raw), step)]
    return await receive_form(stream(chunks), kind, into=folder, **taken)


async def refuse(
    raw: bytes, folder: Path, error: type[VezaError], code: str | None = None, **options
) -> VezaError:
    with pytest.raises(error) as caught:
        await receive(raw, folder, **options)
    if code is not None:
        assert [detail.code for detail in caught.value.details] == [code]
    assert list(folder.iterdir()) == []  # noqa: ASYNC240 - nothing else waits
    return caught.value


async def test_a_file_and_fields(tmp_path):
    data = os.urandom(3_000_000)
    form = await receive(body((TITLE, "Ärger".encode()), (FILE, data)), tmp_path)
    assert form.fields == {"title": "Ärger"}
    assert form.file is not None
    assert form.file.path.read_bytes() == data
    assert form.file.path.stat().st_mode & 0o777 == 0o600
    assert (form.file.filename, form.file.content_type, form.file.size) == (
        "song.wav",
        "audio/wav",
        3_000_000,
    )
    assert form.file.digests == {"sha256": hashlib.sha256(data).hexdigest()}
    form.discard()
    form.discard()
    assert list(tmp_path.iterdir()) == []


async def test_the_digests_that_are_asked_for(tmp_path):
    form = await receive(body((FILE, b"abc")), tmp_path, digests=("md5", "sha1"))
    assert form.file is not None
    assert form.file.digests == {
        "md5": "900150983cd24fb0d6963f7d28e17f72",
        "sha1": "a9993e364706816aba3e25717850c26c9cd0d89d",
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.lists(st.sampled_from([b"\r\n--bounx", b"\r", b"\n", b"-", b"--bound", b"x", b"\r\n--boun"]))
    .map(b"".join)
    .filter(lambda data: b"\r\n--bound" not in data),
    step=st.integers(1, 40),
)
async def test_the_bytes_are_the_same_however_they_are_cut(tmp_path, data, step):
    """F2: what only looks like a boundary is data, wherever the network cuts."""
    form = await receive(body((FILE, data), (TITLE, b"t")), tmp_path, step=step)
    assert form.file is not None
    assert form.file.path.read_bytes() == data
    assert form.fields == {"title": "t"}
    form.discard()


async def test_one_chunk_of_many_megabytes(tmp_path):
    data = os.urandom(5_000_000)
    raw = body((FILE, data))
    form = await receive(raw, tmp_path, step=len(raw))
    assert form.file is not None
    assert form.file.path.read_bytes() == data


async def test_empty_forms_and_files(tmp_path):
    assert await receive(b"--bound--\r\n", tmp_path) == Form(None, {})
    none_chosen = FILE.replace(b"song.wav", b"")
    assert await receive(body((none_chosen, b"")), tmp_path) == Form(None, {})
    assert list(tmp_path.iterdir()) == []
    form = await receive(body((FILE, b"")), tmp_path)
    assert form.file is not None
    assert form.file.path.stat().st_size == form.file.size == 0


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Music\\a.mp3", "a.mp3"),
        ("a\0\x1b[31m.mp3", "a[31m.mp3"),
        ("x.mp3.php", "x.mp3.php"),
        ("CON", "CON"),
        ("..", ""),
        ("/", ""),
        ("\u202egpm.exe", "gpm.exe"),
        ("e\u0301\U0001f3b5.ogg", "é\U0001f3b5.ogg"),
        ("say %22hi%22.ogg", 'say "hi".ogg'),
        ("x" * 300 + ".flac", "x" * 250 + ".flac"),
        ("." + "y" * 300, "." + "y" * 254),
    ],
)
async def test_of_a_name_only_text_is_kept(tmp_path, given, kept):
    """C17: the name is never a path, and the file is stored under ours."""
    header = f'Content-Disposition: form-data; name="file"; filename="{given}"'
    form = await receive(body((header.encode(), b"x")), tmp_path)
    assert form.file is not None
    assert form.file.filename == kept
    assert form.file.path.parent == tmp_path
    assert form.file.path.name.startswith("intake-")


@pytest.mark.parametrize(
    "kind", ["", "application/json", "text/plain; boundary=bound", "multipart/mixed; boundary=bound"]
)
async def test_another_kind_of_body(tmp_path, kind):
    """F2: only forms are taken."""
    await refuse(body((FILE, b"x")), tmp_path, UnsupportedMediaType, kind=kind)


@pytest.mark.parametrize(
    "boundary", ["", "; boundary=", "; boundary=" + "b" * 71, '; boundary="b "', "; boundary=é"]
)
async def test_a_boundary_that_is_none(tmp_path, boundary):
    """F2: boundary missing or of more than 70 characters."""
    await refuse(body((FILE, b"x")), tmp_path, InvalidRequest, kind=f"multipart/form-data{boundary}")


async def test_the_longest_boundary(tmp_path):
    bound = b"b" * 70
    raw = body((FILE, b"x")).replace(b"bound", bound)
    form = await receive(raw, tmp_path, kind=f"multipart/form-data; boundary={bound.decode()}")
    assert form.file is not None


HEADER = b'Content-Disposition: form-data; name="%b"'


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([(FILE, b"1"), (FILE, b"2")], "DUPLICATE"),
        ([(FILE, b"1"), (HEADER % b'other"; filename="x', b"2")], "UNKNOWN_FIELD"),
        ([(FILE, b"1"), (HEADER % b"role", b"admin")], "UNKNOWN_FIELD"),
        ([(FILE, b"1")] + [(HEADER % str(n).encode(), b"") for n in range(10_000)], "UNKNOWN_FIELD"),
        ([(TITLE, b"1"), (TITLE, b"2")], "DUPLICATE"),
        ([(HEADER % b'title"; filename="x', b"1")], "INVALID"),
        ([(HEADER % b"file", b"text")], "INVALID"),
        ([(TITLE, b"x" * 8193)], "TOO_LONG"),
        ([(FILE, b"1"), (TITLE, b"\xff\xfe")], "INVALID_CHARACTER"),
        ([(FILE, b"1"), (TITLE, b"a\0b")], "INVALID_CHARACTER"),
        ([(HEADER % b"\xff", b"x")], "UNKNOWN_FIELD"),
    ],
)
async def test_parts_that_do_not_belong(tmp_path, parts, code):
    """F2, G6: two files, none where one must be, unknown fields, ten thousand fields."""
    await refuse(body(*parts), tmp_path, ValidationFailed, code)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"no form at all",
        b"--other\r\n\r\n\r\n--other--\r\n",
        body((b"Content-Type: text/plain", b"x")),
        body((b'Content-Disposition: attachment; name="title"', b"x")),
        body((b"Content-Disposition: form-data", b"x")),
        body((TITLE + b"\r\nContent-Type: multipart/mixed; boundary=inner", b"--inner--\r\n")),
        body((TITLE + b"\r\nContent-Transfer-Encoding: base64", b"eA==")),
        body((TITLE + b"\r\nX-Long: " + b"x" * 8200, b"x")),
        body((TITLE + b"\r\nX-Long: " + b"x" * 1_000_000, b"x")),
        body((TITLE + b"".join(b"\r\nX-%d: x" % n for n in range(8)), b"x")),
        body((TITLE + b"\r\nBad Header: x", b"x")),
        body((FILE, b"x"))[:-4],
        body((FILE, b"x"))[:90],
        body((FILE, b"x" * 3_000_000))[:-100],
        body((FILE, b"x")).replace(b"--bound--", b"--bound-!"),
    ],
)
async def test_forms_that_are_malformed_or_end_early(tmp_path, raw):
    """F2, C18: truncated, nested, with headers too long or too many."""
    await refuse(raw, tmp_path, InvalidRequest)


@pytest.mark.parametrize("step", [1000, 65536, 10_000_000])
async def test_the_limit_is_exact(tmp_path, step):
    """C8: exactly so many bytes pass."""
    form = await receive(body((FILE, b"x" * 99_999)), tmp_path, max_file_bytes=99_999, step=step)
    form.discard()
    error = await refuse(
        body((FILE, b"x" * 100_000)), tmp_path, FileTooLarge, max_file_bytes=99_999, step=step
    )
    assert (error.status, error.code) == (413, "FILE_TOO_LARGE")


async def test_a_file_too_large_is_refused_as_soon_as_it_is(tmp_path):
    """F3, C8: no length was told; nothing more is read, and nothing is left on the disk."""
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        yield b"--bound\r\n" + FILE + b"\r\n\r\n"
        while True:
            read += 65536
            yield b"x" * 65536

    with pytest.raises(FileTooLarge):
        await receive_form(
            endless(), TYPE, file_field="file", fields=(), max_file_bytes=3_000_000, into=tmp_path
        )
    assert read <= 3_000_000 + 65536
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("start", [b"", b"--bound--\r\n"])
async def test_what_is_around_a_form_is_bounded_too(tmp_path, start):
    """F3: an endless beginning or end."""
    await refuse(start + b"\r\n" * 1_100_000, tmp_path, PayloadTooLarge, max_file_bytes=1_000_000)


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, InsufficientStorage), (errno.EIO, Unavailable)])
@pytest.mark.parametrize("size", [10, 2_000_000, 6_000_000])
async def test_a_full_disk(tmp_path, monkeypatch, number, error, size):
    """F5, C21: 507, the file is gone, and the next upload works."""
    write, done = os.pwrite, 0

    def fill(file: int, data: memoryview, at: int) -> int:
        nonlocal done
        if done + len(data) > 1_500_000 or size < 100:
            raise OSError(number, os.strerror(number))
        done += len(data)
        return write(file, data, at)

    raw = body((FILE, b"x" * size))
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fill)
        await refuse(raw, tmp_path, error)
    assert (await receive(raw, tmp_path)).file is not None


async def test_short_writes_are_completed(tmp_path, monkeypatch):
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: write(file, data[: len(data) // 2 + 1], at))
    data = os.urandom(3_000_000)
    form = await receive(body((FILE, data)), tmp_path)
    assert form.file is not None
    assert form.file.path.read_bytes() == data


@pytest.mark.parametrize("sent", [0, 100, 3_000_000])
async def test_whoever_leaves_leaves_nothing(tmp_path, sent):
    """G28: cancelled while receiving."""

    async def stalled() -> AsyncIterator[bytes]:
        yield b"--bound\r\n" + FILE + b"\r\n\r\n" + b"x" * sent
        await asyncio.Event().wait()

    receiving = receive_form(
        stalled(), TYPE, file_field="file", fields=(), max_file_bytes=9_000_000, into=tmp_path
    )
    task = asyncio.create_task(receiving)
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(tmp_path.iterdir()) == []


async def test_leaving_during_a_slow_write(tmp_path, monkeypatch):
    """G28: the file goes after the write that was going on, even when the waiting is cancelled again."""
    write = os.pwrite

    def slow(file: int, data: memoryview, at: int) -> int:
        time.sleep(0.1)
        return write(file, data, at)

    monkeypatch.setattr(os, "pwrite", slow)
    task = asyncio.create_task(receive(body((FILE, b"x" * 4_000_000)), tmp_path))
    for _ in range(3):
        await asyncio.sleep(0.03)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(30):
        while list(tmp_path.iterdir()):  # noqa: ASYNC110 - a thread removes it
            await asyncio.sleep(0.01)


async def test_leaving_before_a_write_has_begun(tmp_path, monkeypatch):
    """G28: a thread that comes late to its batch, after the file was removed, leaves none and opens none."""
    write, begun, gone, ended = Intake._write, threading.Event(), threading.Event(), threading.Event()

    def late(intake: Intake, batch: memoryview) -> None:
        begun.set()
        gone.wait(30)
        write(intake, batch)
        ended.set()

    monkeypatch.setattr(Intake, "_write", late)
    task = asyncio.create_task(receive(body((FILE, b"x" * 4_000_000)), tmp_path))
    assert await asyncio.to_thread(begun.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gone.set()
    assert await asyncio.to_thread(ended.wait, 30)
    assert list(tmp_path.iterdir()) == []


async def test_a_connection_that_breaks(tmp_path):
    """C18: the stream's own error comes out, and nothing is left."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"--bound\r\n" + FILE + b"\r\n\r\n" + b"x" * 2_000_000
        raise ConnectionResetError

    with contextlib.suppress(ConnectionResetError):
        await receive_form(
            broken(), TYPE, file_field="file", fields=(), max_file_bytes=9_000_000, into=tmp_path
        )
    assert list(tmp_path.iterdir()) == []


async def test_memory_stays_bounded_however_small_the_pieces_are(tmp_path):
    """A file of 20 MB, in pieces of the network's size and then of three bytes: a few megabytes of memory."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"--bound\r\n" + FILE + b"\r\n\r\n"
        block = os.urandom(65536)
        for _ in range(300):
            yield block
        for _ in range(30_000):
            yield b"\r\n-"
        yield b"\r\n--bound--"

    tracemalloc.start()
    try:
        await receive_form(
            pieces(), TYPE, file_field="file", fields=(), max_file_bytes=30_000_000, into=tmp_path
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


async def test_whoever_says_little_costs_little(tmp_path):
    """G25: a hundred who have begun with a file, and say no more."""
    never = asyncio.Event()

    async def begun() -> AsyncIterator[bytes]:
        yield b"--bound\r\n" + FILE + b"\r\n\r\nRIFF"
        await never.wait()

    tracemalloc.start()
    try:
        slow = [
            asyncio.create_task(
                receive_form(begun(), TYPE, file_field="file", fields=(), max_file_bytes=9, into=tmp_path)
            )
            for _ in range(100)
        ]
        await asyncio.sleep(0.01)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    for one in slow:
        one.cancel()
    await asyncio.wait(slow)
    assert held < 100 * 32_000
