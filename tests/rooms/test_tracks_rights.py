"""Who may do what with a track, in every state that it can be in."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.rooms.tracks_house import BYTES, GIB, NOBODY, check_counts, code, plant
from tests.world import open_world
from veza.core.db import Database
from veza.core.ids import new_id

BODIES: dict[str, dict[str, Any]] = {
    "PUT": {"json": {"album": "A"}},
    "PUT /cover": {"files": {"not file": ("a.jpg", b"")}},
}
PEOPLE = ("guest", "stan", "olga", "mona", "adam")
# What the five get, at each endpoint, for a track in each state. A moderator sees and changes every track.
ROWS = {
    "public": {
        "GET": (200, 200, 200, 200, 200),
        "GET /status": (401, 200, 200, 200, 200),
        "GET /download": (200, 200, 200, 200, 200),
        "GET /stream": (200, 200, 200, 200, 200),
        "PUT": (401, 403, 200, 200, 200),
        "GET /hls/master.m3u8": (200, 200, 200, 200, 200),
        "GET /hls/aac_96/index.m3u8": (200, 200, 200, 200, 200),
        "GET /hls/aac_96/2.m4s": (200, 200, 200, 200, 200),
        "GET /hls/flac/init.mp4": (200, 200, 200, 200, 200),
        "GET /stream?quality=lossless": (200, 200, 200, 200, 200),
        "GET /stream?quality=original": (200, 200, 200, 200, 200),
        "GET /waveform": (200, 200, 200, 200, 200),
        "GET /cover": (200, 200, 200, 200, 200),
        "GET /urls": (401, 200, 200, 200, 200),
        "PUT /cover": (401, 403, 422, 422, 422),
        "DELETE /cover": (401, 403, 200, 200, 200),
        "DELETE": (401, 403, 200, 200, 200),
    },
    "kept back": {  # public, but not for download
        "GET /download": (403, 403, 200, 200, 200),
        "GET /stream": (200, 200, 200, 200, 200),
        "GET /hls/master.m3u8": (200, 200, 200, 200, 200),
        "GET /hls/aac_96/index.m3u8": (200, 200, 200, 200, 200),
        "GET /hls/aac_96/2.m4s": (200, 200, 200, 200, 200),
        "GET /hls/flac/init.mp4": (403, 403, 200, 200, 200),
        "GET /stream?quality=lossless": (403, 403, 200, 200, 200),
        "GET /stream?quality=original": (403, 403, 200, 200, 200),
        "GET /waveform": (200, 200, 200, 200, 200),
        "GET /cover": (200, 200, 200, 200, 200),
    },
    "private": {
        "GET": (404, 404, 200, 200, 200),
        "GET /status": (401, 404, 200, 200, 200),
        "GET /download": (404, 404, 200, 200, 200),
        "GET /stream": (404, 404, 200, 200, 200),
        "PUT": (401, 404, 200, 200, 200),
        "GET /hls/master.m3u8": (404, 404, 200, 200, 200),
        "GET /hls/aac_96/index.m3u8": (404, 404, 200, 200, 200),
        "GET /hls/aac_96/2.m4s": (404, 404, 200, 200, 200),
        "GET /hls/flac/init.mp4": (404, 404, 200, 200, 200),
        "GET /stream?quality=lossless": (404, 404, 200, 200, 200),
        "GET /stream?quality=original": (404, 404, 200, 200, 200),
        "GET /waveform": (404, 404, 200, 200, 200),
        "GET /cover": (404, 404, 200, 200, 200),
        "GET /urls": (401, 404, 200, 200, 200),
        "PUT /cover": (401, 404, 422, 422, 422),
        "DELETE /cover": (401, 404, 200, 200, 200),
        "DELETE": (401, 404, 200, 200, 200),
    },
    "processing": {
        "GET": (404, 404, 200, 200, 200),
        "GET /status": (401, 404, 200, 200, 200),
        "GET /download": (404, 404, 200, 200, 200),
        "GET /stream": (404, 404, 409, 409, 409),
        "PUT": (401, 404, 200, 200, 200),
        "GET /hls/master.m3u8": (404, 404, 409, 409, 409),
        "GET /hls/aac_96/index.m3u8": (404, 404, 409, 409, 409),
        "GET /hls/aac_96/2.m4s": (404, 404, 409, 409, 409),
        "GET /hls/flac/init.mp4": (404, 404, 409, 409, 409),
        "GET /stream?quality=lossless": (404, 404, 409, 409, 409),
        "GET /stream?quality=original": (404, 404, 200, 200, 200),
        "GET /waveform": (404, 404, 409, 409, 409),
        "GET /cover": (404, 404, 404, 404, 404),
        "GET /urls": (401, 404, 200, 200, 200),
        "PUT /cover": (401, 404, 422, 422, 422),
        "DELETE /cover": (401, 404, 200, 200, 200),
        "DELETE": (401, 404, 200, 200, 200),
    },
    "failed": {
        "GET": (404, 404, 200, 200, 200),
        "GET /status": (401, 404, 200, 200, 200),
        "GET /download": (404, 404, 409, 409, 409),
        "GET /stream": (404, 404, 409, 409, 409),
        "PUT": (401, 404, 200, 200, 200),
        "GET /hls/master.m3u8": (404, 404, 409, 409, 409),
        "GET /hls/aac_96/index.m3u8": (404, 404, 409, 409, 409),
        "GET /hls/aac_96/2.m4s": (404, 404, 409, 409, 409),
        "GET /hls/flac/init.mp4": (404, 404, 409, 409, 409),
        "GET /stream?quality=lossless": (404, 404, 409, 409, 409),
        "GET /stream?quality=original": (404, 404, 409, 409, 409),
        "GET /waveform": (404, 404, 409, 409, 409),
        "GET /cover": (404, 404, 404, 404, 404),
        "PUT /cover": (401, 404, 422, 422, 422),
        "DELETE /cover": (401, 404, 200, 200, 200),
        "DELETE": (401, 404, 200, 200, 200),
    },
    "deleted": {
        "GET": (404, 404, 404, 404, 404),
        "GET /status": (401, 404, 404, 404, 404),
        "GET /download": (404, 404, 404, 404, 404),
        "GET /stream": (404, 404, 404, 404, 404),
        "PUT": (401, 404, 404, 404, 404),
        "GET /hls/master.m3u8": (404, 404, 404, 404, 404),
        "GET /hls/aac_96/index.m3u8": (404, 404, 404, 404, 404),
        "GET /hls/aac_96/2.m4s": (404, 404, 404, 404, 404),
        "GET /hls/flac/init.mp4": (404, 404, 404, 404, 404),
        "GET /stream?quality=lossless": (404, 404, 404, 404, 404),
        "GET /stream?quality=original": (404, 404, 404, 404, 404),
        "GET /waveform": (404, 404, 404, 404, 404),
        "GET /cover": (404, 404, 404, 404, 404),
        "GET /urls": (401, 404, 404, 404, 404),
        "PUT /cover": (401, 404, 404, 404, 404),
        "DELETE /cover": (401, 404, 404, 404, 404),
        "DELETE": (401, 404, 404, 404, 404),
    },
}


async def test_who_may_do_what(database: Database, tmp_path: Path) -> None:
    """T1, T3, T4: what a stranger may not see is 404 everywhere, what they may see but not change is 403."""
    async with open_world(database, tmp_path) as world:
        roles = {"mona": "moderator", "adam": "admin"}
        cast = {name: await world.person(name, roles.get(name, "user")) for name in PEOPLE[1:]}
        cast["guest"] = world.guest
        olga = cast["olga"]

        async def make(state: str) -> str:
            status = state if state in {"processing", "failed"} else "ready"
            track = await plant(world, olga, status, public=state != "private")
            if state == "kept back":
                assert (await olga.put(f"/tracks/{track}", json={"downloadable": False})).status_code == 200
            if state == "deleted":
                assert (await olga.delete(f"/tracks/{track}")).status_code == 200
            return track

        wrong = []
        for state, endpoints in ROWS.items():
            track = await make(state)
            for endpoint, wanted in endpoints.items():
                method, _, path = endpoint.partition(" ")
                body = BODIES.get(endpoint, {})
                for name, status in zip(PEOPLE, wanted, strict=True):
                    if method == "DELETE" and status == 200:
                        track = await make(state)
                    answer = await cast[name].client.request(method, f"/tracks/{track}{path}", **body)
                    if answer.status_code != status:
                        wrong.append((state, endpoint, name, status, answer.status_code, answer.text[:80]))
        assert wrong == []
        await check_counts(world)


async def test_only_what_everybody_sees_is_listed_and_counted(database: Database, tmp_path: Path) -> None:
    """T2, T3: private, unfinished and failed tracks are in nobody's list or total but their owner's."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        mod = await world.person("mona", "moderator")
        shown = await plant(world, olga, genre="Jazz")
        hidden = [await plant(world, olga, public=False, genre="jazz")]
        hidden += [await plant(world, olga, state, form="wav") for state in ("processing", "failed")]
        for person in (world.guest, stan, mod):
            for query in ("", f"?user_id={olga.id}", "?genre=JAZZ", "?format=mp3&genre=jazz"):
                found = (await person.get(f"/tracks{query}")).json()["data"]
                assert [track["id"] for track in found["tracks"]] == [shown]
                assert found["pagination"]["total"] == 1
        for query, count in (("", 4), ("&genre=jazz", 2), ("&format=wav", 2), ("&genre=jazz&format=wav", 0)):
            own = (await olga.get(f"/tracks?user_id={olga.id}{query}&sort_by=title")).json()["data"]
            assert own["pagination"]["total"] == len(own["tracks"]) == count
            assert {track["id"] for track in own["tracks"]} <= {shown, *hidden}
        assert (await olga.get("/tracks")).json()["data"]["pagination"]["total"] == 1


