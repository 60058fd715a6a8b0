"""What one node does is true at once at every other: sessions, limits, answers kept, news and talk."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.nodes import Stand
from tests.cluster.spread import SpreadWorld, open_spread_world
from tests.faults.chat_clients import Talker, open_room, talker
from tests.rooms.listening_house import song
from tests.world import PASSWORD, Person
from veza.core.db import Database

pytestmark = pytest.mark.parametrize("dialect", ["postgresql"])

NEW = "eleven quiet harbours"
NEWS = {"password": NEW, "password_confirm": NEW}


async def me(person: Person) -> tuple[int, str]:
    """The status of asking who one is, and one's role."""
    answer = await person.get("/auth/me")
    return answer.status_code, answer.json().get("data", {}).get("role", "")


async def again(world: SpreadWorld, name: str, password: str = PASSWORD) -> Person:
    """Somebody signs in once more."""
    login = {"email": f"{name}@example.com", "password": password}
    data = (await world.guest.post("/auth/login", json=login)).json()["data"]
    return Person(world.client({"Authorization": f"Bearer {data['token']['access_token']}"}), data)


async def test_who_is_signed_out_at_one_node_is_so_at_the_other(
    stand: Stand, database: Database, tmp_path: Path
) -> None:
    """A17, A18, A21, A28, S2: by themselves, by a new password, by an admin; and a role is as new."""
    async with open_spread_world(stand, database, tmp_path) as world:
        boss, ann = await world.person("boss", "admin"), await world.person("ann")
        for path, body in (
            ("/auth/logout", lambda one: {"refresh_token": one.refresh_token}),
            ("/sessions/logout-all", lambda _: None),
            ("/auth/password/change", lambda _: {"current_password": PASSWORD, **NEWS}),
        ):
            here, other = await again(world, "ann"), await again(world, "ann")
            for n, one in ((0, here), (1, here), (0, other), (1, other)):
                assert await me(world.at(n, one)) == (200, "user")
            done = await world.at(0, here).post(path, json=body(here))
            assert done.status_code == 200, done.text
            ended = other if "password" in path else here
            assert (await me(world.at(1, ended)))[0] == 401
        ann = await again(world, "ann", NEW)
        used = {"refresh_token": ann.refresh_token}
        pairs = await asyncio.gather(*(ann.post("/auth/refresh", json=used) for _ in range(6)))
        assert len({pair.json()["data"]["refresh_token"] for pair in pairs}) == 1
        role = {"role": "moderator"}
        await world.at(0, boss).put(f"/admin/users/{ann.id}/role", json=role)
        assert await me(world.at(1, ann)) == (200, "moderator")
        await world.at(1, boss).post(f"/admin/users/{ann.id}/suspend", json={"reason": "a test"})
        assert (await me(world.at(0, ann)))[0] == 401


async def test_nodes_count_together(stand: Stand, database: Database, tmp_path: Path) -> None:
    """G17: of a burst over both nodes exactly so many pass; guesses at a password are slowed everywhere."""
    limits = {"rate_limit_enabled": True, "rate_limit_global": "60/min", "rate_limit_login": "5/min"}
    async with open_spread_world(stand, database, tmp_path, **limits) as world:
        wrong = {"email": "nobody@example.com", "password": "no such password"}
        tries = [(await world.guest.post("/auth/login", json=wrong)).status_code for _ in range(7)]
        assert tries == [401] * 5 + [429] * 2
        answers = await asyncio.gather(*(world.guest.get("/tracks") for _ in range(120)))
        assert Counter(answer.status_code for answer in answers) == {200: 53, 429: 67}
        assert set(world.nodes.proxy.sent.values()) == {64, 63}


async def test_a_retry_at_another_node_gets_the_first_answer(
    stand: Stand, database: Database, tmp_path: Path
) -> None:
    """G29: one after the other, and both at once."""
    async with open_spread_world(stand, database, tmp_path) as world:
        ann = await world.person("ann")
        body, key = {"title": "Evenings"}, {"Idempotency-Key": "evenings-1"}
        first = await world.at(0, ann).post("/playlists", json=body, headers=key)
        second = await world.at(1, ann).post("/playlists", json=body, headers=key)
        assert (first.status_code, second.status_code, first.json()) == (201, 201, second.json())
        assert second.headers["idempotency-replayed"] == "true"
        body, key = {"title": "Mornings"}, {"Idempotency-Key": "mornings-1"}
        for _ in range(3):
            both = await asyncio.gather(
                *(world.at(n, ann).post("/playlists", json=body, headers=key) for n in (0, 1))
            )
            assert {answer.status_code for answer in both} <= {201, 409}
        found = (await ann.get("/playlists")).json()["data"]
        assert sorted(one["title"] for one in found["playlists"]) == ["Evenings", "Mornings"]


async def test_news_come_from_every_node(stand: Stand, database: Database, tmp_path: Path) -> None:
    """A stream at one node, an act at the other, told by a worker: by Valkey, and so at once."""
    async with open_spread_world(stand, database, tmp_path, work=True) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        track_id = await song(world, olga)
        told: list[Any] = []
        async with world.at(0, olga).client.stream("GET", "/events") as stream, asyncio.timeout(15):
            lines = stream.aiter_lines()
            while "unread_count" not in await anext(lines):
                pass
            await world.at(1, stan).post(f"/tracks/{track_id}/like")
            await world.at(1, stan).post(f"/users/{olga.id}/follow")
            while len(told) < 2:
                line = await anext(lines)
                if line.startswith('data: {"notification"'):
                    told.append(json.loads(line[6:])["notification"]["type"])
            assert sorted(told) == ["track_liked", "user_followed"]
            await world.at(1, olga).post("/sessions/logout-all")
            assert [line async for line in lines if "notification" in line] == []


async def test_a_room_is_one_at_all_nodes(stand: Stand, database: Database, tmp_path: Path) -> None:
    """H9: sockets at both nodes hear the same in the same order, whichever node something is said at."""
    async with open_spread_world(stand, database, tmp_path) as world:
        urls = [f"http://127.0.0.1:{port}" for port in world.nodes.proxy.ports]
        people = [await talker(urls[n % 2], f"talker{n}") for n in range(4)]
        room_id = await open_room(*people)
        await asyncio.gather(*(person.back(room_id) for person in people))

        async def speak(person: Talker) -> None:
            for n in range(10):
                words = f"{person.name}-{n}"
                if n % 2:
                    said = {"content": words, "client_id": words}
                    done = await person.client.post(f"/chat/rooms/{room_id}/messages", json=said)
                    assert done.status_code == 201, done.text
                else:
                    answer = await person.ask("message", room_id=room_id, content=words, client_id=words)
                    assert answer["type"] == "ack", answer

        await asyncio.gather(*(speak(person) for person in people))
        for person in people:
            await person.until(lambda person=person: len(person.messages()) >= 40)
        heard = [[one["id"] for one in person.messages()] for person in people]
        assert len(set(heard[0])) == 40
        assert heard == [heard[0]] * 4
        for person in people:
            await person.end()
