"""Reports by users, and what those who moderate do about them."""

from pathlib import Path
from typing import Any

import pytest

from tests.rooms.chat_house import heard, room, say
from tests.rooms.listening_house import until
from tests.rooms.market_house import PRODUCTS, bought, buy, listed, offer_track
from tests.rooms.market_house import link as link_of
from tests.rooms.playlists_house import check_sums, make, put
from tests.rooms.tracks_house import BYTES, NOBODY, check_counts, code, plant
from tests.world import JSON, Person, open_world
from veza.core.db import Database
from veza.core.errors import InvalidToken

ADMIN = "/admin/reports"


async def report(person: Person, kind: str, target: Any, **more: str) -> Any:
    body = {"target_type": kind, "target_id": str(target), "reason": "spam", **more}
    return await person.post("/reports", json=body)


async def resolve(person: Person, report_id: str, action: str, **more: str) -> Any:
    return await person.post(f"{ADMIN}/{report_id}/resolve", json={"action": action, **more})


async def waiting(person: Person, query: str = "status=open") -> list[JSON]:
    answer = await person.get(f"{ADMIN}?{query}")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"]["reports"])


async def test_a_track_is_withheld_and_shown_again(database: Database, tmp_path: Path) -> None:
    """T1: its owner reads why, nobody else finds it; one open report by each; all are resolved together."""
    async with open_world(database, tmp_path) as world:
        ada, bob, cleo = [await world.person(name) for name in ("ada", "bob", "cleo")]
        mona = await world.person("mona", "moderator")
        track, private = await plant(world, ada, title="Stolen"), await plant(world, ada, public=False)
        product = await offer_track(world, ada, track)
        assert code(await report(world.guest, "track", track)) == (401, "UNAUTHENTICATED")
        assert code(await report(bob, "track", private)) == (404, "TRACK_NOT_FOUND")
        assert code(await report(bob, "song", track)) == (422, "VALIDATION_ERROR")
        made = (await report(bob, "track", track, details="It is mine.")).json()["data"]["report"]
        assert (made["status"], made["details"]) == ("open", "It is mine.")
        assert code(await report(bob, "track", track)) == (409, "ALREADY_REPORTED")
        assert (await report(cleo, "track", track)).status_code == 201
        assert code(await bob.get(ADMIN)) == (403, "FORBIDDEN")
        assert {one["reporter_id"] for one in await waiting(mona)} == {bob.id, cleo.id}

        done = await resolve(mona, made["id"], "remove", note="Another's song.")
        assert done.json()["data"]["report"]["resolved_by"] == mona.id
        assert code(await resolve(mona, made["id"], "dismiss")) == (409, "ALREADY_RESOLVED")
        assert await waiting(mona) == []
        assert len(await waiting(mona, "status=resolved&target_type=track")) == 2
        for person in (bob, world.guest):
            assert code(await person.get(f"/tracks/{track}")) == (404, "TRACK_NOT_FOUND")
            assert code(await person.get(f"/tracks/{track}/stats")) == (404, "TRACK_NOT_FOUND")
        assert code(await bob.post(f"/tracks/{track}/play", json={"duration": 0})) == (404, "TRACK_NOT_FOUND")
        assert (await bob.get("/tracks")).json()["data"]["tracks"] == []
        assert (await bob.get("/tracks/search?q=stolen")).json()["tracks"] == []
        assert product["id"] not in await listed(bob)
        own = (await ada.get(f"/tracks/{track}")).json()["data"]["track"]
        assert own["withheld"] == "Another's song."
        await ada.put(f"/tracks/{track}", json={"is_public": True, "title": "Stolen again"})
        assert code(await bob.get(f"/tracks/{track}")) == (404, "TRACK_NOT_FOUND")
        await check_counts(world)

        assert code(await ada.post(f"{ADMIN}/{made['id']}/revoke")) == (403, "FORBIDDEN")
        assert (await mona.post(f"{ADMIN}/{made['id']}/revoke")).is_success
        assert (await bob.get(f"/tracks/{track}")).json()["data"]["track"]["withheld"] is None
        assert len((await bob.get("/tracks/search?q=stolen")).json()["tracks"]) == 1
        assert (await report(bob, "track", track)).status_code == 201, "it may be told of anew"
        await check_counts(world)


async def check_taken_down(seller: Person, buyer: Person, moderator: Person, product_id: str) -> None:
    """K2, K12: its seller does not put it back on sale, until those who moderate let them."""

    async def sell() -> Any:
        return await seller.put(f"{PRODUCTS}/{product_id}", json={"status": "active"})

    assert product_id not in await listed(buyer)
    assert code(await sell()) == (409, "PRODUCT_TAKEN_DOWN")
    assert (await seller.put(f"{PRODUCTS}/{product_id}", json={"title": "Another"})).is_success
    assert code(await sell()) == (409, "PRODUCT_TAKEN_DOWN")
    assert code(await buy(buyer, product_id)) == (409, "PRODUCT_NOT_AVAILABLE")
    seen = (await seller.get(f"{PRODUCTS}/{product_id}")).json()["data"]
    assert seen["status"] == "archived"
    assert seen["taken_down_at"]
    (found,) = [one for one in await waiting(moderator, "target_type=product") if one["action"]]
    assert (await moderator.post(f"{ADMIN}/{found['id']}/revoke")).is_success
    assert (await sell()).json()["data"]["taken_down_at"] is None
    assert product_id in await listed(buyer)


