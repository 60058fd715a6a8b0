"""Recommendations of tracks: who gets what, why, and what nobody is ever shown."""

import json
from pathlib import Path

from tests.rooms.listening_house import song
from tests.rooms.taste_house import _learns_here as _learns_here  # noqa: PLC0414 - a fixture for all tests here
from tests.rooms.taste_house import hear, ids, learned, shown
from tests.rooms.tracks_house import code
from tests.world import Person, World, open_world
from veza.core.db import Database
from veza.rooms.recommendations import reasons


async def cast(world: World) -> list[Person]:
    return [await world.person(name) for name in ("olga", "bob", "cleo", "stan")]


async def titled(world: World, owner: Person, *titles: str) -> list[str]:
    """Ready tracks with these titles, all of one artist and without a genre."""
    made = []
    for title in titles:
        made.append(await song(world, owner))
        assert (
            await owner.put(f"/tracks/{made[-1]}", json={"title": title, "artist": title})
        ).status_code == 200
    return made


async def test_what_the_same_people_hear_is_recommended_and_says_why(
    database: Database, tmp_path: Path
) -> None:
    """P18: the same state, the same answer. Nothing that one has heard or likes, but as the reason."""
    async with open_world(database, tmp_path) as world:
        olga, bob, cleo, stan = await cast(world)
        night, rain, dawn, noise = await titled(world, olga, "Night", "Rain", "Dawn", "Noise")
        for one in (bob, cleo):
            await hear(one, night, rain)
            await one.post(f"/tracks/{dawn}/like")
        await hear(stan, night)
        await learned(world)
        heard = reasons.HEARD.format("Night")
        assert sorted(await shown(stan)) == sorted([(rain, heard), (dawn, heard), (noise, reasons.POPULAR)])
        path = "/tracks/recommendations?limit=2"
        first, again = await stan.get(path), await stan.get(path)
        assert first.content == again.content
        assert [one["id"] for one in first.json()["data"]["tracks"]] == (await ids(stan))[:2]
        assert first.json()["data"]["tracks"][0].keys() >= {"id", "title", "is_public", "duration", "reason"}
        await stan.post(f"/tracks/{rain}/like")
        liked = reasons.LIKED.format("Rain")
        assert await shown(stan) == [(dawn, liked), (noise, reasons.POPULAR)]
        await hear(stan, dawn)
        assert await ids(stan) == [noise]
        assert await shown(world.guest, f"/tracks/{night}/similar") == [
            (one, reasons.SAME_PEOPLE) for one in await ids(world.guest, f"/tracks/{night}/similar")
        ]
        assert set(await ids(world.guest, f"/tracks/{night}/similar")) == {rain, dawn}
        assert len(await ids(world.guest, f"/tracks/{night}/similar", limit=1)) == 1


async def test_a_newcomer_gets_what_is_popular_and_then_what_is_new(
    database: Database, tmp_path: Path
) -> None:
    """Also where nothing was learned yet; and never what is one's own."""
    async with open_world(database, tmp_path) as world:
        olga, bob, cleo, stan = await cast(world)
        quiet, loved, own = [*await titled(world, olga, "Quiet", "Loved"), *await titled(world, stan, "Own")]
        assert set(await ids(stan)) == {quiet, loved}
        for one in (bob, cleo):
            await hear(one, loved)
        for _ in range(2):
            assert (await shown(stan))[0] == (loved, reasons.POPULAR)
            assert set(await ids(stan)) == {quiet, loved}
            assert set(await ids(olga)) == {own}
            await learned(world)


async def test_nothing_private_deleted_or_ones_own_is_shown_whatever_was_learned(
    database: Database, tmp_path: Path
) -> None:
    """P1, G33: an old model proposes what is gone, and is not listened to; nor does a reason name it."""
    async with open_world(database, tmp_path) as world:
        olga, bob, cleo, stan = await cast(world)
        seed, hidden, gone, own = [
            *await titled(world, olga, "Seed", "Hidden words", "Gone"), *await titled(world, stan, "Own")
        ]  # fmt: skip
        for one in (bob, cleo, stan):
            await hear(one, *((seed,) if one is stan else (seed, hidden, gone, own)))
        await learned(world)
        assert set(await ids(stan)) == {hidden, gone}
        assert set(await ids(world.guest, f"/tracks/{seed}/similar")) == {hidden, gone, own}
        assert (await olga.put(f"/tracks/{hidden}", json={"is_public": False})).status_code == 200
        assert (await olga.delete(f"/tracks/{gone}")).status_code == 200
        for _ in range(2):
            for who in (stan, world.guest, olga):
                assert await ids(who, f"/tracks/{seed}/similar") == [own]
            assert await ids(stan) == []
            for path in (f"/tracks/{hidden}/similar", f"/tracks/{gone}/similar"):
                assert code(await stan.get(path)) == (404, "TRACK_NOT_FOUND")
            assert (await olga.get(f"/tracks/{hidden}/similar")).status_code == 200
            await learned(world)
        assert (await olga.put(f"/tracks/{hidden}", json={"is_public": True})).status_code == 200
        await learned(world)
        assert (await olga.put(f"/tracks/{seed}", json={"is_public": False})).status_code == 200
        assert await shown(stan) == [(hidden, reasons.TASTE)]
        assert "Seed" not in json.dumps((await stan.get("/tracks/recommendations")).json())


async def test_what_one_person_alone_did_is_told_to_nobody(database: Database, tmp_path: Path) -> None:
    """What is near is known of two people at least: else it would tell what the one listens to."""
    async with open_world(database, tmp_path) as world:
        olga, bob, _, stan = await cast(world)
        one, other = await titled(world, olga, "One", "Other")
        await hear(bob, one, other)
        await hear(stan, one)
        await learned(world)
        assert await ids(world.guest, f"/tracks/{one}/similar") == []
        assert await shown(stan) == [(other, reasons.POPULAR)]


async def test_what_is_similar_is_filled_up_by_artist_and_genre(database: Database, tmp_path: Path) -> None:
    async with open_world(database, tmp_path) as world:
        olga, bob, *_ = await cast(world)
        here, same, alike, other = [await song(world, one) for one in (olga, olga, bob, bob)]
        await olga.put(f"/tracks/{here}", json={"artist": "Zoé", "genre": "Dub"})
        await olga.put(f"/tracks/{same}", json={"artist": "ZOE", "genre": "Ska"})
        await bob.put(f"/tracks/{alike}", json={"genre": "dub"})
        found = await shown(world.guest, f"/tracks/{here}/similar")
        assert found == [(same, reasons.SAME_ARTIST), (alike, reasons.SAME_GENRE)]
        assert other not in await ids(world.guest, f"/tracks/{here}/similar")


async def test_who_may_ask_and_for_how_many(database: Database, tmp_path: Path) -> None:
    """G1, P18: a limit of 1 to 100."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        made = await song(world, olga)
        for path in ("/tracks/recommendations", f"/tracks/{made}/similar"):
            for limit in ("0", "101", "1000", "-1", "abc", ""):
                assert code(await olga.get(f"{path}?limit={limit}")) == (400, "INVALID_REQUEST")
            assert (await olga.get(f"{path}?limit=100")).status_code == 200
        assert code(await world.guest.get("/tracks/recommendations")) == (401, "UNAUTHENTICATED")
        answer = await world.guest.get(f"/tracks/{made}/similar")
        same = {"If-None-Match": answer.headers["etag"]}
        assert (await world.guest.get(f"/tracks/{made}/similar", headers=same)).status_code == 304
