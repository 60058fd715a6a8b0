"""What is said about tracks: changed, refused, listed in order, cached, counted."""

import asyncio
import random
from pathlib import Path
from typing import Any

from tests.rooms.tracks_house import check_counts, code, files, plant, used
from tests.world import open_world
from veza.core.db import Database

ODD = "\u202emp3.exe"
MARKS = "a" + "\u0301" * 40
REFUSED: list[dict[str, Any]] = [
    {"title": ""}, {"title": "   "}, {"title": "x" * 256}, {"title": None}, {"title": 7}, {"title": ["x"]},
    {"title": "a\0b"}, {"title": "a\nb"}, {"title": ODD}, {"title": MARKS}, {"artist": ""}, {"artist": None},
    {"year": -1}, {"year": 99_999}, {"year": 2021.5}, {"year": "2021"}, {"year": 2**63}, {"year": True},
    {"genre": "g" * 65}, {"genre": "a\0b"}, {"genre": ODD}, {"genre": 7}, {"album": "a" * 256},
    {"is_public": "yes"}, {"is_public": None}, {"downloadable": 1},
    {"tags": None}, {"tags": "ambient"}, {"tags": [""]}, {"tags": ["#"]}, {"tags": ["t" * 41]}, {"tags": [7]},
    {"tags": ["t"] * 21}, {"tags": ["a\0b"]},
]  # fmt: skip
OWNED = ("id", "user_id", "status", "play_count", "created_at", "file_size", "format", "duration", "progress")


async def test_what_may_be_said(database: Database, tmp_path: Path) -> None:
    """T5, G6, G7, G8: a bad value is 422 and changes nothing; a good one comes back exactly.

    A genre may be any word (ADR 39).
    """
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        track = await plant(world, olga)
        path = f"/tracks/{track}"
        before = (await olga.get(path)).text
        for body in REFUSED:
            answer = await olga.put(path, json=body)
            assert code(answer) == (422, "VALIDATION_ERROR"), body
            assert [detail["field"] for detail in answer.json()["error"]["details"]] == list(body)
        for name in OWNED:
            answer = await olga.put(path, json={name: 1, "title": "New"})
            assert answer.json()["error"]["details"][0]["code"] == "UNKNOWN_FIELD"
        for raw in (b"{", b'{"title": "a", "title": "b"}', b'{"year": NaN}', b'{"title": "\xff"}', b""):
            answer = await olga.put(path, content=raw, headers={"Content-Type": "application/json"})
            assert code(answer) == (400, "INVALID_REQUEST"), raw
        assert (await olga.get(path)).text == before
        said = {
            "title": "Ça va? <b>&amp;",
            "artist": "👩‍🎤 Ωmega",
            "album": "x" * 255,
            "genre": "Éxotica",
            "year": 1000,
        }
        for body in (said, {"year": 2100, "album": None}, {"genre": None}, {}):
            answer = await olga.put(path, json=body)
            assert answer.status_code == 200, answer.text
            data = answer.json()["data"]["track"]
            assert {name: data[name] for name in body} == body
            assert (await olga.get(path)).json()["data"]["track"] == data
            await check_counts(world)
        for nothing in ("", "   ", "\u200b\u3164"):  # one way of having none
            answer = await olga.put(path, json={"genre": nothing, "album": nothing})
            data = answer.json()["data"]["track"]
            assert (data["genre"], data["album"]) == (None, None)
            await check_counts(world)
        answer = await olga.put(path, json={"tags": [" #Lo-Fi ", "été", "LO-FI", "e\u0301te\u0301"]})
        assert answer.json()["data"]["track"]["tags"] == ["Lo-Fi", "été"]
        assert (await olga.put(path, json={"tags": []})).json()["data"]["track"]["tags"] == []
        decomposed = await olga.put(path, json={"title": "e\u0301"})
        assert decomposed.json()["data"]["track"]["title"] == "é"


