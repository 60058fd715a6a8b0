"""The feed: all that is new by whom somebody follows, and nothing else, whatever else comes meanwhile."""

import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tests.rooms.tracks_house import code, plant
from tests.world import Person, open_world
from veza.core import clock
from veza.core.db import Database
from veza.core.ids import new_id
from veza.rooms.accounts import store as accounts
from veza.rooms.feed import store
from veza.rooms.feed.cursor import NEWEST, Cursor
from veza.rooms.following import store as following
from veza.rooms.playlists import store as playlists
from veza.rooms.playlists.schemas import Playlist
from veza.rooms.tracks import store as tracks


async def feed(person: Person, query: str = "") -> Any:
    answer = await person.get(f"/feed{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def titles(person: Person, limit: int = 20) -> list[str]:
    """All of somebody's feed, asked for part by part."""
    found, query = [], f"?limit={limit}"
    while True:
        part = await feed(person, query)
        found += [item[item["type"]]["title"] for item in part["items"]]
        if part["next"] is None:
            return found
        query = f"?limit={limit}&before={part['next']}"


async def test_what_is_new_by_whom_one_follows(database: Database, tmp_path: Path) -> None:
    """T1, T3, G24: ready and public tracks of theirs, the newest first, and never another."""
    async with open_world(database, tmp_path) as world:
        ann, bob, cleo, eve = [await world.person(name) for name in ("ann", "bob", "cleo", "eve")]
        assert await feed(eve) == {"items": [], "next": None}
        made: dict[str, str] = {}
        for turn, (person, title, more) in enumerate([
            (ann, "First", {}), (bob, "Second", {}), (cleo, "Not followed", {}), (ann, "Third", {}),
            (ann, "Private", {"public": False}), (ann, "Begun", {"status": "processing"}),
            (bob, "Broken", {"status": "failed"}), (eve, "Own", {}),
        ]):  # fmt: skip
            with clock.shifted(timedelta(seconds=turn)):
                made[title] = await plant(world, person, title=title, **more)
        for person in (ann, bob):
            await eve.post(f"/users/{person.id}/follow")
        answer = await eve.get("/feed")
        assert answer.headers["cache-control"] == "no-store"
        item = answer.json()["data"]["items"][0]
        assert item.keys() == {"type", "id", "user_id", "created_at", "track", "playlist"}
        assert (item["type"], item["user_id"], item["track"]["id"]) == ("track", ann.id, item["id"])
        for limit in (1, 2, 3, 20):
            assert await titles(eve, limit) == ["Third", "Second", "First"]
        # What becomes public is there; what goes, is not.
        await ann.put(f"/tracks/{made['Private']}", json={"is_public": True})
        assert await titles(eve) == ["Private", "Third", "Second", "First"]
        await ann.delete(f"/tracks/{made['Private']}")
        await eve.delete(f"/users/{bob.id}/follow")
        assert await titles(eve) == ["Third", "First"]
        await ann.post(f"/users/{eve.id}/block")
        assert await titles(eve) == []
        await ann.delete(f"/users/{eve.id}/block")
        assert await titles(eve) == []


async def test_a_place_in_the_feed_stays_while_others_come(database: Database, tmp_path: Path) -> None:
    """G1, G9, Q9: nothing comes twice or is missed; a place that is none is refused."""
    async with open_world(database, tmp_path) as world:
        ann, eve = await world.person("ann"), await world.person("eve")
        await eve.post(f"/users/{ann.id}/follow")
        for number in range(5):
            await plant(world, ann, title=f"No. {number}")
        part = await feed(eve, "?limit=2")
        await plant(world, ann, title="Later")
        rest = await feed(eve, f"?limit=100&before={part['next']}")
        shown = [item["track"]["title"] for item in part["items"] + rest["items"]]
        assert shown == [f"No. {number}" for number in (4, 3, 2, 1, 0)]
        assert await titles(eve, 1) == ["Later", *shown]
        for query in ("before=x", f"before={'A' * 31}!", f"before={'_' * 32}", f"before={'x' * 65}"):
            assert code(await eve.get(f"/feed?{query}")) == (400, "INVALID_REQUEST")
        for query in ("limit=0", "limit=101", "limit=x"):
            assert code(await eve.get(f"/feed?{query}")) == (400, "INVALID_REQUEST")
        assert code(await world.guest.get("/feed")) == (401, "UNAUTHENTICATED")


async def test_new_playlists_stand_among_new_tracks(database: Database, tmp_path: Path) -> None:
    """P1, G12: the public ones, with the numbers of what is seen, for as long as they are public."""
    async with open_world(database, tmp_path) as world:
        ann, bob, eve = [await world.person(name) for name in ("ann", "bob", "eve")]
        lists: dict[str, str] = {}
        for turn, (person, title, public) in enumerate([
            (ann, "List 1", True), (ann, "Private", False), (bob, "Not followed", True),
            (ann, "List 2", True), (eve, "Own", True), (ann, "List 3", True),
        ]):  # fmt: skip
            with clock.shifted(timedelta(seconds=2 * turn)):
                draft = {"title": title, "is_public": public}
                answer = await person.post("/playlists", json=draft)
                lists[title] = answer.json()["data"]["playlist"]["id"]
            with clock.shifted(timedelta(seconds=2 * turn + 1)):
                song = await plant(world, person, title=f"Song {turn}")
        await ann.post(f"/playlists/{lists['List 3']}/tracks", json={"track_id": song})
        hidden = await plant(world, ann, public=False)
        await ann.post(f"/playlists/{lists['List 3']}/tracks", json={"track_id": hidden})
        await eve.post(f"/users/{ann.id}/follow")
        await ann.post(f"/playlists/{lists['Private']}/collaborators", json=_reader(eve))
        item = (await feed(eve))["items"][1]
        assert (item["type"], item["id"], item["user_id"]) == ("playlist", lists["List 3"], ann.id)
        assert (item["track"], item["playlist"]["track_count"]) == (None, 1)
        told = ["Song 5", "List 3", "Song 3", "List 2", "Song 1", "Song 0", "List 1"]
        for limit in (1, 2, 3, 20):
            assert await titles(eve, limit) == told
        await ann.put(f"/playlists/{lists['List 2']}", json={"is_public": False})
        await ann.put(f"/playlists/{lists['Private']}", json={"is_public": True})
        await ann.delete(f"/playlists/{lists['List 3']}")
        assert await titles(eve) == ["Song 5", "Song 3", "Song 1", "Private", "Song 0", "List 1"]
        await ann.post(f"/users/{eve.id}/block")
        assert await titles(eve) == []


def _reader(person: Person) -> dict[str, str]:
    return {"user_id": person.id, "permission": "read"}


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_newest_of_many_are_those_of_a_model(database: Database, tmp_path: Path, seed: int) -> None:
    """G12: with many of the same moment, some prolific and many silent: exactly what sorting all gives."""
    dice = random.Random(seed)
    async with open_world(database, tmp_path) as world:
        eve = UUID((await world.person("eve")).id)
        ann = await world.person("ann")
        planted = UUID(await plant(world, ann))
        async with database.write() as tx:
            made = await tracks.find(tx, planted)
            assert made is not None
            people = [
                await accounts.add(
                    tx, username=f"user{n}", email=f"user{n}@example.com", email_verified=True,
                    password_hash="", role="user",
                )
                for n in range(20)
            ]  # fmt: skip
            new = []
            for _ in range(200):
                owner = dice.choice(people[: dice.choice((2, 16))])
                changes = {"user_id": owner.id, "is_public": dice.random() < 0.9}
                at = clock.now() - timedelta(seconds=dice.randrange(9))
                one = msgspec.structs.replace(
                    made, id=new_id(), created_at=at.replace(microsecond=0), **changes
                )
                new.append(tracks.NewTrack(one, "", "a.mp3"))
            await tracks.add_many(tx, new)
            lists = [
                _playlist(
                    dice.choice(people).id, public=dice.random() < 0.8,
                    at=clock.now().replace(microsecond=0) - timedelta(seconds=dice.randrange(9)),
                )
                for _ in range(80)
            ]  # fmt: skip
            for one in lists:
                await playlists.add(tx, one)
            followed = {owner.id for owner in people[::2]}
            for owner_id in followed:
                await following.add(tx, eve, owner_id)
        seen = [one.track for one in new if one.track.user_id in followed and one.track.is_public]
        seen.sort(key=lambda one: (one.created_at, one.id), reverse=True)
        assert len(seen) > 50
        made_at = {one.id: one.created_at for one in lists if one.is_public and one.user_id in followed}
        async with database.read() as view:
            for limit in (1, 2, 5, 21, 101):
                found, place = [], NEWEST
                while part := await store.newest_tracks(view, eve, place, limit):
                    found += [one.id for one in part]
                    place = Cursor(part[-1].created_at, part[-1].id)
                assert found == [one.id for one in seen], limit
                found, place = [], NEWEST
                while ids := await store.newest_playlists(view, eve, place, limit):
                    found += ids
                    place = Cursor(made_at[ids[-1]], ids[-1])
                assert found == sorted(made_at, key=lambda one: (made_at[one], one), reverse=True), limit


def _playlist(user_id: UUID, *, public: bool, at: datetime) -> Playlist:
    return Playlist(
        id=new_id(), user_id=user_id, username="", title="List", description=None, is_public=public,
        closed=False, track_count=0, total_duration=0.0, follower_count=0, created_at=at, updated_at=at,
        version=0, permission=None, is_following=False,
    )  # fmt: skip