async def test_what_else_is_reported(database: Database, tmp_path: Path) -> None:
    """Comments and playlists are deleted, products taken off sale; users are suspended, by admins alone."""
    async with open_world(database, tmp_path) as world:
        ada, bob = await world.person("ada"), await world.person("bob")
        mona, boss = await world.person("mona", "moderator"), await world.person("boss", "admin")
        track = await plant(world, ada)
        pack = {"title": "Again", "price": 1, "product_type": "pack", "track_ids": [track]}
        said = await ada.post(f"/tracks/{track}/comments", json={"content": "Buy pills"})
        comment = said.json()["data"]["comment"]["id"]
        playlist, product = await make(world, ada), await offer_track(world, ada, track)
        things = {"comment": comment, "playlist": playlist, "product": product["id"]}
        for kind, target in things.items():
            assert code(await report(bob, kind, NOBODY))[0] == 404
            assert (await report(bob, kind, target)).status_code == 201
        await ada.delete(f"/comments/{comment}")  # meanwhile
        for one in await waiting(mona):
            assert one["owner_id"] == ada.id
            answer = await resolve(mona, one["id"], "remove")
            assert answer.is_success, answer.text
        assert code(await ada.get(f"/playlists/{playlist}")) == (404, "PLAYLIST_NOT_FOUND")
        assert code(await ada.post(PRODUCTS, json=pack)) == (409, "PRODUCT_TAKEN_DOWN")
        await check_taken_down(ada, bob, mona, product["id"])
        assert (await ada.post(PRODUCTS, json=pack)).status_code == 201

        made = (await report(bob, "user", ada.id)).json()["data"]["report"]["id"]
        assert code(await resolve(mona, made, "remove")) == (422, "VALIDATION_ERROR")
        assert code(await resolve(mona, made, "suspend")) == (403, "FORBIDDEN")
        assert len(await waiting(mona)) == 1
        assert (await resolve(boss, made, "suspend", note="Spam")).is_success
        assert code(await ada.get("/auth/me")) == (401, "INVALID_TOKEN")
        assert code(await boss.post(f"{ADMIN}/{made}/revoke")) == (409, "NOTHING_TO_REVOKE")
        assert code(await resolve(boss, NOBODY, "dismiss")) == (404, "REPORT_NOT_FOUND")
        taken = (await bob.get(f"/users/{bob.id}/export")).json()["data"]["reports"]
        assert [one["status"] for one in taken] == ["resolved"] * 4


async def test_what_was_said_is_reported(database: Database, tmp_path: Path) -> None:
    """H6, H8: with its words of then; who moderates the room sees it, not by whom, and may delete it."""
    async with open_world(database, tmp_path) as world:
        ada, bob, cleo, dora = [await world.person(name) for name in ("ada", "bob", "cleo", "dora")]
        mona = await world.person("mona", "moderator")
        room_id = await room(ada, bob, cleo)
        path = f"/chat/rooms/{room_id}/reports"
        said = [await say(bob, room_id, f"<b>pills {n}</b>") for n in range(3)]
        assert code(await report(dora, "message", said[0]["id"])) == (404, "MESSAGE_NOT_FOUND")
        for one in said:
            assert (await report(cleo, "message", one["id"])).status_code == 201
        await bob.put(f"/chat/messages/{said[0]['id']}", json={"content": "Good evening"})
        for person, expected in ((bob, 403), (dora, 404), (mona, 404), (ada, 200)):
            assert (await person.get(path)).status_code == expected, person.username
        listed = (await ada.get(path)).json()["data"]["reports"]
        assert [(one["message_id"], one["author_id"], one["quote"]) for one in listed] == [
            (one["id"], bob.id, one["content"]) for one in said[::-1]
        ]
        assert cleo.id not in (await ada.get(path)).text
        # Deleted by the room's moderator: seen to. By its author: still for those who moderate everywhere.
        assert (await ada.delete(f"/chat/messages/{said[2]['id']}")).is_success
        assert (await bob.delete(f"/chat/messages/{said[1]['id']}")).is_success
        [second, first] = await waiting(mona, "status=open&target_type=message")
        assert (first["quote"], first["room_id"]) == (said[0]["content"], room_id)
        assert second["quote"] == said[1]["content"]
        assert [one["resolved_by"] for one in await waiting(mona, "status=resolved")] == [ada.id]
        for one in (first, second):
            assert (await resolve(mona, one["id"], "remove")).is_success
        assert [one["content"] for one in await heard(cleo, room_id)] == ["", "", ""]
        assert (await ada.get(path)).json()["data"]["reports"] == []


