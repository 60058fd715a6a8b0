"""HLS: playlists by the book, pieces by their ranges, the first play while the track is encoded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import m3u8
import pytest

from tests.media.corpus import BY_NAME, make
from tests.rooms.tracks_house import (
    LAYOUT,
    NOBODY,
    RENDITION,
    Slow,
    code,
    files,
    plant,
    settled,
)
from tests.world import World, open_world
from veza.app import working
from veza.core import clock
from veza.core.db import Database
from veza.core.errors import DatabaseBusy, InsufficientStorage, Unavailable
from veza.core.ids import new_id
from veza.core.jobs import CHANNEL, Job
from veza.core.server import serve_async
from veza.media import Fragments, Growing, MediaLimits, Timing, process, renditions
from veza.media.errors import EncodingFailed
from veza.media.ffmpeg import find_ffmpeg
from veza.rooms.tracks import early, files_store, jobs, pieces, wishes
from veza.rooms.tracks.jobs import early_folder, sweep_files
from veza.rooms.tracks.schemas import Early, EarlyPart, EarlyRendition

MASTER = "hls/master.m3u8"
SECONDS = 9.5


@asynccontextmanager
async def served(world: World) -> AsyncIterator[str]:
    """The world on a real socket; its address."""
    stop, address = asyncio.Event(), asyncio.get_running_loop().create_future()
    server = asyncio.create_task(
        serve_async(
            world.app, port=0, stop=stop, signals=False,
            ready=lambda host, port: address.set_result(f"http://{host}:{port}/api/v1"),
        )
    )  # fmt: skip
    try:
        yield await address
    finally:
        stop.set()
        await server


async def heard(url: str, *options: str) -> float:
    """How many seconds a real player hears at this address."""
    argv = [
        find_ffmpeg().path,
        "-v",
        "error",
        *options,
        "-i",
        url,
        "-f",
        "s16le",
        "-ac",
        "1",
        "-ar",
        "48000",
        "-",
    ]
    child = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    sound, complaint = await asyncio.wait_for(child.communicate(), 60)
    assert (child.returncode, complaint) == (0, b""), complaint
    return len(sound) / 96_000


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_player_hears_all_of_it(database: Database, tmp_path: Path) -> None:
    """RFC 8216, read by a parser, and by ffmpeg over a socket: all renditions of a private track."""
    async with open_world(database, tmp_path, work=True) as world, served(world) as address:
        olga = await world.person("olga")
        track = (await olga.upload(make(BY_NAME["s16.wav"], tmp_path, SECONDS), is_public="false"))["id"]
        await world.ready(olga, track)
        answer = await olga.get(f"/tracks/{track}/{MASTER}?lossless=true")
        assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"
        master = m3u8.loads(answer.text)
        assert [one.stream_info.codecs for one in master.playlists] == [
            "fLaC",
            "mp4a.40.2",
            "mp4a.40.2",
            "Opus",
        ]
        for variant in master.playlists:
            said = variant.stream_info
            assert said.bandwidth >= said.average_bandwidth > 90_000
            url = f"{address}/tracks/{track}/hls/{variant.uri}"
            text = (await world.guest.get(url)).text
            found = m3u8.loads(text)
            check_playlist(found, text)
            assert sum(one.duration for one in found.segments) == pytest.approx(SECONDS, abs=0.001)
            sizes = [
                len((await world.guest.get(f"{url.rpartition('/')[0]}/{one.uri}")).content)
                for one in found.segments
            ]
            rates = [size * 8 / one.duration for size, one in zip(sizes, found.segments, strict=True)]
            assert max(rates[:-1]) <= said.bandwidth
            assert sum(sizes) * 8 / SECONDS == pytest.approx(said.average_bandwidth, rel=0.01)
            # A decoder may give the rest of the last frame, too.
            assert 0 <= await heard(url) - SECONDS < 0.022
        middle = await heard(f"{address}/tracks/{track}/hls/{master.playlists[1].uri}", "-ss", "5")
        assert middle == pytest.approx(SECONDS - 5, abs=0.03)
        urls = (await olga.get(f"/tracks/{track}/urls")).json()["data"]
        assert (
            0
            <= await heard(urls["stream"].replace(urls["stream"].partition("/api/v1")[0], address[:-7]))
            - SECONDS
            < 0.022
        )
        plain = (await olga.get(f"/tracks/{track}/{MASTER}")).text
        assert "fLaC" not in plain


def check_playlist(found: Any, text: str) -> None:
    """What RFC 8216 asks of a media playlist, and what players want."""
    lines = text.splitlines()
    assert lines[0] == "#EXTM3U"
    assert (found.version, found.playlist_type, found.is_endlist) == (7, "vod", True)
    assert found.is_independent_segments
    assert found.segment_map[0].uri.startswith("init.mp4")
    assert all(int(one.duration + 0.5) <= found.target_duration for one in found.segments)
    assert [one.uri.partition(".")[0] for one in found.segments] == [
        str(n + 1) for n in range(len(found.segments))
    ]
    assert all(one.duration > 3.9 for one in found.segments[:-1])


async def test_pieces_are_parts_of_one_file(database: Database, tmp_path: Path) -> None:
    """T18, T10: each piece has its own length, ETag and ranges, and what is no piece is not there."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        track = await plant(world, olga)
        at = f"/tracks/{track}/hls/aac_96"
        for name, start, size in (("init.mp4", 0, 100), ("1.m4s", 150, 1000), ("2.m4s", 1150, 1850)):
            whole = await world.guest.get(f"{at}/{name}")
            assert (whole.status_code, whole.headers["content-type"]) == (200, "audio/mp4")
            assert whole.content == RENDITION[start : start + size]
            assert whole.headers["content-length"] == str(size)
            assert whole.headers["cache-control"] == "public, no-cache"
            part = await world.guest.get(f"{at}/{name}", headers={"Range": "bytes=5-14"})
            assert (part.status_code, part.content) == (206, RENDITION[start + 5 : start + 15])
            assert part.headers["content-range"] == f"bytes 5-14/{size}"
            beyond = await world.guest.get(f"{at}/{name}", headers={"Range": f"bytes={size}-"})
            assert code(beyond) == (416, "RANGE_NOT_SATISFIABLE")
            again = await world.guest.get(f"{at}/{name}", headers={"If-None-Match": whole.headers["etag"]})
            assert again.status_code == 304
            head = await world.guest.client.head(f"{at}/{name}")
            assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(size))
        for name in (
            "0.m4s",
            "3.m4s",
            "01.m4s",
            "1.mp4",
            "init.m4s",
            "1.m4s.m4s",
            "٣.m4s",
            "-1.m4s",
            "9999999.m4s",
        ):
            assert code(await world.guest.get(f"{at}/{name}")) == (404, "RENDITION_NOT_FOUND"), name
        for name in ("index.m3u8", "init.mp4"):
            answer = await world.guest.get(f"/tracks/{track}/hls/mp3_320/{name}")
            assert code(answer) == (404, "RENDITION_NOT_FOUND")
        playlist = await world.guest.get(f"{at}/index.m3u8")
        tag = {"If-None-Match": playlist.headers["etag"]}
        assert (await world.guest.get(f"{at}/index.m3u8", headers=tag)).status_code == 304
        assert "sig=" not in playlist.text
        slow = [Slow(world.app, f"{at}/2.m4s") for _ in range(4)]
        await asyncio.gather(*(one.begun.wait() for one in slow))
        assert (await olga.delete(f"/tracks/{track}")).status_code == 200
        async with working(world.parts):
            while files(world, track):  # noqa: ASYNC110 - the job that removes them tells nobody
                await asyncio.sleep(0.02)
        for one in slow:
            one.go.set()
        await asyncio.gather(*(one.task for one in slow))
        assert {one.body for one in slow} == {RENDITION[1150:]}


