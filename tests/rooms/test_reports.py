"""Reports by users, and what those who moderate do about them."""

from pathlib import Path
from typing import Any

from tests.rooms.listening_house import until
from tests.rooms.market_house import listed, offer, offer_track
from tests.rooms.playlists_house import make
from tests.rooms.tracks_house import NOBODY, check_counts, code, plant
from tests.world import JSON, Person, open_world
from veza.core.db import Database

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


async def test_what_else_is_reported(database: Database, tmp_path: Path) -> None:
    """Comments and playlists are deleted, products taken off sale; users are suspended, by admins alone."""
    async with open_world(database, tmp_path) as world:
        ada, bob = await world.person("ada"), await world.person("bob")
        mona, boss = await world.person("mona", "moderator"), await world.person("boss", "admin")
        track = await plant(world, ada)
        said = await ada.post(f"/tracks/{track}/comments", json={"content": "Buy pills"})
        comment = said.json()["data"]["comment"]["id"]
        playlist, product = await make(world, ada), await offer(ada)
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
        assert product["id"] not in await listed(bob)

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


async def test_tracks_go_with_their_owner_and_come_back(database: Database, tmp_path: Path) -> None:
    """All of somebody's public tracks are hidden while they are suspended; what was private stays so."""
    async with open_world(database, tmp_path, work=True) as world:
        ada, bob = await world.person("ada"), await world.person("bob")
        boss = await world.person("boss", "admin")
        public = [await plant(world, ada) for _ in range(3)]
        private = await plant(world, ada, public=False)

        async def seen() -> int:
            return sum([(await bob.get(f"/tracks/{one}")).is_success for one in (*public, private)])

        async def none() -> bool:
            return await seen() == 0

        async def three() -> bool:
            return await seen() == len(public)

        assert await three()
        await boss.post(f"/admin/users/{ada.id}/suspend", json={"reason": "Spam"})
        await until(none)
        assert (await bob.get("/tracks")).json()["data"]["tracks"] == []
        await check_counts(world)
        await boss.post(f"/admin/users/{ada.id}/restore")
        await until(three)
        await check_counts(world)
