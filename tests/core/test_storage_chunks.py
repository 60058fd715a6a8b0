"""Chunks before they are a file: here, and in a storage elsewhere."""

import asyncio
import errno
import hashlib
import os
import random
from pathlib import Path
from uuid import UUID

import pytest
from obstore.store import MemoryStore

from veza.core.errors import InsufficientStorage, Unavailable
from veza.core.ids import new_id
from veza.core.storage import ChunkStore, LocalStorage, ObjectStorage, open_chunks
from veza.core.storage_chunks import Chunk, ChunkIntake, ChunkSizeMismatch, Slot
from veza.core.storage_chunks_local import LocalChunks
from veza.core.storage_ranges import lock_range

SIZE = 300_000
LIMIT = 1 << 30


@pytest.fixture(params=["folder", "objects"])
async def chunks(request, tmp_path: Path):
    storage = (
        LocalStorage(tmp_path / "data")
        if request.param == "folder"
        else ObjectStorage(MemoryStore(), tmp_path / "scratch")
    )
    yield open_chunks(storage)
    await storage.close()


@pytest.fixture
async def local(tmp_path: Path):
    storage = LocalStorage(tmp_path / "data")
    yield LocalChunks(storage)
    await storage.close()


async def free() -> bool:
    return True


async def nowhere() -> Slot | None:
    return None


def placed(store: ChunkStore, upload: UUID, number: int, size: int = SIZE):
    return lambda: store.find_slot(upload, (number - 1) * SIZE, size, free)


def feed(intake: ChunkIntake, data: bytes) -> None:
    for at in range(0, len(data), 250_000):
        piece = data[at : at + 250_000]
        intake.feed(piece, 0, len(piece))


async def put(store: ChunkStore, upload: UUID, number: int, data: bytes, choose=None) -> Chunk:
    intake = store.intake(LIMIT, choose or placed(store, upload, number, len(data)))
    try:
        feed(intake, data)
        await intake.finish()
        return await store.keep(upload, number, intake)
    finally:
        await intake.release()


def cut(content: bytes) -> list[bytes]:
    return [content[at : at + SIZE] for at in range(0, len(content), SIZE)]


async def check(store: ChunkStore, upload: UUID, found: list[Chunk], content: bytes) -> None:
    whole = await store.assemble(upload, found)
    assert whole.path.read_bytes() == content
    assert whole.md5 == hashlib.md5(content).hexdigest()
    assert whole.sha256 == hashlib.sha256(content).hexdigest()
    whole.path.unlink()


@pytest.mark.parametrize("known", [True, False])
async def test_chunks_become_a_file(chunks, known):
    """C12, C26: in any order, and again if the first time came to nothing."""
    content = os.urandom(SIZE * 7 + 5)
    upload = new_id()
    await chunks.prepare(upload, len(content))
    numbered = list(enumerate(cut(content), 1))
    random.Random(3).shuffle(numbered)
    found = []
    for number, data in numbered:
        found.append(await put(chunks, upload, number, data))
        if known:
            chunks.know(upload, found[-1])
    found.sort(key=lambda chunk: chunk.number)
    assert await chunks.find_missing(upload, len(content), found) == []
    for _ in range(2):
        await check(chunks, upload, found, content)
    assert {one async for one, _ in chunks.list()} == {upload}
    await chunks.remove(upload)
    await chunks.remove(upload)
    assert [one async for one, _ in chunks.list()] == []
    assert await chunks.find_missing(upload, len(content), found) == found
    with pytest.raises(Unavailable):
        await chunks.assemble(upload, found)
    assert list(chunks.scratch.iterdir()) == []


async def test_a_chunk_that_comes_again_is_another(chunks):
    """C10, C11, C27: the digests are of what the rows name, though others were hashed before."""
    content = os.urandom(SIZE * 3)
    upload = new_id()
    await chunks.prepare(upload, len(content))
    wrong = [await put(chunks, upload, number, bytes(SIZE)) for number in (1, 2, 3)]
    for chunk in wrong:
        chunks.know(upload, chunk)
    await check(chunks, upload, wrong, bytes(len(content)))
    right = [await put(chunks, upload, n, data, nowhere) for n, data in enumerate(cut(content), 1)]
    for chunk in right:
        chunks.know(upload, chunk)
    await check(
        chunks, upload, [right[0], wrong[1], right[2]], content[:SIZE] + bytes(SIZE) + content[-SIZE:]
    )
    await check(chunks, upload, right, content)
    await chunks.remove_chunk(upload, wrong[0])
    await chunks.remove_chunk(upload, right[0])
    assert right[0] in await chunks.find_missing(upload, len(content), right)