async def test_signed_addresses(database: Database, tmp_path: Path) -> None:
    """T1, K15: good for one track, for who may see it now, for six hours and while they are signed in."""
    async with open_world(database, tmp_path) as world:
        olga, stan, mona = [await world.person(*who) for who in (("olga",), ("stan",), ("mona", "moderator"))]
        private, other = [await plant(world, olga, public=False) for _ in range(2)]
        public = await plant(world, olga)

        async def signature(person: Any, track: str) -> str:
            master = m3u8.loads((await person.get(f"/tracks/{track}/{MASTER}")).text)
            queries = {one.uri.partition("?")[2] for one in master.playlists}
            assert len(queries) == 1
            return str(queries.pop())

        below = (
            "stream",
            MASTER,
            "hls/aac_96/index.m3u8",
            "hls/aac_96/1.m4s",
            "hls/flac/1.m4s",
            "waveform",
            "cover",
        )

        async def statuses(track: str, query: str, **options: Any) -> set[tuple[int, str]]:
            found = set()
            for what in below:
                answer = await world.guest.get(f"/tracks/{track}/{what}?{query}", **options)
                good = answer.status_code == 200
                found.add((200, answer.headers["cache-control"]) if good else code(answer))
            return found

        query = await signature(olga, private)
        mine = {(200, "private, no-store")}
        assert await statuses(private, query) == mine
        assert await statuses(private, query, headers={"Authorization": "Bearer expired"}) == mine
        # The playlist hands the same signature on: no address lives longer than the first.
        text = (await world.guest.get(f"/tracks/{private}/hls/aac_96/index.m3u8?{query}")).text
        assert text.count(query) == len(LAYOUT.sizes) + 1
        assert await statuses(other, query) == await statuses(NOBODY, query) == {(403, "SIGNATURE_INVALID")}
        assert await statuses(private, query[:-1] + "!") == {(403, "SIGNATURE_INVALID")}
        assert await statuses(private, "sig=") == {(403, "SIGNATURE_INVALID")}
        assert (await world.guest.get(f"/tracks/{private}/download?{query}")).status_code == 404
        assert (await world.guest.get(f"/tracks/{private}?{query}")).status_code == 404
        assert (await world.guest.put(f"/tracks/{private}/cover?{query}")).status_code == 401
        with clock.shifted(timedelta(hours=6, seconds=1)):
            assert await statuses(private, query) == {(403, "URL_EXPIRED")}
        # What was signed while the track was public does not open it when it no longer is.
        theirs = await signature(stan, public)
        assert {status for status, _ in await statuses(public, theirs)} == {200}
        assert (await olga.put(f"/tracks/{public}", json={"is_public": False})).status_code == 200
        assert await statuses(public, theirs) == {(404, "TRACK_NOT_FOUND")}
        # A role that is taken, a session that ends, a track that is deleted: at once.
        moderators = await signature(mona, private)
        assert await statuses(private, moderators) == mine
        boss = await world.person("boss", "admin")
        assert (await boss.put(f"/admin/users/{mona.id}/role", json={"role": "user"})).status_code == 200
        assert await statuses(private, moderators) == {(404, "TRACK_NOT_FOUND")}
        urls = (await olga.get(f"/tracks/{private}/urls")).json()["data"]
        assert {url.partition("?")[2][:4] for url in urls.values() if "?" in url} == {"sig="}
        assert (await olga.post("/sessions/logout-all")).status_code == 200
        assert await statuses(private, query) == {(403, "URL_EXPIRED")}


