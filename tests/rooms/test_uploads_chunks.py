"""Files that come in chunks: in any order, from several connections, again and again."""

import asyncio
import hashlib
from pathlib import Path

import obstore
import pytest

from tests.rooms.tracks_house import NOBODY, code, files, settled, used
from tests.rooms.uploads_house import Sender, chunks_left, form, wave
from tests.world import World, open_world
from veza.core.db import Database

SIZE = 20_000


def original(world: World, track_id: str) -> bytes:
    """What is stored."""
    storage, key = world.parts.storage, f"tracks/{track_id}/original"
    name = storage.local_name(key)
    return bytes(obstore.get(storage._store, key).bytes()) if name is None else Path(name).read_bytes()


@pytest.mark.parametrize("order", ["forwards", "backwards", "at once"])
async def test_chunks_make_a_track(database: Database, tmp_path: Path, order: str) -> None:
    """C12, C13, C27, C32: whatever the order, the file is the sender's, and so are its digests."""
    count = 32 if order == "at once" else 10
    content = wave(SIZE * (count - 1) + 77)
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        sender = Sender(olga, content, SIZE, "my-track.mp3")
        started = await sender.start(genre="Jazz", is_public=False)
        assert started.json()["data"]["message"] == "Upload session initiated"
        assert await used(world, olga) == len(content)
        numbers = list(range(1, sender.total + 1))
        if order == "at once":
            answers = await asyncio.gather(*map(sender.send, numbers))
            said = [answer.json()["data"] for answer in answers]
            # Each is told of a moment of its own, whichever answer is the first to arrive.
            assert sorted(one["received_chunks"] for one in said) == numbers
            progress = [one["progress"] for one in sorted(said, key=lambda one: one["received_chunks"])]
        else:
            progress = []
            for received, number in enumerate(numbers if order == "forwards" else numbers[::-1], 1):
                told = (await sender.send(number)).json()["data"]
                assert told["received_chunks"] == received
                assert told["upload_id"] == sender.id
                progress.append(told["progress"])
        assert progress == sorted(progress)
        assert progress[0] > 0
        assert progress[-1] == 100
        state = await sender.state()
        assert (state["chunks_received"], state["total_chunks"], state["missing_chunks"]) == (
            count,
            count,
            [],
        )
        assert (state["received"], state["chunk_size"], state["status"]) == (numbers, SIZE, "open")
        done = await sender.complete()
        assert done.status_code == 201
        data = done.json()["data"]
        assert data["md5"] == hashlib.md5(content).hexdigest()
        assert data["sha256"] == hashlib.sha256(content).hexdigest()
        assert (data["track"]["title"], data["track"]["status"]) == ("my-track", "processing")
        assert original(world, data["track"]["id"]) == content
        track = (await olga.get(f"/tracks/{data['track']['id']}")).json()["data"]["track"]
        assert (track["genre"], track["is_public"], track["file_size"]) == ("Jazz", False, len(content))
        assert await used(world, olga) == len(content)
        assert (await sender.state())["track_id"] == track["id"]


async def test_what_an_upload_is_started_with(database: Database, tmp_path: Path) -> None:
    """C1, C4, C16, C17: sizes and numbers that can be; of a path only its last part."""
    async with open_world(database, tmp_path, max_file_size=1 << 40, quota=1 << 50) as world:
        olga = await world.person("olga")
        good = {"filename": "a.mp3", "total_chunks": 2, "total_size": 100}
        for bad in (
            {"total_chunks": 0}, {"total_chunks": -1}, {"total_chunks": 10_001, "total_size": 1 << 30},
            {"total_chunks": 1.5}, {"total_size": 0}, {"total_size": -1}, {"total_size": 2**63},
            {"total_size": (64 << 20) * 2 + 1}, {"total_chunks": 101}, {"total_chunks": 7, "total_size": 10},
            {"filename": ""}, {"filename": "n" * 256}, {"filename": "a\0.mp3"}, {"filename": ".."},
            {"filename": 1}, {"user_id": NOBODY}, {"year": 99_999}, {"title": "t" * 300},
        ):  # fmt: skip
            answer = await olga.post("/tracks/initiate", json=good | bad)
            assert code(answer) == (422, "VALIDATION_ERROR"), bad
        for name in good:
            some = {key: value for key, value in good.items() if key != name}
            assert code(await olga.post("/tracks/initiate", json=some)) == (422, "VALIDATION_ERROR")
        assert code(await world.guest.post("/tracks/initiate", json=good)) == (401, "UNAUTHENTICATED")
        assert await used(world, olga) == 0
        assert chunks_left(world) == []
        for name, kept in (
            ("../../etc/x", "x"), ("C:\\music\\CON", "CON"), ("x.mp3.php", "x.mp3.php"), ("🎵.mp3", "🎵.mp3"),
        ):  # fmt: skip
            started = await olga.post("/tracks/initiate", json=good | {"filename": name})
            upload = started.json()["data"]["upload_id"]
            state = (await olga.get(f"/tracks/resume/{upload}")).json()["data"]
            assert state["filename"] == kept
            assert (await olga.delete(f"/tracks/resume/{upload}")).status_code == 200
        assert code(await olga.get("/tracks/resume/..%2F..%2Fetc"))[0] in {400, 404}
        assert code(await olga.get("/tracks/resume/x")) == (400, "INVALID_REQUEST")