async def test_a_foreign_private_track_is_like_none(database: Database, tmp_path: Path) -> None:
    """G15, G33: a private track, no track and a malformed id tell nothing apart, nor does the time."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        private = await plant(world, olga, public=False)
        there = await stan.get(f"/tracks/{private}")
        nowhere = await stan.get(f"/tracks/{NOBODY}")
        assert there.status_code == nowhere.status_code == 404
        assert there.content == nowhere.content
        assert {*there.headers} == {*nowhere.headers}
        times: dict[bool, list[float]] = {True: [], False: []}
        for turn in range(600):
            exists = turn % 2 == 0
            begun = time.perf_counter()
            answer = await stan.get(f"/tracks/{private if exists else new_id()}")
            times[exists].append(time.perf_counter() - begun)
            assert answer.status_code == 404
        middle = {exists: sorted(found)[len(found) // 2] for exists, found in times.items()}
        assert 0.7 < middle[True] / middle[False] < 1.4
        # Words where an id belongs: no other route takes them, and they are no ids.
        for path in ("quota/status", "nonsense", f"{private}x", "quota/", "null"):
            answer = await stan.get(f"/tracks/{path}")
            assert answer.status_code in {400, 404}, path


async def test_a_quota_is_its_users_own(database: Database, tmp_path: Path) -> None:
    """T21: nobody else sees it but an admin, not even whether there is such a user."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        mona, adam = await world.person("mona", "moderator"), await world.person("adam", "admin")
        await plant(world, olga)
        assert code(await world.guest.get(f"/tracks/quota/{olga.id}")) == (401, "UNAUTHENTICATED")
        for person in (stan, mona):
            for whose in (olga.id, NOBODY):
                assert code(await person.get(f"/tracks/quota/{whose}")) == (403, "FORBIDDEN")
        own = await olga.get(f"/tracks/quota/{olga.id}")
        assert own.json()["data"]["quota"] == {
            "used": len(BYTES),
            "limit": GIB,
            "remaining": GIB - len(BYTES),
            "percentage_used": round(100 * len(BYTES) / GIB, 2),
        }
        assert (await adam.get(f"/tracks/quota/{olga.id}")).content == own.content
        assert code(await adam.get(f"/tracks/quota/{NOBODY}")) == (404, "USER_NOT_FOUND")
        assert (await adam.get(f"/tracks/quota/{adam.id}")).json()["data"]["quota"]["limit"] == 10 * GIB
        assert code(await olga.get("/tracks/quota/me")) == (400, "INVALID_REQUEST")


