"""Files that come in: which are taken, how much, how often, and what a repeated request gets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.clamd import EICAR, fake_clamd
from tests.rooms.tracks_house import code, files, plant, short, used  # noqa: F401 - `short` is a fixture
from tests.world import JSON, Person, open_world
from veza.core.db import Database
from veza.core.exchange import BrokenOff
from veza.rooms.tracks import upload

# ruff: noqa: F811 - a fixture is asked for by its name

PLAYLISTS = {
    "m3u": b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n",
    "pls": b"[playlist]\nFile1=file:///etc/passwd\nNumberOfEntries=1\n",
    "ffconcat": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "mpd": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
    "lrc": b"[ti:x]\n[00:01.00]la la la\n",
    "xspf": b'<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/"></playlist>',
}
OTHERS = {
    "exe": b"MZ\x90\0" + bytes(500),
    "html": b"<!doctype html><script>alert(1)</script>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "zip": b"PK\x03\x04" + bytes(300),
    "pdf": b"%PDF-1.7\n" + bytes(100),
    "text": b"not music at all " * 50,
}


async def send(
    person: Person, content: bytes, key: str = "", name: str = "a.mp3", **fields: str
) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await person.post("/tracks", files={"file": (name, content)}, data=fields, headers=headers)


async def count(database: Database, table: str) -> int:
    return int((await database.rows(f"SELECT COUNT(*) FROM {table}"))[0][0])


async def test_what_is_no_audio_leaves_nothing(database: Database, tmp_path: Path, short: Any) -> None:
    """M1, M2, M4: refused at once, whatever it is called; no row, no file, no byte of the quota."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        assert code(await send(olga, b"")) == (422, "EMPTY_FILE")
        for kind, content in (PLAYLISTS | OTHERS).items():
            for name in ("a.mp3", f"a.{kind}"):
                assert code(await send(olga, content, name=name)) == (422, "UNSUPPORTED_AUDIO"), kind
        music = short("a.mp3").read_bytes()
        for fields in (
            {"year": "99999"},
            {"title": "x" * 256},
            {"is_public": "perhaps"},
            {"status": "ready"},
            {"user_id": "1"},
        ):
            assert code(await send(olga, music, **fields)) == (422, "VALIDATION_ERROR"), fields
        for parts in ({"other": ("a.mp3", music)}, [("file", ("a.mp3", music))] * 2):
            assert code(await olga.post("/tracks", files=parts)) == (422, "VALIDATION_ERROR")
        assert code(await olga.post("/tracks", data={"title": "x"}))[0] == 415
        assert code(await olga.post("/tracks", json={})) == (415, "UNSUPPORTED_MEDIA_TYPE")
        assert code(await world.guest.post("/tracks", files={"file": ("a.mp3", music)})) == (
            401,
            "UNAUTHENTICATED",
        )
        assert files(world) == []
        assert await used(world, olga) == 0
        assert await count(database, "tracks") == await count(database, "jobs") == 0


async def test_malware_stays_outside(database: Database, tmp_path: Path, short: Any) -> None:
    """M20: refused by name, alone or in music; nothing comes in while the scanner is away."""
    music = short("a.mp3").read_bytes()
    scanners = AsyncExitStack()
    clamd = await scanners.enter_async_context(fake_clamd())
    async with scanners, open_world(database, tmp_path, clamd_url=clamd.url) as world:
        olga = await world.person("olga")
        for content in (EICAR, music + EICAR):
            assert code(await send(olga, content, key="one")) == (422, "MALWARE")
        assert code(await send(olga, b"no music")) == (422, "UNSUPPORTED_AUDIO")
        clamd.says = b"no memory ERROR\0"
        answer = await send(olga, music, key="one")
        assert code(answer) == (503, "SCANNER_UNAVAILABLE")
        assert answer.headers["retry-after"] == "30"
        assert files(world) == []
        assert await used(world, olga) == await count(database, "tracks") == 0
        clamd.says = None
        assert (await send(olga, music, key="one")).status_code == 201
        assert clamd.seen[-1] == music
        await scanners.aclose()
        assert code(await send(olga, music)) == (503, "SCANNER_UNAVAILABLE")
        assert len(files(world)) == 1
        assert (await olga.get("/tracks")).status_code == 200


