"""Blocks and playlists: nothing of somebody hidden is shown, counted or kept between two, at once."""

import asyncio
import itertools
import random
from collections.abc import Awaitable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec

from tests.rooms.listening_house import song
from tests.rooms.playlists_house import check_sums, look, make, member, put, tracks_of
from tests.rooms.test_blocks import block, names
from tests.rooms.tracks_house import code, plant
from tests.world import PASSWORD, Person, World, open_world
from veza.core.db import Database
from veza.core.ids import new_id
from veza.core.pages import Page
from veza.rooms.playlists import entries_store, service, store
from veza.rooms.playlists.entries_store import GAP, Entry

# Who works on or follows a playlist of somebody with whom there is a block.
BOUND = """
SELECT COUNT(*) FROM playlists p, blocks b, (SELECT playlist_id, user_id FROM playlist_collaborators
UNION ALL SELECT playlist_id, user_id FROM playlist_follows) t WHERE t.playlist_id = p.id
AND ((b.blocker_id = p.user_id AND b.blocked_id = t.user_id)
OR (b.blocked_id = p.user_id AND b.blocker_id = t.user_id))
"""


async def check_parted(world: World) -> None:
    """Nobody is bound to a playlist across a block, and every count is true."""
    assert await world.parts.database.rows(BOUND) == [(0,)]
    await check_sums(world)


async def work(person: Person, playlist_id: Any, whom: Person, permission: str = "write") -> httpx.Response:
    draft = {"user_id": whom.id, "permission": permission}
    return await person.post(f"/playlists/{playlist_id}/collaborators", json=draft)


async def found(person: Person, query: str, where: str = "/playlists") -> tuple[list[str], int]:
    """The titles of a list of playlists, and how many it says there are."""
    data = (await person.get(f"{where}?{query}")).json()["data"]
    total = data["total"] if where.endswith("search") else data["pagination"]["total"]
    return sorted(one["title"] for one in data["playlists"]), total


async def test_no_playlist_of_the_other_is_there(database: Database, tmp_path: Path) -> None:
    """P1, Q2, G33: in lists, search and by a link, with their totals; back again with the block gone."""
    async with open_world(database, tmp_path) as world:
        ann, bob, cleo = [await world.person(name) for name in ("ann", "bob", "cleo")]
        lists = {
            person: await make(world, person, title=f"Evening of {person.username}")
            for person in (ann, bob, cleo)
        }
        links = {}
        for person, playlist_id in lists.items():
            made = await person.post(f"/playlists/{playlist_id}/share")
            links[person] = f"/playlists/shared/{made.json()['data']['share_token']}"
        asked = (("", "/playlists"), ("q=eve", "/playlists/search"), ("", "/playlists/search"))

        async def see(person: Person, *whose: str) -> None:
            told = ([f"Evening of {name}" for name in whose], len(whose))
            for query, where in asked:
                assert await found(person, query, where) == told, (person.username, where)
                second, total = await found(person, f"{query}&limit=1&page=2", where)
                assert (len(second), total) == (len(whose) > 1, len(whose))
            everything, total = await names(person, "/search?q=evening", "playlists")
            assert (sorted(everything), total) == told

        everybody = ("ann", "bob", "cleo")
        for _ in range(2):
            for person in (ann, bob, cleo):
                await see(person, *everybody)
            await block(ann, bob)
            for person, other in ((ann, bob), (bob, ann)):
                await see(person, *(name for name in everybody if name != other.username))
                mine = f"user_id={other.id}"
                assert await found(person, mine) == await found(person, f"q=eve&{mine}", "/playlists/search")
                assert await found(person, mine) == ([], 0)
                assert await found(person, f"user_id={cleo.id}") == (["Evening of cleo"], 1)
                assert code(await person.get(links[other])) == (404, "SHARE_LINK_NOT_FOUND")
                assert code(await person.get(f"{links[other]}/tracks")) == (404, "SHARE_LINK_NOT_FOUND")
                assert (await person.get(links[cleo])).status_code == 200
            await see(cleo, *everybody)
            assert (await world.guest.get(links[ann])).status_code == 200
            assert (await ann.delete(f"/users/{bob.id}/block")).status_code == 200


