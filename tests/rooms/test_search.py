# ruff: noqa: RUF001 - other scripts are what is tested here
"""Finding tracks and users: what, in which order, and never what is private."""

import random
import string
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rooms.search_house import add, check_index, found, titles
from tests.rooms.tracks_house import code
from tests.world import PASSWORD, open_world
from veza.access.actor import SYSTEM
from veza.core.db import Database
from veza.rooms.search.following import follow_track
from veza.rooms.search.words import LONGEST, MOST_ASKED
from veza.rooms.tracks import service as tracks
from veza.rooms.tracks.events import TrackUpdated
from veza.rooms.tracks.schemas import TrackChanges

LIBRARY: list[dict[str, Any]] = [
    {
        "title": "Blue Moon",
        "artist": "The Marcels",
        "album": "Blue Moon",
        "genre": "Doo-wop",
        "play_count": 50,
    },
    {"title": "Moonlight Sonata", "artist": "Ludwig van Beethoven", "genre": "Classical", "play_count": 900},
    {"title": "Dark Side", "artist": "Moon Duo", "genre": "Rock", "play_count": 7},
    {"title": "Für Elise", "artist": "Ludwig van Beethoven", "genre": "Classical", "play_count": 800},
    {"title": "Für immer", "artist": "Wagner", "genre": "Rock", "play_count": 800},
    {"title": "Don't Stop", "artist": "Sinéad O’Connor", "genre": "Pop", "play_count": 3},
    {"title": "Back in Black", "artist": "AC/DC", "genre": "Rock", "play_count": 1000},
    {"title": "Psychedelic Breakfast", "artist": "Łódź Ensemble", "genre": "Hip hop", "play_count": 1},
    {"title": "東京の夜", "artist": "Sigur Rós", "album": "( )", "genre": "Ambient", "play_count": 2},
    {"title": "Москва ♥", "artist": "Кино", "genre": "Rock", "play_count": 4},
    {"title": "1984", "artist": "The The", "genre": "Rock", "play_count": 5},
]

# What is asked, and the titles that come, in this order.
RELEVANCE: list[tuple[str, list[str]]] = [
    # a word as it is, the popular first; then the words that begin so
    ("moon", ["Blue Moon", "Dark Side", "Moonlight Sonata"]),
    ("MOON", ["Blue Moon", "Dark Side", "Moonlight Sonata"]),
    ("moonl", ["Moonlight Sonata"]),
    ("moon blue", ["Blue Moon"]),
    ("mo", ["Moonlight Sonata", "Blue Moon", "Dark Side"]),
    # all words must match, in whatever field
    ("beethoven sonata", ["Moonlight Sonata"]),
    ("lud elise", ["Für Elise"]),
    ("beethoven rock", []),
    # alike popular: the newer first
    ("fur", ["Für immer", "Für Elise"]),
    # accents, strokes, case, signs
    ("FÜR ÉLISE", ["Für Elise"]),
    ("lodz", ["Psychedelic Breakfast"]),
    ("dont stop", ["Don't Stop"]),
    ("don't", ["Don't Stop"]),
    ("don’t", ["Don't Stop"]),
    ("sinead oconnor", ["Don't Stop"]),
    ("connor", ["Don't Stop"]),
    ("acdc", ["Back in Black"]),
    ("ac/dc", ["Back in Black"]),
    ("AC DC", ["Back in Black"]),
    ("doo wop", ["Blue Moon"]),
    ("doowop", ["Blue Moon"]),
    # the genre is a word too
    ("classical", ["Moonlight Sonata", "Für Elise"]),
    # other scripts
    ("東京", ["東京の夜"]),
    ("京の", ["東京の夜"]),
    ("夜", ["東京の夜"]),
    ("夜京", []),
    ("москв", ["Москва ♥"]),
    ("♥", ["Москва ♥"]),
    # typos: one in a shorter word, two in a longer, changed places count once; the nearest first
    ("beethofen", ["Moonlight Sonata", "Für Elise"]),
    ("betohven", ["Moonlight Sonata", "Für Elise"]),
    ("psycedelick", ["Psychedelic Breakfast"]),
    ("blakc", ["Back in Black"]),
    ("wagmer immer", ["Für immer"]),
    ("moonlihgt sonatta", ["Moonlight Sonata"]),
    # not in words too short, nor in numbers, nor where something is as it was typed
    ("acd", ["Back in Black"]),
    ("teh", []),
    ("1985", []),
    ("1984", ["1984"]),
    ("the the", ["Blue Moon", "1984"]),
    # signs alone are no words
    ("( )", []),
    ("%", []),
    ("_", []),
    ("*", []),
]