async def test_a_track_is_named_after_its_file_at_first(
    database: Database, tmp_path: Path, short: Any
) -> None:
    """T5: the form's words are kept; a file's name is only text, never a path."""
    music = short("a.mp3").read_bytes()
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        for name, title in (
            ("My Song.mp3", "My Song"), ("../../etc/passwd.mp3", "passwd"), ("C:\\x\\Ünï.flac", "Ünï"),
            (".mp3", ".mp3"),
            ("a\u202eb\u200b .mp3", "ab"),
            ("n" * 300 + ".mp3", "n" * 251), ("-i.mp3", "-i"), ("e\u0301.mp3", "é"),
        ):  # fmt: skip
            answer = await send(olga, music, name=name)
            assert answer.json()["data"]["track"]["title"] == title, name
        said = {"title": "T", "artist": "A", "album": "B", "genre": "G", "year": "1999", "is_public": "false"}
        made = (await send(olga, music, **said, tags="#live, ,Solo piano,LIVE")).json()["data"]["track"]
        assert made["status"] == "processing"
        found = (await olga.get(f"/tracks/{made['id']}")).json()["data"]["track"]
        assert {name: found[name] for name in said} == said | {"year": 1999, "is_public": False}
        assert (found["format"], found["file_size"], found["duration"]) == ("mp3", len(music), 0)
        assert found["tags"] == ["live", "Solo piano"]


