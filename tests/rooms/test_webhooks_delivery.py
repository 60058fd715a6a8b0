"""Deliveries: each at least once and under one id, in order where that is wanted, and never after the end."""

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.receiver import OK, Receiver, receiving, status
from tests.rooms.audit_house import literal
from tests.rooms.listening_house import until
from tests.rooms.webhooks_house import (
    dispatching,
    ended,
    hook,
    later,
    log_of,
    open_house,
    playlist,
    rename,
    tried,
    verified,
)
from veza.core import clock
from veza.core.db import Database, Statement
from veza.core.events import EventJob
from veza.core.ids import new_id
from veza.core.jobs import Job
from veza.core.postage import Postage
from veza.rooms.webhooks import dispatch, driving, jobs, queues_store
from veza.rooms.webhooks.dispatch import Dispatcher
from veza.rooms.webhooks.queues_store import CHANNEL


def titles(receiver: Receiver) -> list[str]:
    """What was told of playlists that changed, in the order in which it came."""
    return [
        got.body["data"]["playlist"]["title"]
        for got in receiver.got
        if got.body["type"] == "playlist.updated"
    ]


@pytest.mark.usefixtures("still")
async def test_a_delivery_is_tried_until_it_arrives(database: Database, tmp_path: Path) -> None:
    """W8, W11, W22, X16: later and later, as the receiver asks, under one id; given up, and redelivered."""
    async with open_house(database, tmp_path) as world, receiving() as receiver:
        ada = await world.person("ada")
        made = await hook(ada, receiver.url, "playlist.created")
        receiver.answer = status(500)
        await playlist(ada)
        first = (await tried(ada, made["id"], 1))[0]
        assert (first["status"], first["error"], first["response_status"]) == ("pending", "BAD_STATUS", 500)
        verified(receiver.got[0], made["secret"])
        receiver.answer = status(503, "Retry-After: 90")
        with later(world, timedelta(seconds=7)):
            second = (await tried(ada, made["id"], 2))[0]
        wait = _seconds(second["attempts"][1]["at"], second["next_attempt_at"])
        assert 89 < wait < 91, "the receiver asked for more than the half minute"
        receiver.answer = OK
        with later(world, timedelta(seconds=100)):
            done = (await ended(ada, made["id"], 1))[0]
        assert (done["status"], done["error"], len(done["attempts"])) == ("delivered", None, 3)
        assert {got.headers["webhook-id"] for got in receiver.got} == {done["id"]}
        assert len({got.body["timestamp"] for got in receiver.got}) == 1
        assert done["event_at"] == receiver.got[0].body["timestamp"]
        listed = (await ada.get(f"/webhooks/{made['id']}")).json()["data"]
        assert listed["failing_since"] is None
        answer = await ada.post(f"/webhooks/{made['id']}/deliveries/{done['id']}/redeliver")
        assert (answer.status_code, answer.json()["data"]["delivery"]["status"]) == (202, "pending")
        await receiver.until(4)
        await ended(ada, made["id"], 1)
        assert receiver.got[3].headers["webhook-id"] == done["id"]
        receiver.answer = None
        await ada.post(f"/webhooks/{made['id']}/deliveries/{done['id']}/redeliver")
        again = await ada.post(f"/webhooks/{made['id']}/deliveries/{done['id']}/redeliver")
        assert (again.status_code, again.json()["error"]["code"]) == (409, "DELIVERY_PENDING")
        stats = (await ada.get("/webhooks/stats")).json()["data"]
        assert (stats["total_events"], stats["successful_deliveries"]) == (0, 0), "it is under way once more"


def _seconds(one: str, other: str) -> float:
    return (datetime.fromisoformat(other) - datetime.fromisoformat(one)).total_seconds()