async def test_what_is_theirs_goes_with_somebody_and_comes_back(database: Database, tmp_path: Path) -> None:
    """T1, P1, K2: tracks, playlists and products of whoever is suspended are there for nobody meanwhile.

    Neither by id nor by a link, in lists, search, feed, recommendations, nor for those who work on them; what
    is bought stays. Afterwards all is as it was, and what was private still is.
    """
    async with open_world(database, tmp_path, work=True) as world:
        ada, bob, cleo = [await world.person(name) for name in ("ada", "bob", "cleo")]
        boss = await world.person("boss", "admin")
        songs = [await plant(world, ada) for _ in range(3)]
        hidden = [await plant(world, ada, public=False), await make(world, ada, public=False)]
        lists = [await make(world, ada, title="Dawn") for _ in range(2)]
        shared = await make(world, ada, title="Dawn", public=False)
        product = await offer_track(world, ada, songs[0])
        bought_by_bob = await bought(bob, product["id"])
        await offer_track(world, ada, songs[1])
        for one in lists:
            await put(world, ada, one, songs)
        for one in (lists[0], shared):
            body = {"user_id": bob.id, "permission": "admin"}
            await ada.post(f"/playlists/{one}/collaborators", json=body)
        mix = await make(world, cleo, public=False)
        await cleo.post(f"/playlists/{mix}/collaborators", json={"user_id": ada.id, "permission": "read"})
        link = (await ada.post(f"/playlists/{lists[0]}/share")).json()["data"]["share_token"]
        await bob.post(f"/users/{ada.id}/follow")
        places = [
            *(f"/tracks/{one}" for one in songs),
            *(f"/playlists/{one}" for one in (*lists, f"shared/{link}")),
            f"/playlists/{shared}", f"/playlists/{lists[0]}/collaborators", f"/playlists/{lists[0]}/tracks",
        ]  # fmt: skip
        ways = [
            ("/playlists", "playlists"), (f"/playlists?user_id={ada.id}", "playlists"),
            ("/playlists/search?q=dawn", "playlists"), ("/playlists/search", "playlists"),
            ("/search?q=dawn&type=playlists", "playlists"), ("/feed", "items"), ("/tracks", "tracks"),
            ("/playlists/recommendations", "playlists"), ("/tracks/recommendations", "tracks"),
        ]  # fmt: skip

        async def seen() -> tuple[list[int], list[int], int]:
            """What bob gets by id, how much in lists, and how many products."""
            by_id = [(await bob.get(one)).status_code for one in places]
            found = []
            for where, name in ways:
                data = (await bob.get(where)).json()["data"]
                found.append(len(data.get("results", data)[name]))
            return by_id, found, len(await listed(bob))

        async def gone() -> bool:
            by_id, found, products = await seen()
            return set(by_id) == {404} and not any(found) and not products

        before = await seen()

        async def back() -> bool:
            return await seen() == before

        assert set(before[0]) == {200}
        assert all(before[1]), before[1]
        assert before[2] == 2
        await boss.post(f"/admin/users/{ada.id}/suspend", json={"reason": "Spam"})
        await until(gone)
        for check in (check_counts, check_sums):
            await check(world)
        assert code(await buy(cleo, product["id"])) == (409, "PRODUCT_NOT_AVAILABLE")
        assert code(await cleo.get(f"/marketplace/products/{product['id']}")) == (404, "PRODUCT_NOT_FOUND")
        mine = (await bob.get(f"/marketplace/products/{product['id']}")).json()["data"]
        assert (mine["status"], bought_by_bob["status"]) == ("archived", "completed")
        assert (await bob.get(await link_of(bob, product["id"]))).content == BYTES
        other, body = await make(world, cleo, public=False), {"user_id": ada.id, "permission": "read"}
        assert code(await cleo.post(f"/playlists/{other}/collaborators", json=body)) == (
            404,
            "USER_NOT_FOUND",
        )
        assert code(await cleo.put(f"/playlists/{mix}/owner", json={"user_id": ada.id})) == (403, "FORBIDDEN")
        work = await cleo.get(f"/playlists/{mix}/collaborators")
        assert work.json()["data"]["collaborators"] == []
        # What was under way when she was suspended comes too late.
        for late in (plant(world, ada), make(world, ada)):
            with pytest.raises(InvalidToken):
                await late
        for one in lists:
            assert (await boss.get(f"/playlists/{one}")).json()["data"]["playlist"]["closed"] is True
        await boss.post(f"/admin/users/{ada.id}/restore")
        await until(back)
        for check in (check_counts, check_sums):
            await check(world)
        for one, kind in zip(hidden, ("tracks", "playlists"), strict=True):
            assert (await bob.get(f"/{kind}/{one}")).status_code == 404
        assert (await buy(cleo, product["id"])).status_code == 201
