"""Plays: each once, durable and exactly counted, and what they add up to."""

import asyncio
import random
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.rooms.listening_house import HALF_A_MINUTE, check_plays, play, rows_of, song, stats, track, until
from tests.rooms.tracks_house import NOBODY, code
from tests.world import PASSWORD, open_world
from veza.core import clock
from veza.core.db import Database
from veza.core.jobs import CLAIM, LeaseLost
from veza.rooms.plays import jobs, sums
from veza.rooms.plays.recount import recount

TOLD: list[tuple[Any, int]] = [
    ({"duration": 0}, 200), ({"duration": 111}, 200), ({"duration": 12.345, "device": "Chrome Browser"}, 200),
    ({"duration": 5, "device": None}, 200), ({"duration": 5, "device": "d" * 64}, 200),
    ({"duration": -1}, 422), ({"duration": 111.1}, 422), ({"duration": "5"}, 422), ({"duration": True}, 422),
    ({"duration": None}, 422), ({}, 422), ({"duration": 1, "device": "d" * 65}, 422), ([], 422),
    ({"duration": 1, "device": "a\nb"}, 422), ({"duration": 1, "user_id": NOBODY}, 422),
    ({"duration": 2**63}, 422), ({"duration": 1e15}, 422), ({"duration": 1e306}, 422),
    ({"duration": 1e308}, 422),
]  # fmt: skip


async def test_what_a_player_may_tell(database: Database, tmp_path: Path) -> None:
    """T15, G3, G6, G7: from nothing to a little more than the track; else 422, and nothing is kept."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        heard = await song(world, olga)
        shift = timedelta()
        for body, status in TOLD:
            with clock.shifted(shift):
                answer = await stan.post(f"/tracks/{heard}/play", json=body)
            assert answer.status_code == status, (body, answer.text)
            if status == 422 and isinstance(body, dict) and type(body.get("duration")) is float:
                assert [one["code"] for one in answer.json()["error"]["details"]] == ["TOO_LONG"], body
            shift += HALF_A_MINUTE
        for raw in (
            b'{"duration": NaN}',
            b'{"duration": 1, "duration": 2}',
            b"{",
            b"",
            b'{"duration": 1e400}',
        ):
            json = {"Content-Type": "application/json"}
            answer = await stan.post(f"/tracks/{heard}/play", content=raw, headers=json)
            assert answer.status_code in {400, 422}, raw
        answer = await stan.post(f"/tracks/{heard}/play", content=b'{"duration": 1}')
        assert code(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")
        assert (await stats(world.guest, heard))[:2] == (5, 1)
        assert code(await play(stan, "nonsense"))[0] == 400
        await check_plays(world)


async def test_the_same_listener_counts_once_in_half_a_minute(database: Database, tmp_path: Path) -> None:
    """T15: a repeat is the first play again, which is then as long as the longest."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        heard = await song(world, olga)
        first = (await play(stan, heard, 10)).json()["data"]
        assert first["message"] == "Play event recorded"
        assert UUID(first["id"]).version == 7
        for duration, known in ((5, 10.0), (40, 40.0), (20, 40.0)):
            again = await play(stan, heard, duration)
            assert (again.status_code, again.json()["data"]) == (200, first)
            assert await stats(stan, heard) == (1, 1, known, known)
        with clock.shifted(HALF_A_MINUTE):
            second = (await play(stan, heard, 110)).json()["data"]["id"]
            assert second != first["id"]
            assert (await play(stan, heard, 1)).json()["data"]["id"] == second
            assert await stats(world.guest, heard) == (2, 1, 75.0, 70.0)
            assert (await play(olga, heard, 100)).status_code == 200
            assert await stats(world.guest, heard) == (3, 2, 83.333, 80.0)
        with clock.shifted(timedelta(hours=1)):
            ahead = (await play(stan, heard, 1)).json()["data"]["id"]
        # The clock was set back: what lies ahead is in nobody's way.
        third = (await play(stan, heard, 2)).json()["data"]["id"]
        assert len({first["id"], second, ahead, third}) == 4
        await check_plays(world)
        export = (await stan.get(f"/users/{stan.id}/export")).json()["data"]["plays"]
        assert sorted(one["heard_ms"] for one in export) == [1_000, 2_000, 40_000, 110_000]