async def test_no_track_of_the_other_is_in_a_playlist(database: Database, tmp_path: Path) -> None:
    """P7, P9, P16: nor counted; positions are those of what is seen, and what is not stays where it is."""
    async with open_world(database, tmp_path) as world:
        ann, bob, cleo = [await world.person(name) for name in ("ann", "bob", "cleo")]
        playlist_id = await make(world, cleo)
        path = f"/playlists/{playlist_id}"
        assert (await work(cleo, playlist_id, ann)).status_code == 200
        assert (await work(cleo, playlist_id, bob, "admin")).status_code == 200
        c1, b1, c2, b2, c3 = [await song(world, person) for person in (cleo, bob, cleo, bob, cleo)]
        await put(world, bob, playlist_id, [c1, b1, c2, b2, c3])
        whole = (await ann.get(path)).json()["data"]["playlist"]
        await block(bob, ann)
        await check_parted(world)
        seen = (await ann.get(path)).json()["data"]["playlist"]
        assert [one["id"] for one in seen["tracks"]] == [c1, c2, c3]
        assert [one["position"] for one in seen["tracks"]] == [1, 2, 3]
        assert {(one["added_by"], one["added_by_username"]) for one in seen["tracks"]} == {(None, None)}
        assert seen["track_count"] == 3
        assert round(seen["total_duration"] * 5) == round(whole["total_duration"] * 3)
        for where in ("/playlists", "/playlists/search?q=evening", "/search?q=evening"):
            one = (await ann.get(where)).json()["data"]["playlists"][0]
            assert (one["track_count"], one["total_duration"]) == (3, seen["total_duration"]), where
        assert [one["id"] for one in await tracks_of(ann, playlist_id, "limit=2&page=2")] == [c3]
        people = (await ann.get(f"{path}/collaborators")).json()["data"]["collaborators"]
        assert [one["username"] for one in people] == ["ann"]
        # What is hidden is not there to be changed either, and keeps its place.
        own = await song(world, ann)
        for answer in (
            await ann.post(f"{path}/tracks", json={"track_id": b1}),
            await ann.post(f"{path}/tracks", json={"track_id": await song(world, bob)}),
        ):
            assert code(answer) == (404, "TRACK_NOT_FOUND")
        assert code(await ann.delete(f"{path}/tracks/{b1}")) == (404, "TRACK_NOT_IN_PLAYLIST")
        move = await ann.put(f"{path}/tracks/{b1}", json={"position": 1})
        assert code(move) == (404, "TRACK_NOT_IN_PLAYLIST")
        every = {"track_ids": [b2, c3, c2, b1, c1]}
        assert code(await ann.put(f"{path}/tracks/reorder", json=every)) == (422, "REORDER_MISMATCH")
        order = await ann.put(f"{path}/tracks/reorder", json={"track_ids": [c3, c2, c1]})
        assert order.status_code == 200
        assert [one["id"] for one in await tracks_of(cleo, playlist_id)] == [c3, b1, c2, b2, c1]
        added = await ann.post(f"{path}/tracks", json={"track_id": own, "position": 3})
        assert added.json()["data"]["position"] == 3
        assert [one["id"] for one in await tracks_of(ann, playlist_id)] == [c3, c2, own, c1]
        assert [one["id"] for one in await tracks_of(cleo, playlist_id)] == [c3, b1, c2, b2, own, c1]
        assert [one["id"] for one in await tracks_of(bob, playlist_id)] == [c3, b1, c2, b2, c1]
        assert (await ann.put(f"{path}/tracks/{own}", json={"position": 4})).status_code == 200
        assert [one["id"] for one in await tracks_of(ann, playlist_id)] == [c3, c2, c1, own]
        # Nor are they there for each other among those who work on it.
        here = f"{path}/collaborators/{ann.id}"
        assert code(await bob.put(here, json={"permission": "read"})) == (404, "COLLABORATOR_NOT_FOUND")
        assert code(await bob.delete(here)) == (404, "COLLABORATOR_NOT_FOUND")
        assert code(await work(bob, playlist_id, ann)) == (404, "USER_NOT_FOUND")
        assert (await ann.delete(here)).status_code == 200
        await check_parted(world)