async def library(world: Any) -> None:
    owner = await world.person("olga")
    for track in LIBRARY:
        await add(world, owner, track["title"], **{name: track[name] for name in track if name != "title"})


async def test_what_is_found_and_in_which_order(database: Database, tmp_path: Path) -> None:
    """Q: exact before prefix before typo, then the popular, then the new; the same on both databases."""
    async with open_world(database, tmp_path) as world:
        await library(world)
        wrong = {
            question: got
            for question, wanted in RELEVANCE
            if (got := await titles(world, question)) != wanted
        }
        assert wrong == {}
        await check_index(world)


async def test_every_beginning_of_every_word_finds_its_track(database: Database, tmp_path: Path) -> None:
    """From the first letter on, as somebody types."""
    async with open_world(database, tmp_path) as world:
        await library(world)
        for track in LIBRARY:
            for word in f"{track['title']} {track['artist']} {track['genre']}".split():
                for end in range(1, len(word) + 1):
                    start = word[:end]
                    if any(char.isalnum() for char in start):
                        assert track["title"] in await titles(world, start), start


async def test_every_single_mistake_is_forgiven(database: Database, tmp_path: Path) -> None:
    """A letter more, less or other, or two that changed places, in every place of a word."""
    dice = random.Random(7)
    words = ["elise", "sonata", "breakfast"]
    async with open_world(database, tmp_path) as world:
        await library(world)
        for word in words:
            wanted = set(await titles(world, word))
            for typo in one_mistake(word, dice):
                got = set(await titles(world, typo))
                assert wanted <= got or await known(world, typo), (word, typo)


def one_mistake(word: str, dice: random.Random) -> set[str]:
    other = dice.choice(string.ascii_lowercase)
    at = range(len(word))
    return (
        {word[:n] + word[n + 1 :] for n in at}
        | {word[:n] + other + word[n:] for n in (*at, len(word))}
        | {word[:n] + other + word[n + 1 :] for n in at}
        | {word[:n] + word[n + 1] + word[n] + word[n + 2 :] for n in at[:-1]}
    )


async def known(world: Any, text: str) -> bool:
    """Whether a word begins so: then nothing is forgiven."""
    rows = await world.parts.database.rows(f"SELECT 1 FROM search_tracks_words WHERE word LIKE '{text}%'")
    return bool(rows)


async def test_only_what_is_ready_and_public_is_found_and_counted(database: Database, tmp_path: Path) -> None:
    """T1, T2, T3, Q2: to nobody, not to the owner and not to an admin; nor does a typo lead there."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        adam = await world.person("adam", "admin")
        await add(world, olga, "Secretive Sketch", is_public=False)
        await add(world, olga, "Unfinished Sketch", status="processing")
        await add(world, olga, "Failed Sketch", status="failed")
        await add(world, olga, "Public Sketch", play_count=1)
        for person in (world.guest, olga, stan, adam):
            for question in ("sketch", "sket", "sketc", "skech"):
                answer = await found(world, question, person)
                assert [track["title"] for track in answer["tracks"]] == ["Public Sketch"]
                assert answer["pagination"]["total"] == 1
            for question in (
                "secretive",
                "secretiv",
                "sekretive",
                "unfinished",
                "failed",
                "olga@example.com",
            ):
                assert (await found(world, question, person))["pagination"]["total"] == 0
            everything = (await person.get("/search", params={"q": "sketch"})).json()["data"]
            assert (everything["total"], everything["totals"]["tracks"]) == (1, 1)
        await check_index(world)


async def test_what_is_written_is_found_at_once(database: Database, tmp_path: Path) -> None:
    """Q3: with the answer to the change, and what is hidden or deleted leaves no ghost."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        (track,) = await add(world, olga, "Morning")
        assert await titles(world, "morning") == ["Morning"]
        await olga.put(f"/tracks/{track}", json={"title": "Evening", "genre": "Dub"})
        assert (await titles(world, "morning"), await titles(world, "evening dub")) == ([], ["Evening"])
        await olga.put(f"/tracks/{track}", json={"is_public": False})
        assert await titles(world, "evening") == []
        await olga.put(f"/tracks/{track}", json={"is_public": True})
        assert await titles(world, "evening") == ["Evening"]
        assert await titles(world, "evening", genre="dub") == ["Evening"]
        await check_index(world)
        await olga.delete(f"/tracks/{track}")
        assert await titles(world, "evening") == []
        await check_index(world)
        words = await database.rows("SELECT count(*) FROM search_tracks_words")
        typos = await database.rows("SELECT count(*) FROM search_tracks_typos")
        assert (words, typos) == ([(0,)], [(0,)])


