"""What admins see of all webhooks, and trying one again that fails."""

from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from tests.receiver import OK, receiving, status
from tests.rooms.listening_house import until
from tests.rooms.tracks_house import NOBODY, code
from tests.rooms.webhooks_house import ended, hook, later, log_of, open_house, tried
from tests.world import JSON, Person, open_world
from veza.core.db import Database, Statement
from veza.operating import DEEDS
from veza.rooms.webhooks import overview_store, patience


async def playlist(person: Person) -> None:
    assert (await person.post("/playlists", json={"title": "Evening"})).is_success


async def seen(boss: Person, query: str = "") -> JSON:
    answer = await boss.get(f"/admin/webhooks?{query}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])


async def test_admins_see_who_fails_and_have_it_tried_again(database: Database, tmp_path: Path) -> None:
    """W9, W13: what waits goes out at once, what was missed is delivered, of an address the host is told."""
    async with open_house(database, tmp_path) as world, receiving() as receiver, receiving() as gone:
        ada, boss = await world.person("ada"), await world.person("boss", "admin")
        failing = await hook(ada, f"{receiver.url}?token=not-shown", "playlist.created")
        off = await hook(ada, gone.url, "playlist.created")
        mine = await hook(ada, receiver.url, "track.liked", enabled=False)
        receiver.answer, gone.answer = status(500), status(410)
        await playlist(ada)
        await tried(ada, failing["id"], 1)
        await ended(ada, off["id"], 1)
        await playlist(ada)
        await tried(ada, failing["id"], 1)

        whole = await seen(boss)
        told = whole["totals"]
        assert (told["active"], told["failing"]) == (0, 1)
        assert (told["disabled_by_failures"], told["disabled_by_owner"], told["pending"]) == (1, 1, 2)
        first, second = whole["webhooks"]
        assert (first["id"], second["id"]) == (failing["id"], off["id"]), "the furthest behind comes first"
        assert (first["owner"], first["host"]) == ({"id": ada.id, "username": "ada"}, "127.0.0.1")
        assert "/hook" not in str(whole)
        assert "not-shown" not in str(whole)
        assert (first["state"], first["disabled_reason"], first["pending"]) == ("failing", None, 2)
        oldest = (await log_of(ada, failing["id"]))[-1]["event_at"]
        assert first["oldest_pending_at"] == told["oldest_pending_at"] == oldest
        assert first["failing_since"] is not None
        assert (first["last_attempt"]["status"], first["last_attempt"]["error"]) == (500, "BAD_STATUS")
        assert (second["state"], second["disabled_reason"], second["pending"]) == ("disabled", "gone", 0)
        assert second["last_attempt"]["status"] == 410
        for query, ids in {
            "state=failing": [failing["id"]],
            "state=disabled": [mine["id"], off["id"]],
            "state=active": [],
            "limit=1&page=2": [off["id"]],
        }.items():
            assert sorted(one["id"] for one in (await seen(boss, query))["webhooks"]) == sorted(ids), query
        assert code(await boss.get("/admin/webhooks?state=asleep")) == (400, "INVALID_REQUEST")

        receiver.answer = gone.answer = OK
        for one in (failing, off):
            assert (await boss.post(f"/admin/webhooks/{one['id']}/retry")).is_success
        for one in (failing, off):

            async def is_done(hook_id: str = one["id"]) -> bool:
                return {entry["status"] for entry in await log_of(ada, hook_id)} == {"delivered"}

            await until(is_done)
        assert len(gone.got) == 3, "what was given up, and what happened while it was off"
        assert (await ada.get(f"/webhooks/{off['id']}")).json()["data"]["enabled"] is True

        async def nobody_waits() -> bool:
            return (await seen(boss))["webhooks"] == []

        await until(nobody_waits)  # the worker looks once more at a queue to see that it is empty
        totals = (await seen(boss))["totals"]
        assert (totals["active"], totals["pending"]) == (2, 0)

        # An address that an older version took.
        await database.script(
            "UPDATE webhooks SET url = 'http://x:secret@example.com:22/' WHERE url LIKE '%not-shown'"
        )
        tested = (await ada.post(f"/webhooks/{failing['id']}/test")).json()["data"]
        assert (tested["status"], tested["error"]) == ("failed", "INVALID_URL")
        await playlist(ada)
        await tried(ada, failing["id"], 1)
        (one,) = (await seen(boss, "state=failing"))["webhooks"]
        assert (one["host"], one["state"], one["last_attempt"]["error"]) == (
            "example.com", "failing", "INVALID_URL",
        )  # fmt: skip
        with later(world, patience.GIVEN_UP_AFTER):

            async def is_off() -> bool:
                found = await database.rows("SELECT disabled_reason FROM webhooks WHERE url LIKE '%:22/'")
                return found == [("failing",)]

            await until(is_off)
        told = await database.rows("SELECT data FROM events WHERE kind = 'webhook.retried' ORDER BY id")
        assert ["true" in str(row).lower() for row in told] == [False, True]
        assert code(await boss.post(f"/admin/webhooks/{mine['id']}/retry")) == (409, "WEBHOOK_DISABLED")
        assert code(await boss.post(f"/admin/webhooks/{NOBODY}/retry")) == (404, "WEBHOOK_NOT_FOUND")


async def test_counting_ends(database: Database, tmp_path: Path, monkeypatch: Any) -> None:
    """However much waits: no more than so much of it is counted; and the shell says what HTTP does."""
    async with open_world(database, tmp_path) as world:
        ada, boss = await world.person("ada"), await world.person("boss", "admin")
        made = await hook(ada, "https://hooks.example/a?token=not-shown", "playlist.created")
        for _ in range(3):
            await playlist(ada)
        monkeypatch.setattr(overview_store, "COUNTED", 2)
        monkeypatch.setattr(overview_store, "COUNTED_OF_ONE", 1)
        async with database.write() as tx:
            # As if a worker had taken two of them in.
            two = "SELECT event_id FROM webhook_deliveries ORDER BY event_id LIMIT 2"
            taken = f"UPDATE webhook_deliveries SET status = 'waiting', due_at = 1 WHERE event_id IN ({two})"
            await tx.run(Statement(sa.text(taken)))
            await tx.run(Statement(sa.text("UPDATE webhook_queues SET due_at = 1")))
            lines = await DEEDS["list_webhooks"](tx, state=None, as_json=False)
            (text,) = await DEEDS["list_webhooks"](tx, state="active", as_json=True)
            assert "tried again" in (await DEEDS["retry_webhook"](tx, webhook_id=UUID(made["id"])))[0]
        found = await seen(boss)
        assert (found["totals"]["pending"], found["webhooks"][0]["pending"]) == (2, 1)
        assert lines[0].startswith(f"{made['id']}  ada  hooks.example  active  1 to be delivered, since ")
        assert "not-shown" not in text