def planned(track: str, ready: int) -> tuple[Early, bytes]:
    """What is written down of a track of 20 s, with so many segments of 100 bytes in two files."""
    data = bytes(range(250)) * 2
    sizes = [50] + [100] * ready
    key = f"{early_folder(UUID(track))}/1"
    parts = [EarlyPart(f"{key}/1", 0, 0, sizes[:2]), EarlyPart(f"{key}/2", 0, 2, sizes[2:])]
    timing = Timing(rate=48_000, frame=1024, skipped=1024)
    return Early({"aac_96": EarlyRendition("mp4a.40.2", 96_000, 960_000, timing, parts)}), data


async def publish(world: World, track: str, ready: int) -> bytes:
    early_ones, data = planned(track, ready)
    for part in early_ones.renditions["aac_96"].parts:
        await world.parts.storage.put_bytes(part.key, data[: sum(part.sizes)])
    async with world.parts.database.write() as tx:
        await files_store.keep_early(tx, UUID(track), 1, early_ones)
    return data


async def test_heard_before_it_is_encoded(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T3: its owner has a whole playlist at once, and waits for what is missing; strangers see nothing."""
    monkeypatch.setattr(pieces, "WAIT", 0.6)
    monkeypatch.setattr(pieces, "STEP", 0.02)
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        track = await plant(world, olga, "processing")
        at = f"/tracks/{track}/hls/aac_96"

        async def playable() -> bool:
            return bool((await olga.get(f"/tracks/{track}/status")).json()["data"]["playable"])

        for path in (MASTER, "stream", "waveform"):
            answer = await olga.get(f"/tracks/{track}/{path}")
            assert (*code(answer), answer.headers["retry-after"]) == (409, "TRACK_NOT_READY", "2")
        assert not await playable()
        data = await publish(world, track, 2)
        assert await playable()
        for person in (stan, world.guest):
            for path in (f"/tracks/{track}/{MASTER}", f"{at}/index.m3u8", f"{at}/1.m4s", f"{at}/5.m4s"):
                assert code(await person.get(path)) == (404, "TRACK_NOT_FOUND")
        text = (await olga.get(f"{at}/index.m3u8")).text
        check_playlist(m3u8.loads(text), text)
        assert sum(one.duration for one in m3u8.loads(text).segments) == pytest.approx(20, abs=1e-5)
        assert len(m3u8.loads(text).segments) == 5
        query = m3u8.loads(text).segments[0].uri.partition("?")[2]
        head = await world.guest.get(f"{at}/init.mp4?{query}")
        assert (head.content, head.headers["cache-control"]) == (data[:50], "private, no-store")
        assert (await olga.get(f"{at}/1.m4s")).content == data[50:150]
        assert (await olga.get(f"{at}/2.m4s")).content == data[:100]
        assert code(await olga.get(f"{at}/6.m4s")) == (404, "RENDITION_NOT_FOUND")
        assert code(await olga.get("/tracks/" + track + "/hls/flac/index.m3u8")) == (
            404,
            "RENDITION_NOT_FOUND",
        )
        # X15: put off for days, say, by a storage that is away; its row names the pieces all the same.
        with clock.shifted(timedelta(days=2)):
            await sweep_files(world.parts.database, world.parts.storage, timedelta(hours=24))
        assert (await olga.get(f"{at}/1.m4s")).content == data[50:150]
        late = await olga.get(f"{at}/3.m4s")
        assert code(late) == (503, "PIECE_NOT_READY")
        assert int(late.headers["retry-after"]) > 0
        monkeypatch.setattr(pieces, "WAIT", 60)
        waiting = asyncio.create_task(olga.get(f"{at}/3.m4s"))
        await asyncio.sleep(0.1)
        await publish(world, track, 3)
        assert (await waiting).content == data[100:200]
        gone = asyncio.create_task(olga.get(f"{at}/5.m4s"))
        await asyncio.sleep(0.1)
        assert (await olga.delete(f"/tracks/{track}")).status_code == 200
        assert code(await gone) == (404, "TRACK_NOT_FOUND")


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_who_waits_is_bounded_and_may_leave(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G28: a caller who leaves is forgotten at once; nobody takes the places of all the others."""
    monkeypatch.setattr(pieces, "MOST_WAITING", 2)
    monkeypatch.setattr(pieces, "MOST_EACH", 1)
    monkeypatch.setattr(pieces, "WAIT", 60)
    wish, waits = pieces.Pieces._wish, asyncio.Semaphore(0)

    async def noted(self: pieces.Pieces, *wanted: Any) -> None:
        await wish(self, *wanted)
        waits.release()

    monkeypatch.setattr(pieces.Pieces, "_wish", noted)
    async with open_world(database, tmp_path) as world:
        olga, mona = await world.person("olga"), await world.person("mona", "moderator")
        track = await plant(world, olga, "processing")
        await publish(world, track, 2)
        text = (await olga.get(f"/tracks/{track}/hls/aac_96/index.m3u8")).text
        path = f"/tracks/{track}/hls/aac_96/{m3u8.loads(text).segments[4].uri}"
        first = Slow(world.app, path)
        await asyncio.wait_for(waits.acquire(), 30)
        await asyncio.sleep(0.1)
        assert not first.task.done()
        monkeypatch.setattr(pieces, "WAIT", 0.25)
        refused = await world.guest.get(path)
        assert (*code(refused), refused.headers["retry-after"]) == (503, "PIECE_NOT_READY", "2")
        waited = await mona.get(path.partition("?")[0])
        assert (*code(waited), waited.headers["retry-after"]) == (503, "PIECE_NOT_READY", "1")
        first.leave.set()
        await asyncio.wait_for(first.task, 30)
        assert first.body == b""
        monkeypatch.setattr(pieces, "WAIT", 60)
        second = Slow(world.app, path)
        for _ in range(2):  # of whom the first was Mona
            await asyncio.wait_for(waits.acquire(), 30)
        await asyncio.sleep(0.1)
        assert not second.task.done()
        second.leave.set()
        await asyncio.wait_for(second.task, 30)


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_the_first_play_of_a_real_file(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was heard early is what is heard later, byte for byte, and nothing of it stays behind."""
    monkeypatch.setattr(renditions, "_LOOK_EVERY", 0.02)
    monkeypatch.setattr(early, "EVERY", 0.02)
    monkeypatch.setattr(pieces, "WAIT", 60)
    encode, is_heard = renditions._ffmpeg, asyncio.Event()

    async def not_too_quickly(*args: Any) -> str:
        log = await encode(*args)
        await is_heard.wait()
        return log

    monkeypatch.setattr(renditions, "_ffmpeg", not_too_quickly)
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        track = (await olga.upload(make(BY_NAME["s16.wav"], tmp_path, 32.0)))["id"]
        at, seen = f"/tracks/{track}/hls/opus_128", dict[str, bytes]()
        async with working(world.parts):
            async with asyncio.timeout(60):
                while (await olga.get(f"/tracks/{track}/{MASTER}")).status_code != 200:  # noqa: ASYNC110 - asked as a client would
                    await asyncio.sleep(0.01)
            status = (await olga.get(f"/tracks/{track}/status")).json()["data"]
            assert (status["status"], status["playable"]) == ("processing", True)
            is_heard.set()
            first = (await olga.get(f"{at}/index.m3u8")).text.partition("?")[0]
            for name in ("init.mp4", *(f"{number}.m4s" for number in range(1, 30))):
                answer = await olga.get(f"{at}/{name}")
                if answer.status_code == 404:
                    break
                assert answer.status_code == 200
                seen[name] = answer.content
            assert (await world.ready(olga, track))["status"] == "ready"
            with clock.shifted(jobs.EARLY_LINGERS):
                database.wake(CHANNEL)
                await settled(world, lambda: not any("/early/" in name for name in files(world)))
        assert len(seen) == 10
        for name, content in seen.items():
            assert (await world.guest.get(f"{at}/{name}")).content == content
        assert (await world.guest.get(f"{at}/index.m3u8")).text.startswith(first)
        assert await database.rows("SELECT 1 FROM early") == []


async def test_a_day_of_tries_leaves_no_more_than_the_last(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C33: what a try left goes at the next, but for what is heard of it until that one has as much."""
    async with open_world(database, tmp_path) as world:
        olga, storage = await world.person("olga"), world.parts.storage
        track = await plant(world, olga, "processing")
        await publish(world, track, 2)
        heard = [name for name in files(world, track) if "/early/" in name]
        await storage.put_bytes(f"{early_folder(UUID(track))}/1-x/1", b"x")
        found = list[str]()

        async def process(*_: Any, **__: Any) -> None:
            found.extend(name for name in files(world, track) if "/early/" in name)
            raise Unavailable

        monkeypatch.setattr(jobs, "process", process)
        job = Job(new_id(), "tracks.process", "{}", 1, clock.now())
        with pytest.raises(Unavailable):
            await jobs.TrackJobs(database, storage, MediaLimits()).process(
                job, jobs.ProcessTrack(UUID(track), "", "")
            )
        assert found == heard != []


async def test_to_be_heard_early_is_a_help_and_no_duty(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C21, C33: a full disk hinders nobody; a worker thought dead undoes nothing of a later one's.

    What somebody waits for far from there is made ahead of its turn, with what follows; if it cannot be made,
    it comes in its turn.
    """
    monkeypatch.setattr(early, "EVERY", 0)
    monkeypatch.setattr(pieces, "STEP", 0.02)
    monkeypatch.setattr(early, "SHARE", 0)
    monkeypatch.setattr(pieces, "WAIT", 60)
    async with open_world(database, tmp_path) as world:
        olga, storage = await world.person("olga"), world.parts.storage
        track = UUID(await plant(world, olga, "processing"))
        done = await process(make(BY_NAME["s16.wav"], tmp_path, 0.5), tmp_path)
        whole = Fragments(done.renditions[0].path)
        whole.read()
        asked = list[int]()

        async def ahead(piece: int) -> list[bytes]:
            asked.append(piece)
            if piece != 12:
                raise EncodingFailed
            return [b"twelve", b"thirteen"]

        growing = [Growing("aac_160", "mp4a.40.2", 160_000, 60 * 48_000, whole, ahead)]
        later, sooner, again = (
            early.Publisher(database, storage, track, early_folder(track), attempt, asyncio.Lock())
            for attempt in (2, 1, 2)
        )

        async def attempts() -> list[Any]:
            return await database.rows("SELECT attempt FROM early")

        with monkeypatch.context() as full:

            async def refuse(*_: Any) -> None:
                raise InsufficientStorage

            full.setattr(storage, "put_file", refuse)
            for publisher in (later, again):
                await publisher(growing)
        assert await attempts() == []
        assert not [name for name in files(world) if "early" in name]
        for publisher in (later, sooner):
            await publisher(growing)
            assert [row[0] for row in await attempts()] == [2]

        at = f"/tracks/{track}/hls/aac_160"
        # One that is given back, or put off, is tried again under the same number: what was told stays true.
        told = (await olga.get(f"{at}/1.m4s")).content
        other = Fragments(tmp_path / "other")
        other.path.write_bytes(whole.path.read_bytes()[:-1] + b"?")
        other.read()
        with monkeypatch.context() as busy:

            async def refuse_row(*_: Any) -> None:
                raise DatabaseBusy

            busy.setattr(files_store, "keep_early", refuse_row)
            await again([Growing("aac_160", "mp4a.40.2", 160_000, 60 * 48_000, other, ahead)])
        assert len({name for name in files(world) if "/early/2-" in name}) == 2
        assert told[-1:] != b"?"
        assert (await olga.get(f"{at}/1.m4s")).content == told
        status = (await olga.get(f"/tracks/{track}/status")).json()["data"]
        assert status["playable"]

        async def wished() -> list[int]:
            async with database.read() as view:
                found = await files_store.find_early(view, track)
                return [one.piece for one in found.wishes] if found else []

        waiting = [asyncio.create_task(olga.get(f"{at}/{piece}.m4s")) for piece in (2, 12)]
        async with asyncio.timeout(30):
            while await wished() != [12]:  # noqa: ASYNC110 - the row tells nobody
                await asyncio.sleep(0.02)
        await later(growing)
        made = await waiting[1]
        assert (made.content, made.headers["etag"][-2:]) == (b"twelve", 'a"')
        assert (await olga.get(f"{at}/13.m4s")).content == b"thirteen"
        assert (asked, await wished()) == ([12], [])
        waiting[0].cancel()
        for name, piece in (
            ("aac_160", 9),
            ("flac", 14),
            *(("aac_160", n) for n in (10, 11, 14, 15, 10, 13)),
        ):
            async with database.write() as tx:
                await wishes.wish(tx, track, name, piece)
        assert await wished() == [11, 14, 15, 10]
        for _ in range(3):
            await later(growing)
        assert asked == [12, 10]
