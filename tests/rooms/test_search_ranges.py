"""Finding within ranges and in other orders: whichever way it is looked for, the same is found."""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tests.rooms.search_house import add, found, titles
from tests.world import World, open_world
from veza.access.actor import Actor
from veza.core import clock
from veza.core.db import Database
from veza.core.pages import Page
from veza.rooms.search import answers, postgres_store, ranges, service, sqlite_store, store
from veza.rooms.search.filters import Asked

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
# So many questions are asked each way, drawn by lot; of some 650.
SAMPLES = 60
# What is asked for, as it is; as a beginning; as no more than a typo; and everything.
WORDS: tuple[tuple[str | None, tuple[str, ...]], ...] = (
    ("moon", ("moon", "moonlight", "sun moon")),
    ("moonlig", ("moonlight",)),
    ("sun moon", ("sun moon",)),
    ("moonlihgt", ("moonlight",)),
    ("nothing", ()),
    (None, ("moon", "moonlight", "sun moon", "blue")),
)
RANGES: tuple[dict[str, Any], ...] = (
    {},
    {"min_duration": 130},
    {"max_duration": 120},
    {"start_date": "2024-01-01T05:00:00Z"},
    {"start_date": "2024-01-01T03:00:00Z", "end_date": "2024-01-01T20:00:00Z", "min_duration": 110},
    {"end_date": "2023-01-01T00:00:00Z"},
    {"min_duration": 4000},
)
# How it is looked for: a few read at once; all looked at; more found than can be paged, and then by walking,
# asking one by one or not, or by sorting all. In PostgreSQL what is found by walking need not be much.
WAYS: tuple[dict[Any, dict[str, int]], ...] = (
    {},
    {ranges: {"FEW_THINGS": 0}},
    {
        store: {"GLANCED": 0, "WINDOW": 4},
        answers: {"MOST": 9},
        sqlite_store: {"SAMPLE": 3},
        postgres_store: {"FEW": 4, "DENSE": 9, "WINDOW": 4, "WALKED": 30},
    },
    {
        ranges: {"FEW_THINGS": 0},
        store: {"WINDOW": 4},
        answers: {"MOST": 9},
        sqlite_store: {"SAMPLE": 3, "FEW_ROWS": 0, "MOST_WALKED": 90},
        postgres_store: {"FEW": 7, "DENSE": 9, "WINDOW": 4, "WALKED": 8, "FEW_WORDS": 1, "SURELY": 0},
    },
    {ranges: {"FEW_THINGS": 5}, answers: {"MOST": 9}, sqlite_store: {"SAMPLE": 3, "MOST_WALKED": 10}},
)


class Planted(msgspec.Struct, frozen=True):
    """A track, whose it is, and what of it is asked for."""

    id: UUID
    owner: UUID
    text: str
    genre: str
    duration: float
    plays: int
    created_at: datetime


async def plant(world: World, dice: random.Random) -> list[Planted]:
    """Tracks of two people and few titles, so that many are alike in what they are sorted by."""
    people = [await world.person("olga"), await world.person("hugo")]
    planted = []
    for _ in range(40):
        text, genre = dice.choice(["moon", "moonlight", "sun moon", "blue"]), dice.choice(["Rock", "Dub"])
        owner = dice.choice(people)
        given: dict[str, Any] = {
            "duration": float(dice.randrange(100, 140, 5)),
            "play_count": dice.randrange(5) ** 5,
            "created_at": FIRST + timedelta(hours=dice.randrange(24)),
        }
        (made,) = await add(world, owner, text, genre=genre, **given)
        planted.append(Planted(UUID(made), UUID(owner.id), text, genre, *given.values()))
    return planted