async def test_tags_are_found(database: Database, tmp_path: Path) -> None:
    """Q3: as the other texts of a track, and no longer when they are taken back."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        (track,) = await add(world, olga, "Etude", tags=["Lo-Fi", "rainy day"])
        assert [await titles(world, asked) for asked in ("lofi", "lo fi", "rain", "ryiny")] == [["Etude"]] * 4
        assert (await olga.put(f"/tracks/{track}", json={"tags": ["sunny"]})).status_code == 200
        assert (await titles(world, "rainy"), await titles(world, "sun")) == ([], ["Etude"])
        await check_index(world)


async def test_a_change_that_fails_is_not_found(database: Database, tmp_path: Path) -> None:
    """Q3: the index is of the same transaction, and undone with it."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        (track_id,) = await add(world, olga, "Morning")

        async def fail() -> None:
            async with database.write() as tx:
                track = await tracks.hold(tx, SYSTEM, UUID(track_id))
                await tracks.update_track(tx, track, TrackChanges(title="Evening"))
                await follow_track(tx, TrackUpdated(track.id, track.user_id))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        assert (await titles(world, "morning"), await titles(world, "evening")) == (["Morning"], [])
        await check_index(world)


async def test_an_account_goes_with_all_that_was_found_of_it(database: Database, tmp_path: Path) -> None:
    """Q3: its name and its tracks."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        await add(world, olga, "One song", "Another song")
        assert (await olga.delete(f"/users/{olga.id}", json={"password": PASSWORD})).status_code == 200
        for question in ("song", "olga"):
            assert (await world.guest.get("/search", params={"q": question})).json()["data"]["total"] == 0
        await check_index(world)


async def test_users_are_found_by_the_name_that_everybody_sees(database: Database, tmp_path: Path) -> None:
    """Q2: never by address or full name; a new name is found at once, the old one is not."""
    async with open_world(database, tmp_path) as world:
        olga, _ = await world.person("olga_moon"), await world.person("stan")
        await olga.put(f"/users/{olga.id}", json={"first_name": "Henrietta", "bio": "I play the viola."})
        await add(world, olga, "Moon")

        async def ask(question: str, **more: str) -> Any:
            return (await world.guest.get("/search", params={"q": question, **more})).json()["data"]

        data = await ask("moon")
        assert ([t["title"] for t in data["tracks"]], [u["username"] for u in data["users"]]) == (
            ["Moon"], ["olga_moon"],
        )  # fmt: skip
        assert (data["playlists"], data["total"]) == ([], 2)
        assert data["users"][0]["email"] is None
        assert [u["username"] for u in (await ask("olgamoo"))["users"]] == ["olga_moon"]
        assert [u["username"] for u in (await ask("ogla"))["users"]] == ["olga_moon"]
        for question in ("henrietta", "viola", "olga_moon@example.com", "example", "user"):
            assert (await ask(question))["total"] == 0, question
        for kind, totals in {"tracks": (1, 0), "users": (0, 1), "playlists": (0, 0)}.items():
            data = await ask("moon", type=kind)
            assert (len(data["tracks"]), len(data["users"]), data["total"]) == (*totals, sum(totals))
        assert (await olga.put(f"/users/{olga.id}", json={"username": "helga"})).status_code == 200
        assert ((await ask("olga"))["total"], (await ask("helga"))["total"]) == (0, 1)
        await check_index(world)


async def test_filters_and_sorting(database: Database, tmp_path: Path) -> None:
    """G11: with a question and without; dates and durations include their ends."""
    async with open_world(database, tmp_path) as world:
        await library(world)
        olga = await world.person("olga")
        await add(world, olga, "Long Moon", duration=600.5, format="mp3", genre="Rock", play_count=5)
        assert await titles(world, "moon", genre="ROCK") == ["Dark Side", "Long Moon"]
        for query in ("moon", "", "  "):
            assert await titles(world, query, genre="  ") == []
        assert await titles(world, "", genre=" ", min_duration=1) == []
        assert await titles(world, "moon", format="MP3") == ["Long Moon"]
        assert await titles(world, "moon", min_duration=600.5) == ["Long Moon"]
        assert await titles(world, "moon", max_duration=180, sort_by="title", sort_order="asc") == [
            "Blue Moon", "Dark Side", "Moonlight Sonata",
        ]  # fmt: skip
        assert await titles(world, "moon", sort_by="popularity") == [
            "Moonlight Sonata", "Blue Moon", "Dark Side", "Long Moon",
        ]  # fmt: skip
        assert await titles(world, "moon", sort_by="popularity", sort_order="asc") == [
            "Long Moon", "Dark Side", "Blue Moon", "Moonlight Sonata",
        ]  # fmt: skip
        assert (await titles(world, "moon", sort_by="created_at"))[0] == "Long Moon"
        assert await titles(world, "", min_duration=500) == ["Long Moon"]
        assert await titles(world, "", min_duration=500, max_duration=1e306) == ["Long Moon"]
        assert await titles(world, "", min_duration=1e306) == []
        assert (await titles(world, "", sort_by="title", sort_order="asc", genre="rock"))[:2] == [
            "1984", "Back in Black",
        ]  # fmt: skip
        assert len(await titles(world, "")) == len(LIBRARY) + 1
        (track,) = (await found(world, "long"))["tracks"]
        moment = track["created_at"]
        assert await titles(world, "moon", start_date=moment) == ["Long Moon"]
        assert await titles(world, "", start_date=moment, end_date=moment) == ["Long Moon"]
        assert await titles(world, "long", end_date="2001-01-01T00:00:00Z") == []


@pytest.mark.parametrize(
    "query",
    [
        {"min_duration": -1},
        {"max_duration": "NaN"},
        {"max_duration": "1e400"},
        {"min_duration": "long"},
        {"min_duration": 5, "max_duration": 4},
        {"start_date": "yesterday"},
        {"start_date": "1735689600"},
        {"start_date": "2025-01-01T00:00:00"},
        {"start_date": "2025-13-01T00:00:00Z"},
        {"start_date": "2025-01-02T00:00:00Z", "end_date": "2025-01-01T00:00:00Z"},
        {"format": "exe"},
        {"genre": "a\x00b"},
        {"q": "x" * 257},
        {"q": "x" * 10_000},
        {"sort_by": "id"},
        {"sort_by": "title; DROP TABLE tracks"},
        {"sort_order": "up"},
        {"page": 0},
        {"limit": 101},
    ],
)
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_what_makes_no_sense_is_refused(
    database: Database, tmp_path: Path, query: dict[str, Any]
) -> None:
    """T17, G9, G11: 400, and the answer says of what."""
    async with open_world(database, tmp_path) as world:
        answer = await world.guest.get("/tracks/search", params={"q": "moon", **query})
        assert code(answer) == (400, "INVALID_REQUEST")


async def test_a_search_of_everything_needs_a_question(database: Database, tmp_path: Path) -> None:
    """Q1."""
    async with open_world(database, tmp_path) as world:
        for query in ("", "?q=", "?q=%20", "?q=moon&type=albums", "?q=moon&page=0"):
            answer = await world.guest.get(f"/search{query}")
            assert answer.status_code == 400, query
            assert len(answer.json()["error"]["details"]) == 1, query
        bad = await world.guest.get("/search?q=moon", headers={"Authorization": "Bearer nonsense"})
        assert bad.status_code == 401
        for path in ("/tracks/search/", "/tracks/search/x", "/search/x"):
            assert (await world.guest.get(path)).status_code == 404


async def test_pages_hold_everything_once(database: Database, tmp_path: Path) -> None:
    """G10, G12, Q9: the law of pages, over the border between words as typed and words that begin so."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        await add(world, olga, *(f"Sun {n}" for n in range(13)), play_count=1)
        await add(world, olga, *(f"Sunday {n}" for n in range(12)), play_count=9)
        for sort in ({}, {"sort_by": "title"}, {"sort_by": "popularity"}, {"sort_by": "created_at"}):
            whole = await titles(world, "sun", limit=100, **sort)
            assert len(set(whole)) == 25
            for limit in (1, 7, 13, 26):
                pages = []
                for page in range(1, -(-25 // limit) + 1):
                    answer = await found(world, "sun", page=page, limit=limit, **sort)
                    pages += [track["title"] for track in answer["tracks"]]
                    assert answer["pagination"] == {
                        "page": page, "limit": limit, "total": 25, "total_pages": -(-25 // limit),
                        "total_is_exact": True,
                    }  # fmt: skip
                assert pages == whole
            beyond = await found(world, "sun", page=10_000_000, limit=100, **sort)
            assert (beyond["tracks"], beyond["pagination"]["total"]) == ([], 25)


async def test_no_question_is_a_command(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T17, Q4: signs of query languages are plain text, and none asks for more work than sixteen words may.

    What a statement may look at is bounded too: see test_search_ranges.py.
    """
    asked: list[int] = []  # for each statement, how many things it was to look for
    async with database.read() as view:
        kind = type(view)
    for name in ("first", "all"):
        monkeypatch.setattr(kind, name, counting(getattr(kind, name), asked))
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        await add(world, olga, "NEAR AND NOT OR", "Quote \" and ' mark")
        for question in (
            '"', "'", "\\", '"near', "near(", "NEAR(near, 5)", "near*", "title:near", "^near", "near AND",
            "NOT", "-near", "near OR", "{near}", "words : near", "' OR 1=1 --", "near:*", "!near", "<->",
            "%", "_", "%near%", "\x00", "\ue000", "near\ue000g", "(" * 200, '"' * 256, "\\'", "near\\",
            "a" * 256, "a b c d e f g h i j k l m n o p q r s t u v w x y z",
            " ".join(f"{n:x}quarterly{n}" for n in range(20)), " ".join(["nearnearx", "quotequotex"] * 11),
        ):  # fmt: skip
            for path, kinds in (("/tracks/search", 1), ("/search", 3)):
                asked.clear()
                answer = await world.guest.get(path, params={"q": question})
                assert answer.status_code == 200, question
                assert len(asked) <= kinds * (3 * MOST_ASKED + 8), question
                assert max(asked, default=0) <= MOST_ASKED * (LONGEST + 1), question
        assert await titles(world, "near(") == ["NEAR AND NOT OR"]
        assert await titles(world, "NOT") == ["NEAR AND NOT OR"]
        assert await titles(world, 'quote "') == ["Quote \" and ' mark"]


def counting(ask: Any, asked: list[int]) -> Any:
    """The same, which writes down how many things it is asked for at once."""

    async def counted(view: Any, statement: Any, /, **params: Any) -> Any:
        asked.append(sum(len(value) for value in params.values() if isinstance(value, list | tuple | str)))
        return await ask(view, statement, **params)

    return counted


async def test_anything_can_be_asked(database: Database, tmp_path: Path) -> None:
    """T17: never an error of ours, whatever the characters."""
    async with open_world(database, tmp_path) as world:
        await library(world)
        asked = world.guest

        @settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(st.lists(st.text(max_size=256), min_size=5, max_size=5))
        def examples(questions: list[str]) -> None:
            gathered.extend(questions)

        gathered: list[str] = []
        examples()
        for question in gathered:
            answer = await asked.get(
                "/tracks/search", params={"q": question.encode("utf-8", "replace").decode()}
            )
            assert answer.status_code in {200, 400}, question
            assert answer.status_code == 200 or len(question) > 256, question


async def test_a_full_title_of_any_letters_is_found_again(database: Database, tmp_path: Path) -> None:
    """G8: whatever a title is made of can be written, found by all of it, and removed."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        names = ["ﷺ" * 14, "é" * 255, "한국 노래", "ภาษาไทย", "ที่รัก", "नमस्ते दुनिया", "שָׁלוֹם", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
                 "ß" * 200, "İstanbul", "a\u0308b", "ﬁne", "①②③", "👩‍🎤 live", "x" * 255]  # fmt: skip
        ids = [(await add(world, olga, name))[0] for name in names]
        for name in names:
            assert name in await titles(world, name[:256]), name
        for track_id in ids:
            await olga.delete(f"/tracks/{track_id}")
        await check_index(world)
