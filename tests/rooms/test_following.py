"""Following: as often as one will, to the same effect, and exactly counted."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.rooms.listening_house import until
from tests.rooms.tracks_house import NOBODY, code
from tests.world import PASSWORD, Person, World, open_world
from veza.core import clock
from veza.core.db import Database
from veza.rooms.following import jobs, service

CAST = ("ann", "bob", "cleo", "dora")


async def counts(viewer: Person, of: Person) -> tuple[int, int]:
    """How many follow somebody, and how many they follow, as their profile tells."""
    profile = (await viewer.get(f"/users/{of.id}")).json()["data"]["profile"]
    return profile["follower_count"], profile["following_count"]


async def listed(viewer: Person, of: Person, what: str, query: str = "") -> list[str]:
    """The names of a page of followers, or of those whom somebody follows."""
    answer = await viewer.get(f"/users/{of.id}/{what}{query}")
    assert answer.status_code == 200, answer.text
    return [one["username"] for one in answer.json()["data"][what]]


async def check_counts(world: World) -> None:
    """What is kept of follows is what there is."""
    rows = await world.parts.database.rows(
        "SELECT username, follower_count - (SELECT COUNT(*) FROM follows WHERE followed_id = users.id),"
        " following_count - (SELECT COUNT(*) FROM follows WHERE follower_id = users.id) FROM users"
    )
    assert [row for row in rows if row[1:] != (0, 0)] == []


async def test_a_follow_counts_once(database: Database, tmp_path: Path) -> None:
    """T12: many at once are one follow, and taking back what is not there takes nothing."""
    async with open_world(database, tmp_path) as world:
        ann, bob = await world.person("ann"), await world.person("bob")
        path = f"/users/{ann.id}/follow"
        answers = await asyncio.gather(*(bob.post(path) for _ in range(30)))
        assert {answer.status_code for answer in answers} == {200}
        assert answers[0].json()["data"] == {"message": "User followed"}
        assert (await counts(world.guest, ann), await counts(ann, bob)) == ((1, 0), (0, 1))
        found = (await world.guest.get(f"/users/{ann.id}/followers")).json()["data"]
        assert found["followers"][0].keys() == {"user_id", "username", "followed_at"}
        assert found["followers"][0]["user_id"] == bob.id
        assert (found["total"], found["pagination"]["total_pages"]) == (1, 1)
        assert await listed(world.guest, bob, "following") == ["ann"]
        for person, other, told in (
            (bob, ann, (True, False)),
            (ann, bob, (False, True)),
            (ann, ann, (False, False)),
        ):
            between = (await person.get(f"/users/{other.id}/follow")).json()["data"]
            assert between == dict(zip(("following", "follows_you"), told, strict=True))
        answers = await asyncio.gather(*(bob.delete(path) for _ in range(10)))
        assert {answer.status_code for answer in answers} == {200}
        assert answers[0].json()["data"] == {"message": "User unfollowed"}
        assert (await counts(world.guest, ann), await counts(ann, bob)) == ((0, 0), (0, 0))
        kinds = await database.rows("SELECT kind FROM events WHERE kind LIKE 'user.%follow%' ORDER BY id")
        assert [kind for (kind,) in kinds] == ["user.followed", "user.unfollowed"]


async def test_who_may_follow_whom(database: Database, tmp_path: Path) -> None:
    """G1, G9, G33, K1: somebody signed in, anybody there is, but not themselves."""
    async with open_world(database, tmp_path) as world:
        ann = await world.person("ann")
        rows: list[tuple[Person, str, str, tuple[int, str]]] = [
            (world.guest, "POST", f"/users/{ann.id}/follow", (401, "UNAUTHENTICATED")),
            (world.guest, "DELETE", f"/users/{ann.id}/follow", (401, "UNAUTHENTICATED")),
            (ann, "POST", f"/users/{ann.id}/follow", (422, "OWN_ACCOUNT")),
            (ann, "POST", f"/users/{NOBODY}/follow", (404, "USER_NOT_FOUND")),
            (ann, "DELETE", f"/users/{NOBODY}/follow", (404, "USER_NOT_FOUND")),
            (ann, "GET", f"/users/{NOBODY}/follow", (404, "USER_NOT_FOUND")),
            (world.guest, "GET", f"/users/{ann.id}/follow", (401, "UNAUTHENTICATED")),
            (ann, "POST", "/users/7/follow", (400, "INVALID_REQUEST")),
            (world.guest, "GET", f"/users/{NOBODY}/followers", (404, "USER_NOT_FOUND")),
            (world.guest, "GET", f"/users/{NOBODY}/following", (404, "USER_NOT_FOUND")),
            (world.guest, "GET", f"/users/{ann.id}/followers?page=0", (400, "INVALID_REQUEST")),
            (world.guest, "GET", f"/users/{ann.id}/following?limit=101", (400, "INVALID_REQUEST")),
            (world.guest, "GET", f"/users/{ann.id}/followers?sort_order=up", (400, "INVALID_REQUEST")),
        ]
        for person, method, path, wanted in rows:
            assert code(await person.client.request(method, path)) == wanted, (method, path)
        assert await database.rows("SELECT COUNT(*) FROM follows") == [(0,)]
        assert await counts(ann, ann) == (0, 0)


async def test_follows_are_listed_in_the_order_they_came(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G10, G12, Q9, T14: the newest first; from the oldest on nobody comes twice while others come."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        people = [await world.person(name) for name in CAST]
        path = f"/users/{olga.id}/follow"
        for turn, person in enumerate(people[:3]):
            with clock.shifted(timedelta(seconds=turn)):
                await person.post(path)
        assert await listed(olga, olga, "followers") == ["cleo", "bob", "ann"]
        assert await listed(olga, olga, "followers", "?limit=2&page=2") == ["ann"]
        assert await listed(olga, olga, "followers", "?page=3") == []
        seen = await listed(olga, olga, "followers", "?limit=2&sort_order=asc")
        with clock.shifted(timedelta(seconds=3)):
            await people[3].post(path)
        seen += await listed(olga, olga, "followers", "?limit=2&sort_order=asc&page=2")
        assert seen == list(CAST)
        await database.script("UPDATE users SET suspended_at = 1 WHERE username = 'bob'")
        for few in (service.FEW, 0):
            monkeypatch.setattr(service, "FEW", few)
            assert await listed(world.guest, olga, "followers") == ["dora", "cleo", "ann"]
            assert await listed(world.guest, olga, "followers", "?limit=2&page=2") == ["ann"]
            for person, end, total in ((olga, "followers", 3), (people[0], "following", 1)):
                told = (await world.guest.get(f"/users/{person.id}/{end}?limit=2")).json()["data"]
                assert (told["total"], told["pagination"]["total"]) == (total, total)
        export = (await people[0].get(f"/users/{people[0].id}/export")).json()["data"]
        assert [one["username"] for one in export["following"]["follows"]] == ["olga"]


async def test_nobody_follows_without_bound(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are, so many are followed; one more is refused, and changes nothing."""
    monkeypatch.setattr(service, "MOST_FOLLOWED", 2)
    async with open_world(database, tmp_path) as world:
        ann, *others = [await world.person(name) for name in CAST]
        answers = [await ann.post(f"/users/{other.id}/follow") for other in others]
        assert [answer.status_code for answer in answers] == [200, 200, 409]
        assert answers[2].json()["error"]["code"] == "TOO_MANY_FOLLOWED"
        assert (await ann.post(f"/users/{others[0].id}/follow")).status_code == 200
        assert await counts(ann, ann) == (0, 2)
        await check_counts(world)


