"""The index as a whole: built from all there is, put in order again, bounded; and its words and typos."""

import asyncio
import random
import string
from pathlib import Path

import pytest

from tests.rooms.search_house import add, check_index, found, titles
from tests.world import open_world
from veza.core.db import Database, open_database
from veza.rooms.search import alone, answers, beside, build, entries_store, source_store, store
from veza.rooms.search.findings import TRACKS, index_of
from veza.rooms.search.following import follow
from veza.rooms.search.jobs import place_anew
from veza.rooms.search.places import number_of, place_of, popularity_of
from veza.rooms.search.typos import distance_to, keys_asked, keys_of, mistakes
from veza.rooms.search.words import words_asked, words_of

EMPTIED = (
    "search_tracks", "search_tracks_words", "search_tracks_typos", "search_users", "search_playlists",
    "search_state",
)  # fmt: skip


async def empty(database: Database) -> None:
    """As it was before there was a search: no entry, and nobody who says that all is written."""
    await database.script("; ".join(f"DELETE FROM {table}" for table in EMPTIED))
    if database.dialect == "sqlite":
        kinds = ("tracks", "users", "playlists")
        told = (f"INSERT INTO search_{kind}_fts (search_{kind}_fts) VALUES ('delete-all')" for kind in kinds)
        await database.script("; ".join(told))