@pytest.mark.usefixtures("still")
async def test_who_fails_for_days_is_turned_off_and_told(database: Database, tmp_path: Path) -> None:
    """W8, W9, W20, D5: 410 at once, all else after five days; by mail; what is missed can be replayed."""
    async with open_house(database, tmp_path) as world, receiving() as receiver, receiving() as gone:
        ada = await world.person("ada")
        failing = await hook(ada, receiver.url, "playlist.created")
        ended_hook = await hook(ada, gone.url, "playlist.created")
        receiver.answer, gone.answer = status(500), status(410)
        await playlist(ada)
        await tried(ada, failing["id"], 1)
        await ended(ada, ended_hook["id"], 1)

        async def state(hook_id: str) -> tuple[bool, str | None]:
            data = (await ada.get(f"/webhooks/{hook_id}")).json()["data"]
            return data["enabled"], data["disabled_reason"]

        async def is_off() -> bool:
            return await state(failing["id"]) == (False, "failing")

        assert await state(ended_hook["id"]) == (False, "gone")
        day = 24 * 3600 * 1_000_000
        # In the writer's turn: there is work under way.
        async with database.write() as tx:
            earlier = f"UPDATE webhook_queues SET failing_since = failing_since - {5 * day - day // 24}"
            await tx.run(Statement(sa.text(earlier)))
        with later(world, timedelta(seconds=7)):
            await tried(ada, failing["id"], 2)
            assert await state(failing["id"]) == (True, None)
        mails = world.parts.settings.mail_folder

        async def is_told() -> bool:
            found = [path.read_text() for path in mails.glob("*.eml")] if mails.exists() else []
            return sum("was turned off" in mail for mail in found) == 2

        with later(world, timedelta(hours=1, seconds=10)):
            await until(is_off)
            await until(is_told)
        told = await database.rows("SELECT data FROM events WHERE kind = 'webhook.disabled'")
        assert len(told) == 2
        assert all("127.0.0.1" in str(row) and "/hook" not in str(row) for row in told), "it may be a secret"
        assert [one["status"] for one in await log_of(ada, failing["id"])] == ["failed"]
        await playlist(ada)
        assert [one["status"] for one in await log_of(ada, failing["id"])] == ["skipped", "failed"]
        answer = await ada.post(f"/webhooks/{failing['id']}/replay", json={"since": "2025-01-01T00:00:00Z"})
        assert answer.json()["error"]["code"] == "WEBHOOK_DISABLED"
        receiver.answer, before = OK, len(receiver.got)
        await ada.put(f"/webhooks/{failing['id']}", json={"enabled": True})
        await playlist(ada)
        await ended(ada, failing["id"], 3)
        assert len(receiver.got) == before + 1, "what was missed is not told by itself"
        body = {"since": "2025-01-01T00:00:00Z", "undelivered_only": True}
        # What is replayed is told by the ids of events, and these go by the clock of the machine.
        with later(world, timedelta(minutes=10)):
            answer = await ada.post(f"/webhooks/{failing['id']}/replay", json=body)
            assert answer.status_code == 202
            await receiver.until(before + 3)
            await ended(ada, failing["id"], 3)
        assert {one["status"] for one in await log_of(ada, failing["id"])} == {"delivered"}
        assert await log_of(ada, failing["id"], "?status=failed") == []
        assert len(await log_of(ada, failing["id"], "?status=delivered&limit=2")) == 2
        assert await log_of(ada, failing["id"], "?event=track.liked") == []
        for event in ("%00", "no.such"):
            answer = await ada.get(f"/webhooks/{failing['id']}/deliveries?event={event}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_REQUEST")
        stats = (await ada.get("/webhooks/stats")).json()["data"]
        assert (stats["total_events"], stats["successful_deliveries"], stats["failed_deliveries"]) == (
            4,
            3,
            1,
        )


async def test_nothing_is_delivered_after_the_end(database: Database, tmp_path: Path) -> None:
    """W20: what is queued for a hook that is turned off or deleted stays where it is, or goes with it."""
    async with open_house(database, tmp_path) as world, receiving() as receiver:
        ada = await world.person("ada")
        mine = await playlist(ada)
        receiver.answer = None
        off = await hook(ada, receiver.url, "playlist.updated")
        gone = await hook(ada, receiver.url, "playlist.updated")
        await rename(ada, mine, *[f"Evening {number}" for number in range(9)])
        await receiver.until(2)
        await ada.put(f"/webhooks/{off['id']}", json={"enabled": False})
        await ada.delete(f"/webhooks/{gone['id']}")
        receiver.answer = OK
        await receiver.close()
        before = len(receiver.got)

        async def forgotten() -> bool:
            rows = await database.rows("SELECT status FROM webhook_deliveries")
            return [row[0] for row in rows] == ["skipped"] * 9

        await until(forgotten)
        with later(world, timedelta(minutes=3)):
            await ada.put(f"/webhooks/{off['id']}", json={"enabled": True})
            await rename(ada, mine, "The last")
            await ended(ada, off["id"], 10)
        assert titles(receiver)[before:] == ["The last"]