async def test_a_token_that_is_no_good_is_not_a_guest(database: Database, tmp_path: Path) -> None:
    """G2: even where anybody may look."""
    async with open_world(database, tmp_path) as world:
        track = await plant(world, await world.person("olga"))
        below = ("download", "stream", "waveform", "cover", "hls/master.m3u8", "hls/aac_96/1.m4s")
        for path in ("/tracks", f"/tracks/{track}", *(f"/tracks/{track}/{what}" for what in below)):
            answer = await world.guest.get(path, headers={"Authorization": "Bearer nonsense"})
            assert code(answer) == (401, "INVALID_TOKEN")
            answer = await world.guest.get(path, headers={"Authorization": "Bearer"})
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_the_quick_way_and_the_ordinary_one_answer_alike(database: Database, tmp_path: Path) -> None:
    """G9, G11: every query is answered the same by both."""
    queries = ["", "?page=2&limit=1", "?genre=jazz", "?genre=", "?genre=%00", "?genre=a%FF", "?format=MP3"]
    queries += ["?format=exe", "?sort_by=title&sort_order=asc", "?sort_by=id", "?page=0", "?page=1&page=2"]
    queries += ["?limit=101", "?user_id=x", f"?user_id={NOBODY}", "?user_id=" + NOBODY.upper(), "?x=1"]
    queries += ["?genre=" + "g" * 65, "?genre=" + "g" * 64, "?page=%31", "?page=+1", "?page=1.0", "?page=٣"]
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        track = await plant(world, olga, genre="Jazz")
        await plant(world, olga, public=False)
        paths = [f"/tracks{query}" for query in queries]
        paths += [f"/tracks/{track}", f"/tracks/{NOBODY}", "/tracks/x", f"/tracks/{track.upper()}"]
        hot, world.app.hot = world.app.hot, {}
        assert hot
        for person in (world.guest, olga):
            for path in paths:
                world.app.hot = hot
                quick = await person.get(path)
                world.app.hot = {}
                slow = await person.get(path)
                assert (quick.status_code, quick.text) == (slow.status_code, slow.text), path
                heads = [dict(answer.headers) | {"x-request-id": ""} for answer in (quick, slow)]
                assert heads[0] == heads[1], path


async def test_a_quota_is_nobody_elses_business(database: Database, tmp_path: Path) -> None:
    """T21: another's → 403, whoever asks but an admin; nobody's → 404 for an admin, 403 for others."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        mona, boss = await world.person("mona", "moderator"), await world.person("boss", "admin")
        for person in (stan, mona):
            assert code(await person.get(f"/tracks/quota/{olga.id}")) == (403, "FORBIDDEN")
            assert code(await person.get(f"/tracks/quota/{NOBODY}")) == (403, "FORBIDDEN")
        assert code(await world.guest.get(f"/tracks/quota/{olga.id}")) == (401, "UNAUTHENTICATED")
        assert code(await boss.get(f"/tracks/quota/{NOBODY}")) == (404, "USER_NOT_FOUND")
        assert code(await olga.get("/tracks/quota/me")) == (400, "INVALID_REQUEST")
        of_both = [(await person.get(f"/tracks/quota/{olga.id}")).json()["data"] for person in (olga, boss)]
        quota = {"used": 0, "limit": 1024**3, "remaining": 1024**3, "percentage_used": 0.0}
        assert of_both == [{"quota": quota}] * 2