async def test_nothing_is_published_before_it_can_be_heard(database: Database, tmp_path: Path) -> None:
    """T6: neither while it is processed nor when that failed."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        for state in ("processing", "failed"):
            track = await plant(world, olga, state, public=False)
            answer = await olga.put(f"/tracks/{track}", json={"is_public": True, "title": "New"})
            assert code(answer) == (409, "TRACK_NOT_READY")
            found = (await olga.get(f"/tracks/{track}")).json()["data"]["track"]
            assert (found["title"], found["is_public"]) == ("Planted", False)
            assert (await olga.put(f"/tracks/{track}", json={"is_public": False})).status_code == 200
        track = await plant(world, olga, public=False)
        assert (await olga.put(f"/tracks/{track}", json={"is_public": True})).status_code == 200
        assert (await world.guest.get(f"/tracks/{track}")).status_code == 200


async def test_a_change_of_what_has_changed_is_refused(database: Database, tmp_path: Path) -> None:
    """G30: with If-Match one of two writers is told; without it the last one wins."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        track = await plant(world, olga)
        path = f"/tracks/{track}"
        tag = (await olga.get(path)).headers["etag"]
        answers = await asyncio.gather(
            *(olga.put(path, json={"title": f"T{n}"}, headers={"If-Match": tag}) for n in range(8))
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
        won = next(answer for answer in answers if answer.status_code == 200)
        assert (await olga.get(path)).json() == won.json()
        assert code(await olga.put(path, json={}, headers={"If-Match": tag})) == (412, "PRECONDITION_FAILED")
        assert (await olga.put(path, json={"title": "Z"}, headers={"If-Match": "*"})).status_code == 200
        new = (await olga.get(path)).headers["etag"]
        both = {"If-Match": f'"other", {new}'}
        assert (await olga.put(path, json={"title": "Y"}, headers=both)).status_code == 200
        assert (await olga.put(path, json={"title": "X"})).status_code == 200


async def test_nobody_deletes_what_has_changed_since_they_looked(database: Database, tmp_path: Path) -> None:
    """G30: a DELETE with the tag of an earlier state is 412, and nothing is gone."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        path = f"/tracks/{await plant(world, olga)}"
        old = {"If-Match": (await olga.get(path)).headers["etag"]}
        assert (await olga.put(path, json={"title": "New"})).status_code == 200
        assert code(await olga.delete(path, headers=old)) == (412, "PRECONDITION_FAILED")
        stranger = await world.person("sten")
        assert code(await stranger.delete(path, headers=old)) == (403, "FORBIDDEN")
        new = {"If-Match": (await olga.get(path)).headers["etag"]}
        assert (await olga.delete(path, headers=new)).status_code == 200


async def test_a_read_is_cached_for_who_made_it(database: Database, tmp_path: Path) -> None:
    """G32: an ETag is answered with 304 to whoever may see the thing, and gives nothing away to others."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        public, private = await plant(world, olga), await plant(world, olga, public=False)
        for path in (
            f"/tracks/{public}",
            f"/tracks/{public}/stream",
            f"/tracks/{public}/download",
            "/tracks",
        ):
            first = await world.guest.get(path)
            assert (first.headers["cache-control"], first.headers["vary"]) == (
                "public, no-cache",
                "Authorization",
            )
            for tag in (first.headers["etag"], f'"x", W/{first.headers["etag"]}', "*"):
                again = await world.guest.get(path, headers={"If-None-Match": tag})
                assert (again.status_code, again.content) == (304, b"")
                assert again.headers["etag"] == first.headers["etag"]
            assert (await world.guest.get(path, headers={"If-None-Match": '"x"'})).status_code == 200
        for path in (f"/tracks/{private}", f"/tracks/{private}/stream", f"/tracks/{private}/download"):
            first = await olga.get(path)
            assert first.headers["cache-control"] == "private, no-store"
            known = {"If-None-Match": first.headers["etag"]}
            assert (await olga.get(path, headers=known)).status_code == 304
            for person in (stan, world.guest):
                assert (await person.get(path, headers=known)).status_code == 404
                assert (await person.get(path, headers={"If-None-Match": "*"})).status_code == 404


async def test_lists_keep_their_order_and_their_sums(database: Database, tmp_path: Path) -> None:
    """G9, G10, G11, G12: each track once, in the order asked for, and no page that cannot be."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        titles = ["b", "É", "a", "e", "B", "ä", "same", "same", "same"]
        for number, title in enumerate(titles):
            owner = olga if number % 2 else stan
            await plant(
                world,
                owner,
                title=title,
                genre=("Jazz", "Rock")[number % 3 == 0],
                form=("mp3", "flac")[number > 5],
            )
        for query, count in (
            ("", 9), ("&genre=ROCK", 3), ("&format=flac", 3), (f"&user_id={olga.id}", 4),
            ("&genre=nothing", 0), ("&genre=%20%20", 0), ("&genre=jazz&format=flac", 2),
            (f"&genre=%20&user_id={olga.id}", 0),
            (f"&user_id={stan.id}&genre=jazz&format=mp3", 2),
        ):  # fmt: skip
            for sort in ("created_at", "title", "popularity"):
                seen = {}
                for order in ("asc", "desc"):
                    ids: list[str] = []
                    for page in range(1, 7):
                        ask = f"/tracks?page={page}&limit=2&sort_by={sort}&sort_order={order}{query}"
                        data = (await world.guest.get(ask)).json()["data"]
                        total = {"page": page, "limit": 2, "total": count, "total_pages": -(-count // 2)}
                        assert data["pagination"] == total, ask
                        ids += [track["id"] for track in data["tracks"]]
                    assert len(ids) == len(set(ids)) == count
                    seen[order] = ids
                assert seen["asc"] == seen["desc"][::-1]
        names = (await world.guest.get("/tracks?sort_by=title&sort_order=asc")).json()["data"]["tracks"]
        assert [name["title"].lower() for name in names][:6] in (
            ["a", "ä", "b", "b", "é", "e"], ["ä", "a", "b", "b", "é", "e"],
            ["a", "ä", "b", "b", "e", "é"], ["ä", "a", "b", "b", "e", "é"],
        )  # fmt: skip
        for query in ("page=0", "page=-1", "page=abc", "page=10000000000000000000", "limit=0", "limit=101",
                      "limit=-1", "page="):  # fmt: skip
            assert code(await world.guest.get(f"/tracks?{query}")) == (400, "INVALID_REQUEST"), query
        for query in ("sort_by=id;drop", "sort_by=user_id", "sort_order=down"):
            assert code(await world.guest.get(f"/tracks?{query}")) == (400, "INVALID_REQUEST"), query
        for query in ("user_id=me", "format=exe", "format=%00", "genre=%00", "genre=" + "g" * 65):
            answer = await world.guest.get(f"/tracks?{query}")
            assert code(answer) == (400, "INVALID_REQUEST"), query
            assert answer.json()["error"]["details"][0]["field"] == query.partition("=")[0]
        far = (await world.guest.get("/tracks?page=10000000&limit=100")).json()["data"]
        assert (far["tracks"], far["pagination"]["total"]) == ([], 9)


async def test_deleting_happens_once(database: Database, tmp_path: Path) -> None:
    """T9: twice or ten times at once, the first is told so, and bytes and files are given back once."""
    async with open_world(database, tmp_path, work=True) as world:
        olga = await world.person("olga")
        kept, gone = await plant(world, olga), await plant(world, olga)
        before, planted = await used(world, olga), files(world, kept)
        answers = await asyncio.gather(*(olga.delete(f"/tracks/{gone}") for _ in range(10)))
        assert sorted(answer.status_code for answer in answers) == [200] + [404] * 9
        assert code(await olga.delete(f"/tracks/{gone}")) == (404, "TRACK_NOT_FOUND")
        assert await used(world, olga) == before // 2
        async with asyncio.timeout(30):
            while files(world, gone):  # noqa: ASYNC110 - the job that removes them tells nobody
                await asyncio.sleep(0.02)
        assert files(world, kept) == planted
        await check_counts(world)


async def test_counts_are_exact_whoever_writes(database: Database, tmp_path: Path) -> None:
    """T23: 64 writers at once publish, hide, move between genres and delete, some of them the same track."""
    async with open_world(database, tmp_path) as world:
        people = [await world.person("olga"), await world.person("stan")]
        mona = await world.person("mona", "moderator")
        tracks = [await plant(world, people[n % 2], genre="Jazz") for n in range(12)]
        choices = random.Random(5)

        async def write(track: str) -> None:
            for _ in range(3):
                match choices.randrange(5):
                    case 0:
                        await mona.put(f"/tracks/{track}", json={"is_public": bool(choices.randrange(2))})
                    case 1:
                        await mona.put(
                            f"/tracks/{track}", json={"genre": choices.choice(["Rock", "jazz", None])}
                        )
                    case 2:
                        await mona.put(
                            f"/tracks/{track}", json={"title": "T", "genre": "Folk", "is_public": True}
                        )
                    case 3:
                        await plant(world, choices.choice(people), genre="Rock", form="flac")
                    case _:
                        await mona.delete(f"/tracks/{track}")

        await asyncio.gather(*(write(tracks[n % 12]) for n in range(64)))
        await check_counts(world)
        listed = (await world.guest.get("/tracks?limit=1")).json()["data"]["pagination"]["total"]
        assert [(listed,)] == await database.rows("SELECT COUNT(*) FROM tracks WHERE listed")
        # An account ends, with many tracks, while others write.
        olga = people[0]
        body = {"password": "seven purple lanterns"}
        left = await asyncio.gather(
            olga.delete(f"/users/{olga.id}", json=body),
            *(plant(world, people[1], genre="Jazz") for _ in range(8)),
        )
        assert left[0].status_code == 200
        await check_counts(world)
        assert (await world.guest.get(f"/tracks?user_id={olga.id}")).json()["data"]["pagination"][
            "total"
        ] == 0
