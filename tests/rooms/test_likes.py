"""Likes: as often as one will, to the same effect, and exactly counted."""

import asyncio
from pathlib import Path

import pytest

from tests.rooms.listening_house import rows_of, song, track, until
from tests.world import PASSWORD, open_world
from veza.core.db import Database
from veza.rooms.likes import service


async def test_a_like_counts_once(database: Database, tmp_path: Path) -> None:
    """T12, T13: a hundred at once are one like, and taking back what is not there takes nothing."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        liked = await song(world, olga)
        path = f"/tracks/{liked}/like"
        answers = await asyncio.gather(*(stan.post(path) for _ in range(100)))
        assert {answer.status_code for answer in answers} == {200}
        assert answers[0].json()["data"] == {"message": "Track liked"}
        assert (await track(stan, liked))["like_count"] == 1
        assert (await olga.post(path)).status_code == 200
        found = (await world.guest.get(f"/tracks/{liked}/likes")).json()["data"]
        assert [like["username"] for like in found["likes"]] == ["olga", "stan"]
        assert (found["total"], found["pagination"]["total_pages"]) == (2, 1)
        assert found["likes"][1].keys() == {"user_id", "username", "liked_at"}
        second = (await world.guest.get(f"/tracks/{liked}/likes?page=2&limit=1")).json()["data"]
        assert [like["username"] for like in second["likes"]] == ["stan"]
        answers = await asyncio.gather(*(stan.delete(path) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
        assert answers[0].json()["data"] == {"message": "Track unliked"}
        assert (await track(stan, liked))["like_count"] == 1
        assert await rows_of(world, "likes") == {"likes": 1}
        kinds = await database.rows("SELECT kind FROM events WHERE kind LIKE 'track.%like%' ORDER BY id")
        assert [kind for (kind,) in kinds] == ["track.liked", "track.liked", "track.unliked"]


async def test_likes_are_exact_whoever_writes(database: Database, tmp_path: Path) -> None:
    """T12, T23: 64 writers like, take back, and delete a track and an account, and every count is true."""
    async with open_world(database, tmp_path, work=True) as world:
        people = [await world.person(name) for name in ("ann", "bob", "cleo", "dora")]
        tracks = [await song(world, people[n % 2]) for n in range(4)]

        async def write(n: int) -> None:
            for step in range(4):
                path = f"/tracks/{tracks[(n + step) % 4]}/like"
                answer = await (people[n % 4].delete(path) if n % 3 == step else people[n % 4].post(path))
                # A clash is what somebody meets whose account ends in the middle of it.
                assert answer.status_code in {200, 404, 401, 409}, answer.text

        body = {"password": PASSWORD}
        gone = asyncio.gather(*(write(n) for n in range(64)))
        await people[0].delete(f"/tracks/{tracks[0]}")
        left = await people[3].delete(f"/users/{people[3].id}", json=body)
        await gone
        assert left.status_code == 200, left.text
        counts = "SELECT id, like_count, (SELECT COUNT(*) FROM likes WHERE track_id = tracks.id) FROM tracks"
        rows = await database.rows(counts)
        assert len(rows) == 3
        assert [row for row in rows if row[1] != row[2]] == []

        async def forgotten() -> bool:
            orphans = "SELECT COUNT(*) FROM likes WHERE track_id NOT IN (SELECT id FROM tracks)"
            return (await database.rows(orphans))[0][0] == 0

        await until(forgotten)
        for other in tracks[1:]:
            found = (await world.guest.get(f"/tracks/{other}/likes")).json()["data"]["likes"]
            assert "dora" not in {like["username"] for like in found}


async def test_who_likes_is_told_in_their_export_and_not_while_suspended(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T14, G12: whoever is suspended is in no list, nor in what it counts, few or many."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        liked = await song(world, olga)
        await stan.post(f"/tracks/{liked}/like")
        export = (await stan.get(f"/users/{stan.id}/export")).json()["data"]
        assert [like["track_id"] for like in export["likes"]] == [liked]
        cleo, dave = await world.person("cleo"), await world.person("dave")
        for person in (cleo, dave, olga):
            await person.post(f"/tracks/{liked}/like")
        for other in (stan, dave):  # of whom the one will be suspended as well
            await cleo.post(f"/users/{other.id}/block")
        await database.script("UPDATE users SET suspended_at = 1 WHERE username = 'stan'")
        for few in (service.FEW, 0):
            monkeypatch.setattr(service, "FEW", few)
            for person, seen in ((world.guest, ["olga", "dave", "cleo"]), (cleo, ["olga", "cleo"])):
                shown = []
                for page in range(1, len(seen) + 2):
                    answer = await person.get(f"/tracks/{liked}/likes?limit=1&page={page}")
                    told = answer.json()["data"]
                    assert (told["total"], told["pagination"]["total_pages"]) == (len(seen), len(seen))
                    shown += [like["username"] for like in told["likes"]]
                assert shown == seen