async def test_what_was_there_before_is_found(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built part by part at the first start, then never again, until rules change."""
    monkeypatch.setattr(source_store, "PART", 3)
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        await add(world, olga, *(f"Song {n} of all" for n in range(7)), play_count=3)
        await add(world, olga, "Song of songs", play_count=9, genre="Folk")
        await add(world, olga, "Song for nobody", is_public=False)
        wanted = await titles(world, "song")
        await empty(database)
        assert await titles(world, "song") == []
        await build.complete(database)
        await check_index(world)
        assert await titles(world, "song") == wanted
        assert await titles(world, "sonq folk") == ["Song of songs"]
        (before,) = await database.rows("SELECT numbered FROM search_state WHERE kind = 'tracks'")
        await build.complete(database)
        assert await database.rows("SELECT numbered FROM search_state WHERE kind = 'tracks'") == [before]
        monkeypatch.setattr(entries_store, "VERSION", 99)
        await build.complete(database)
        assert await titles(world, "song") == wanted
        await add(world, olga, "Newest song", play_count=3)
        assert (await titles(world, "song"))[1] == "Newest song"
        await check_index(world)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_build_that_fails_alone_has_changed_nothing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one transaction; the next is written whole."""
    monkeypatch.setattr(source_store, "PART", 3)
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        await add(world, olga, *(f"Song {n} of all" for n in range(10)))
        wanted = await titles(world, "song")
        for name in ("write", "end"):
            with monkeypatch.context() as patch:
                patch.setattr(alone.SqliteBuild, name, fail)
                with pytest.raises(ZeroDivisionError):
                    await build.rebuild(database)
            assert await titles(world, "song") == wanted
            await add(world, olga, f"Another {name}")
            await check_index(world)
        assert await build.rebuild(database) == 13
        assert await titles(world, "song") == wanted
        await check_index(world)


async def fail(*_: object) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_build_that_is_killed_is_begun_again(database: Database, tmp_path: Path) -> None:
    """And what was indexed beside it by somebody else is left as it is."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        ids = await add(world, olga, "One song", "Two songs")
        building = beside.Building(database, TRACKS)
        assert await building.begin() == 2
        async with database.write() as tx:
            assert not await building.index.is_complete(tx)
            (track,) = [
                track for track in (await source_store.tracks(tx, None))[0] if str(track.id) == ids[0]
            ]
            await follow(tx, TRACKS, track.id)
        await building.fill()
        # Killed here: nothing is finished, nothing said to be complete.
        await build.complete(database)
        await check_index(world)
        assert sorted(await titles(world, "song")) == ["One song", "Two songs"]
        assert (await titles(world, "sonq"), await titles(world, "sonqs")) == (["One song"], ["Two songs"])
        assert await build.rebuild(database) == 3


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_what_is_changed_beside_a_build_is_found_as_it_is_then(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T17: what was read and is no longer public, was renamed, or is new, before and after it is written."""
    monkeypatch.setattr(source_store, "PART", 1)
    monkeypatch.setattr(beside, "TOGETHER", 2)
    read = beside.Building._read_beside
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        ids = await add(world, olga, *(f"Song number{n} here" for n in range(8)))
        reads = 0

        async def read_and_change(self: beside.Building, start: source_store.Cursor | None) -> beside.Part:
            nonlocal reads
            part = await read(self, start)
            reads += self.finding is TRACKS
            if self.finding is TRACKS and reads == 2:
                # The third and the fourth are read, and not yet written.
                for n, change in {
                    2: {"is_public": False}, 3: {"title": "Sonnet"},
                    1: {"title": "Number"}, 0: {"is_public": False},
                }.items():  # fmt: skip
                    assert (await olga.put(f"/tracks/{ids[n]}", json=change)).status_code == 200
                assert (await olga.delete(f"/tracks/{ids[6]}")).status_code == 200
                await add(world, olga, "Newest sonata", "Brief")
                assert (await olga.delete(f"/tracks/{ids[7]}")).status_code == 200
            return part

        with monkeypatch.context() as patch:
            patch.setattr(beside.Building, "_read_beside", read_and_change)
            await build.rebuild(database)
        await check_index(world)
        assert await titles(world, "song") == ["Song number5 here", "Song number4 here"]
        asked = {
            question: await titles(world, question) for question in ("sonata", "somnet", "breif", "nunber")
        }
        assert asked == {
            "sonata": ["Newest sonata"], "somnet": ["Sonnet"], "breif": ["Brief"], "nunber": ["Number"],
        }  # fmt: skip
        keys = "SELECT count(*) FROM search_tracks_typos"
        (before,) = await database.rows(keys)
        await build.rebuild(database)
        assert await database.rows(keys) == [before]


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_two_processes_build_one_after_the_other(database: Database, tmp_path: Path) -> None:
    """Neither counts what the other has written; who waited for a whole index has nothing to do."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        await add(world, olga, *(f"Song {n} of all" for n in range(9)))
        wanted = await titles(world, "song")
        other = open_database(database.url)
        assert await asyncio.gather(build.rebuild(database), build.rebuild(other)) == [10, 10]
        await check_index(world)
        assert await titles(world, "song") == wanted
        numbered = "SELECT numbered FROM search_state WHERE kind = 'tracks'"
        ((before,),) = await database.rows(numbered)
        await empty(database)
        await asyncio.gather(build.complete(database), build.complete(other))
        await other.close()
        assert await database.rows(numbered) == [(9,)]
        assert before >= 27
        await check_index(world)


async def test_the_popular_are_found_first_before_and_after_they_get_their_places(
    database: Database, tmp_path: Path
) -> None:
    """Popularity counts as it is at the moment; a job keeps the order in which a large index is read."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        await add(world, olga, "Song a", "Song b", "Song c")
        assert await titles(world, "song") == ["Song c", "Song b", "Song a"]
        await database.script("UPDATE tracks SET play_count = 1000 WHERE title = 'Song a'")
        await database.script("UPDATE tracks SET play_count = 3 WHERE title = 'Song b'")
        assert await titles(world, "song") == ["Song a", "Song b", "Song c"]
        assert (await place_anew(database), await place_anew(database)) == (1, 0)
        places = await database.rows("SELECT name, place FROM search_tracks ORDER BY place")
        assert [(name, popularity_of(place)) for name, place in places] == [
            ("song a", 1000), ("song c", 0), ("song b", 0),
        ]  # fmt: skip
        assert await titles(world, "song") == ["Song a", "Song b", "Song c"]
        await check_index(world)


async def test_more_than_can_be_paged_is_said(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G9, G12: the law of pages holds for what can be paged, and the answer says that it is not all."""
    monkeypatch.setattr(answers, "MOST", 20)
    monkeypatch.setattr(store, "WINDOW", 4)
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        for n in range(13):
            await add(world, olga, f"Sun {n}", f"Sunny {n}", play_count=n)
        pages = []
        for page in range(1, 4):
            answer = await found(world, "sun", page=page, limit=9)
            assert answer["pagination"] == {
                "page": page, "limit": 9, "total": 20, "total_pages": 3, "total_is_exact": False,
            }  # fmt: skip
            pages += [track["title"] for track in answer["tracks"]]
        assert pages == [f"Sun {n}" for n in reversed(range(13))] + [f"Sunny {n}" for n in range(12, 5, -1)]
        beyond = await found(world, "sun", page=4, limit=9)
        assert (beyond["tracks"], beyond["pagination"]["total"]) == ([], 20)
        listed = await found(world, "", min_duration=1, limit=100)
        assert (len(listed["tracks"]), listed["pagination"]["total_is_exact"]) == (20, False)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_long_beginning_of_very_many_words_is_found(database: Database, tmp_path: Path) -> None:
    """More words than are listed one by one, all beginning alike."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        await add(world, olga, *(f"sunshine{n}x" for n in range(300)))
        async with database.read() as view:
            assert len(await index_of(TRACKS, view).begins(view, "sunshin", 500)) == 300
        assert (await found(world, "sunshin"))["pagination"]["total"] == 300
        assert (await found(world, "sunshine29"))["pagination"]["total"] == 11


@pytest.mark.parametrize(
    ("text", "found_by", "asked"),
    [
        ("Blue  Moon", {"blue", "moon"}, ["blue", "moon"]),
        ("AC/DC", {"ac", "dc", "acdc"}, ["ac", "dc"]),
        ("Rock'n'Roll", {"rock", "n", "roll", "rocknroll"}, ["rocknroll"]),
        ("R.E.M.", {"r", "e", "m", "rem"}, ["r", "e", "m"]),
        ("Sigur Rós", {"sigur", "ros"}, ["sigur", "ros"]),
        ("東京の夜", {"東京", "京の", "の夜", "夜"}, ["東京", "京の", "の夜"]),
        ("東京2020", {"東京", "京", "2020"}, ["東京", "2020"]),
        ("नमस्ते", {"नमस्ते"}, ["नमस्ते"]),
        ("I ♥ you ÷", {"i", "♥", "you", "÷"}, ["i", "♥", "you", "÷"]),
        ("again Again", {"again"}, ["again"]),
        ("% _ * -", set(), []),
        ("\ue000x", {"x"}, ["x"]),
        (" ".join("abcdefghijklmnopqrst"), set("abcdefghijklmnopqrst"), list("abcdefghijklmnop")),
        ("x" * 100, {"x" * 64}, ["x" * 64]),
    ],
)
def test_words(text: str, found_by: set[str], asked: list[str]) -> None:
    """T17: of a question sixteen words count, and of a word sixty-four letters."""
    assert words_of([text, None]) == found_by
    assert words_asked(text) == asked


def test_a_place_holds_what_it_was_given_for() -> None:
    for popularity, number in ((0, 1), (5, 7), (10**6, 2**31), (2**40, 3)):
        place = place_of(popularity, number)
        assert 0 < place < 2**63
        assert (popularity_of(place), number_of(place)) == (min(popularity, 2**31 - 1), number)
    assert place_of(2, 1) < place_of(1, 9) < place_of(1, 8)
    assert place_of(-1, 1) == place_of(0, 1)


def test_no_mistake_is_too_many_to_be_looked_up() -> None:
    """Whatever is as near as a word forgives shares a key with it, and is as far as it was made."""
    dice = random.Random(11)
    for _ in range(3_000):
        word = "".join(dice.choices("abcdeé", k=dice.randrange(4, 14)))
        typo = word
        for _ in range(dice.randrange(1, mistakes(len(word)) + 1)):
            typo = spoil(typo, dice)
        if len(typo) >= 4 and distance_to(typo)(word) <= mistakes(len(word)):
            assert keys_of(word) & keys_asked(typo), (word, typo)


def spoil(word: str, dice: random.Random) -> str:
    at, other = dice.randrange(len(word)), dice.choice(string.ascii_lowercase)
    swapped = word[:at] + word[at : at + 2][::-1] + word[at + 2 :]
    return dice.choice(
        [
            word[:at] + word[at + 1 :],
            word[:at] + other + word[at:],
            word[:at] + other + word[at + 1 :],
            swapped,
        ]
    )


@pytest.mark.parametrize(
    ("one", "other", "far"),
    [("moon", "moon", 0), ("mon", "moon", 1), ("mono", "moon", 1), ("noom", "moon", 2), ("moon", "sun", 3),
     ("ab", "ba", 1), ("", "abc", 3), ("abcdef", "abdcfe", 2), ("kitten", "sitting", 3)],
)  # fmt: skip
def test_distance(one: str, other: str, far: int) -> None:
    assert distance_to(one)(other) == distance_to(other)(one) == far


def test_numbers_and_short_words_are_taken_as_they_are() -> None:
    assert keys_of("1984") == keys_of("abc") == keys_asked("abc") == keys_asked("b52s") == set()
