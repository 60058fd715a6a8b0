"""How long an answer is kept for its Idempotency-Key, and for which requests it is one."""

from datetime import timedelta
from pathlib import Path

from tests.rooms.tracks_house import plant
from tests.world import open_world
from veza.core import clock
from veza.core.db import Database
from veza.core.idempotency import purge

KEY = {"Idempotency-Key": "once"}


async def test_an_answer_is_kept_for_a_day(database: Database, tmp_path: Path) -> None:
    """G29: a minute before the day is over it is given again, and a minute after that it is forgotten."""
    ages = timedelta(), timedelta(hours=23, minutes=59), timedelta(hours=24, minutes=1)
    async with open_world(database, tmp_path) as world:
        await world.person("olga")
        answers = []
        for age in ages:
            with clock.shifted(age):
                await purge(world.parts.database)
                olga = await world.signed_in("olga")
                answers.append(await olga.post("/playlists", json={"title": "Once"}, headers=KEY))
        assert [answer.status_code for answer in answers] == [201] * 3
        assert [answer.headers.get("idempotency-replayed") for answer in answers] == [None, "true", None]
        assert answers[0].content == answers[1].content != answers[2].content


async def test_one_key_on_two_routes_is_two_requests(database: Database, tmp_path: Path) -> None:
    """G29: nor does what is said about one track answer the same words about another."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        asked = [(f"/tracks/{await plant(world, olga)}/comments", {"content": "Good"}) for _ in range(2)]
        asked.append(("/playlists", {"title": "Once"}))
        asked.append(("/tracks/initiate", {"filename": "a.mp3", "total_chunks": 1, "total_size": 9}))
        for replayed in (None, "true"):
            for path, body in asked:
                answer = await olga.post(path, json=body, headers=KEY)
                assert answer.is_success, answer.text
                assert answer.headers.get("idempotency-replayed") == replayed, path
        for path, _ in asked[:2]:
            said = (await olga.get(path)).json()["data"]["comments"]
            assert [comment["content"] for comment in said] == ["Good"], path
