"""Playlists over HTTP: what is shown to whom, and what is counted."""

import asyncio
from pathlib import Path
from typing import Any

from tests.rooms.listening_house import song, until
from tests.rooms.playlists_house import check_sums, put, tracks_of
from tests.rooms.tracks_house import NOBODY, code, plant
from tests.world import PASSWORD, Person, open_world
from veza.core.db import Database


async def created(person: Person, **fields: Any) -> str:
    answer = await person.post("/playlists", json={"title": "Evening", **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["playlist"]["id"])


async def shown(person: Person, playlist_id: str) -> Any:
    answer = await person.get(f"/playlists/{playlist_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["playlist"]


async def test_a_playlist_is_made_changed_and_deleted(database: Database, tmp_path: Path) -> None:
    """P17: as the document shows it; a title is one line of 1 to 200 characters that can be seen."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        playlist = await created(olga, description="Slow\nthings", is_public=False)
        for wrong in ("", " " * 5, "x" * 201, "a\nb", None, 5):
            for answer in (
                await olga.post("/playlists", json={"title": wrong}),
                await olga.put(f"/playlists/{playlist}", json={"title": wrong}),
            ):
                assert code(answer) == (422, "VALIDATION_ERROR"), wrong
        assert (await olga.post("/playlists", json={"title": "x" * 200})).status_code == 201
        first = await shown(olga, playlist)
        assert (first["title"], first["description"], first["is_public"]) == (
            "Evening",
            "Slow\nthings",
            False,
        )
        assert (first["permission"], first["username"], first["tracks"]) == ("owner", "olga", [])
        changed = await olga.put(f"/playlists/{playlist}", json={"title": "Morning", "description": None})
        assert changed.json()["data"]["playlist"]["title"] == "Morning"
        assert (await shown(olga, playlist))["description"] is None
        assert (await olga.delete(f"/playlists/{playlist}")).status_code == 200
        assert code(await olga.get(f"/playlists/{playlist}")) == (404, "PLAYLIST_NOT_FOUND")
        kinds = await database.rows("SELECT kind FROM events WHERE kind LIKE 'playlist.%' ORDER BY id")
        names = ["created", "created", "updated", "deleted"]
        assert [kind for (kind,) in kinds] == [f"playlist.{name}" for name in names]
        await check_sums(world)


async def test_the_same_request_makes_one_playlist(database: Database, tmp_path: Path) -> None:
    """G16: with the same key the first answer again, with other words a conflict."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        key = {"Idempotency-Key": "once"}
        answers = [await olga.post("/playlists", json={"title": "Once"}, headers=key) for _ in range(3)]
        assert len({answer.content for answer in answers}) == 1
        other = await olga.post("/playlists", json={"title": "Twice"}, headers=key)
        assert code(other) == (409, "IDEMPOTENCY_KEY_REUSED")
        assert (await olga.get("/playlists")).json()["data"]["pagination"]["total"] == 1


async def test_everybody_sees_what_they_would_see_elsewhere(database: Database, tmp_path: Path) -> None:
    """P7, P16: private tracks of others are not there: not in pages, positions, counts, sums or errors."""
    async with open_world(database, tmp_path, work=True) as world:
        olga, wil, stan = [await world.person(name) for name in ("olga", "wil", "stan")]
        mona = await world.person("mona", "moderator")
        playlist = await created(olga)
        own = {"user_id": wil.id, "permission": "write"}
        assert (await olga.post(f"/playlists/{playlist}/collaborators", json=own)).status_code == 200
        open_, hers, his = await song(world, olga), await song(world, olga), await song(world, wil)
        hidden = await song(world, olga, public=False)
        path = f"/playlists/{playlist}/tracks"
        for secret in (hidden, NOBODY):
            assert code(await wil.post(path, json={"track_id": secret})) == (404, "TRACK_NOT_FOUND")
        await put(world, olga, playlist, [hidden, hers, open_])
        await put(world, wil, playlist, [his])
        for track, owner in ((hers, olga), (his, wil)):
            assert (await owner.put(f"/tracks/{track}", json={"is_public": False})).status_code == 200

        async def settled() -> bool:
            return (await shown(stan, playlist))["track_count"] == 1

        await until(settled)
        seen = {
            olga: [hidden, hers, open_],
            wil: [open_, his],
            stan: [open_],
            mona: [hidden, hers, open_, his],
        }
        for person, wanted in seen.items():
            whole = await shown(person, playlist)
            assert [(one["position"], one["id"]) for one in whole["tracks"]] == [*enumerate(wanted, 1)]
            assert (whole["track_count"], whole["total_duration"]) == (len(wanted), 100.0 * len(wanted))
            page = (await person.get(f"{path}?limit=1&page={len(wanted)}")).json()["data"]
            assert [one["id"] for one in page["tracks"]] == wanted[-1:]
            assert page["pagination"]["total"] == len(wanted)
            listed = (await person.get("/playlists")).json()["data"]["playlists"][0]
            assert (listed["track_count"], listed["total_duration"]) == (len(wanted), 100.0 * len(wanted))
        # What Wil does not see he can neither move nor take out; to bring what he sees into order is enough.
        assert code(await wil.put(f"{path}/{hers}", json={"position": 1})) == (404, "TRACK_NOT_IN_PLAYLIST")
        assert code(await wil.delete(f"{path}/{hidden}")) == (404, "TRACK_NOT_IN_PLAYLIST")
        assert (await wil.put(f"{path}/reorder", json={"track_ids": [his, open_]})).status_code == 200
        assert [one["id"] for one in await tracks_of(olga, playlist)] == [hidden, hers, open_]
        assert [one["id"] for one in await tracks_of(mona, playlist)] == [hidden, hers, his, open_]
        assert (await olga.put(f"/tracks/{hers}", json={"is_public": True})).status_code == 200

        async def back() -> bool:
            return (await shown(stan, playlist))["track_count"] == 2

        await until(back)
        await check_sums(world)


async def test_tracks_are_added_once_moved_and_taken_out(database: Database, tmp_path: Path) -> None:
    """P8, P11, P13: with who added them and when; a stale version is refused, and one too far."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        playlist = await created(olga)
        a, b, c = [await song(world, olga) for _ in range(3)]
        path = f"/playlists/{playlist}/tracks"
        await put(world, olga, playlist, [a, b])
        answer = await olga.post(path, json={"track_id": c, "position": 1})
        assert answer.json()["data"] == {"message": "Track added to playlist", "position": 1}
        assert code(await olga.post(path, json={"track_id": a})) == (409, "TRACK_ALREADY_IN_PLAYLIST")
        racing = await asyncio.gather(*(olga.post(path, json={"track_id": NOBODY}) for _ in range(3)))
        assert {code(one) for one in racing} == {(404, "TRACK_NOT_FOUND")}
        assert (await olga.put(f"{path}/{c}", json={"position": 3})).status_code == 200
        found = await tracks_of(olga, playlist)
        assert [(one["position"], one["id"]) for one in found] == [(1, a), (2, b), (3, c)]
        assert {(one["added_by"], one["added_by_username"]) for one in found} == {(olga.id, "olga")}
        version = (await shown(olga, playlist))["version"]
        stale = {"track_ids": [c, b, a], "version": version - 1}
        assert code(await olga.put(f"{path}/reorder", json=stale)) == (409, "PLAYLIST_CHANGED")
        assert (await olga.put(f"{path}/reorder", json=stale | {"version": version})).status_code == 200
        assert [one["id"] for one in await tracks_of(olga, playlist)] == [c, b, a]
        for wrong in (0, 4, -1, 1.5, "1"):
            answer = await olga.put(f"{path}/{a}", json={"position": wrong})
            assert code(answer) == (422, "VALIDATION_ERROR"), wrong
        assert (await olga.delete(f"{path}/{b}")).status_code == 200
        for gone in (b, NOBODY):
            assert code(await olga.delete(f"{path}/{gone}")) == (404, "TRACK_NOT_IN_PLAYLIST")
            moved = await olga.put(f"{path}/{gone}", json={"position": 1})
            assert code(moved) == (404, "TRACK_NOT_IN_PLAYLIST")
        for one in (await plant(world, olga, "failed"),):
            assert code(await olga.post(path, json={"track_id": one})) == (409, "TRACK_NOT_READY")
        await check_sums(world)


async def test_lists_hold_what_is_public_and_what_one_works_on(database: Database, tmp_path: Path) -> None:
    """P1: in pages, newest first; totals as each sees them; guests are asked to sign in."""
    async with open_world(database, tmp_path) as world:
        olga, wil, stan = [await world.person(name) for name in ("olga", "wil", "stan")]
        public = [await created(olga, title=f"Public {n}") for n in range(3)]
        private = await created(olga, is_public=False)
        shared = await created(olga, is_public=False)
        body = {"user_id": wil.id, "permission": "read"}
        assert (await olga.post(f"/playlists/{shared}/collaborators", json=body)).status_code == 200
        own = await created(stan, is_public=False)
        assert (await world.guest.get("/playlists")).status_code == 401

        async def ids(person: Person, query: str = "") -> list[str]:
            data = (await person.get(f"/playlists?limit=100{query}")).json()["data"]
            assert data["pagination"]["total"] == len(data["playlists"])
            return [one["id"] for one in data["playlists"]]

        newest = public[::-1]
        assert await ids(olga) == [shared, private, *newest]
        assert await ids(wil) == [shared, *newest]
        assert await ids(stan) == [own, *newest]
        assert await ids(olga, f"&user_id={olga.id}") == [shared, private, *newest]
        assert await ids(wil, f"&user_id={olga.id}") == [shared, *newest]
        assert await ids(stan, f"&user_id={olga.id}") == newest
        assert await ids(olga, f"&user_id={stan.id}") == []
        page = (await wil.get("/playlists?page=2&limit=3")).json()["data"]
        assert [one["id"] for one in page["playlists"]] == newest[2:]
        assert page["pagination"] == {"page": 2, "limit": 3, "total": 4, "total_pages": 2}
        await olga.put(f"/playlists/{public[0]}", json={"is_public": False})
        await olga.delete(f"/playlists/{public[1]}")
        assert await ids(stan) == [own, public[2]]
        for query in ("page=0", "limit=101", "user_id=1"):
            assert (await stan.get(f"/playlists?{query}")).status_code == 400
        await check_sums(world)


async def test_followers_are_counted_once(database: Database, tmp_path: Path) -> None:
    """P1: at once, again and again; also out of a playlist that is private now."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        playlist = await created(olga)
        path = f"/playlists/{playlist}/follow"
        answers = await asyncio.gather(*(stan.post(path) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
        found = await shown(stan, playlist)
        assert (found["follower_count"], found["is_following"]) == (1, True)
        assert code(await olga.post(path)) == (422, "OWN_PLAYLIST")
        await olga.put(f"/playlists/{playlist}", json={"is_public": False})
        assert code(await stan.get(f"/playlists/{playlist}")) == (404, "PLAYLIST_NOT_FOUND")
        assert (await stan.delete(path)).status_code == 200
        assert code(await stan.delete(path)) == (404, "PLAYLIST_NOT_FOUND")
        assert (await shown(olga, playlist))["follower_count"] == 0
        await check_sums(world)


async def test_what_somebody_has_goes_with_their_account(database: Database, tmp_path: Path) -> None:
    """U8: playlists, collaborations and follows; it is in their export before."""
    async with open_world(database, tmp_path, work=True) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        track, other = await song(world, olga), await song(world, stan)
        hers, his = await created(olga), await created(stan)
        await put(world, olga, hers, [track, other])
        await put(world, stan, his, [other, track])
        rights = {"user_id": stan.id, "permission": "write"}
        assert (await olga.post(f"/playlists/{hers}/collaborators", json=rights)).status_code == 200
        third = await song(world, olga)
        await put(world, stan, hers, [third])
        assert (await stan.post(f"/playlists/{hers}/follow")).status_code == 200
        assert (await olga.post(f"/playlists/{his}/follow")).status_code == 200
        kept = (await stan.get(f"/users/{stan.id}/export")).json()["data"]["playlists"]
        assert [one["id"] for one in kept["own"]] == [his]
        assert [one["playlist_id"] for one in kept["collaborations"]] == [hers]
        assert [one["playlist_id"] for one in kept["followed"]] == [hers]
        assert (await stan.delete(f"/users/{stan.id}", json={"password": PASSWORD})).status_code == 200
        left = await shown(olga, hers)
        assert [one["id"] for one in left["tracks"]] == [track, third]
        assert (left["tracks"][1]["added_by"], left["follower_count"]) == (None, 0)

        async def tidy() -> bool:
            rows = await database.rows(
                "SELECT (SELECT COUNT(*) FROM playlist_entries), (SELECT COUNT(*) FROM playlist_follows)"
            )
            return tuple(rows[0]) == (2, 0)

        await until(tidy)
        await check_sums(world)