async def test_counts_are_exact_whoever_writes(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T23, U8: many follow each other and take it back while an account ends; every count is true."""
    monkeypatch.setattr(jobs, "PIECE", 2)
    async with open_world(database, tmp_path, work=True) as world:
        people = [await world.person(name) for name in CAST]

        async def write(n: int) -> None:
            for step in range(4):
                who, whom = people[n % 4], people[(n + 1 + step % 3) % 4]
                method = "DELETE" if n % 3 == step else "POST"
                answer = await who.client.request(method, f"/users/{whom.id}/follow")
                assert answer.status_code in {200, 401, 404, 409}, answer.text

        for other in people[:3]:
            await people[3].post(f"/users/{other.id}/follow")
            await other.post(f"/users/{people[3].id}/follow")
        writing = asyncio.gather(*(write(n) for n in range(32)))
        left = await people[3].delete(f"/users/{people[3].id}", json={"password": PASSWORD})
        await writing
        assert left.status_code == 200, left.text

        async def forgotten() -> bool:
            ends = "follower_id NOT IN (SELECT id FROM users) OR followed_id NOT IN (SELECT id FROM users)"
            found: list[tuple[Any, ...]] = await database.rows(f"SELECT COUNT(*) FROM follows WHERE {ends}")
            return found == [(0,)]

        await until(forgotten)
        await check_counts(world)
        for other in people[:3]:
            assert "dora" not in await listed(world.guest, other, "followers")
            assert "dora" not in await listed(world.guest, other, "following")