async def test_the_quota_is_reserved_at_the_start(database: Database, tmp_path: Path) -> None:
    """C2, C3, C28: starts at once cannot overbook it, and five uploads at a time are enough."""
    async with open_world(database, tmp_path, quota=1_000, max_file_size=600) as world:
        olga = await world.person("olga")
        start = {"filename": "a.mp3", "total_chunks": 2, "total_size": 300}
        answers = await asyncio.gather(*(olga.post("/tracks/initiate", json=start) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [413] * 5
        assert {code(a)[1] for a in answers if a.status_code == 413} == {"QUOTA_EXCEEDED"}
        assert await used(world, olga) == 900
        assert code(await olga.post("/tracks/initiate", json=start | {"total_size": 601})) == (
            413, "FILE_TOO_LARGE",
        )  # fmt: skip
        begun = [a.json()["data"]["upload_id"] for a in answers if a.status_code == 200]
        assert chunks_left(world) == sorted(begun)
        for upload in begun:
            assert (await olga.delete(f"/tracks/resume/{upload}")).status_code == 200
            assert code(await olga.get(f"/tracks/resume/{upload}")) == (404, "UPLOAD_NOT_FOUND")
            assert code(await olga.delete(f"/tracks/resume/{upload}")) == (404, "UPLOAD_NOT_FOUND")
        assert await used(world, olga) == 0
        # G29: what was begun already is told again, although there is no room to begin it twice.
        whole, key = start | {"total_size": 600}, {"Idempotency-Key": "whole"}
        first, again = [await olga.post("/tracks/initiate", json=whole, headers=key) for _ in range(2)]
        assert (again.status_code, again.content) == (200, first.content)
        upload = first.json()["data"]["upload_id"]
        assert (await olga.delete(f"/tracks/resume/{upload}")).status_code == 200
        small = start | {"total_size": 10}
        answers = await asyncio.gather(*(olga.post("/tracks/initiate", json=small) for _ in range(9)))
        assert sorted(answer.status_code for answer in answers) == [200] * 5 + [409] * 4
        assert await used(world, olga) == 50


async def test_chunks_that_do_not_belong(database: Database, tmp_path: Path) -> None:
    """C5, C6, C7, C8, C14, C15: refused, each for its reason, and nothing is stored."""
    async with open_world(database, tmp_path) as world:
        olga, bob, boss = (
            await world.person("olga"), await world.person("bob"), await world.person("boss", "admin"),
        )  # fmt: skip
        sender = Sender(olga, bytes(1_000), 300)
        await sender.start()
        for number in ("0", "-1", "5", "1.5", "x", "", str(2**70)):
            answer = await sender.send(1, chunk_number=number)
            assert code(answer) == (422, "INVALID_CHUNK_NUMBER"), number
        for name, value in (("total_chunks", "5"), ("total_size", "999"), ("filename", "b.mp3")):
            assert code(await sender.send(1, **{name: value})) == (409, "UPLOAD_MISMATCH"), name
        for size in (0, 1, 249, 334, 999, 1_001):
            answer = await sender.send(1, bytes(size))
            assert code(answer) == (422, "CHUNK_SIZE_MISMATCH"), size
        assert code(await sender.send(4, bytes(101))) == (422, "CHUNK_SIZE_MISMATCH"), "the rest is no thirds"
        assert (await sender.send(2)).status_code == 200
        for number, size in ((1, 299), (1, 301), (3, 299), (4, 101), (4, 99), (2, 301)):
            answer = await sender.send(number, bytes(size))
            assert code(answer) == (422, "CHUNK_SIZE_MISMATCH"), (number, size)
        for person in (bob, boss):
            theirs = Sender(person, sender.content, 300)
            theirs.id = sender.id
            assert code(await theirs.send(1)) == (404, "UPLOAD_NOT_FOUND")
            assert code(await theirs.complete()) == (404, "UPLOAD_NOT_FOUND")
            for method in ("GET", "DELETE"):
                answer = await person.client.request(method, f"/tracks/resume/{sender.id}")
                assert code(answer) == (404, "UPLOAD_NOT_FOUND")
        assert code(await sender.send(1, upload_id=NOBODY)) == (404, "UPLOAD_NOT_FOUND")
        assert code(await sender.send(1, upload_id="../x")) == (400, "INVALID_REQUEST")
        given = sender.fields(1)
        assert code(await olga.post("/tracks/chunk", data=given))[0] == 415
        wrong = {"file": ("blob", b"x")}
        assert code(await olga.post("/tracks/chunk", data=given, files=wrong)) == (422, "VALIDATION_ERROR")
        for name in given:
            some = {key: value for key, value in given.items() if key != name}
            answer = await olga.post("/tracks/chunk", data=some, files={"chunk": ("b", bytes(300))})
            assert answer.status_code == 422, name
        assert code(await world.guest.post("/tracks/chunk", files={"chunk": ("b", b"")}))[0] == 401
        state = await sender.state()
        assert (state["received"], state["missing_chunks"], state["chunk_size"]) == ([2], [1, 3, 4], 300)
        storage = world.parts.storage
        assert list(storage.scratch.iterdir()) == []
        assert code(await sender.complete()) == (409, "UPLOAD_INCOMPLETE")


async def test_a_repeat_replaces_and_counts_once(database: Database, tmp_path: Path) -> None:
    """C9, C10: the last that came whole is what the file is made of; nothing lies about."""
    content = wave(70_001)
    async with open_world(database, tmp_path) as world:
        sender = Sender(await world.person("olga"), content, 10_000)
        await sender.start()
        wrong = bytes(10_000)
        for number in (2, 1, 5):
            assert (await sender.send(number, wrong)).json()["data"]["received_chunks"] <= 3
        await sender.send_all()
        for _ in range(2):
            for number in (1, 2, 8, 5):
                told = (await sender.send(number)).json()["data"]
                assert (told["received_chunks"], told["progress"]) == (8, 100)
        folder = world.parts.chunks.folder / sender.id  # type: ignore[attr-defined]  # of the local one
        assert len(list(folder.iterdir())) == 5, "the file, and each that replaced another"
        done = (await sender.complete()).json()["data"]
        assert done["md5"] == hashlib.md5(content).hexdigest()
        assert original(world, done["track"]["id"]) == content


async def test_one_chunk_from_many_connections_is_never_mixed(database: Database, tmp_path: Path) -> None:
    """C11: whoever ends last wins, whole; a chunk is of one sender."""
    size = 3 << 20
    content = wave(size * 2 + 5)
    async with open_world(database, tmp_path) as world:
        sender = Sender(await world.person("olga"), content, size)
        await sender.start()
        await sender.send(1)
        shades = [bytes([shade]) * size for shade in range(6)]
        answers = await asyncio.gather(*(sender.send(2, shade) for shade in shades))
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.json()["data"]["received_chunks"] for answer in answers} == {2}
        await sender.send(3)
        done = (await sender.complete()).json()["data"]
        whole = original(world, done["track"]["id"])
        assert whole[size : size * 2] in shades
        assert whole[:size] + whole[size * 2 :] == content[:size] + content[size * 2 :]
        assert done["md5"] == hashlib.md5(whole).hexdigest()


async def test_the_fields_may_come_in_any_order(database: Database, tmp_path: Path) -> None:
    """C11: also behind the bytes, of which there are more than fit into memory."""
    size = 3 << 20
    content = wave(size * 3)
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        sender = Sender(olga, content, size)
        await sender.start()
        for number, at in ((1, 0), (2, 3), (3, 5)):
            parts: list[tuple[str, str | bytes]] = [*sender.fields(number).items()]
            parts.insert(at, ("chunk", sender.chunk(number)))
            body, headers = form(parts)
            answer = await olga.post("/tracks/chunk", content=body, headers=headers)
            assert answer.status_code == 200, answer.text
        assert (await sender.complete()).json()["data"]["md5"] == hashlib.md5(content).hexdigest()


async def test_complete_gives_one_track(database: Database, tmp_path: Path) -> None:
    """C23, C24, C25, C29: with gaps it lists them; ten at once and any later get the first answer."""
    content = wave(50_000)
    async with open_world(database, tmp_path, work=True) as world:
        olga = await world.person("olga")
        first, second = Sender(olga, content, 7_000), Sender(olga, content, 9_000)
        tracks = []
        for sender in (first, second):
            await sender.start()
            await sender.send_all([2, 3, 5])
            refused = await sender.complete()
            assert code(refused) == (409, "UPLOAD_INCOMPLETE")
            gaps = [number for number in range(1, sender.total + 1) if number not in {2, 3, 5}]
            assert refused.json()["error"]["details"][0]["missing_chunks"] == gaps
            await sender.send_all(gaps)
            answers = await asyncio.gather(*(sender.complete() for _ in range(10)))
            answers.append(await sender.complete())
            assert {answer.status_code for answer in answers} == {201}
            assert len({answer.text for answer in answers}) == 1
            tracks.append(answers[0].json()["data"]["track"]["id"])
            assert code(await sender.send(1)) == (409, "UPLOAD_COMPLETED")
        listed = (await olga.get("/tracks", params={"user_id": olga.id})).json()["data"]["tracks"]
        assert sorted(track["id"] for track in listed) == sorted(tracks)
        for track in tracks:
            assert (await world.ready(olga, track))["status"] == "ready"
        await olga.delete(f"/tracks/{tracks[0]}")
        assert original(world, tracks[1]) == content
        assert code(await olga.get(f"/tracks/{tracks[0]}")) == (404, "TRACK_NOT_FOUND")
        assert (await first.complete()).json()["data"]["track"]["id"] == tracks[0]
        assert await used(world, olga) == len(content)


async def test_what_is_no_music_gives_its_bytes_back(database: Database, tmp_path: Path) -> None:
    """C28, M2: it fails once and for all; its quota is free again and its chunks go."""
    async with open_world(database, tmp_path, work=True) as world:
        olga = await world.person("olga")
        sender = Sender(olga, b"not music at all " * 500, 1_000)
        await sender.start()
        await sender.send_all()
        for _ in range(2):
            assert code(await sender.complete()) == (422, "UNSUPPORTED_AUDIO")
        assert code(await sender.send(1)) == (409, "UPLOAD_COMPLETED")
        assert (await sender.state())["status"] == "failed"
        assert await used(world, olga) == 0
        # Its folder goes after what is in it.
        await settled(world, lambda: not files(world) and not chunks_left(world))


async def test_a_key_starts_one_upload(database: Database, tmp_path: Path) -> None:
    """G29, C2: the same again gets the same answer, though its bytes do not fit twice; another is refused."""
    async with open_world(database, tmp_path, quota=150) as world:
        olga = await world.person("olga")
        start = {"filename": "a.mp3", "total_chunks": 2, "total_size": 100}
        key = {"Idempotency-Key": "once"}
        first = await olga.post("/tracks/initiate", json=start, headers=key)
        again = await olga.post("/tracks/initiate", json=start, headers=key)
        assert (again.status_code, again.text) == (200, first.text)
        assert again.headers["idempotency-replayed"] == "true"
        other = await olga.post("/tracks/initiate", json=start | {"total_size": 99}, headers=key)
        assert code(other) == (409, "IDEMPOTENCY_KEY_REUSED")
        assert await used(world, olga) == 100


async def test_who_may_start_an_upload(database: Database, tmp_path: Path) -> None:
    """A29: where the operator wants it, an address has to be confirmed first."""
    async with open_world(database, tmp_path, require_verified_email=True) as world:
        account = {"username": "newby", "email": "newby@example.com", "password": "seven purple lanterns"}
        made = await world.guest.post(
            "/auth/register", json=account | {"password_confirm": account["password"]}
        )
        token = made.json()["data"]["token"]["access_token"]
        client = world.client({"Authorization": f"Bearer {token}"})
        start = {"filename": "a.mp3", "total_chunks": 2, "total_size": 100}
        assert code(await client.post("/tracks/initiate", json=start)) == (403, "EMAIL_NOT_VERIFIED")


@pytest.mark.usefixtures("still")
async def test_chunks_have_a_limit_of_their_own(database: Database, tmp_path: Path) -> None:
    """G20, C3: a hundred chunks cost nobody their requests; an upload counts once, at its start."""
    limits = {
        "rate_limit_enabled": True, "rate_limit_global": "12/min", "rate_limit_upload": "2/hour",
        "rate_limit_chunk": "31/min",
    }  # fmt: skip
    async with open_world(database, tmp_path, **limits) as world:
        sender = Sender(await world.person("olga"), bytes(300), 10)
        await sender.start()
        await sender.send_all()
        last = await sender.send(1)
        assert (last.headers["x-ratelimit-limit"], last.headers["x-ratelimit-remaining"]) == ("31", "0")
        over = await sender.send(1)
        assert code(over) == (429, "RATE_LIMITED")
        assert int(over.headers["retry-after"]) > 0
        assert (await sender.state())["missing_chunks"] == []
        assert (await sender.start()).status_code == 200
        assert code(await sender.start()) == (429, "RATE_LIMITED")