async def test_what_was_written_while_its_hook_was_turned_off_does_not_wait(
    database: Database, tmp_path: Path
) -> None:
    """W20: by somebody who still saw it on, and committed when all that was queued had been skipped."""
    async with open_house(database, tmp_path) as world:
        ada = await world.person("ada")
        made = await hook(ada, "https://example.com/", "playlist.created", enabled=False)
        await playlist(ada)
        assert [one["status"] for one in await log_of(ada, made["id"])] == ["skipped"]
        # In the writer's turn: there is work under way.
        async with database.write() as tx:
            late = "UPDATE webhook_deliveries SET status = 'fresh', concluded_at = NULL"
            await tx.run(Statement(sa.text(late)))
            tx.notify(CHANNEL)
        assert [one["status"] for one in await ended(ada, made["id"], 1)] == ["skipped"]


async def test_who_hangs_holds_up_nobody(database: Database, tmp_path: Path) -> None:
    """W7, W24: while many receivers hang, others hear at once; who was away is not run over."""
    async with (
        open_house(database, tmp_path) as world,
        receiving() as hanging,
        receiving() as well,
    ):
        hanging.answer = None
        ada = await world.person("ada")
        mine = await playlist(ada)
        stuck = [await hook(ada, hanging.url, "playlist.updated") for _ in range(15)]
        good = await hook(ada, well.url, "playlist.updated")
        await rename(ada, mine, *[f"Evening {number}" for number in range(20)])
        await ended(ada, good["id"], 20)
        await hanging.until(len(stuck))
        assert hanging.open == len(stuck), "each is asked once, until it answers"
        for one in stuck:
            await ada.delete(f"/webhooks/{one['id']}")
        await ada.put(f"/webhooks/{good['id']}", json={"enabled": False})
        await rename(ada, mine, *[f"Night {number}" for number in range(15)])
        await ada.put(f"/webhooks/{good['id']}", json={"enabled": True})
        with later(world, timedelta(hours=1)):
            began, before = time.monotonic(), len(well.got)
            body = {"since": "2025-01-01T00:00:00Z"}
            await ada.post(f"/webhooks/{good['id']}/replay", json=body)
            await well.until(before + 35)
            assert time.monotonic() - began > 35 / 50 * 0.9, "fifty a second"
            await ended(ada, good["id"], 35)
        await hanging.close()


