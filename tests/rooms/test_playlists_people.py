"""Who works on a playlist, and whom a link shows it to."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from tests.rooms.listening_house import song
from tests.rooms.playlists_house import check_sums, make, put
from tests.rooms.test_lock_order import waiting
from tests.rooms.tracks_house import NOBODY, code
from tests.world import PASSWORD, open_world
from veza.core import clock
from veza.core.db import Database
from veza.rooms.playlists import people_store, store


async def test_who_may_be_a_collaborator(database: Database, tmp_path: Path) -> None:
    """P3, P4, P5: a user who is none yet and not the owner; nobody takes it from its owner; one may leave."""
    async with open_world(database, tmp_path) as world:
        olga, abe, rita = [await world.person(name) for name in ("olga", "abe", "rita")]
        path = f"/playlists/{await make(world, olga, public=False)}/collaborators"

        async def add(person: object, user_id: str, permission: object = "admin") -> tuple[int, str]:
            answer = await person.post(path, json={"user_id": user_id, "permission": permission})  # type: ignore[attr-defined]  # a Person
            return (200, "") if answer.status_code == 200 else code(answer)

        for wrong in ("owner", "ADMIN", "", 1, None):
            assert await add(olga, abe.id, wrong) == (422, "VALIDATION_ERROR")
        assert await add(olga, NOBODY) == (404, "USER_NOT_FOUND")
        assert await add(olga, olga.id) == (422, "OWN_PLAYLIST")
        assert await add(olga, abe.id) == (200, "")
        assert await add(olga, abe.id, "read") == (409, "ALREADY_COLLABORATOR")
        assert await add(abe, abe.id) == (409, "ALREADY_COLLABORATOR")
        assert await add(abe, olga.id) == (422, "OWN_PLAYLIST")
        assert await add(abe, rita.id, "read") == (200, "")
        found = (await rita.get(path)).json()["data"]["collaborators"]
        assert [(one["username"], one["permission"]) for one in found] == [("abe", "admin"), ("rita", "read")]
        for answer in (
            await abe.put(f"{path}/{olga.id}", json={"permission": "read"}),
            await abe.delete(f"{path}/{olga.id}"),
            await olga.delete(f"{path}/{olga.id}"),
        ):
            assert code(answer) == (403, "FORBIDDEN")
        nobody = await olga.put(f"{path}/{NOBODY}", json={"permission": "read"})
        assert code(nobody) == (404, "COLLABORATOR_NOT_FOUND")
        assert code(await olga.delete(f"{path}/{NOBODY}")) == (404, "COLLABORATOR_NOT_FOUND")
        assert code(await rita.delete(f"{path}/{abe.id}")) == (403, "FORBIDDEN")
        assert (await abe.put(f"{path}/{rita.id}", json={"permission": "write"})).status_code == 200
        assert (await rita.delete(f"{path}/{rita.id}")).status_code == 200
        assert code(await rita.get(path)) == (404, "PLAYLIST_NOT_FOUND")
        assert (await abe.delete(f"{path}/{abe.id}")).status_code == 200
        assert (await olga.get(path)).json()["data"]["collaborators"] == []


async def test_whoever_is_removed_writes_no_more(database: Database, tmp_path: Path) -> None:
    """P6: a write under way when they were removed is refused; a private playlist is then not there."""
    async with open_world(database, tmp_path) as world:
        olga, wil = await world.person("olga"), await world.person("wil")
        track = await song(world, wil)
        for public, said in ((True, (403, "FORBIDDEN")), (False, (404, "PLAYLIST_NOT_FOUND"))):
            playlist_id = await make(world, olga, public=public)
            async with database.write() as tx:
                await people_store.add(tx, playlist_id, UUID(wil.id), "write")
            async with database.write() as tx:
                assert await store.lock(tx, playlist_id)
                path = f"/playlists/{playlist_id}/tracks"
                writing = asyncio.create_task(wil.post(path, json={"track_id": track}))
                await waiting(database, 1)
                assert await people_store.remove(tx, playlist_id, UUID(wil.id))
            assert code(await writing) == said
        await check_sums(world)


async def test_a_playlist_is_given_to_a_collaborator(database: Database, tmp_path: Path) -> None:
    """P2: by its owner, who may admin it from then on; counts follow."""
    async with open_world(database, tmp_path) as world:
        olga, abe, stan = [await world.person(name) for name in ("olga", "abe", "stan")]
        playlist_id = await make(world, olga)
        path = f"/playlists/{playlist_id}"
        async with database.write() as tx:
            await people_store.add(tx, playlist_id, UUID(abe.id), "read")
        assert (await abe.post(f"{path}/follow")).status_code == 200
        assert code(await olga.put(f"{path}/owner", json={"user_id": stan.id})) == (
            404,
            "COLLABORATOR_NOT_FOUND",
        )
        assert code(await olga.put(f"{path}/owner", json={"user_id": olga.id})) == (422, "OWN_PLAYLIST")
        given = (await olga.put(f"{path}/owner", json={"user_id": abe.id})).json()["data"]["playlist"]
        assert (given["user_id"], given["permission"], given["follower_count"]) == (abe.id, "admin", 0)
        assert code(await olga.delete(path)) == (403, "FORBIDDEN")
        await check_sums(world)
        assert (await abe.delete(path)).status_code == 200


async def test_a_link_shows_a_playlist_until_it_is_taken_back(database: Database, tmp_path: Path) -> None:
    """P15: unguessable, kept as a digest, for 30 days or as said; gone when revoked, private or deleted."""
    async with open_world(database, tmp_path, public_url="https://music.example") as world:
        olga, wil = await world.person("olga"), await world.person("wil")
        playlist_id = await make(world, olga, public=False)
        path = f"/playlists/{playlist_id}"
        async with database.write() as tx:
            await people_store.add(tx, playlist_id, UUID(wil.id), "write")
        assert code(await wil.post(f"{path}/share")) == (403, "FORBIDDEN")
        hidden, track = await song(world, olga, public=False), await song(world, olga)
        await put(world, olga, playlist_id, [hidden, track])
        links = [
            (await olga.post(f"{path}/share", json=body)).json()["data"]
            for body in (None, {"expires_in": 60})
        ]
        first, brief = links
        assert first["share_url"] == f"https://music.example/playlists/shared/{first['share_token']}"
        assert len(first["share_token"]) >= 43
        rows = str(await database.rows("SELECT * FROM playlist_links"))
        assert not any(link["share_token"] in rows for link in links)
        kept = (await olga.get(f"{path}/share")).json()["data"]["links"]
        assert [one["id"] for one in kept] == [link["id"] for link in links]
        assert kept[0].keys() == {"id", "created_by", "created_at", "expires_at"}

        async def opened(link: dict[str, str]) -> int:
            answer = await world.guest.get(f"/playlists/shared/{link['share_token']}")
            more = await world.guest.get(f"/playlists/shared/{link['share_token']}/tracks")
            assert answer.status_code == more.status_code
            if answer.status_code == 200:
                seen = answer.json()["data"]["playlist"]
                assert [one["id"] for one in seen["tracks"]] == [track], "P16: no private track"
                assert seen["track_count"] == more.json()["data"]["pagination"]["total"] == 1
                assert "no-store" in answer.headers["cache-control"]
            else:
                assert code(answer) == (404, "SHARE_LINK_NOT_FOUND")
            return answer.status_code

        assert [await opened(link) for link in links] == [200, 200]
        with clock.shifted(timedelta(seconds=61)):
            assert [await opened(link) for link in links] == [200, 404]
            assert len((await olga.get(f"{path}/share")).json()["data"]["links"]) == 1
        with clock.shifted(timedelta(days=30, seconds=1)):
            assert await opened(first) == 404
        assert (await olga.delete(f"{path}/share/{brief['id']}")).status_code == 200
        assert code(await olga.delete(f"{path}/share/{brief['id']}")) == (404, "SHARE_LINK_NOT_FOUND")
        assert [await opened(link) for link in links] == [200, 404]
        await olga.put(path, json={"is_public": True})
        assert await opened(first) == 200
        await olga.put(path, json={"is_public": False})
        assert await opened(first) == 404
        last = (await olga.post(f"{path}/share")).json()["data"]
        assert await opened(last) == 200
        await olga.delete(path)
        assert await opened(last) == 404
        for wrong in (59, 365 * 24 * 3600 + 1, "1", None):
            other = await make(world, olga)
            answer = await olga.post(f"/playlists/{other}/share", json={"expires_in": wrong})
            assert answer.status_code == (200 if wrong is None else 422)


async def test_a_link_is_asked_for_in_json_or_without_a_word(database: Database, tmp_path: Path) -> None:
    """G3, G5: the body may be left out; what is sent is JSON and says so."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        path = f"/playlists/{await make(world, olga)}/share"
        for kind, status in (
            ("application/json; charset=utf-8", 200),
            ("text/plain", 415),
            ("application/x-www-form-urlencoded", 415),
        ):
            headers = {"Content-Type": kind}
            assert (await olga.post(path, headers=headers)).status_code == 200
            sent = await olga.post(path, headers=headers, content=b'{"expires_in": 60}')
            assert sent.status_code == status, kind
        assert code(await olga.post(path, content=b'{"expires_in": 60}')) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_shared_address_leads_a_browser_on(database: Database, tmp_path: Path) -> None:
    """P15: and no cache keeps it, nor is another site told of it."""
    async with open_world(database, tmp_path) as world:
        answer = await world.guest.get("http://veza.test/playlists/shared/abc", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (302, "/api/v1/playlists/shared/abc")
        assert answer.headers["cache-control"] == "no-store"


async def test_an_account_ends_while_others_write(database: Database, tmp_path: Path) -> None:
    """U8, P9: nobody waits for one that waits for them."""
    async with open_world(database, tmp_path) as world:
        ann, bob = await world.person("ann"), await world.person("bob")
        tracks = [await song(world, person) for person in (ann, bob) for _ in range(2)]
        lists = [await make(world, person) for person in (ann, bob, ann, bob)]
        async with database.write() as tx:
            for playlist_id, person in zip(lists, (bob, ann, bob, ann), strict=True):
                await people_store.add(tx, playlist_id, UUID(person.id), "write")
        for playlist_id in lists:
            await put(world, ann, playlist_id, tracks[:2])
        writes = [
            *(bob.post(f"/playlists/{one}/tracks", json={"track_id": tracks[2]}) for one in lists),
            *(bob.post(f"/playlists/{one}/follow") for one in lists),
            *(ann.post(f"/playlists/{one}/follow") for one in lists),
            *(bob.delete(f"/playlists/{one}/tracks/{tracks[0]}") for one in lists),
            bob.delete(f"/tracks/{tracks[3]}"),
        ]
        left, *answers = await asyncio.gather(
            ann.delete(f"/users/{ann.id}", json={"password": PASSWORD}), *writes
        )
        assert left.status_code == 200, left.text
        assert {answer.status_code for answer in answers} <= {200, 401, 403, 404, 409, 422}, answers
        await check_sums(world)