async def test_nobody_stores_more_than_their_quota(database: Database, tmp_path: Path, short: Any) -> None:
    """C2: uploads at once cannot overbook it together; what is too much or too large is 413 and gone."""
    music = short("a.mp3").read_bytes()
    size = len(music)
    async with open_world(database, tmp_path, quota=size * 3 + 5, max_file_size=size * 2) as world:
        olga = await world.person("olga")
        answers = await asyncio.gather(*(send(olga, music) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [201] * 3 + [413] * 5
        refused = next(answer for answer in answers if answer.status_code == 413)
        assert code(refused) == (413, "QUOTA_EXCEEDED")
        assert await used(world, olga) == size * 3
        assert len(files(world)) == 3
        quota = (await olga.get(f"/tracks/quota/{olga.id}")).json()["data"]["quota"]
        assert (quota["limit"], quota["remaining"]) == (size * 3 + 5, 5)
        assert code(await send(olga, music + bytes(size * 2))) == (413, "FILE_TOO_LARGE")
        stan = await world.person("stan")
        # Without a length that says so beforehand, the file is cut off where it becomes too large.
        request = stan.client.build_request(
            "POST", "/tracks", files={"file": ("a.mp3", music + bytes(size * 2))}
        )
        body = request.read()
        streamed = await stan.client.post(
            "/tracks", content=_pieces(body), headers={"content-type": request.headers["content-type"]}
        )
        assert code(streamed) == (413, "FILE_TOO_LARGE")
        huge = {"content-type": "multipart/form-data; boundary=x", "content-length": "9" * 12}
        told = await stan.client.post("/tracks", content=b"", headers=huge)
        assert code(told) == (413, "FILE_TOO_LARGE")
        assert len(files(world)) == 3


async def _pieces(body: bytes, stop: int | None = None) -> AsyncIterator[bytes]:
    for start in range(0, len(body) if stop is None else stop, 1000):
        yield body[start : start + 1000]


async def test_ten_uploads_an_hour(database: Database, tmp_path: Path, short: Any) -> None:
    """G17, C3: counted for each user, with the headers of that limit; the eleventh is told when to return."""
    music = short("a.mp3").read_bytes()
    limits = {"rate_limit_enabled": True, "rate_limit_login": "100/min", "rate_limit_global": "1000/min"}
    async with open_world(database, tmp_path, **limits) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        answers = await asyncio.gather(*(send(olga, music) for _ in range(12)))
        assert sorted(answer.status_code for answer in answers) == [201] * 10 + [429] * 2
        left = sorted(int(answer.headers["x-ratelimit-remaining"]) for answer in answers)
        assert left == [0, 0, *range(10)]
        last = next(answer for answer in answers if answer.status_code == 429)
        assert code(last) == (429, "RATE_LIMITED")
        assert last.headers["x-ratelimit-limit"] == "10"
        assert 0 < int(last.headers["retry-after"]) <= 3600
        assert (await send(stan, music)).status_code == 201
        assert int((await olga.get("/tracks")).headers["x-ratelimit-limit"]) == 1000
        assert len(files(world)) == 11


async def test_who_must_verify_their_address_first(database: Database, tmp_path: Path, short: Any) -> None:
    """A29: where the operator asks for it, nothing is uploaded or published before; all else works."""
    music = short("a.mp3").read_bytes()
    async with open_world(database, tmp_path, require_verified_email=True) as world:
        olga = await world.person("olga")
        track = f"/tracks/{await plant(world, olga, public=False)}"
        for state in (False, True):
            value = f"x'{UUID(olga.id).hex}'" if database.dialect == "sqlite" else f"'{olga.id}'"
            await database.script(f"UPDATE users SET email_verified = {state} WHERE id = {value}")
            world.parts.authenticator.forget_all()
            answers = await send(olga, music), await olga.put(track, json={"is_public": True})
            if state:
                assert [answer.status_code for answer in answers] == [201, 200]
            else:
                assert [code(answer) for answer in answers] == [(403, "EMAIL_NOT_VERIFIED")] * 2
            assert (await olga.put(track, json={"title": "T", "is_public": False})).status_code == 200
            assert (await olga.get(track)).status_code == 200


async def test_the_same_upload_twice_is_one_track(database: Database, tmp_path: Path, short: Any) -> None:
    """G29: the same key and form get the first answer again; another form with that key is 409."""
    music, other = short("a.mp3").read_bytes(), short("vorbis.ogg").read_bytes()
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        refused = await send(olga, b"no music", key="one")  # is not kept
        assert refused.status_code == 422
        first = await send(olga, music, key="one", title="T")
        again = await send(olga, music, key="one", title="T")
        assert (first.status_code, "idempotency-replayed" in first.headers) == (201, False)
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["idempotency-replayed"] == "true"
        for content, name, title in ((other, "a.mp3", "T"), (music, "b.mp3", "T"), (music, "a.mp3", "U")):
            answer = await send(olga, content, key="one", name=name, title=title)
            assert code(answer) == (409, "IDEMPOTENCY_KEY_REUSED")
        assert (await send(stan, music, key="one", title="T")).status_code == 201
        assert await count(database, "tracks") == len(files(world)) == 2
        assert await used(world, olga) == len(music)
        for bad in ("x" * 256, "a b", "\u00e9"):
            answer = await olga.client.post("/tracks", headers=[(b"Idempotency-Key", bad.encode())])
            assert code(answer) == (400, "INVALID_REQUEST")
        # At once: one is worked on, the others are told to wait, and then get the same answer.
        answers = await asyncio.gather(*(send(olga, music, key="two") for _ in range(6)))
        made = [answer for answer in answers if answer.status_code == 201]
        assert {answer.content for answer in made} == {made[0].content}
        for answer in answers:
            if answer.status_code != 201:
                assert code(answer) == (409, "IDEMPOTENCY_IN_PROGRESS")
                assert answer.headers["retry-after"] == "1"
        assert len(made) < 6
        assert (await send(olga, music, key="two")).content == made[0].content
        assert await count(database, "tracks") == len(files(world)) == 3


async def test_an_answer_that_was_lost_is_given_again(
    database: Database, tmp_path: Path, short: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G29: the connection breaks between the commit and the answer; the retry gets what was committed.

    That it would not fit into the quota a second time does not matter.
    """
    monkeypatch.setattr(upload, "FORM_BYTES", 1_000)
    music = short("a.mp3").read_bytes()
    async with open_world(database, tmp_path, quota=len(music)) as world:
        olga = await world.person("olga")
        app, lost = world.app, []

        async def breaking(scope: Any, receive: Any, send: Any) -> None:
            async def broken(message: Any) -> None:
                lost.append(message)
                raise ConnectionResetError

            await app(scope, receive, broken)

        transport = httpx.ASGITransport(breaking)
        async with httpx.AsyncClient(transport=transport, base_url="http://veza.test/api/v1") as client:
            client.headers = olga.client.headers
            with pytest.raises((ConnectionResetError, BrokenOff)):
                await client.post(
                    "/tracks", files={"file": ("a.mp3", music)}, headers={"Idempotency-Key": "k"}
                )
        assert lost[0]["status"] == 201
        assert await count(database, "tracks") == 1
        answer = await send(olga, music, key="k")
        assert (answer.status_code, answer.headers["idempotency-replayed"]) == (201, "true")
        assert await count(database, "tracks") == 1
        track = answer.json()["data"]["track"]["id"]
        assert (await olga.get(f"/tracks/{track}")).status_code == 200


async def test_who_leaves_in_the_middle_leaves_nothing(
    database: Database, tmp_path: Path, short: Any
) -> None:
    """G28: a body that ends early and a request that is cancelled leave no track and no file."""
    music = short("s16.wav").read_bytes()
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        request = olga.client.build_request("POST", "/tracks", files={"file": ("a.wav", music)})
        body = request.read()
        headers = {**olga.client.headers, **request.headers}
        for stop in (0, 100, len(body) // 2, len(body) - 1):
            messages = [
                {"type": "http.request", "body": body[:stop], "more_body": True},
                {"type": "http.disconnect"},
            ]
            assert await _call(world.app, headers, messages) in (0, 400)
        for seconds in (0.0, 0.005, 0.02):
            stuck = [{"type": "http.request", "body": body[: len(body) // 2], "more_body": True}]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(seconds):
                    await _call(world.app, headers, stuck)
        assert files(world) == []
        assert await count(database, "tracks") == await used(world, olga) == 0
        assert (await send(olga, music, key="after")).status_code == 201


async def _call(app: Any, headers: dict[str, str], messages: list[JSON]) -> int:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    path = "/api/v1/tracks"
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": path,
        "raw_path": path.encode(), "root_path": "", "scheme": "http", "query_string": b"", "headers": raw,
        "client": ("127.0.0.1", 1), "server": ("veza.test", 80), "state": {},
    }  # fmt: skip
    status = 0

    async def receive() -> JSON:
        return messages.pop(0) if messages else await asyncio.Event().wait()  # type: ignore[return-value]  # never

    async def send(message: JSON) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(scope, receive, send)
    return status
