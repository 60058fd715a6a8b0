"""Files of any kind: which are taken, who sees them, and what they can be used for."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.clamd import EICAR, fake_clamd
from tests.media.hostile import png
from tests.rooms.tracks_house import NOBODY, code, files, plant, settled, used
from tests.rooms.uploads_house import Sender, chunks_left, wave
from tests.world import JSON, Person, open_world
from veza.app import working
from veza.core.db import Database
from veza.rooms.uploads import archives
from veza.rooms.uploads.archives import check_archive
from veza.rooms.uploads.errors import UnsafeArchive
from veza.rooms.uploads.filekind import FileKind, find_kind
from veza.rooms.uploads.files import LARGEST


def picture(kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (200, 100), "teal").save(out, kind)
    return out.getvalue()


def archive(*names: str, text: str = "hello", **options: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as made:
        for name in names:
            made.writestr(name, text)
    return out.getvalue()


PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
GOOD = {
    "image/png": picture(), "image/jpeg": picture("JPEG"), "image/webp": picture("WEBP"),
    "image/gif": picture("GIF"), "audio/wav": wave(4_000), "application/zip": archive("a.wav", "b/c.txt"),
    "application/pdf": PDF, "text/plain": "Grüße, 世界\r\n\tund so weiter\n".encode(),
}  # fmt: skip
BAD = {
    "exe": b"MZ\x90\0" + bytes(500), "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>', "elf": b"\x7fELF",
    "html": b"\xef\xbb\xbf <!doctype html><script>alert(1)</script>", "script": b"#!/bin/sh\nrm -rf /\n",
    "latin-1": b"Gr\xfc\xdfe", "controls": b"a\x1b[2Jb", "rar": b"Rar!\x1a\x07\x01\0" + bytes(40),
    "webm": b"\x1a\x45\xdf\xa3" + bytes(40),
}  # fmt: skip


async def send(person: Person, content: bytes, name: str = "a.bin", key: str = "") -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await person.post("/uploads", files={"file": (name, content)}, headers=headers)


async def settle(person: Person, upload_id: str) -> JSON:
    """What is said of an upload in the end."""
    async with asyncio.timeout(30):
        while True:
            status = (await person.get(f"/uploads/{upload_id}/status")).json()["data"]
            if status["status"] != "processing":
                return dict(status)
            await asyncio.sleep(0.03)


@pytest.mark.parametrize("mime", GOOD)
def test_kinds_are_told_by_content(tmp_path: Path, mime: str) -> None:
    """F1: whatever the name says."""
    path = tmp_path / "a.exe"
    path.write_bytes(GOOD[mime])
    kinds = {"image": "image", "audio": "audio", "text": "document"}
    other = {"application/zip": "archive", "application/pdf": "document"}
    assert find_kind(path) == FileKind(other.get(mime) or kinds[mime.partition("/")[0]], mime)


async def test_files_of_every_kind_come_in(database: Database, tmp_path: Path) -> None:
    """F1, F4: private to their owner, counted in the quota, and gone when deleted."""
    async with open_world(database, tmp_path, work=True) as world:
        olga, bob, boss = (
            await world.person("olga"), await world.person("bob"), await world.person("boss", "admin"),
        )  # fmt: skip
        kept = {}
        for mime, content in GOOD.items():
            answer = await send(olga, content)
            assert (answer.status_code, answer.json()["data"]["status"]) == (201, "processing")
            kept[mime] = answer.json()["data"]["upload_id"]
        for upload in kept.values():
            status = await settle(olga, upload)
            assert (status["status"], status["progress"], status["error"]) == ("completed", 100, None)
            for person in (bob, boss):
                assert code(await person.get(f"/uploads/{upload}/status")) == (404, "UPLOAD_NOT_FOUND")
                assert code(await person.delete(f"/uploads/{upload}")) == (404, "UPLOAD_NOT_FOUND")
            assert code(await world.guest.get(f"/uploads/{upload}/status"))[0] == 401
        assert await used(world, olga) == sum(map(len, GOOD.values()))
        listed = (await olga.get("/uploads", params={"limit": 3})).json()["data"]
        assert listed["pagination"]["total"] == len(GOOD)
        assert [one["mime"] for one in listed["uploads"]] == list(GOOD)[:-4:-1]
        assert (await bob.get("/uploads")).json()["data"]["uploads"] == []
        exported = (await olga.get(f"/users/{olga.id}/export")).json()["data"]["uploads"]
        assert len(exported["files"]) == len(GOOD)
        for upload in kept.values():
            assert (await olga.delete(f"/uploads/{upload}")).status_code == 200
            assert code(await olga.delete(f"/uploads/{upload}")) == (404, "UPLOAD_NOT_FOUND")
        assert await used(world, olga) == 0
        await settled(world, lambda: not files(world))
        assert code(await olga.get(f"/uploads/{NOBODY}/status")) == (404, "UPLOAD_NOT_FOUND")
        assert code(await olga.get("/uploads/x/status")) == (400, "INVALID_REQUEST")


async def test_what_cannot_be_used_is_refused(database: Database, tmp_path: Path) -> None:
    """F1, M1, M2, U10: at once, or once it was looked into; then its bytes are given back."""
    async with open_world(database, tmp_path, work=True) as world:
        olga = await world.person("olga")
        for name, content in BAD.items():
            assert code(await send(olga, content)) == (422, "UNSUPPORTED_FILE"), name
        assert code(await send(olga, b"")) == (422, "EMPTY_FILE")
        for kind, largest in LARGEST.items():
            head = {"image": b"\xff\xd8\xff", "document": b"%PDF-1.4"}[kind]
            assert code(await send(olga, head + bytes(largest))) == (413, "FILE_TOO_LARGE")
        for content, error in (
            (b"\x89PNG\r\n\x1a\n" + bytes(100), "UNSUPPORTED_IMAGE"), (png(5_000, 5_000), "IMAGE_TOO_LARGE"),
            (b"PK\x03\x04" + bytes(300), "UNSAFE_ARCHIVE"), (archive("../../etc/passwd"), "UNSAFE_ARCHIVE"),
        ):  # fmt: skip
            upload = (await send(olga, content)).json()["data"]["upload_id"]
            status = await settle(olga, upload)
            assert (status["status"], status["error"].partition(":")[0]) == ("failed", error)
        assert await used(world, olga) == 0
        await settled(world, lambda: not files(world))


async def test_a_file_without_end(database: Database, tmp_path: Path) -> None:
    """F3: refused as soon as it is too large, though no length was told, and nothing is left."""
    async with open_world(database, tmp_path, max_file_size=200_000, quota=1 << 30) as world:
        olga = await world.person("olga")
        one = ("file", ("a.txt", b"hello"))
        assert code(await olga.post("/uploads", files=[one], data={"x": "y"})) == (422, "VALIDATION_ERROR")
        headers = {"content-type": "multipart/form-data; boundary=cut-here"}
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            yield b'--cut-here\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            while sent < 100_000_000:
                sent += 50_000
                yield bytes(50_000)

        assert code(await olga.post("/uploads", content=endless(), headers=headers)) == (
            413, "FILE_TOO_LARGE",
        )  # fmt: skip
        assert files(world) == []
        assert await used(world, olga) == 0


async def test_malware_stays_outside(database: Database, tmp_path: Path) -> None:
    """M20, C32: of any kind, and also when it came in pieces; nothing comes in while the scanner is away."""
    scanners = AsyncExitStack()
    clamd = await scanners.enter_async_context(fake_clamd())
    async with scanners, open_world(database, tmp_path, clamd_url=clamd.url) as world:
        olga = await world.person("olga")
        infected = Sender(olga, wave(20_000) + EICAR, 5_003)
        await infected.start()
        await infected.send_all()
        for answer in (await send(olga, EICAR), await send(olga, PDF + EICAR), await infected.complete()):
            assert code(answer) == (422, "MALWARE")
        assert clamd.seen[-1] == infected.content
        assert code(await infected.complete()) == (422, "MALWARE")
        assert (await infected.state())["status"] == "infected"
        assert len(clamd.seen) == 3
        assert await used(world, olga) == 0
        async with working(world.parts):
            await settled(world, lambda: not chunks_left(world))
        assert files(world) == []
        clamd.says = b"no memory ERROR\0"
        sender = Sender(olga, wave(20_000), 5_003)
        await sender.start()
        await sender.send_all()
        for answer in (await send(olga, PDF), await sender.complete()):
            assert code(answer) == (503, "SCANNER_UNAVAILABLE")
        assert [name for name in files(world) if not name.startswith(".chunks/")] == []
        clamd.says = None
        assert (await sender.complete()).status_code == (await send(olga, PDF)).status_code == 201
        assert clamd.seen[-2:] == [sender.content, PDF]


async def test_a_key_makes_one_upload(database: Database, tmp_path: Path) -> None:
    """G29: the same file again gets the first answer, also where there is no room for a second one."""
    file = PDF + bytes(3 << 20)
    async with open_world(database, tmp_path, quota=len(file)) as world:
        olga = await world.person("olga")
        first, again = await send(olga, file, key="k"), await send(olga, file, key="k")
        assert (again.status_code, again.text) == (201, first.text)
        assert code(await send(olga, picture(), key="k")) == (409, "IDEMPOTENCY_KEY_REUSED")
        assert code(await send(olga, file, key="other")) == (413, "QUOTA_EXCEEDED")
        assert await used(world, olga) == len(file)


@pytest.mark.parametrize("what", ["avatar", "cover"])
async def test_an_uploaded_picture_is_used(database: Database, tmp_path: Path, what: str) -> None:
    """F4, U10: by its id; only one's own, only a picture, and only once it was looked at."""
    async with open_world(database, tmp_path) as world:
        olga, bob = await world.person("olga"), await world.person("bob")

        async def address(person: Person) -> str:
            if what == "avatar":
                return f"/users/{person.id}/avatar"
            return f"/tracks/{await plant(world, person)}/cover"

        where, bobs = await address(olga), await address(bob)
        image = (await send(olga, picture())).json()["data"]["upload_id"]
        assert code(await olga.put(where, json={"upload_id": image})) == (409, "UPLOAD_NOT_READY")
        async with working(world.parts):
            await settle(olga, image)
            text = (await send(olga, PDF)).json()["data"]["upload_id"]
            await settle(olga, text)
        answer = await olga.put(where, json={"upload_id": image})
        assert answer.status_code == 200
        said = answer.json()["data"]
        assert said["profile"]["avatar"] if what == "avatar" else said["track"]["has_cover"]
        sent = await world.guest.get(where)
        assert Image.open(io.BytesIO(sent.content)).size == ((100, 100) if what == "avatar" else (200, 100))
        assert code(await olga.put(where, json={"upload_id": text})) == (422, "UNSUPPORTED_IMAGE")
        assert code(await olga.put(where, json={"upload_id": NOBODY})) == (404, "UPLOAD_NOT_FOUND")
        assert code(await olga.put(where, json={"upload_id": "x"})) == (422, "VALIDATION_ERROR")
        assert code(await olga.put(where, content=b"{", headers={"content-type": "application/json"})) == (
            400, "INVALID_REQUEST",
        )  # fmt: skip
        assert code(await olga.put(where, json={"upload_id": "x" * 9_000})) == (413, "PAYLOAD_TOO_LARGE")
        assert code(await bob.put(bobs, json={"upload_id": image})) == (404, "UPLOAD_NOT_FOUND")
        assert code(await olga.put(bobs, json={"upload_id": image}))[0] == 403