async def test_a_block_ends_what_binds_to_a_playlist(database: Database, tmp_path: Path) -> None:
    """P6, T12: follows of and work on what is the other's; nothing of it begins again while it stands."""
    async with open_world(database, tmp_path) as world:
        ann, bob, cleo = [await world.person(name) for name in ("ann", "bob", "cleo")]
        mona = await world.person("mona", "moderator")
        theirs = {person: await make(world, person, public=person is ann) for person in (ann, bob, cleo)}
        for owner, one in theirs.items():
            for person in {ann, bob, cleo} - {owner}:
                assert (await work(owner, one, person, "admin")).status_code == 200
                assert (await person.post(f"/playlists/{one}/follow")).status_code == 200
        await block(bob, ann)
        await check_parted(world)
        for person, other in ((ann, bob), (bob, ann)):
            path = f"/playlists/{theirs[other]}"
            for answer in (
                await person.get(path),
                await person.post(f"{path}/follow"),
                await person.delete(f"{path}/follow"),
            ):
                assert code(answer) == (404, "PLAYLIST_NOT_FOUND")
            assert code(await work(other, theirs[other], person)) == (404, "USER_NOT_FOUND")
            # Whoever admins it and sees both does not bring them together either.
            assert code(await work(cleo, theirs[other], person)) == (403, "FORBIDDEN")
            kept = (await cleo.get(path)).json()["data"]["playlist"]
            assert (kept["follower_count"], kept["permission"], kept["is_following"]) == (1, "admin", True)
            assert (await person.get(f"/playlists/{theirs[cleo]}")).json()["data"]["playlist"]["is_following"]
        # Given to one of them, it is no longer the other's to work on.
        given = await cleo.put(f"/playlists/{theirs[cleo]}/owner", json={"user_id": ann.id})
        assert given.json()["data"]["playlist"]["follower_count"] == 0
        assert code(await bob.get(f"/playlists/{theirs[cleo]}")) == (404, "PLAYLIST_NOT_FOUND")
        await check_parted(world)
        # Whoever moderates sees it, and is bound to it no more than others.
        await block(ann, mona)
        assert (await mona.get(f"/playlists/{theirs[ann]}")).status_code == 200
        assert code(await mona.post(f"/playlists/{theirs[ann]}/follow")) == (403, "FORBIDDEN")
        assert code(await work(mona, await make(world, mona), ann)) == (403, "FORBIDDEN")
        assert (await bob.delete(f"/users/{ann.id}/block")).status_code == 200
        again = (await bob.get(f"/playlists/{theirs[ann]}")).json()["data"]["playlist"]
        assert (again["permission"], again["is_following"]) == (None, False)
        await check_parted(world)


