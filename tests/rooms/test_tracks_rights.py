"""What of tracks and quotas is told to whom: lists, times and figures."""

import time
from pathlib import Path
from statistics import quantiles
from uuid import UUID

import pytest

from tests.rooms.tracks_house import BYTES, GIB, NOBODY, code, plant
from tests.world import open_world
from veza.core.db import Database
from veza.rooms.tracks import store


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
        async with database.read() as view:  # its row is not even read
            assert await store.find_seen(view, UUID(private), UUID(stan.id), everything=False) is None
        # Both were asked for before: an address that is new to the client is a third of its work.
        times: dict[str, list[float]] = {private: [], NOBODY: []}
        for _ in range(300):
            for id_, took in times.items():
                begun = time.perf_counter()
                answer = await stan.get(f"/tracks/{id_}")
                took.append(time.perf_counter() - begun)
                assert answer.status_code == 404
        # By the quickest tenth: whatever else the machine does meanwhile, it makes the others slow.
        quick = {id_: quantiles(took, n=10)[0] for id_, took in times.items()}
        assert 0.7 < quick[private] / quick[NOBODY] < 1.4
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


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_the_quick_way_and_the_ordinary_one_answer_alike(database: Database, tmp_path: Path) -> None:
    """G9, G11: every query is answered the same by both."""
    queries = [
        "",
        "?page=2&limit=1",
        "?genre=jazz",
        "?genre=",
        "?genre=%20",
        "?genre=%00",
        "?genre=a%FF",
        "?format=MP3",
    ]
    queries += ["?format=exe", "?sort_by=title&sort_order=asc", "?sort_by=id", "?page=0", "?page=1&page=2"]
    queries += ["?limit=101", "?user_id=x", f"?user_id={NOBODY}", "?user_id=" + NOBODY.upper(), "?x=1"]
    queries += ["?genre=" + "g" * 65, "?genre=" + "g" * 64, "?page=%31", "?page=+1", "?page=1.0", "?page=٣"]
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        track = await plant(world, olga, genre="Jazz")
        await plant(world, olga, public=False)
        # A name that is written otherwise, behind which an owner asks for their own.
        queries += [f"?user_id={olga.id}", f"?user%5Fid={olga.id}"]
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