async def test_a_place_belongs_to_one_writer(local):
    """C11: the second writes beside; the file is put together without the place of one who still writes."""
    content = os.urandom(SIZE * 3)
    upload = new_id()
    await local.prepare(upload, len(content))
    slow = local.intake(LIMIT, placed(local, upload, 2))
    slow.feed(b"never to be seen", 0, 16)
    await slow.flush()
    assert slow.slot is not None
    assert await local.find_slot(upload, SIZE, SIZE, free) is None
    found = [await put(local, upload, number, data) for number, data in enumerate(cut(content), 1)]
    assert [chunk.in_place for chunk in found] == [True, False, True]
    await check(local, upload, found, content)
    await slow.release()
    other = await local.find_slot(upload, SIZE, SIZE, free)
    assert other is not None
    os.close(other.file)
    await check(local, upload, found, content)


async def test_nothing_runs_over_into_the_next_chunk(local):
    """C7: more than the place holds is refused before it is written."""
    upload = new_id()
    await local.prepare(upload, SIZE * 20)
    second = await put(local, upload, 2, b"b" * SIZE)
    intake = local.intake(LIMIT, placed(local, upload, 1))
    feed(intake, b"a" * SIZE * 4)
    with pytest.raises(ChunkSizeMismatch):
        await intake.finish()
    await intake.release()
    intake = local.intake(LIMIT, placed(local, upload, 1))
    feed(intake, b"a" * SIZE)
    await intake.flush()
    with pytest.raises(ChunkSizeMismatch):
        intake.feed(b"a", 0, 1)
    await intake.release()
    whole = (local.folder / str(upload) / "whole").read_bytes()
    assert whole[second.size :].startswith(b"b" * SIZE)


async def test_a_file_system_without_second_names(local, monkeypatch):
    """C12: there the file is copied."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    content = os.urandom(SIZE * 2 + 9)
    upload = new_id()
    await local.prepare(upload, len(content))
    found = [await put(local, upload, number, data) for number, data in enumerate(cut(content), 1)]
    await check(local, upload, found, content)
    (local.folder / str(upload) / "whole").unlink()
    assert await local.find_slot(upload, 0, SIZE, free) is None
    assert await local.find_missing(upload, len(content), found) == found


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, InsufficientStorage), (errno.EIO, Unavailable)])
@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
async def test_a_disk_that_fails(local, monkeypatch, number, error, call):
    """C21, C22: 507 and 503; what is there stays, and later it works."""
    content = os.urandom(SIZE * 2)
    upload = new_id()
    await local.prepare(upload, len(content))
    first = await put(local, upload, 1, content[:SIZE])

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(error):
            await put(local, upload, 2, content[SIZE:])
    assert list(local.scratch.iterdir()) == []
    second = await put(local, upload, 2, content[SIZE:])
    await check(local, upload, [first, second], content)


async def test_a_full_disk_at_the_end(chunks, monkeypatch):
    """C21: nothing half is left, and the chunks are as they were."""
    content = os.urandom(SIZE * 2)
    upload = new_id()
    await chunks.prepare(upload, len(content))
    found = [await put(chunks, upload, number, data, nowhere) for number, data in enumerate(cut(content), 1)]

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        patch.setattr(os, "write", fail)
        with pytest.raises(InsufficientStorage):
            await chunks.assemble(upload, found)
    assert list(chunks.scratch.iterdir()) == []
    await check(chunks, upload, found, content)


async def test_leaving_in_the_middle(local):
    """C18, G28: the place is free again and no file is left."""
    upload = new_id()
    await local.prepare(upload, SIZE)
    for choose in (placed(local, upload, 1), nowhere):
        intake = local.intake(LIMIT, choose)
        feed(intake, bytes(SIZE // 2))
        await intake.flush()
        await asyncio.gather(intake.release(), intake.release())
        assert list(local.scratch.iterdir()) == []
    slot = await local.find_slot(upload, 0, SIZE, free)
    assert slot is not None
    os.close(slot.file)


def test_ranges_are_locked_between_openings(tmp_path):
    """C11: also within one process; the lock ends with its opening."""
    path = tmp_path / "file"
    path.write_bytes(bytes(100))
    one, two = (os.open(path, os.O_RDWR) for _ in range(2))
    assert lock_range(one, 10, 10)
    assert not lock_range(two, 19, 1)
    assert not lock_range(two)
    assert lock_range(two, 20, 80)
    assert lock_range(two, 0, 10)
    os.close(one)
    assert lock_range(two)
    os.close(two)