async def test_nothing_binds_across_a_block_whatever_comes_first(database: Database, tmp_path: Path) -> None:
    """T23, P6, P9: blocks beside follows, work and a change of owners of the same playlists."""
    async with open_world(database, tmp_path) as world:
        ann, bob, cleo = [await world.person(name) for name in ("ann", "bob", "cleo")]
        lists = {owner: [await make(world, owner) for _ in range(3)] for owner in (ann, bob, cleo)}
        for playlist_id in lists[cleo]:
            assert (await work(cleo, playlist_id, ann)).status_code == 200
        asked: list[Awaitable[Any]] = []
        for n in range(3):
            for owner, other in ((ann, bob), (bob, ann)):
                one, third = f"/playlists/{lists[owner][n]}/follow", f"/playlists/{lists[cleo][n]}/follow"
                asked += [other.post(one), other.delete(one), other.post(third), other.post(one)]
                asked.append(work(owner, lists[owner][n], other))
            asked += [
                work(cleo, lists[cleo][n], bob),
                cleo.put(f"/playlists/{lists[cleo][n]}/owner", json={"user_id": ann.id}),
            ]
        random.Random(4).shuffle(asked)
        half = len(asked) // 2
        answers = await asyncio.gather(*asked[:half], ann.post(f"/users/{bob.id}/block"), *asked[half:])
        assert {answer.status_code for answer in answers} <= {200, 403, 404, 409, 422}, answers
        assert answers[half].status_code == 200
        await check_parted(world)


async def test_what_each_sees_is_that_of_a_model(database: Database, tmp_path: Path) -> None:
    """P9: of any mixture of tracks and any set of hidden users, numbers and positions are exact."""
    dice = random.Random(7)
    async with open_world(database, tmp_path) as world:
        people = [await world.person(f"user{n}") for n in range(5)]
        playlist_id = await make(world, people[0])
        rows = []
        for n in range(24):
            owner, public = dice.choice(people), dice.random() < 0.7
            track_id = UUID(await plant(world, owner, public=public))
            rows.append(Entry(track_id, (n + 1) * GAP, public, UUID(owner.id), dice.randrange(1, 400_000)))
        async with database.write() as tx:
            for row in rows:
                await entries_store.add(tx, playlist_id, row, row.track_owner)
                await store.add_sums(tx, [playlist_id], row.sums)
        await check_sums(world)
        for _ in range(16):
            viewer = member(dice.choice(people))
            others = [UUID(one.id) for one in people if UUID(one.id) not in {viewer.id, UUID(people[0].id)}]
            hidden = frozenset({*dice.sample(others, dice.randrange(4)), new_id()})
            viewer = msgspec.structs.replace(viewer, hidden=hidden)
            seen = [
                row for row in rows
                if (row.listed or row.track_owner == viewer.id) and row.track_owner not in hidden
            ]  # fmt: skip
            assert await look(world, viewer, playlist_id) == [
                (number, str(row.track_id)) for number, row in enumerate(seen, 1)
            ]
            told = (len(seen), sum((row.duration_ms for row in seen), 0) / 1000)
            async with database.read() as view:
                one = await service.get_visible(view, viewer, playlist_id)
                (listed,) = (await service.list_playlists(view, viewer, Page())).playlists
                (named,) = await service.list_by_ids(view, viewer, [playlist_id])
            for shown in (one, listed, named):
                assert (shown.track_count, shown.total_duration) == told


async def test_blocks_wait_for_nobody_who_waits_for_them(database: Database, tmp_path: Path) -> None:
    """T23, U8: several at once, among people bound to each other's playlists, while one of them leaves."""
    async with open_world(database, tmp_path) as world:
        people = [await world.person(f"user{n}") for n in range(4)]
        lists = [(owner, await make(world, owner)) for _ in range(4) for owner in people]
        for owner, one in lists:
            for person in {*people} - {owner}:
                assert (await work(owner, one, person)).status_code == 200
                assert (await person.post(f"/playlists/{one}/follow")).status_code == 200
        track = await song(world, people[0])
        answers = await asyncio.gather(
            *(who.post(f"/users/{whom.id}/block") for who, whom in itertools.combinations(people, 2)),
            *(people[1].post(f"/playlists/{one}/tracks", json={"track_id": track}) for _, one in lists),
            *(people[2].delete(f"/playlists/{one}/follow") for _, one in lists),
            people[3].delete(f"/users/{people[3].id}", json={"password": PASSWORD}),
        )
        assert {answer.status_code for answer in answers} <= {200, 401, 403, 404}, answers
        assert answers[-1].status_code == 200
        await check_parted(world)