def wanted(planted: Sequence[Planted], viewer: Actor, asked: Asked, texts: tuple[str, ...]) -> list[UUID]:
    """What is to be found by somebody, in its order."""
    passing = [
        one
        for one in planted
        if one.text in texts
        and one.owner not in viewer.hidden
        and (asked.genre is None or one.genre == asked.genre)
        and (asked.min_duration or 0) <= one.duration <= (asked.max_duration or 9999)
        and (asked.start_date is None or one.created_at >= datetime.fromisoformat(asked.start_date))
        and (asked.end_date is None or one.created_at <= datetime.fromisoformat(asked.end_date))
    ]
    by = asked.sort_by or ("relevance" if asked.q else "created_at")
    popular = [(one.text, (one.plays, one.id)) for one in passing]
    keys: dict[str, list[tuple[Any, ...]]] = {
        "relevance": [(asked.q == "moon" and "moonlight" not in text, *key) for text, key in popular],
        "popularity": [key for _, key in popular],
        "title": [(one.text, one.id) for one in passing],
        "created_at": [(one.created_at, one.id) for one in passing],
    }
    down = by == "relevance" or asked.sort_order == "desc"
    return [key[-1] for key in sorted(keys[by], reverse=down)]


def questions() -> Iterator[tuple[Asked, tuple[str, ...]]]:
    """Every word with every filter in every order."""
    orders = product((None, "title", "created_at", "popularity"), ("asc", "desc"))
    for (q, texts), given, genre, (by, way) in product(WORDS, RANGES, (None, "Dub"), list(orders)):
        if q or given:
            yield Asked(q, genre, **given, sort_by=by, sort_order=way), texts  # type: ignore[arg-type]  # of the literals


@pytest.mark.parametrize("way", range(len(WAYS)))
async def test_every_way_of_looking_finds_the_same(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: int
) -> None:
    """G11, T17, Q2, Q4: what bounds the time of a search changes neither what is found nor its order.

    Nor does it show what is of somebody hidden, or count it.
    """
    for module, values in WAYS[way].items():
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)
    dice = random.Random(way)
    async with open_world(database, tmp_path) as world:
        planted = await plant(world, dice)
        viewers = [Actor(), Actor(hidden=frozenset({planted[0].owner}))]
        for asked, texts in dice.sample(list(questions()), SAMPLES):
            viewer = dice.choice(viewers)
            whole = wanted(planted, viewer, asked, texts)
            pages = whole[: answers.MOST]
            for number, limit in ((1, 3), (2, 4), (1, 50)):
                async with database.read() as view:
                    answer = await service.search_tracks(view, viewer, asked, Page(number, limit))
                got = [track.id for track in answer.tracks]
                assert got == pages[(number - 1) * limit : number * limit], (viewer, asked)
                assert answer.pagination.total == len(pages), (viewer, asked)
                assert answer.pagination.total_is_exact == (len(whole) <= answers.MOST), (viewer, asked)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_of_too_many_the_first_are_looked_at_and_that_is_said(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T17, Q4: ranges take bounded time; of few things each is looked at."""
    monkeypatch.setattr(sqlite_store, "MOST_LOOKED", 6)
    monkeypatch.setattr(ranges, "FEW_THINGS", 2)
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        for n in range(12):
            long, moment = {"duration": 500.0} if n % 4 == 0 else {}, clock.now() - timedelta(days=n)
            await add(world, olga, f"Sun {n:02}", play_count=100 - n * 8, created_at=moment, **long)
        answer = await found(world, "sun", min_duration=400)
        assert [track["title"] for track in answer["tracks"]] == ["Sun 00", "Sun 04"]
        assert (answer["pagination"]["total"], answer["pagination"]["total_is_exact"]) == (2, False)
        early = (clock.now() - timedelta(days=9.5)).isoformat().replace("+00:00", "Z")
        answer = await found(world, "sun", end_date=early)
        assert [track["title"] for track in answer["tracks"]] == ["Sun 10", "Sun 11"]
        assert (answer["pagination"]["total"], answer["pagination"]["total_is_exact"]) == (2, True)
        assert await titles(world, "", min_duration=400, sort_by="title") == ["Sun 08", "Sun 04", "Sun 00"]
