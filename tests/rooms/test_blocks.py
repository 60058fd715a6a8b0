"""Blocks: neither of two is there for the other, at once and everywhere, and everything else stays exact."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from tests.rooms.listening_house import play, song, until
from tests.rooms.test_following import check_counts, counts, listed
from tests.rooms.tracks_house import NOBODY, code, plant
from tests.world import PASSWORD, Person, open_world
from veza.core.db import Database
from veza.rooms.following import blocks

LISTS = (
    "/tracks?sort_by=title",
    "/tracks?genre=jazz&format=mp3",
    "/tracks/search?q=tune",
    "/tracks/search?q=tune&sort_by=title",
    "/tracks/search?q=tune&max_duration=9",
    "/tracks/search?q=tune&genre=jazz&start_date=2020-01-01T00:00:00Z",
    "/tracks/search?q=tnue",
    "/tracks/search?genre=jazz",
    "/tracks/search?max_duration=9",
    "/search?q=tune",
)


async def block(who: Person, whom: Person) -> None:
    assert (await who.post(f"/users/{whom.id}/block")).json()["data"] == {"message": "User blocked"}


async def names(person: Person, path: str, *where: str) -> tuple[list[str], int]:
    """The titles, usernames or words of a list, and how many it says there are."""
    answer = await person.get(path)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    told = told.get("data", told)
    kind = where[0] if where else "tracks"
    shown = [one.get("title") or one.get("content") or one["username"] for one in told[kind]]
    total = told["totals"][kind] if "totals" in told else told["pagination"]["total"]
    return shown, total


async def test_neither_is_there_for_the_other(database: Database, tmp_path: Path) -> None:
    """T1, T2, T14, Q2, G33: profile, music, words, likes, lists, search; whoever of the two has blocked."""
    async with open_world(database, tmp_path) as world:
        ann, bob, cleo = [await world.person(name) for name in ("ann", "bob", "cleo")]
        songs = {
            person.username: await plant(world, person, title=f"Tune of {person.username}", genre="Jazz")
            for person in (ann, bob, cleo)
        }
        for person in (ann, bob, cleo):  # what search hears of
            await person.put(f"/tracks/{songs[person.username]}", json={"album": "Found"})
        comments = {}
        for person in (ann, bob):
            await person.post(f"/tracks/{songs['cleo']}/like")
            await person.post(f"/users/{cleo.id}/follow")
            said = await person.post(
                f"/tracks/{songs['cleo']}/comments", json={"content": f"Says {person.username}"}
            )
            comments[person.username] = said.json()["data"]["comment"]["id"]
        people_, about = f"/users/{cleo.id}", f"/tracks/{songs['cleo']}"
        # Each list, what it is a list of, and whom it has.
        lists = [
            *((path, "tracks", "Tune of {}", ("ann", "bob", "cleo")) for path in LISTS),
            (f"{about}/likes", "likes", "{}", ("ann", "bob")),
            (f"{about}/comments", "comments", "Says {}", ("ann", "bob")),
            (f"{about}/comments?sort_by=timestamp", "comments", "Says {}", ("ann", "bob")),
            (f"{people_}/followers", "followers", "{}", ("ann", "bob")),
        ]

        async def see(person: Person, other: str = "") -> None:
            for path, kind, form, whose in lists:
                told = [form.format(name) for name in whose if name != other]
                shown, total = await names(person, path, kind)
                assert (sorted(shown), total) == (told, len(told)), (person.username, path)
                more = f"{path}{'&' if '?' in path else '?'}limit=1&page=2"
                second, total = await names(person, more, kind)
                assert (len(second), total) == (min(1, len(told) - 1), len(told)), (person.username, path)

        for person in (world.guest, ann, bob):
            await see(person)
        await block(ann, bob)
        for person, unseen in ((ann, "bob"), (bob, "ann"), (cleo, ""), (world.guest, "")):
            await see(person, unseen)
        for person, other in ((ann, bob), (bob, ann)):
            theirs = songs[other.username]
            for method, path, wanted in (
                ("GET", f"/users/{other.id}", "USER_NOT_FOUND"),
                ("GET", f"/users/by-username/{other.username}", "USER_NOT_FOUND"),
                ("GET", f"/users/{other.id}/avatar", "USER_NOT_FOUND"),
                ("GET", f"/users/{other.id}/followers", "USER_NOT_FOUND"),
                ("GET", f"/users/{other.id}/following", "USER_NOT_FOUND"),
                ("GET", f"/users/{other.id}/completion", "USER_NOT_FOUND"),
                ("GET", f"/users/{other.id}/blocks", "USER_NOT_FOUND"),
                ("PUT", f"/users/{other.id}", "USER_NOT_FOUND"),
                ("DELETE", f"/users/{other.id}", "USER_NOT_FOUND"),
                ("POST", f"/users/{other.id}/follow", "USER_NOT_FOUND"),
                ("DELETE", f"/users/{other.id}/follow", "USER_NOT_FOUND"),
                ("GET", f"/users/{other.id}/follow", "USER_NOT_FOUND"),
                ("GET", f"/tracks/{theirs}", "TRACK_NOT_FOUND"),
                ("GET", f"/tracks/{theirs}/stream", "TRACK_NOT_FOUND"),
                ("POST", f"/tracks/{theirs}/like", "TRACK_NOT_FOUND"),
                ("DELETE", f"/comments/{comments[other.username]}", "COMMENT_NOT_FOUND"),
            ):
                more = {"json": {"bio": "x"}} if method == "PUT" else {}
                answer = await person.client.request(method, path, **more)
                assert code(answer) == (404, wanted), (person.username, method, path)
            assert code(await play(person, theirs)) == (404, "TRACK_NOT_FOUND")
            reply = {"content": "No", "parent_id": comments[other.username]}
            answer = await person.post(f"/tracks/{songs['cleo']}/comments", json=reply)
            assert code(answer) == (422, "VALIDATION_ERROR")
            assert await names(person, f"/tracks?user_id={other.id}") == ([], 0)
            assert await names(person, f"/tracks?user_id={cleo.id}") == (["Tune of cleo"], 1)
            assert await names(person, f"/search?q={other.username}&type=users", "users") == ([], 0)
            batch = await person.post("/tracks/batch/delete", json={"track_ids": [theirs]})
            assert batch.json()["data"]["failed"] == {theirs: "TRACK_NOT_FOUND"}
        assert (await ann.delete(f"/users/{bob.id}/block")).json()["data"] == {"message": "User unblocked"}
        for person in (ann, bob):
            await see(person)


async def test_the_owner_of_a_track_clears_away_what_was_said_there(
    database: Database, tmp_path: Path
) -> None:
    """Q6, G12: whoever of the two has blocked; all else of one another stays hidden from both."""
    async with open_world(database, tmp_path) as world:
        ann, bob, cleo, dave = [await world.person(name) for name in ("ann", "bob", "cleo", "dave")]
        about = await plant(world, ann, title="Tune of ann")
        at, said = f"/tracks/{about}/comments", {}
        for person, parent in ((cleo, None), (bob, "cleo"), (bob, None), (dave, None), (cleo, "bob")):
            body = {"content": f"Says {person.username} {parent}", "parent_id": said.get(parent)}
            answer = await person.post(at, json=body)
            said[person.username] = answer.json()["data"]["comment"]["id"]
        await block(bob, ann)
        await block(ann, dave)
        every = ["Says bob None", "Says bob cleo", "Says cleo None", "Says cleo bob", "Says dave None"]
        for person in (ann, cleo, world.guest):
            shown, total = await names(person, f"{at}?sort_by=timestamp", "comments")
            assert (sorted(shown), total) == (every, 5), person.username
        assert len((await names(ann, f"{at}?limit=2&page=3", "comments"))[0]) == 1
        for who in (bob, dave):
            comment = f"/comments/{said[who.username]}"
            assert (await ann.get(f"/users/{who.id}")).status_code == 404
            assert code(await ann.put(comment, json={"content": "Mine"})) == (403, "FORBIDDEN")
            answer = await ann.post(at, json={"content": "No", "parent_id": said[who.username]})
            assert code(answer) == (422, "VALIDATION_ERROR")
            for method in ("PUT", "DELETE"):
                more = {"json": {"content": "x"}} if method == "PUT" else {}
                answer = await who.client.request(method, comment, **more)
                assert code(answer) == (404, "COMMENT_NOT_FOUND")
            report = {"target_type": "comment", "target_id": said[who.username], "reason": "abuse"}
            assert (await ann.post("/reports", json=report)).status_code == 201
            assert (await ann.delete(comment)).status_code == 200
            assert code(await ann.delete(comment)) == (404, "COMMENT_NOT_FOUND")
        for person in (ann, world.guest):  # what answered Bob went with his words
            assert await names(person, at, "comments") == (["Says bob cleo", "Says cleo None"], 2)


async def test_whoever_moderates_sees_both(database: Database, tmp_path: Path) -> None:
    """T4, Q6: a block does not blind moderators and admins; nor do they follow who has blocked them."""
    async with open_world(database, tmp_path) as world:
        ann = await world.person("ann")
        track = await plant(world, ann)
        for name, role in (("mona", "moderator"), ("adam", "admin")):
            judge = await world.person(name, role)
            await block(ann, judge)
            for path in (f"/tracks/{track}", f"/users/{ann.id}", f"/tracks/{track}/stream"):
                assert (await judge.get(path)).status_code == 200
            assert (await judge.put(f"/tracks/{track}", json={"album": name})).status_code == 200
            assert code(await judge.post(f"/users/{ann.id}/follow")) == (403, "FORBIDDEN")
            assert (await ann.get(f"/users/{judge.id}")).status_code == 404
        adam = await world.person("adam")
        assert (await names(adam, f"/users/{ann.id}/blocks", "blocks")) == (["adam", "mona"], 2)
        await check_counts(world)


async def test_a_block_ends_follows_and_is_told_to_nobody_else(database: Database, tmp_path: Path) -> None:
    """G1, K1, W19: in both directions, exactly counted; listed and exported for whoever made it."""
    async with open_world(database, tmp_path) as world:
        ann, bob, cleo = [await world.person(name) for name in ("ann", "bob", "cleo")]
        for who, whom in ((ann, bob), (bob, ann), (cleo, ann), (cleo, bob)):
            await who.post(f"/users/{whom.id}/follow")
        answers = await asyncio.gather(*(ann.post(f"/users/{bob.id}/block") for _ in range(10)))
        assert {answer.status_code for answer in answers} == {200}
        assert await counts(cleo, ann) == await counts(cleo, bob) == (1, 0)
        assert await listed(cleo, ann, "followers") == ["cleo"]
        await check_counts(world)
        assert (await names(ann, f"/users/{ann.id}/blocks", "blocks")) == (["bob"], 1)
        assert code(await cleo.get(f"/users/{ann.id}/blocks")) == (403, "FORBIDDEN")
        assert code(await world.guest.get(f"/users/{ann.id}/blocks")) == (401, "UNAUTHENTICATED")
        export = (await ann.get(f"/users/{ann.id}/export")).json()["data"]["following"]
        assert [one["username"] for one in export["blocks"]] == ["bob"]
        assert (await bob.get(f"/users/{bob.id}/export")).json()["data"]["following"]["blocks"] == []
        # Whoever was blocked can neither take that back, nor tell it from there being nobody.
        for method in ("POST", "DELETE"):
            for other in (ann.id, NOBODY):
                answer = await bob.client.request(method, f"/users/{other}/block")
                assert code(answer) == (404, "USER_NOT_FOUND")
        assert code(await ann.post(f"/users/{ann.id}/block")) == (422, "OWN_ACCOUNT")
        assert (await ann.delete(f"/users/{cleo.id}/block")).status_code == 200
        kinds = await database.rows("SELECT kind, data FROM events WHERE kind LIKE 'user.%block%'")
        assert [kind for kind, _ in kinds] == ["user.blocked"]


async def test_nobody_blocks_without_bound(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "MOST_BLOCKED", 1)
    async with open_world(database, tmp_path) as world:
        ann, bob, cleo = [await world.person(name) for name in ("ann", "bob", "cleo")]
        await block(ann, bob)
        assert code(await ann.post(f"/users/{cleo.id}/block")) == (409, "TOO_MANY_BLOCKED")
        assert (await cleo.get(f"/users/{ann.id}")).status_code == 200


async def test_no_follow_survives_a_block(database: Database, tmp_path: Path) -> None:
    """T23: whatever comes first of a block and follows at the same time, in the end there is no follow."""
    async with open_world(database, tmp_path) as world:
        ann, bob = await world.person("ann"), await world.person("bob")
        asked: list[Awaitable[Any]] = []
        for _ in range(6):
            asked += [ann.post(f"/users/{bob.id}/follow"), bob.post(f"/users/{ann.id}/follow")]
        await asyncio.gather(*asked[:6], ann.post(f"/users/{bob.id}/block"), *asked[6:])
        assert await database.rows("SELECT COUNT(*) FROM follows") == [(0,)]
        await check_counts(world)


async def test_a_block_holds_with_the_next_request(database: Database, tmp_path: Path) -> None:
    """A21, S4: in every session of both, and for addresses that were signed before."""
    async with open_world(database, tmp_path) as world:
        ann, bob = await world.person("ann"), await world.person("bob")
        track = await song(world, ann)
        login = {"email": "bob@example.com", "password": PASSWORD}
        token = (await world.guest.post("/auth/login", json=login)).json()["data"]["token"]["access_token"]
        elsewhere = world.client({"Authorization": f"Bearer {token}"})
        signed = (await bob.get(f"/tracks/{track}/urls")).json()["data"]["stream"]
        sig = signed.partition("?")[2]
        for _ in range(3):
            assert (await elsewhere.get(f"/tracks/{track}")).status_code == 200
            assert (await world.guest.get(f"/tracks/{track}/stream?{sig}")).status_code == 200
            await block(ann, bob)
            assert (await elsewhere.get(f"/tracks/{track}")).status_code == 404
            assert (await elsewhere.get("/tracks")).json()["data"]["tracks"] == []
            assert (await world.guest.get(f"/tracks/{track}/stream?{sig}")).status_code == 404
            await ann.delete(f"/users/{bob.id}/block")


async def test_blocks_go_with_the_account(database: Database, tmp_path: Path) -> None:
    """U8: and nothing is left of them."""
    async with open_world(database, tmp_path, work=True) as world:
        ann, bob, cleo = [await world.person(name) for name in ("ann", "bob", "cleo")]
        await block(ann, bob)
        await block(cleo, ann)
        await block(cleo, bob)
        await ann.delete(f"/users/{ann.id}", json={"password": PASSWORD})

        async def forgotten() -> bool:
            return bool(await database.rows("SELECT COUNT(*) FROM blocks") == [(1,)])

        await until(forgotten)
        assert (await names(cleo, f"/users/{cleo.id}/blocks", "blocks")) == (["bob"], 1)