async def test_a_track_of_another_length_is_the_same_play(database: Database, tmp_path: Path) -> None:
    """T22: what a repeat adds is more than what was kept of its first, whatever the track has become."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        heard = await song(world, olga, length=2.0)
        for length, seconds, known in (
            (2.0, (1.0,), 50.0), (1.25, (1.1, 1.2, 1.15), 96.0), (6.0, (1.5, 1.5), 25.0),
            (1.0, (2.0,), 100.0),
        ):  # fmt: skip
            await database.script(f"UPDATE tracks SET duration = {length}")
            await asyncio.gather(*(play(stan, heard, told) for told in seconds))
            assert await stats(stan, heard) == (1, 1, max(seconds), known)
            await check_plays(world)
        async with database.write() as tx:
            await sums.add_up(tx, 100)
        # Of the track, of its artist and of all: one play that came to the end, and nothing beside it.
        ends = "SELECT step, plays FROM play_ends WHERE plays <> 0"
        assert await database.rows(ends) == [(20, 1)] * 3
        assert await database.rows("SELECT plays, parts FROM play_quarters") == [(1, 1_000_000)] * 3


async def test_owners_do_not_make_their_own_charts(database: Database, tmp_path: Path) -> None:
    """T15, Y6: one's own plays are in the statistics not in what lists are sorted by, which follow soon."""
    async with open_world(database, tmp_path, work=True) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        first, second = await song(world, olga), await song(world, olga)
        await play(olga, second)
        await play(stan, first)
        assert (await stats(olga, second))[0] == 1
        assert [(await track(stan, one))["play_count"] for one in (first, second)] == [1, 0]

        async def followed() -> bool:
            listed = (await world.guest.get("/tracks?sort_by=popularity")).json()["data"]["tracks"]
            return [one["play_count"] for one in listed] == [1, 0] and listed[0]["id"] == first

        with clock.shifted(timedelta(seconds=6)):
            world.parts.database.wake("veza_jobs")
            await until(followed)
            # And again: the job that did it does not stand in the way of the next.
            await play(await world.person("dora"), first)
        assert (await track(stan, first))["play_count"] == 2
        assert await rows_of(world, "track_stats WHERE shown <> charted") == {
            "track_stats WHERE shown <> charted": 1
        }


async def test_plays_are_exact_whoever_listens(database: Database, tmp_path: Path) -> None:
    """T15, T22, T23: 64 at once, the same pairs among them, are each counted once; a bad one hurts nobody."""
    async with open_world(database, tmp_path) as world:
        people = [await world.person(name) for name in ("ann", "bob", "cleo", "dora")]
        tracks = [await song(world, people[n % 2], length=10.0 * (n + 1)) for n in range(4)]
        gone = await song(world, people[0])
        await people[0].delete(f"/tracks/{gone}")
        dice = random.Random(7)
        tellings: list[tuple[int, str, float]] = [
            (dice.randrange(4), dice.choice([*tracks, gone]), float(dice.randrange(14))) for _ in range(128)
        ]
        answers = await asyncio.gather(*(play(people[n], heard, length) for n, heard, length in tellings))
        ids = defaultdict(set)
        longest: dict[tuple[int, str], float] = {}
        for (who, heard, length), answer in zip(tellings, answers, strict=True):
            too_long = heard == tracks[0] and length > 12
            wanted = 404 if heard == gone else 422 if too_long else 200
            assert answer.status_code == wanted, answer.text
            if wanted == 200:
                ids[who, heard].add(answer.json()["data"]["id"])
                longest[who, heard] = max(longest.get((who, heard), 0), length)
        assert all(len(found) == 1 for found in ids.values())
        for heard in tracks:
            lengths = [length for (_, name), length in longest.items() if name == heard]
            found = await stats(world.guest, heard)
            assert found[:2] == (len(lengths), len(lengths))
            assert found[2] == pytest.approx(sum(lengths) / len(lengths), abs=0.001)
        assert await rows_of(world, "plays", "listeners") == {"plays": len(ids), "listeners": len(ids)}
        await check_plays(world)