async def test_uploads_go_with_their_account(database: Database, tmp_path: Path) -> None:
    """U8: files, transfers and their chunks."""
    async with open_world(database, tmp_path, work=True) as world:
        olga, boss = await world.person("olga"), await world.person("boss", "admin")
        await send(olga, PDF)
        start = {"filename": "a.mp3", "total_chunks": 2, "total_size": 100}
        assert (await olga.post("/tracks/initiate", json=start)).status_code == 200
        assert (await boss.delete(f"/users/{olga.id}")).status_code == 200
        await settled(world, lambda: not files(world))
        for table in ("uploads", "transfers", "transfer_chunks"):
            assert await database.rows(f"SELECT 1 FROM {table}") == []


def _is_safe(path: Path) -> bool:
    try:
        check_archive(path)
    except UnsafeArchive:
        return False
    return True


def _patched(raw: bytes, at: int, value: bytes) -> bytes:
    return raw[:at] + value + raw[at + len(value) :]


def test_archives_are_judged_by_their_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F1, M3, M5: bombs, links, encryption, ways out; nothing is unpacked to find that out."""
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    linked = io.BytesIO()
    with zipfile.ZipFile(linked, "w") as made:
        made.writestr(link, "/etc/passwd")
    plain = archive("a.txt", "b.txt")
    end, entry = plain.rfind(b"PK\x05\x06"), plain.find(b"PK\x01\x02")
    second = plain.find(b"PK\x01\x02", entry + 4)
    hostile = {
        "bomb": archive("a", text="0" * 30_000_000, compression=zipfile.ZIP_DEFLATED),
        "claims": _patched(plain, entry + 24, (1 << 31).to_bytes(4, "little")),
        "overlap": _patched(plain, second + 42, bytes(4)),
        "absolute": archive("/etc/passwd"), "drive": archive("C:/x"), "up": archive("a\\..\\..\\x"),
        "link": linked.getvalue(), "encrypted": _patched(plain, entry + 8, b"\1\0"),
        "directory": _patched(plain, end + 12, (1 << 30).to_bytes(4, "little")),
        "count": _patched(plain, end + 8, b"\xff\xff\xff\xff"), "cut": plain[:-10], "head": plain[: end // 2],
        "zip64": plain[:end] + b"PK\x06\x07" + bytes(16) + plain[end:],
        "disks": _patched(plain, end + 4, b"\1\0"),
    }  # fmt: skip
    path = tmp_path / "a.zip"
    path.write_bytes(plain)
    check_archive(path)
    for name, content in hostile.items():
        path.write_bytes(content)
        assert not _is_safe(path), name
    monkeypatch.setattr(archives, "MOST_ENTRIES", 1)
    path.write_bytes(plain)
    assert not _is_safe(path)
