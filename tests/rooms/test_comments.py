"""Comments: stored as written, exactly counted, in threads of one level."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.rooms.listening_house import rows_of, song, track, until
from tests.rooms.tracks_house import NOBODY, code
from tests.world import PASSWORD, Person, open_world
from veza.core import clock
from veza.core.db import Database

MARKUP = '<script>alert(1)</script> [x](javascript:alert(1))\n\n  "quoted" \u202f& 👩‍🎤'
REFUSED: list[dict[str, Any]] = [
    {"content": ""}, {"content": "  \n "}, {"content": "x" * 2001}, {"content": None}, {"content": 7},
    {"content": "a\0b"}, {"content": "\u202emp3.exe"}, {"content": "a" + "\u0301" * 40},
    {"timestamp": -1}, {"timestamp": 100.1}, {"timestamp": "1"}, {"timestamp": True}, {"parent_id": NOBODY},
    {"parent_id": "x"}, {"user_id": NOBODY}, {"created_at": "2020-01-01T00:00:00Z"}, {"id": NOBODY},
    {"timestamp": 1e306}, {"timestamp": 1e308},
]  # fmt: skip


async def say(person: Person, about: str, content: str = "Fine", **more: Any) -> Any:
    """Comment on a track; the answer."""
    return await person.post(f"/tracks/{about}/comments", json={"content": content, **more})


async def said(person: Person, about: str, query: str = "") -> list[Any]:
    """The comments on a track."""
    return list((await person.get(f"/tracks/{about}/comments{query}")).json()["data"]["comments"])


async def test_what_may_be_said(database: Database, tmp_path: Path) -> None:
    """Q5, Q7, G6, G7, G8: 1 to 2,000 characters that can be seen, kept as they were written; else 422."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        about = await song(world, olga)
        for body in REFUSED:
            answer = await stan.post(f"/tracks/{about}/comments", json={"content": "Fine", **body})
            assert code(answer) == (422, "VALIDATION_ERROR"), body
            assert [detail["field"] for detail in answer.json()["error"]["details"]] == list(body)
        assert (await track(stan, about))["comment_count"] == 0
        for content, place in ((MARKUP, None), ("x" * 2000, 0), (".", 100), ("A\r\nB", 12.5)):
            answer = await say(stan, about, content, timestamp=place)
            assert answer.status_code == 201, answer.text
            made = answer.json()["data"]["comment"]
            assert (made["content"], made["timestamp"]) == (content.replace("\r\n", "\n"), place)
            assert (made["username"], made["user_id"], made["edited_at"]) == ("stan", stan.id, None)
            assert (await said(world.guest, about))[0] == made
        assert (await track(stan, about))["comment_count"] == 4
        places = [one["timestamp"] for one in await said(stan, about, "?sort_by=timestamp&sort_order=asc")]
        assert places == [None, 0, 12.5, 100]
        words = (await olga.get(f"/users/{stan.id}")).json()["data"]["profile"]["username"]
        edited = await stan.put(f"/comments/{made['id']}", json={"content": "C"})
        assert edited.json()["data"]["comment"]["content"] == "C"
        assert (await said(stan, about))[0] == edited.json()["data"]["comment"]
        assert (words, code(await stan.put(f"/comments/{made['id']}", json={"content": ""}))[0]) == (
            "stan",
            422,
        )
        assert code(await say(stan, NOBODY)) == (404, "TRACK_NOT_FOUND")


