"""Recommendations of playlists, and what playlists, follows and blocks mean for those of tracks."""

from pathlib import Path
from uuid import UUID

from tests.rooms.listening_house import song
from tests.rooms.taste_house import _learns_here as _learns_here  # noqa: PLC0414 - a fixture for all tests here
from tests.rooms.taste_house import (
    drop,
    follow_playlist,
    hear,
    ids,
    learned,
    member,
    playlist,
    shown,
    turn_private,
    work_on,
)
from tests.rooms.tracks_house import code
from tests.world import Person, World, open_world
from veza.core.db import Database
from veza.rooms.recommendations import reasons

PLAYLISTS = "/playlists/recommendations"


async def cast(world: World) -> list[Person]:
    return [await world.person(name) for name in ("olga", "bob", "cleo", "stan")]


async def test_playlists_of_what_one_likes_come_first_and_say_why(database: Database, tmp_path: Path) -> None:
    """P18: the document's shape; the same state, the same answer; then what is popular, then what is new."""
    async with open_world(database, tmp_path) as world:
        olga, bob, cleo, stan = await cast(world)
        mine, near, far, *_ = songs = [await song(world, olga) for _ in range(6)]
        for one in (bob, cleo):
            await hear(one, mine, near)
        await hear(bob, far)
        await stan.post(f"/tracks/{mine}/like")
        holds = await playlist(world, olga, mine, songs[3], title="Holds it")
        beside = await playlist(world, bob, near, songs[4], title="Holds what is near")
        popular = await playlist(world, bob, far, title="Is followed")
        new = await playlist(world, olga, songs[5], title="Is new")
        for one in (olga, cleo):
            await follow_playlist(world, one, popular)
        await learned(world)
        liked = reasons.LIKED.format("Planted")
        assert await shown(stan, PLAYLISTS) == [
            (holds, liked), (beside, reasons.TASTE), (popular, reasons.POPULAR), (new, reasons.NEW),
        ]  # fmt: skip
        answer, again = await stan.get(f"{PLAYLISTS}?limit=1"), await stan.get(f"{PLAYLISTS}?limit=1")
        assert answer.content == again.content
        (first,) = answer.json()["data"]["playlists"]
        assert (first["id"], first["title"], first["is_public"]) == (holds, "Holds it", True)
        await follow_playlist(world, stan, holds)
        await learned(world)
        found = await shown(stan, PLAYLISTS)
        assert holds not in dict(found), "followed"
        assert dict(await shown(stan))[songs[3]] == reasons.FOLLOWED.format("Holds it")
        await turn_private(world, olga, holds)
        assert dict(await shown(stan))[songs[3]] == reasons.TASTE, "a private title is no reason"


async def test_no_playlist_is_shown_that_is_private_gone_ones_own_or_known(
    database: Database, tmp_path: Path
) -> None:
    """P1: whatever was learned before; and a private one teaches nothing."""
    async with open_world(database, tmp_path) as world:
        olga, bob, cleo, stan = await cast(world)
        mine, other, secret = [await song(world, olga) for _ in range(3)]
        await hear(stan, mine)
        private = await playlist(world, olga, mine, secret, public=False)
        turning, going, own, worked, empty = [
            await playlist(world, owner, *tracks)
            for owner, *tracks in ((olga, mine), (olga, mine), (stan, mine), (bob, mine), (bob,))
        ]
        kept = await playlist(world, cleo, mine, other)
        await work_on(world, stan, worked)
        await learned(world)
        assert set(await ids(stan, PLAYLISTS)) == {turning, going, kept}
        similar = await shown(world.guest, f"/tracks/{mine}/similar")
        assert similar == [(other, reasons.SAME_PLAYLISTS), (secret, reasons.SAME_ARTIST)]
        await turn_private(world, olga, turning)
        await drop(world, olga, going)
        for _ in range(2):
            assert await ids(stan, PLAYLISTS) == [kept]
            assert set(await ids(olga, PLAYLISTS)) == {own, worked, kept}
            assert not {private, turning, going, empty} & set(await ids(bob, PLAYLISTS))
            await learned(world)


async def test_playlists_for_a_newcomer_and_before_anything_was_learned(
    database: Database, tmp_path: Path
) -> None:
    """G1, P18."""
    async with open_world(database, tmp_path) as world:
        olga, bob, cleo, stan = await cast(world)
        assert await ids(stan, PLAYLISTS) == []
        loved, other = [await playlist(world, olga, await song(world, olga)) for _ in range(2)]
        assert await shown(stan, PLAYLISTS) == [(other, reasons.NEW), (loved, reasons.NEW)]
        for one in (bob, cleo):
            await follow_playlist(world, one, loved)
        await learned(world)
        assert await shown(stan, PLAYLISTS) == [(loved, reasons.POPULAR), (other, reasons.NEW)]
        for limit in ("0", "101", "1000", "x"):
            assert code(await stan.get(f"{PLAYLISTS}?limit={limit}")) == (400, "INVALID_REQUEST")
        assert code(await world.guest.get(PLAYLISTS)) == (401, "UNAUTHENTICATED")


async def test_whoever_is_blocked_is_not_there(database: Database, tmp_path: Path) -> None:
    """P1: neither their things nor their titles, in whichever direction the block was made."""
    async with open_world(database, tmp_path) as world:
        olga, bob, cleo, stan = await cast(world)
        mine, theirs = [await song(world, one) for one in (cleo, olga)]
        for one in (bob, cleo):
            await hear(one, mine, theirs)
        await hear(stan, mine)
        mixed = await playlist(world, olga, mine)
        await learned(world)
        assert (await ids(stan), await ids(stan, PLAYLISTS)) == ([theirs], [mixed])
        assert await ids(stan, f"/tracks/{mine}/similar") == [theirs]
        assert (await stan.post(f"/users/{olga.id}/block")).status_code == 200
        assert (await ids(stan), await ids(stan, PLAYLISTS)) == ([], [])
        assert await ids(stan, f"/tracks/{mine}/similar") == []
        assert await ids(world.guest, f"/tracks/{mine}/similar") == [theirs]
        assert (await stan.delete(f"/users/{olga.id}/block")).status_code == 200
        assert (await cleo.post(f"/users/{stan.id}/block")).status_code == 200
        assert await shown(stan) == [(theirs, reasons.TASTE)], "the reason is a track of Cleo's"
        assert code(await stan.get(f"/tracks/{mine}/similar")) == (404, "TRACK_NOT_FOUND")


async def test_of_those_whom_one_follows_something_is_recommended(database: Database, tmp_path: Path) -> None:
    """And what they make says more of whoever hears it."""
    async with open_world(database, tmp_path) as world:
        olga, bob, cleo, stan = await cast(world)
        popular, quiet = [await song(world, one) for one in (bob, olga)]
        for one in (olga, cleo):
            await hear(one, popular)
        assert (await stan.post(f"/users/{olga.id}/follow")).status_code == 200
        await learned(world)
        assert await shown(stan) == [(quiet, reasons.OF_FOLLOWED), (popular, reasons.POPULAR)]
        assert member(stan).id == UUID(stan.id)