async def test_statistics_are_those_of_a_model(database: Database, tmp_path: Path) -> None:
    """T22, Y5: a hundred steps of plays, repeats and time, over the edge of a day of UTC."""
    async with open_world(database, tmp_path) as world:
        people = [await world.person(name) for name in ("ann", "bob", "cleo")]
        tracks = [await song(world, people[0]) for _ in range(2)]
        dice, shift = random.Random(11), timedelta()
        model: dict[str, list[tuple[int, float]]] = {heard: [] for heard in tracks}
        last: dict[tuple[int, str], tuple[timedelta, int]] = {}
        for _ in range(100):
            who, heard, length = dice.randrange(3), dice.choice(tracks), float(dice.randrange(101))
            with clock.shifted(shift):
                assert (await play(people[who], heard, length)).status_code == 200
            began, place = last.get((who, heard), (timedelta(days=-1), -1))
            if shift - began > timedelta(seconds=28):
                last[who, heard] = (shift, len(model[heard]))
                model[heard].append((who, length))
            elif length > model[heard][place][1]:
                model[heard][place] = (who, length)
            shift += dice.choice([timedelta(), timedelta(seconds=60), timedelta(minutes=40)])
            shift = min(shift, timedelta(hours=23))
        for heard, told in model.items():
            mean = sum(length for _, length in told) / len(told)
            found = await stats(world.guest, heard)
            assert found[:2] == (len(told), len({who for who, _ in told}))
            assert found[2:] == (pytest.approx(mean, abs=0.001), pytest.approx(mean, abs=0.01))
            assert 0 <= found[3] <= 100
        await check_plays(world)
        assert shift > timedelta(hours=20)
        days = await database.rows("SELECT COUNT(DISTINCT day), SUM(plays) FROM play_days")
        assert days == [(days[0][0], sum(map(len, model.values())))]
        assert days[0][0] in {1, 2}


async def test_what_is_left_when_somebody_or_something_goes(database: Database, tmp_path: Path) -> None:
    """T22, U8: plays outlive their listener as nobody's, and go with their track."""
    async with open_world(database, tmp_path, work=True) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        kept, gone = await song(world, olga), await song(world, olga)
        for heard in (kept, gone):
            await play(stan, heard)
        before = await stats(world.guest, kept)
        assert (await stan.delete(f"/users/{stan.id}", json={"password": PASSWORD})).status_code == 200
        assert await stats(world.guest, kept) == before == (1, 1, 50.0, 50.0)
        assert await database.rows("SELECT COUNT(*) FROM listeners WHERE user_id IS NOT NULL") == [(0,)]
        assert (await olga.delete(f"/tracks/{gone}")).status_code == 200

        async def forgotten() -> bool:
            tables = ("listeners", "plays", "play_days", "track_stats")
            return set((await rows_of(world, *tables)).values()) == {1}

        await until(forgotten)
        await check_plays(world)