async def test_threads_have_one_level_and_go_as_one(database: Database, tmp_path: Path) -> None:
    """Q6: an answer to a reply joins its thread; with the first comment go all of it, counted exactly."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        about, other = await song(world, olga), await song(world, olga)
        first = (await say(stan, about)).json()["data"]["comment"]["id"]
        reply = (await say(olga, about, "Thanks", parent_id=first)).json()["data"]["comment"]
        deeper = (await say(stan, about, "Oh", parent_id=reply["id"])).json()["data"]["comment"]
        assert reply["parent_id"] == deeper["parent_id"] == first
        assert code(await say(stan, other, parent_id=first)) == (422, "VALIDATION_ERROR")
        await say(stan, about, "Apart")
        events = await database.rows("SELECT data FROM events WHERE kind = 'track.commented' ORDER BY id")
        assert [f'"replied_to":"{stan.id}"' in data for (data,) in events] == [False, True, False, False]
        assert f'"replied_to":"{olga.id}"' in events[2][0]
        assert (await track(stan, about))["comment_count"] == 4
        assert (await stan.delete(f"/comments/{deeper['id']}")).json()["data"] == {
            "message": "Comment deleted successfully"
        }
        assert code(await stan.delete(f"/comments/{deeper['id']}")) == (404, "COMMENT_NOT_FOUND")
        assert (await track(stan, about))["comment_count"] == 3
        assert (await olga.delete(f"/comments/{first}")).status_code == 200
        assert (await track(stan, about))["comment_count"] == 1
        assert [one["content"] for one in await said(stan, about)] == ["Apart"]


@pytest.mark.usefixtures("still")
async def test_nobody_floods(database: Database, tmp_path: Path) -> None:
    """Q8: ten in a minute, then 429; the same words about a track twice in ten seconds are 409."""
    choices = {"rate_limit_enabled": True, "rate_limit_global": "1000/min", "rate_limit_login": "100/min"}
    async with open_world(database, tmp_path, **choices) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        about, other = await song(world, olga), await song(world, olga)
        assert (await say(stan, about)).status_code == 201
        assert code(await say(stan, about)) == (409, "DUPLICATE_COMMENT")
        assert (await say(stan, other)).status_code == 201
        assert (await say(olga, about)).status_code == 201
        with clock.shifted(timedelta(seconds=11)):
            assert (await say(stan, about)).status_code == 201
            for number in range(6):
                assert (await say(stan, about, f"No. {number}")).status_code == 201
            refused = await say(stan, about, "One more")
            assert code(refused) == (429, "RATE_LIMITED")
            assert 0 < int(refused.headers["retry-after"]) <= 60
        with clock.shifted(timedelta(seconds=61)):
            assert (await say(stan, about, "One more")).status_code == 201


async def test_comments_are_exact_whoever_writes(database: Database, tmp_path: Path) -> None:
    """T23, Q8: 64 at once comment, reply, delete; the same words at once are said once."""
    async with open_world(database, tmp_path, work=True) as world:
        people = [await world.person(name) for name in ("ann", "bob", "cleo")]
        about, gone = await song(world, people[0]), await song(world, people[0])
        answers = await asyncio.gather(*(say(people[1], about) for _ in range(12)))
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 11
        first = (await said(people[1], about))[0]["id"]

        async def write(n: int) -> None:
            parent = {"parent_id": first} if n % 2 else {}
            answer = await say(people[n % 3], (about, gone)[n % 5 == 0], f"No. {n}", **parent)
            if n % 4 == 0 and answer.status_code == 201:
                comment = answer.json()["data"]["comment"]["id"]
                gone_too = await asyncio.gather(*(people[n % 3].delete(f"/comments/{comment}") for _ in "ab"))
                assert sorted(one.status_code for one in gone_too) in ([200, 404], [404, 404])

        writing = asyncio.gather(*(write(n) for n in range(64)))
        await people[0].delete(f"/tracks/{gone}")
        await people[1].delete(f"/comments/{first}")
        await writing
        kept = (await track(people[0], about))["comment_count"]

        async def forgotten() -> bool:
            return await rows_of(world, "comments") == {"comments": kept}

        await until(forgotten)
        assert len(await said(people[0], about, "?limit=100")) == kept


async def test_pages_keep_their_place(database: Database, tmp_path: Path) -> None:
    """Q9, G12: read from the oldest on, no comment comes twice or is missed while others are made."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        about = await song(world, olga)
        for number in range(7):
            await say(olga, about, f"No. {number}")
        seen: list[str] = []
        for page in range(1, 6):
            seen += [
                one["content"] for one in await said(olga, about, f"?sort_order=asc&limit=3&page={page}")
            ]
            if page < 3:
                await say(olga, about, f"Later {page}")
        assert seen == [*(f"No. {number}" for number in range(7)), "Later 1", "Later 2"]
        newest = (await olga.get(f"/tracks/{about}/comments?limit=2")).json()["data"]
        assert [one["content"] for one in newest["comments"]] == ["Later 2", "Later 1"]
        assert newest["pagination"] == {"page": 1, "limit": 2, "total": 9, "total_pages": 5}
        for query in ("page=0", "sort_by=content"):
            assert code(await olga.get(f"/tracks/{about}/comments?{query}")) == (400, "INVALID_REQUEST")


async def test_who_is_gone_and_who_asks_again(database: Database, tmp_path: Path) -> None:
    """U8, G29: what somebody said stays, under no name; a request with the same key is answered the same."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        about = await song(world, olga)
        key = {"Idempotency-Key": "one"}
        answers = [
            await stan.post(f"/tracks/{about}/comments", json={"content": "Once"}, headers=key) for _ in "ab"
        ]
        assert answers[0].json() == answers[1].json()
        assert answers[1].headers["idempotency-replayed"] == "true"
        assert [one["content"] for one in await said(olga, about)] == ["Once"]
        export = (await stan.get(f"/users/{stan.id}/export")).json()["data"]["comments"]
        assert [one["content"] for one in export] == ["Once"]
        assert (await stan.delete(f"/users/{stan.id}", json={"password": PASSWORD})).status_code == 200
        (left,) = await said(world.guest, about)
        assert (left["content"], left["user_id"], left["username"]) == ("Once", None, "deleted user")
        assert (await track(olga, about))["comment_count"] == 1
        assert (await olga.delete(f"/comments/{left['id']}")).status_code == 200
