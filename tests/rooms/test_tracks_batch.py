"""Deleting many tracks at once."""

import asyncio
from pathlib import Path

import pytest

from tests.rooms.tracks_house import NOBODY, check_counts, code, files, plant, used
from tests.world import open_world
from veza.core.db import Database, Tx
from veza.rooms.tracks import store
from veza.rooms.tracks.schemas import Track

PATH = "/tracks/batch/delete"


async def test_each_goes_or_says_why_not(database: Database, tmp_path: Path) -> None:
    """T16: one's own go, each once; foreign and missing ones are told by their reason and stay."""
    async with open_world(database, tmp_path, work=True) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        mona = await world.person("mona", "moderator")
        own = [await plant(world, olga, state) for state in ("ready", "processing", "failed")]
        foreign, hidden = await plant(world, stan), await plant(world, stan, public=False)
        before = await used(world, olga)
        asked = [own[0], foreign, own[1], own[0], hidden, NOBODY, own[2], foreign]
        answer = await olga.post(PATH, json={"track_ids": asked})
        assert answer.status_code == 200
        assert answer.json()["data"] == {
            "deleted": own,
            "failed": {foreign: "FORBIDDEN", hidden: "TRACK_NOT_FOUND", NOBODY: "TRACK_NOT_FOUND"},
        }
        assert before > 0
        assert await used(world, olga) == 0
        assert {(await stan.get(f"/tracks/{one}")).status_code for one in (foreign, hidden)} == {200}
        again = (await olga.post(PATH, json={"track_ids": own})).json()["data"]
        assert again == {"deleted": [], "failed": dict.fromkeys(own, "TRACK_NOT_FOUND")}
        both = (await mona.post(PATH, json={"track_ids": [foreign, hidden]})).json()["data"]
        assert both == {"deleted": [foreign, hidden], "failed": {}}
        async with asyncio.timeout(30):
            while any(files(world, one) for one in (*own, foreign, hidden)):  # noqa: ASYNC110 - a job's work
                await asyncio.sleep(0.02)
        await check_counts(world)
        who = await database.rows("SELECT COUNT(DISTINCT actor_id) FROM events WHERE kind = 'track.deleted'")
        assert who == [(2,)]


async def test_what_may_be_asked(database: Database, tmp_path: Path) -> None:
    """T16: one to a hundred ids; anything else is 422 and deletes nothing; guests are asked to sign in."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        track = await plant(world, olga)
        for ids in ([], [track] * 101, [track, "x"], [track, None], track, None, {track: 1}):
            answer = await olga.post(PATH, json={"track_ids": ids})
            assert code(answer) == (422, "VALIDATION_ERROR"), ids
        assert code(await olga.post(PATH, json={})) == (422, "VALIDATION_ERROR")
        assert (await world.guest.post(PATH, json={"track_ids": [track]})).status_code == 401
        assert (await olga.get(f"/tracks/{track}")).status_code == 200
        hundred = [track, *(NOBODY[:-2] + f"{n:02}" for n in range(1, 100))]
        found = (await olga.post(PATH, json={"track_ids": hundred})).json()["data"]
        assert (found["deleted"], len(found["failed"])) == ([track], 99)


async def test_whoever_is_first_deletes(database: Database, tmp_path: Path) -> None:
    """T9, T16: of ten that delete the same at once, each track goes once, and its bytes come back once."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        tracks = [await plant(world, olga) for _ in range(4)]
        kept = await plant(world, olga)
        answers = await asyncio.gather(*(olga.post(PATH, json={"track_ids": tracks}) for _ in range(10)))
        gone = [one for answer in answers for one in answer.json()["data"]["deleted"]]
        assert sorted(gone) == sorted(tracks)
        assert await used(world, olga) > 0
        await olga.post(PATH, json={"track_ids": [kept]})
        assert await used(world, olga) == 0
        await check_counts(world)


async def test_a_crash_in_the_middle_leaves_each_whole(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T16: what was deleted before is gone, the one at work and those after it are as they were."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        tracks = [await plant(world, olga) for _ in range(4)]
        before = await used(world, olga)
        delete = store.delete

        async def crash(tx: Tx, track: Track) -> None:
            await delete(tx, track)
            if str(track.id) == tracks[2]:
                raise RuntimeError("killed")

        with monkeypatch.context() as patch:
            patch.setattr(store, "delete", crash)
            assert (await olga.post(PATH, json={"track_ids": tracks})).status_code == 500
        found = [(await olga.get(f"/tracks/{one}")).status_code for one in tracks]
        assert found == [404, 404, 200, 200]
        assert await used(world, olga) == before // 2
        await check_counts(world)
        again = (await olga.post(PATH, json={"track_ids": tracks})).json()["data"]
        assert again["deleted"] == tracks[2:]