async def test_who_answers_late_holds_up_nobody(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W7, W24: all who answer well but slowly have a part of the places, and leave the rest to others."""
    monkeypatch.setattr(dispatch, "MOST", 8)
    monkeypatch.setattr(dispatch, "_GRACE_SECONDS", 0.05)
    monkeypatch.setattr(driving, "SLOW_SECONDS", 0.2)
    remembered = list[bool]()
    remember = Dispatcher._remember

    def noted(self: Dispatcher, drive: driving.Drive) -> None:
        remember(self, drive)
        remembered.append(drive.was_slow)

    monkeypatch.setattr(Dispatcher, "_remember", noted)
    async with open_house(database, tmp_path) as world, receiving() as slow, receiving() as well:
        slow.delay = 0.3
        ada = await world.person("ada")
        mine = await playlist(ada)
        hooks = [await hook(ada, slow.url, "playlist.updated") for _ in range(12)]
        await rename(ada, mine, "Noon")

        async def known() -> bool:
            return sum(remembered) == len(hooks)

        await until(known)
        # From here on nobody else is taken for slow, on a machine with other work.
        monkeypatch.setattr(Dispatcher, "_remember", lambda *_: None)
        good = await hook(ada, well.url, "playlist.updated")
        before, slow.at_once = len(slow.got), 0
        # From the eleventh on they take longer than all that follows.
        slow.answer = lambda _: OK if len(slow.got) <= before + 10 else None
        await rename(ada, mine, *[f"Night {number}" for number in range(10)])
        await slow.until(before + 10)  # some have answered, and been given more to do
        await rename(ada, mine, "Dawn")
        await ended(ada, good["id"], 11)
        assert len(slow.got) - before < 60, "nobody waited for those"
        assert slow.at_once <= 2 * driving.HANDS, "a quarter of the places"


async def test_several_workers_share_and_one_that_died_is_replaced(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W10, W11: each delivery once while all is well; what a dead worker had in hand comes again."""
    monkeypatch.setattr(dispatch, "_GRACE_SECONDS", 0.05)
    async with open_house(database, tmp_path, work=False) as world, receiving() as receiver:
        ada = await world.person("ada")
        mine = await playlist(ada)
        hooks = [await hook(ada, receiver.url, "playlist.updated") for _ in range(4)]
        names = [f"Evening {number}" for number in range(10)]
        if database.shared:
            async with dispatching(world), dispatching(world):
                await rename(ada, mine, *names)
                for one in hooks:
                    await ended(ada, one["id"], 10)
            told = [got.headers["webhook-id"] for got in receiver.got]
            assert len(told) == 40
            assert {told.count(one) for one in told} == {4}, "once to each hook"
        async with dispatching(world) as dying:
            receiver.answer = None

            # It takes its lease and dies: nothing is given back.
            async def nothing(*_: object, **__: object) -> None:
                return

            with monkeypatch.context() as patched:
                patched.setattr(driving.Drive, "_release", nothing)
                before = len(receiver.got)
                await rename(ada, mine, "The last")
                await receiver.until(before + 4)
                drives = list(dying._drives)
                for task in drives:
                    task.cancel()
                await asyncio.wait(drives)
        receiver.answer, before = OK, len(receiver.got)
        async with dispatching(world):
            if database.shared:
                await asyncio.sleep(0.3)
                assert len(receiver.got) == before, "its lease still stands"
            with later(world, timedelta(seconds=62)):
                await receiver.until(before + 4)
                for one in hooks:
                    rows = await ended(ada, one["id"], 11 if database.shared else 1)
                    assert {row["status"] for row in rows} == {"delivered"}


async def test_who_ends_after_the_end_leaves_no_connection_open(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X7: where to give a queue back takes longer than whoever ends it all waits for."""
    monkeypatch.setattr(dispatch, "_GRACE_SECONDS", 0.05)
    release, go = driving.Drive._release, asyncio.Event()

    async def late(drive: driving.Drive) -> None:
        await go.wait()
        await release(drive)

    monkeypatch.setattr(driving.Drive, "_release", late)
    async with open_house(database, tmp_path, work=False) as world, receiving() as receiver:
        ada = await world.person("ada")
        await hook(ada, receiver.url, "playlist.created")
        for _ in range(3):
            await playlist(ada)
        receiver.answer = lambda _: OK if len(receiver.got) < 3 else None
        async with dispatching(world) as dispatcher:
            await receiver.until(3)
            drives = list(dispatcher._drives)
        go.set()
        await asyncio.wait(drives)

        async def nobody_is_there() -> bool:
            return not receiver.writers

        await until(nobody_is_there)


@pytest.mark.usefixtures("still")
async def test_nobody_thinks_to_have_a_queue_for_longer_than_they_have(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W10: also where the commit of a lease takes long; else two would work on a queue at once."""
    monkeypatch.setattr(dispatch, "_GRACE_SECONDS", 0.05)
    claim = queues_store.claim
    async with (
        open_house(database, tmp_path, work=False) as world,
        receiving() as receiver,
        AsyncExitStack() as work,
    ):
        receiver.answer = None
        ada = await world.person("ada")
        await hook(ada, receiver.url, "playlist.created")
        await playlist(ada)

        async def slow(*arguments: Any) -> list[queues_store.Claim]:
            found = await claim(*arguments)
            if found:
                work.enter_context(clock.shifted(timedelta(seconds=10)))
            return found

        monkeypatch.setattr(queues_store, "claim", slow)
        dispatcher = await work.enter_async_context(dispatching(world))
        await receiver.until(1)
        [drive] = dispatcher._drives.values()
        [[until]] = await database.rows("SELECT leased_until FROM webhook_queues")
        left = until / 1e6 - clock.now().timestamp()
        assert drive.leased_until - clock.monotonic() == pytest.approx(left, abs=0.01) == 50


async def test_old_deliveries_are_forgotten(database: Database, tmp_path: Path) -> None:
    """A25: after a month, and with their hook, whoever wrote them last; its end is not told endlessly."""
    async with open_house(database, tmp_path, work=False) as world:
        ada = await world.person("ada")
        made = await hook(ada, "https://example.com/")
        await playlist(ada)
        await playlist(ada)
        await database.script(
            "UPDATE webhook_deliveries SET status = 'delivered';"
            "INSERT INTO webhook_deliveries SELECT event_id, event_id, kind, data, event_at, status,"
            " queued_at, due_at, attempt, attempts, headers, body, concluded_at FROM webhook_deliveries"
        )
        room = jobs.HookJobs(database, world.parts.mailer, "", Postage(world.parts.limiter))
        task = next(task for task in room.tasks() if task.kind is jobs.PURGE)
        await task.run(None, None)
        assert len(await log_of(ada, made["id"])) == 2
        assert (await database.rows("SELECT COUNT(*) FROM webhook_deliveries"))[0][0] == 2
        with later(world, timedelta(days=31)):
            await task.run(None, None)
        assert await log_of(ada, made["id"]) == []
        about = {"webhook_id": made["id"], "user_id": ada.id, "reason": "gone", "host": "example.com"}
        told = EventJob(new_id(), "webhook.disabled", about)
        for confirmed, sent in (("true", 5), ("false", 5 + 3)):
            await database.script(f"UPDATE users SET email_verified = {confirmed}")
            for _ in range(6):
                await room.send_disabled(Job(new_id(), "", "", 1, clock.now()), told)
            assert len(list(world.parts.settings.mail_folder.glob("*.eml"))) == sent


async def test_no_delivery_waits_for_a_clock_that_was_set_back(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X8: what is queued, was tried or is turned on again is told as soon as if the clock were right."""
    monkeypatch.setattr(dispatch, "_LONGEST_SLEEP", 0.05)
    monkeypatch.setattr(dispatch, "_SHARED_POLL", 0.05)
    async with open_house(database, tmp_path) as world, receiving() as receiver, receiving() as well:
        ada = await world.person("ada")
        failing = await hook(ada, receiver.url, "playlist.created")
        off = await hook(ada, receiver.url, "playlist.created")
        good = await hook(ada, well.url, "playlist.updated")
        receiver.answer = status(503, "Retry-After: 60")
        mine = await playlist(ada)
        for one in (failing, off):
            await tried(ada, one["id"], 1)
        silent = await hook(ada, receiver.url, "playlist.deleted")
        # In the writer's turn: there is work under way.
        async with database.write() as tx:
            at = int(clock.now().timestamp() * 1e6)
            times = f"due_at = {at}, rests_from = {at}, rests_until = {at + 30_000_000}"
            mine_alone = f"WHERE webhook_id = {literal(database, silent['id'])}"
            await tx.run(Statement(sa.text(f"UPDATE webhook_queues SET {times} {mine_alone}")))
        now = clock.now
        monkeypatch.setattr(clock, "now", lambda: now() - timedelta(hours=1))
        set_back = clock.now()
        ada = await world.signed_in("ada")
        await rename(ada, mine, "Earlier than its hook")
        await ended(ada, good["id"], 1)
        for one in (good, off):
            for enabled in (False, True):
                await ada.put(f"/webhooks/{one['id']}", json={"enabled": enabled})
        assert [one["status"] for one in await ended(ada, off["id"], 1)] == ["skipped"]
        await rename(ada, mine, "Turned on")
        assert [one["status"] for one in await ended(ada, good["id"], 2)] == ["delivered"] * 2
        ids = [one["id"] for one in await log_of(ada, good["id"])]
        await ada.post(f"/webhooks/{good['id']}/deliveries/{ids[0]}/redeliver")
        await well.until(3)

        async def is_set_right() -> bool:
            due = datetime.fromisoformat((await log_of(ada, failing["id"]))[0]["next_attempt_at"])
            rows = await database.rows("SELECT due_at, rests_until FROM webhook_queues WHERE failures > 0")
            first, latest = (moment + timedelta(seconds=60) for moment in (set_back, clock.now()))
            return first <= due <= latest and max(rows[0]) <= latest.timestamp() * 1e6

        async def nothing_waits() -> bool:
            rows = await database.rows(f"SELECT due_at FROM webhook_queues {mine_alone}")
            return rows[0][0] is None

        await until(is_set_right)
        await until(nothing_waits)  # its turn comes after the others'
        rows = await database.rows(f"SELECT rests_until FROM webhook_queues {mine_alone}")
        assert rows[0][0] <= (clock.now() + timedelta(seconds=30)).timestamp() * 1e6
        receiver.answer = OK
        with later(world, timedelta(seconds=61)):
            assert (await ended(ada, failing["id"], 1))[0]["status"] == "delivered"


async def is_seen(database: Database) -> bool:
    """Whether all that happened was taken in, and nobody works on any queue."""
    fresh = await database.rows("SELECT 1 FROM webhook_deliveries WHERE status = 'fresh'")
    return fresh + await database.rows("SELECT 1 FROM webhook_queues WHERE leased_until IS NOT NULL") == []


async def test_who_fails_is_not_asked_for_each_event(database: Database, tmp_path: Path) -> None:
    """W8, W24: what happens meanwhile waits as long as the receiver is left alone; who asks anew does not."""
    async with open_house(database, tmp_path) as world, receiving() as receiver:
        ada = await world.person("ada")
        made = await hook(ada, receiver.url, "playlist.created")
        receiver.answer = status(429, "Retry-After: 120")
        await playlist(ada)
        await tried(ada, made["id"], 1)
        for seconds in (0, 61):
            with later(world, timedelta(seconds=seconds)):
                await playlist(ada)
                await until(partial(is_seen, database))
        assert len(receiver.got) == 1, "it asked to be left alone"
        receiver.answer = OK
        with later(world, timedelta(seconds=121)):
            log = await ended(ada, made["id"], 3)
        receiver.answer, before = status(429, "Retry-After: 120"), len(receiver.got)
        for _ in range(3):
            await playlist(ada)
        await receiver.until(before + 1)

        async def is_left_alone() -> bool:
            resting = "rests_until IS NOT NULL AND leased_until IS NULL"
            return await database.rows(f"SELECT 1 FROM webhook_queues WHERE {resting}") != []

        await until(is_left_alone)
        receiver.answer, before = status(500), len(receiver.got)
        for one in log[:2]:
            await ada.post(f"/webhooks/{made['id']}/deliveries/{one['id']}/redeliver")

            async def is_asked(wanted: str = one["id"]) -> bool:
                return wanted in {got.headers["webhook-id"] for got in receiver.got[before:]}

            await until(is_asked)
        assert receiver.got[before].headers["webhook-id"] == log[0]["id"], "before what waits"


@pytest.mark.usefixtures("still")
async def test_what_was_asked_before_changes_nothing_of_what_is_asked_anew(
    database: Database, tmp_path: Path
) -> None:
    """W8, W9, W20: an answer that comes after the address was changed, or a delivery asked for anew."""
    wait, gone = status(503, "Retry-After: 86400"), status(410)
    async with open_house(database, tmp_path) as world, receiving() as old, receiving() as new:
        ada = await world.person("ada")
        made = await hook(ada, old.url, "playlist.created", ordered=True)
        path = f"/webhooks/{made['id']}"
        for count, (now, then, answer) in enumerate(((old, new, wait), (new, old, gone)), 1):
            now.answer, then.answer = answer, OK
            now.free.clear()
            before = len(now.got)
            await playlist(ada)
            await now.until(before + 1)
            assert (await ada.put(path, json={"url": then.url})).status_code == 200
            now.free.set()
            one = (await tried(ada, made["id"], 1))[0]
            assert (one["status"], one["attempts"][0]["error"]) == ("pending", "BAD_STATUS")
            assert _seconds(one["attempts"][0]["at"], one["next_attempt_at"]) < 10
            shown = (await ada.get(path)).json()["data"]
            assert (shown["enabled"], shown["failing_since"]) == (True, None)
            with later(world, timedelta(seconds=10)):
                assert (await ended(ada, made["id"], count))[0]["status"] == "delivered"
        await ada.put(path, json={"ordered": False})
        log = await log_of(ada, made["id"])
        old.answer, before = wait, len(old.got)
        old.free.clear()
        await playlist(ada)
        await old.until(before + 1)
        old.answer = OK
        assert (await ada.post(f"{path}/deliveries/{log[0]['id']}/redeliver")).status_code == 202
        old.free.set()
        await old.until(before + 2)
        assert old.got[-1].headers["webhook-id"] == log[0]["id"], "it does not wait a day"
