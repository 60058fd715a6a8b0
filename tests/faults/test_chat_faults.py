"""The chat where servers are killed and clients come and go: nothing acknowledged is lost, or told twice."""

import asyncio
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.conftest import create_database
from tests.faults.chat_clients import Talker, open_room, talker
from tests.faults.test_process_serve import serving
from tests.store import Store
from veza.core.db import open_database
from veza.core.db.migrate import upgrade

FREE = {"VEZA_RATE_LIMIT_ENABLED": "false"}


@contextmanager
def store_at(folder: Path) -> Iterator[str]:
    """A Valkey in a folder; its address."""
    with Store(folder) as store:
        yield store.url


async def history(person: Talker, room_id: str) -> list[Any]:
    """All that was said, by REST."""
    path = f"/chat/rooms/{room_id}/messages?limit=100"
    data = (await person.client.get(path)).json()["data"]
    found = data["messages"]
    while data["has_more"]:
        data = (await person.client.get(f"{path}&before={found[0]['id']}")).json()["data"]
        found = data["messages"] + found
    return list(found)


async def speak(person: Talker, room_id: str, words: list[str], acked: dict[str, int]) -> None:
    """Say these one after another, until the server is gone."""
    while words:
        try:
            answer = await person.ask("message", room_id=room_id, content=words[0], client_id=words[0])
        except ConnectionError:
            return
        assert answer["type"] == "ack", answer
        acked[words.pop(0)] = answer["seq"]


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """H2, H9: kill -9 under load; what was acknowledged is there once, in its place."""
    count = int(request.config.getoption("--messages"))
    names = [f"talker{n}" for n in range(4)]
    left = {name: [f"{name}-{n}" for n in range(count // 4)] for name in names}
    acked: dict[str, int] = {}
    people: list[Talker] = []
    room_id = ""
    for life in range(2):
        async with serving(tmp_path / "data", **FREE) as served:
            if not people:
                people = [await talker(served.url, name) for name in names]
                room_id = await open_room(*people)
            for person in people:
                person.move(served.url)
            await asyncio.gather(*(person.back(room_id) for person in people))
            speaking = asyncio.gather(*(speak(one, room_id, left[one.name], acked) for one in people))
            if life == 0:
                target = count // 2
                while len(acked) < target:  # noqa: ASYNC110 - the clients tell nobody
                    await asyncio.sleep(0.002)
                served.process.kill()
            await speaking
            if life == 1:
                found = await history(people[0], room_id)
                for person in people:
                    await person.until(lambda person=person: len(person.messages()) >= count)
                once = await people[0].chat_token()
                address = served.url.replace("http", "ws", 1) + "/api/v1/chat/ws"
                async with connect(f"{address}?token={once}"):
                    pass
                assert await served.end() == 0
                logged = (await served.process.stderr.read()).decode()
                assert "Traceback" not in logged
                assert once not in logged
    assert sorted(one["client_id"] for one in found) == sorted(acked)
    assert len(found) == count
    assert [one["seq"] for one in found] == list(range(1, count + 1))
    assert {one["client_id"]: one["seq"] for one in found} == acked
    for person in people:
        assert [one["id"] for one in person.messages()] == [one["id"] for one in found]
        await person.end()


async def test_two_servers_are_one_chat(
    tmp_path: Path, postgres_url: str, request: pytest.FixtureRequest
) -> None:
    """H4, H9: clients of two processes, who leave at random, end with one log; a sign-out holds on both."""
    count = int(request.config.getoption("--messages"))
    url = await create_database(postgres_url)
    database = open_database(url)
    await upgrade(database)
    await database.close()
    # A short path, for a socket's may have about a hundred characters.
    with tempfile.TemporaryDirectory() as folder, store_at(Path(folder)) as valkey_url:
        shared = {
            **FREE,
            "VEZA_DATABASE_URL": url,
            "VEZA_REDIS_URL": valkey_url,
            "VEZA_SECRET_KEY": "0123456789abcdef" * 4,
            "VEZA_SERVE_JOBS": "false",
        }
        async with serving(tmp_path / "data", **shared) as one, serving(tmp_path / "data", **shared) as two:
            urls = [one.url, two.url]
            people = [await talker(one.url, f"talker{n}") for n in range(4)]
            room_id = await open_room(*people)
            dice = random.Random(7)

            async def live(n: int) -> None:
                person = people[n]
                await person.back(room_id, urls[n % 2])
                for k in range(count // 4):
                    if dice.random() < 8 / count:
                        await person.back(room_id, dice.choice(urls))
                    words = f"{n}-{k}"
                    answer = await person.ask("message", room_id=room_id, content=words, client_id=words)
                    assert answer["type"] == "ack", answer

            await asyncio.gather(*(live(n) for n in range(4)))
            for person in people:
                await person.until(lambda person=person: len(person.messages()) >= count)
            found = await history(people[0], room_id)
            assert [row["seq"] for row in found] == list(range(1, count + 1))
            for person in people:
                assert [row["id"] for row in person.messages()] == [row["id"] for row in found]
            # Signed out at one server, let go at the other; banned at one, unseated at the other.
            for n, person in enumerate(people[1:3]):
                await person.back(room_id, two.url)
                if n == 0:
                    assert (await person.client.post("/sessions/logout-all")).status_code == 200
                    await person.until(lambda person=person: person.closed)
                    assert person.closed == 4401
                else:
                    ban = {"user_id": person.id}
                    done = await people[0].client.post(f"/chat/rooms/{room_id}/bans", json=ban)
                    assert done.status_code == 201, done.text
                    await person.until(lambda person=person: person.of("removed"))
            for person in people:
                await person.end()