async def test_counting_again_finds_what_is_wrong(database: Database, tmp_path: Path) -> None:
    """T22: in the totals, on a day, or in the plays themselves."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        heard = await song(world, olga)
        await play(stan, heard)
        found = await recount(database)
        assert (found.tracks, found.drifted) == (1, ())
        for table, change in (
            ("track_stats", "listeners"), ("track_stats", "charted"), ("play_days", "parts"),
            ("plays", "heard_ms"), ("listeners", "plays"),
        ):  # fmt: skip
            await database.script(f"UPDATE {table} SET {change} = {change} + 1")
            assert (await recount(database)).drifted == (UUID(heard),), table
            await database.script(f"UPDATE {table} SET {change} = {change} - 1")
        assert jobs.RECOUNT.every == timedelta(days=1)
        await check_plays(world)


async def test_a_play_is_told_twice_with_a_key(database: Database, tmp_path: Path) -> None:
    """G29: the same key and body is the same play, however much later; another body is refused."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        heard = await song(world, olga)
        key, body = {"Idempotency-Key": "one"}, {"duration": 10}
        first = await stan.post(f"/tracks/{heard}/play", json=body, headers=key)
        with clock.shifted(HALF_A_MINUTE):
            again = await stan.post(f"/tracks/{heard}/play", json=body, headers=key)
            assert again.json() == first.json()
            assert again.headers["idempotency-replayed"] == "true"
            other = await stan.post(f"/tracks/{heard}/play", json={"duration": 11}, headers=key)
            assert code(other) == (409, "IDEMPOTENCY_KEY_REUSED")
        assert (await stats(stan, heard))[0] == 1


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_play_that_clashes_fails_alone(database: Database, tmp_path: Path) -> None:
    """T15, T23: those that share its transaction are kept, each once."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        tracks = [await song(world, olga) for _ in range(8)]
        assert (await stan.get("/auth/me")).status_code == 200
        await database.script(
            "CREATE TRIGGER clash BEFORE INSERT ON plays WHEN NEW.device = 'clash' "
            "BEGIN SELECT RAISE(ABORT, 'clash'); END"
        )
        answers = await asyncio.gather(
            *(play(stan, heard, device="clash" if n == 3 else "x") for n, heard in enumerate(tracks))
        )
        statuses = [answer.status_code for answer in answers]
        assert statuses == [200, 200, 200, 409, 200, 200, 200, 200]
        assert await rows_of(world, "plays", "listeners") == {"plays": 7, "listeners": 7}
        await check_plays(world)


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.usefixtures("still")
async def test_the_quick_way_and_the_ordinary_one_answer_alike(database: Database, tmp_path: Path) -> None:
    """G1, G3, G5, G17: whatever is told, both say the same under the same headers."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        heard = await song(world, olga)
        hidden = await song(world, olga, public=False)
        quick, asked = world.app.hot_posts, 0
        assert quick
        bodies = [b'{"duration": 5}', b'{"duration": 5.5, "device": "x"}', b'{"duration": 500}', b"{", b"[]"]
        bodies += [b"", b'{"duration": 1, "duration": 1}', b'{"x": 1}', b'{"duration": 1}' + b" " * 600]
        paths = [f"/tracks/{one}/play" for one in (heard, hidden, NOBODY, "x" * 36, "x", heard.upper())]
        paths += [f"/tracks/{heard}/play?x=1", f"/tracks/{heard}/play/", f"/tracks//{heard}/play"]
        kinds: list[tuple[str, dict[str, str]]] = [
            (kind, {}) for kind in ("application/json; charset=utf-8", "text/plain")
        ]
        kinds += [("application/json", packed) for packed in ({}, {"Content-Encoding": "gzip"})]
        for person in (stan, world.guest):
            for path in paths:
                for raw in bodies:
                    for kind, packed in kinds:
                        answers = []
                        for posts in (quick, {}):
                            world.app.hot_posts = posts
                            head = {"Content-Type": kind} | packed
                            answers.append(await person.post(path, content=raw, headers=head))
                        one, other = answers
                        assert (one.status_code, one.text) == (other.status_code, other.text), (path, raw)
                        heads = [dict(answer.headers) | {"x-request-id": ""} for answer in answers]
                        assert heads[0] == heads[1], (path, raw)
                        asked += 1
                    if person is world.guest:
                        break
        assert asked > 200
        assert (await stats(stan, heard))[0] == 1


async def test_what_was_marked_is_packed_once_more_and_no_oftener(database: Database) -> None:
    """By one job that waits until whoever began before has ended, and that does not recur."""
    room = {task.kind: task for task in jobs.tasks(database)}
    for _ in range(2):
        await room[jobs.PACK].run(None, None)
    ((kind, run_at, created_at),) = await database.rows("SELECT kind, run_at, created_at FROM jobs")
    assert (kind, run_at - created_at) == ("plays.pack_marked", 5 * 60 * 1_000_000)
    async with database.write() as tx:
        lease = {"kinds": [kind], "lane": jobs.PACK_MARKED.lane, "count": 9}
        soon = clock.now() + timedelta(minutes=6)
        (job,) = await tx.all(CLAIM, now=soon, until=soon, **lease)
    await room[jobs.PACK_MARKED].run(job, None)
    assert await database.rows("SELECT kind FROM jobs") == []
    with pytest.raises(LeaseLost):
        await room[jobs.PACK_MARKED].run(job, None)
