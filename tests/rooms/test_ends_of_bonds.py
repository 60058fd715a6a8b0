"""The end of an account that is bound to others in every way: nothing of it remains, all counts are true."""

import asyncio
import random
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.rooms.listening_house import song, until
from tests.rooms.playlists_house import check_sums, make, tracks_of
from tests.rooms.test_blocks import block
from tests.rooms.test_following import check_counts
from tests.rooms.test_playlists_blocks import check_parted, work
from tests.world import JSON, PASSWORD, Person, World, open_world
from veza.core.db import Database, Tx
from veza.rooms.following import jobs
from veza.rooms.playlists import store

# Every column that tells of somebody by their id, or of a playlist that may be theirs.
PEOPLE = (
    ("follows", "follower_id"), ("follows", "followed_id"), ("blocks", "blocker_id"),
    ("blocks", "blocked_id"), ("playlists", "user_id"), ("playlist_collaborators", "user_id"),
    ("playlist_follows", "user_id"), ("playlist_entries", "track_owner"), ("tracks", "user_id"),
)  # fmt: skip
LISTS = ("playlist_collaborators", "playlist_follows", "playlist_entries", "playlist_links")


async def left(world: World) -> dict[str, int]:
    """What there is of users and of playlists that are gone, by where it is."""
    rows, found = world.parts.database.rows, {}
    for table, column in PEOPLE:
        gone = f"SELECT COUNT(*) FROM {table} WHERE {column} NOT IN (SELECT id FROM users)"
        found[f"{table}.{column}"] = (await rows(gone))[0][0]
    for table in LISTS:
        gone = f"SELECT COUNT(*) FROM {table} WHERE playlist_id NOT IN (SELECT id FROM playlists)"
        found[table] = (await rows(gone))[0][0]
    return {where: count for where, count in found.items() if count}


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_is_left_of_an_account(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """U8, P9, T23: of any mixture of follows, blocks, playlists, work, links and tracks of others' lists."""
    monkeypatch.setattr(jobs, "PIECE", 2)
    dice = random.Random(seed)
    async with open_world(database, tmp_path, work=True) as world:
        people = [await world.person(f"user{n}") for n in range(5)]
        lists = [
            (owner, await make(world, owner, public=dice.random() < 0.7)) for owner in people for _ in "ab"
        ]
        songs = {owner: await song(world, owner, public=dice.random() < 0.7) for owner in people}
        for _ in range(40):
            await _bind(dice, people, lists, songs)
        await check_parted(world)
        for gone in people[:2]:
            answer = await gone.get(f"/users/{gone.id}/export")
            await _check_export(world, gone, answer.json()["data"])
            ended = await gone.delete(f"/users/{gone.id}", json={"password": PASSWORD})
            assert ended.status_code == 200, ended.text

            async def forgotten() -> bool:
                return not await left(world)

            await until(forgotten)
            await check_sums(world)
            await check_counts(world)
            await check_parted(world)
            found = "SELECT id FROM search_playlists ORDER BY id"
            public = "SELECT id FROM playlists WHERE is_public ORDER BY id"
            assert await database.rows(found) == await database.rows(public)
        shown = [(await person.get(f"/playlists/{one}")).text for person in people[2:] for _, one in lists]
        assert not [text for text in shown if people[0].id in text or people[1].username in text]


async def test_what_others_change_before_it_is_held_is_counted_as_it_is_then(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P9, T23: at an account's end playlists turn private, go, or lose a follower by another hand."""
    async with open_world(database, tmp_path) as world:
        olga, stan, cleo = [await world.person(name) for name in ("olga", "stan", "cleo")]
        mona = await world.person("mona", "moderator")
        turned, gone, given = [await make(world, owner) for owner in (olga, olga, stan)]
        assert (await olga.post(f"/playlists/{given}/follow")).status_code == 200
        await work(stan, given, cleo)
        await block(olga, cleo)
        hold = store.lock_many

        async def change() -> None:
            answers = [
                await mona.put(f"/playlists/{turned}", json={"is_public": False}),
                await mona.delete(f"/playlists/{gone}"),
                await stan.put(f"/playlists/{given}/owner", json={"user_id": cleo.id}),
            ]
            assert [answer.status_code for answer in answers] == [200] * 3

        async def hold_late(tx: Tx, ids: list[UUID]) -> list[UUID]:
            await asyncio.create_task(change())
            return await hold(tx, ids)

        if database.shared:
            monkeypatch.setattr(store, "lock_many", hold_late)
        else:  # whoever writes there is alone
            await change()
        ended = await olga.delete(f"/users/{olga.id}", json={"password": PASSWORD})
        assert ended.status_code == 200, ended.text
        await check_parted(world)


async def _bind(
    dice: random.Random, people: list[Person], lists: list[tuple[Person, UUID]], songs: dict[Person, str]
) -> None:
    who, whom = dice.sample(people, 2)
    owner, playlist_id = dice.choice(lists)
    path = f"/playlists/{playlist_id}"
    match dice.choice("fffppwwwttsb"):
        case "f":
            await who.post(f"/users/{whom.id}/follow")
        case "p":
            await who.post(f"{path}/follow")
        case "w":
            await work(owner, playlist_id, who, dice.choice(("write", "admin")))
        case "t":
            await who.post(f"{path}/tracks", json={"track_id": songs[dice.choice(people)]})
        case "s":
            await who.post(f"{path}/share")
        case _:
            await block(who, whom)


async def _check_export(world: World, person: Person, told: dict[str, Any]) -> None:
    """Somebody's copy names as many of each as there are; of entries, as many as they see in their own."""
    this = f"'{person.id}'" if world.parts.database.shared else f"x'{UUID(person.id).hex}'"
    held: list[JSON] = told["playlists"]["entries"]
    for one in told["playlists"]["own"]:
        seen = await tracks_of(person, one["id"])
        assert [entry["track_id"] for entry in held if entry["playlist_id"] == one["id"]] == [
            track["id"] for track in seen
        ]
    for kept, table, column in (
        (told["following"]["follows"], "follows", "follower_id"),
        (told["following"]["blocks"], "blocks", "blocker_id"),
        (told["playlists"]["own"], "playlists", "user_id"),
        (told["playlists"]["collaborations"], "playlist_collaborators", "user_id"),
        (told["playlists"]["followed"], "playlist_follows", "user_id"),
    ):
        rows = await world.parts.database.rows(f"SELECT COUNT(*) FROM {table} WHERE {column} = {this}")
        assert rows == [(len(kept),)], table
