import asyncio
import errno
import hashlib
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.core.test_metrics import samples
from veza.core import clock, storage_base, storage_hold
from veza.core.errors import InsufficientStorage, Unavailable
from veza.core.metrics import metrics
from veza.core.storage import (
    HeldAlready,
    HoldLost,
    LocalStorage,
    NoSuchFile,
    ObjectStorage,
    Storage,
    holding,
    open_storage,
)
from veza.core.storage_base import HELD_FOR, HOLDS
from veza.core.storage_bulk import copy_in
from veza.core.storage_hold import FORGOTTEN_AFTER
from veza.core.storage_presign import Credentials, presign


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the disk is, its check is no failure."""
    monkeypatch.setattr(storage_base, "_CHECK_SECONDS", 30.0)


@pytest.fixture(params=["folder", "bucket"])
def opened(request, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return LocalStorage(tmp_path / "data")
    found: Storage = request.getfixturevalue("bucket")
    return found


@pytest.fixture
async def storage(opened: Storage):
    yield opened
    await opened.close()


@pytest.fixture
def bucket(s3_server, bucket_url, tmp_path: Path) -> ObjectStorage:
    made = open_storage(bucket_url, scratch=tmp_path / "scratch", s3=s3_server)
    assert isinstance(made, ObjectStorage)
    return made


@pytest.fixture
async def local(tmp_path: Path):
    made = LocalStorage(tmp_path / "data")
    yield made
    await made.close()


def upload(storage: Storage, data: bytes) -> Path:
    path = storage.scratch / f"upload-{os.urandom(4).hex()}"
    path.write_bytes(data)
    return path


async def keys(storage: Storage, prefix: str = "") -> list[str]:
    return sorted([entry.key async for entry in storage.list(prefix)])


async def read(storage: Storage, key: str, start: int, length: int) -> bytes:
    return b"".join([piece async for piece in storage.open_range(key, start, length)])


async def test_a_file_goes_in_and_comes_out(storage, tmp_path):
    data = os.urandom(300_000)
    path = upload(storage, data)
    stored = await storage.put_file("tracks/1/original", path)
    assert (stored.key, stored.size) == ("tracks/1/original", 300_000)
    assert not path.exists()
    assert await storage.size("tracks/1/original") == 300_000
    assert await storage.get_bytes("tracks/1/original", 300_000) == data
    assert (await storage.fetch_to("tracks/1/original", tmp_path / "copy")).read_bytes() == data
    for start, length in [(0, 300_000), (0, 1), (299_999, 1), (100_000, 150_000), (299_990, 100), (5, 0)]:
        assert await read(storage, "tracks/1/original", start, length) == data[start : start + length]


async def test_many_files_go_in_together(storage):
    files = [(f"tracks/{n}/original", upload(storage, bytes([n]) * (n + 1))) for n in range(40)]
    await storage.put_files(files)
    assert not any(path.exists() for _, path in files)
    assert await keys(storage) == sorted(key for key, _ in files)
    assert await storage.get_bytes("tracks/39/original", 100) == bytes([39]) * 40


async def test_of_many_files_none_stays_where_one_cannot_be_synced(local, monkeypatch):
    """C22: the sync failed, so no name may promise what was written."""

    def fail(*_):
        raise OSError(errno.EIO, "the disk is broken")

    for step in ("sync_files", "sync_names"):
        files = [(f"tracks/{n}/original", upload(local, b"x")) for n in range(3)]
        with monkeypatch.context() as patch:
            patch.setattr(local._syncer, step, fail)
            with pytest.raises(Unavailable):
                await local.put_files(files)
        assert await keys(local) == []
        assert list(local.scratch.iterdir()) == []


async def test_a_name_is_that_of_the_path(local):
    stored = await local.put_bytes("tracks/1/original", b"sound")
    assert local.local_name(stored.key) == str(local.local_path(stored.key))


async def test_of_many_files_none_has_its_name_before_its_content_is_durable(local, monkeypatch):
    """C20: after a power cut a name is believed, in a vault and by a restore that is begun again."""
    seen: list[bool] = []
    sync, target = local._syncer._call, local.local_path("tracks/1/original")
    assert sync is not None

    def watch(handle: int) -> int:
        seen.append(target.exists())
        return int(sync(handle))

    monkeypatch.setattr(local._syncer, "_call", watch)
    await local.put_files([("tracks/1/original", upload(local, b"x"))])
    await local.settle()
    await local.put_files([])
    assert seen == [False, True, True]


async def test_files_are_synced_one_by_one_where_the_kernel_cannot_do_more(local, monkeypatch):
    seen: list[tuple[str, bool]] = []
    sync, target = os.fsync, local.local_path("a/b/c")

    def watch(file: int) -> None:
        seen.append((Path(f"/proc/self/fd/{file}").readlink().name, target.exists()))
        sync(file)

    monkeypatch.setattr(os, "fsync", watch)
    monkeypatch.setattr(local._syncer, "_call", None)
    path = upload(local, b"x")
    await local.put_files([("a/b/c", path)])
    assert seen == [(path.name, False), ("b", True), ("a", True), (local.folder.name, True)]
    assert await local.get_bytes("a/b/c", 1) == b"x"
    await local.settle()


@pytest.mark.parametrize("size", [0, 5, 1 << 20, (1 << 20) + 1, 3_000_000])
@pytest.mark.parametrize("kernel", [True, False], ids=["copied", "read"])
def test_a_file_is_copied_in_whole(tmp_path, monkeypatch, size, kernel):
    if not kernel:

        def cannot(*_):
            raise OSError(errno.EXDEV, "other file system")

        monkeypatch.setattr(os, "copy_file_range", cannot)
    data = os.urandom(size)
    (tmp_path / "source").write_bytes(data)
    with (tmp_path / "source").open("rb") as source:
        found = copy_in(source.fileno(), tmp_path / "target")
    assert found == (size, hashlib.sha256(data).hexdigest())
    assert (tmp_path / "target").read_bytes() == data


async def test_a_file_is_replaced_whole(storage):
    await storage.put_bytes("a/b", b"first")
    await storage.put_bytes("a/b", b"second, longer")
    assert await storage.get_bytes("a/b", 100) == b"second, longer"


async def test_what_is_not_there(storage, tmp_path):
    with pytest.raises(NoSuchFile):
        await storage.size("a/b")
    with pytest.raises(NoSuchFile):
        await storage.get_bytes("a/b", 10)
    with pytest.raises(NoSuchFile):
        await read(storage, "a/b", 0, 10)
    with pytest.raises(NoSuchFile):
        await storage.fetch_to("a/b", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    await storage.delete("a/b")
    assert await storage.delete_prefix("a") == 0


async def test_no_more_is_read_than_was_asked_for(storage):
    await storage.put_bytes("a/b", b"12345")
    with pytest.raises(ValueError, match="4 bytes"):
        await storage.get_bytes("a/b", 4)


async def test_listing_and_removing_by_prefix(storage):
    upload(storage, b"on its way in, not in the storage")
    for key in ("tracks/1/original", "tracks/1/peaks.bin", "tracks/12/original", "avatars/1"):
        await storage.put_bytes(key, b"x")
    assert await keys(storage, "tracks/1") == ["tracks/1/original", "tracks/1/peaks.bin"]
    assert await storage.delete_prefix("tracks/1") == 2
    assert await keys(storage) == ["avatars/1", "tracks/12/original"]
    await storage.delete_many(["avatars/1", "tracks/12/original", "avatars/2"])
    assert await keys(storage) == []


async def test_the_mark_of_a_folder_is_no_file(storage, monkeypatch):
    """Some tools put `tracks/` in a bucket, which is listed as `tracks`; no sweep stumbles over it."""
    at = {"size": 0, "last_modified": clock.now()}
    page = [{"path": "tracks", **at}, {"path": "tracks/1/original", **at}]

    async def listed(*_, **__):
        yield page

    monkeypatch.setattr(storage_base.obstore, "list", listed)
    assert await keys(storage, "tracks") == ["tracks/1/original"]


async def test_while_the_files_are_held_none_is_removed(storage):
    """X12: whoever removes a file looks first; who died holds for half an hour."""
    await storage.put_bytes("tracks/1/original", b"x")
    async with holding(storage):
        assert await storage.delete_prefix("tracks/1") == 1
        await storage.check()
        with pytest.raises(HeldAlready):
            async with holding(storage, alone=True):
                pass
        with clock.shifted(HELD_FOR):
            assert not await storage.is_held()
        [held] = await keys(storage, HOLDS)
        with clock.shifted(FORGOTTEN_AFTER + timedelta(seconds=1)):
            async with holding(storage):
                assert held not in await keys(storage, HOLDS)
        await storage.put_bytes(held, b"held")
        assert await keys(storage, "tracks") == ["tracks/1/original"]
        assert len(await keys(storage)) == 2
    await storage.delete("tracks/1/original")
    assert await keys(storage) == []


async def test_a_hold_that_was_not_renewed_in_time_is_lost_for_good(local):
    """X12: as on a machine that was asleep, whose own clocks may not tell."""
    async with holding(local) as hold:
        await hold.check()
        path, now = local.local_path(hold.key), clock.now().timestamp()
        late = now - HELD_FOR.total_seconds()
        os.utime(path, (late + 60, late + 60))
        await hold.check()
        os.utime(path, (late, late))
        for _ in range(2):
            with pytest.raises(HoldLost):
                await hold.check()
    async with holding(local) as hold:
        await local.remove_now([hold.key])
        with pytest.raises(HoldLost):
            await hold.check()
    assert await keys(local) == []


async def test_a_hold_does_not_come_back(local, monkeypatch):
    """X12: a renewal that is on its way as the work ends would keep the next backup out for half an hour."""
    monkeypatch.setattr(storage_hold, "RENEWED", timedelta(milliseconds=1))
    renewing, put = asyncio.Event(), local.put_bytes

    async def put_late(key, data):
        async def go_on():  # as what a thread has begun does, whoever is cancelled
            await asyncio.sleep(0.1)
            await put(key, data)

        renewing.set()
        await asyncio.shield(asyncio.create_task(go_on()))

    async with holding(local):
        monkeypatch.setattr(local, "put_bytes", put_late)
        await renewing.wait()
    await asyncio.sleep(0.2)
    assert await keys(local, HOLDS) == []


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "..",
        "a/../b",
        "a/./b",
        ".scratch/x",
        "a/.b",
        "A",
        "a b",
        "a\0",
        "a\n",
        "é",
        "a" * 513,
    ],
)
async def test_a_key_is_never_what_a_stranger_wrote(storage, key):
    """C17: nothing but our own ids and words is a path."""
    with pytest.raises(ValueError, match="not a storage key"):
        await storage.put_bytes(key, b"x")
    with pytest.raises(ValueError, match="not a storage key"):
        storage.local_name(key)


async def test_a_check_leaves_nothing(storage):
    await storage.check()
    assert await keys(storage) == []


async def test_a_check_tells_of_a_storage_that_lies(storage, monkeypatch):
    async def other(key: str, limit: int) -> bytes:
        return b"other"

    monkeypatch.setattr(storage, "get_bytes", other)
    with pytest.raises(Unavailable):
        await storage.check()


async def test_the_scratch_folder_is_swept_of_what_is_old(storage):
    """G28, C19: what a killed process left on its way in goes; what is being written stays."""
    upload(storage, b"old")
    folder = storage.scratch / "work"
    folder.mkdir()
    (folder / "part").write_bytes(b"old")
    with clock.shifted(timedelta(hours=2)):
        assert await storage.sweep_scratch(timedelta(hours=3)) == 0
        young = upload(storage, b"young")
        later = clock.now().timestamp()
        os.utime(young, (later, later))
        assert await storage.sweep_scratch(timedelta(hours=1)) == 2
    assert list(storage.scratch.iterdir()) == [young]


async def test_a_local_file_is_synced_before_and_its_folders_after_it_has_its_name(local, monkeypatch):
    """C20: a power cut after the answer loses nothing."""
    seen: list[tuple[str, bool]] = []
    sync, target = os.fsync, local.local_path("tracks/1/original")

    def watch(file: int) -> None:
        seen.append((str(Path(f"/proc/self/fd/{file}").readlink()), target.exists()))
        sync(file)

    monkeypatch.setattr(os, "fsync", watch)
    path = upload(local, b"x")
    await local.put_file("tracks/1/original", path)
    top = local.folder
    assert seen == [
        (str(path), False),
        (str(top / "tracks" / "1"), True),
        (str(top / "tracks"), True),
        (str(top), True),
    ]


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.EIO, Unavailable),
        (errno.EROFS, Unavailable),
        (errno.ENOSPC, InsufficientStorage),
        (errno.EDQUOT, InsufficientStorage),
    ],
)
@pytest.mark.parametrize("how", ["file", "bytes"])
async def test_a_failed_fsync_is_a_failure_for_good(local, monkeypatch, number, error, how):
    """C21, C22: no success is told, nothing is left to be tried again, and later uploads work."""
    path = upload(local, b"x")
    storing = local.put_file("a/b", path) if how == "file" else local.put_bytes("a/b", b"x")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(number))
        with pytest.raises(error):
            await storing
    assert await keys(local) == []
    assert path.exists() is (how == "bytes")
    assert len(list(local.scratch.iterdir())) == (how == "bytes")
    await local.put_bytes("a/b", b"y")
    assert await local.get_bytes("a/b", 9) == b"y"


async def test_a_file_whose_folder_cannot_be_synced_is_not_reported_stored(local, monkeypatch):
    """C22: the name is part of what must be durable."""
    sync, target = os.fsync, local.local_path("a/b")

    def fail_late(file: int) -> None:
        if target.exists():
            raise OSError(errno.EIO, "EIO")
        sync(file)

    monkeypatch.setattr(os, "fsync", fail_late)
    with pytest.raises(Unavailable):
        await local.put_bytes("a/b", b"x")


async def test_a_rename_that_fails_leaves_nothing(local, monkeypatch):
    """C21: nothing half."""
    monkeypatch.setattr(Path, "rename", failing(errno.ENOSPC))
    with pytest.raises(InsufficientStorage):
        await local.put_file("a/b", upload(local, b"x"))
    assert list(local.scratch.iterdir()) == []


async def test_a_link_is_never_moved_in(local, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("key")
    link = local.scratch / "link"
    link.symlink_to(secret)
    with pytest.raises(Unavailable):
        await local.put_file("a/b", link)
    assert await keys(local) == []


async def test_a_file_of_another_file_system_is_brought_over(local, monkeypatch, tmp_path):
    here = Path.stat

    def stat(path: Path, **options: bool) -> os.stat_result:
        found = here(path, **options)
        return os.stat_result([*found[:2], found.st_dev + (path == elsewhere), *found[3:]])

    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"far")
    monkeypatch.setattr(Path, "stat", stat)
    await local.put_file("a/b", elsewhere)
    assert await local.get_bytes("a/b", 9) == b"far"
    assert not elsewhere.exists()
    assert list(local.scratch.iterdir()) == []


async def test_storing_and_emptying_one_folder_at_once(local):
    """X: the folder that goes with its last file never takes a new one along."""

    async def come_and_go(name: str) -> None:
        for _ in range(10):
            await local.put_bytes(f"tracks/1/{name}", b"x")
            assert await local.get_bytes(f"tracks/1/{name}", 1) == b"x"
            await local.delete(f"tracks/1/{name}")

    await asyncio.gather(*(come_and_go(f"n{n}") for n in range(6)))
    assert sorted(path.name for path in local.folder.iterdir()) == [".scratch"]


async def test_writing_never_holds_up_the_event_loop(local, monkeypatch):
    """A slow disk keeps its own threads waiting, not the server."""
    released = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _: released.wait(60))
    task = asyncio.create_task(local.put_bytes("a/b", b"x"))
    await asyncio.sleep(0.02)
    assert not task.done()
    released.set()
    await task


async def test_an_object_storage_keeps_no_local_file_when_it_fails(tmp_path, monkeypatch):
    """X15: a bucket out of reach is 503 and counted, and nothing is left behind here."""
    before = samples(metrics).get(("veza_away_total", "storage"), 0)
    options = {
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }
    storage = open_storage("s3://bucket/veza/", scratch=tmp_path, s3=options)
    path = upload(storage, b"x")
    with pytest.raises(Unavailable):
        await storage.put_file("a/b", path)
    assert not path.exists()
    with pytest.raises(Unavailable):
        await storage.size("a/b")
    assert storage.local_name("a/b") is None
    assert samples(metrics)["veza_away_total", "storage"] == before + 2


async def test_an_address_with_its_own_permission(tmp_path):
    options = {
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "session",
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }
    storage = open_storage("s3://bucket/veza/", scratch=tmp_path, s3=options)
    disposition = 'attachment; filename="a b.ogg"'
    url = await storage.presigned_url("a/b", timedelta(minutes=15), {"Content-Disposition": disposition})
    assert url is not None
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    assert (parts.netloc, parts.path) == ("127.0.0.1:9", "/bucket/veza/a/b")
    assert query["response-content-disposition"] == [disposition]
    assert query["X-Amz-Expires"] == ["900"]
    assert query["X-Amz-Security-Token"] == ["session"]
    assert query["X-Amz-Credential"][0].endswith("/eu-central-1/s3/aws4_request")


async def test_without_keys_or_at_home_no_address_is_signed(local, tmp_path):
    roles = open_storage("s3://bucket", scratch=tmp_path, s3={})  # keys of the machine's role, unknown to us
    for storage in (local, roles):
        assert await storage.presigned_url("a/b", timedelta(minutes=1), {}) is None


async def ask(url: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(url, headers=headers)


async def test_a_signed_address_opens_one_object_and_no_other(bucket):
    """K15: the service itself takes our signature, sends our headers, and refuses what we did not sign."""
    for name in ("original", "other"):
        await bucket.put_bytes(f"tracks/1/{name}", name.encode())
    said = {
        "Content-Type": "audio/flac",
        "Content-Disposition": "attachment; filename=\"a b.flac\"; filename*=UTF-8''%C3%A9.flac",
        "Cache-Control": "private, no-store",
    }
    url = await bucket.presigned_url("tracks/1/original", timedelta(minutes=1), said)
    assert url is not None
    answer = await ask(url)
    assert (answer.status_code, answer.content) == (200, b"original")
    assert {name: answer.headers[name] for name in said} == said
    part = await ask(url, Range="bytes=1-3")
    assert (part.status_code, part.content) == (206, b"rig")
    plain = url.partition("?")[0]
    for other in (url.replace("original", "other"), url.replace("flac", "html"), url[:-1] + "x", plain):
        assert (await ask(other)).status_code == 403, other
    with clock.shifted(timedelta(minutes=-20)):
        old = await bucket.presigned_url("tracks/1/original", timedelta(minutes=15), said)
    assert old is not None
    assert (await ask(old)).status_code == 403


async def test_a_large_file_goes_in_by_parts(bucket, tmp_path):
    """C27: several parts, two at a time, are one object with the same bytes."""
    data = os.urandom(20_000_000)
    stored = await bucket.put_file("tracks/1/original", upload(bucket, data))
    assert stored.size == await bucket.size("tracks/1/original") == len(data)
    copy = await bucket.fetch_to("tracks/1/original", tmp_path / "copy")
    assert copy.read_bytes() == data
    assert await read(bucket, "tracks/1/original", 8_388_600, 16) == data[8_388_600:8_388_616]


async def test_more_objects_than_one_request_names(bucket):
    """X: a listing has pages, and a removal too."""
    await asyncio.gather(*(bucket.put_bytes(f"a/{n}", b"x") for n in range(1_010)))
    assert len(await keys(bucket, "a")) == 1_010
    assert await bucket.delete_prefix("a") == 1_010
    assert await keys(bucket) == []


def test_signing_as_amazon_does():
    """The example of the documentation of signature version 4."""
    keys = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
    at = datetime(2013, 5, 24, tzinfo=UTC)
    url = presign("https://examplebucket.s3.amazonaws.com/test.txt", keys, at, timedelta(days=1), {})
    assert url.endswith("&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")
    assert keys.secret not in repr(keys)


async def test_opening_by_address(tmp_path):
    made = open_storage(f"file://{tmp_path}/my%20data", scratch=tmp_path / "unused", s3={})
    assert isinstance(made, LocalStorage)
    assert made.folder == tmp_path / "my data"
    await made.close()
    assert isinstance(open_storage("s3://bucket", scratch=tmp_path, s3={}), ObjectStorage)


@pytest.mark.parametrize("url", ["", "data", "/data", "file:///", "file://host/data", "s3://", "http://x/y"])
def test_an_address_that_is_none(url, tmp_path):
    with pytest.raises(ValueError, match="a storage is"):
        open_storage(url, scratch=tmp_path, s3={})
