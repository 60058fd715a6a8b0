"""What is ordered is delivered in its order, also where several processes take in what was written."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.receiver import OK, receiving, status
from tests.rooms.listening_house import until
from tests.rooms.webhooks_house import dispatching, ended, hook, later, log_of, open_house, playlist, rename
from veza.core import clock
from veza.core.db import Database, Statement
from veza.rooms.webhooks import deliveries_store, driving, queues_store
from veza.rooms.webhooks.dispatch import LEASE
from veza.rooms.webhooks.queues_store import Places
from veza.rooms.webhooks.tables import webhook_deliveries as deliveries


@pytest.mark.usefixtures("still")
async def test_order_is_kept_where_it_is_wanted(database: Database, tmp_path: Path) -> None:
    """W11: one at a time, by the time of the event; what fails holds back what came after it."""
    async with open_house(database, tmp_path) as world, receiving() as receiver, receiving() as other:
        ada = await world.person("ada")
        mine = await playlist(ada)
        made = await hook(ada, receiver.url, "playlist.updated", ordered=True)
        await hook(ada, other.url, "playlist.updated")
        receiver.answer = lambda got: status(500) if len(receiver.got) == 3 else OK
        names = [f"Evening {number}" for number in range(12)]
        await rename(ada, mine, *names)
        await other.until(12)

        async def one_failed() -> bool:
            return any(one["error"] for one in await log_of(ada, made["id"]))

        await until(one_failed)
        await asyncio.sleep(0.2)
        assert len(receiver.got) == 3
        with later(world, timedelta(seconds=7)):
            log = await ended(ada, made["id"], 12)
        told = [got.headers["webhook-id"] for got in receiver.got]
        expected = [one["id"] for one in reversed(log)]
        assert told == expected[:3] + expected[2:]
        assert receiver.at_once == 1
        assert other.at_once <= driving.HANDS


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_what_another_process_is_taking_in_is_not_overtaken(database: Database, tmp_path: Path) -> None:
    """W11: who takes in at the same time passes over it, and has later deliveries of that hook in hand."""
    first = sa.select(deliveries.c.event_id).order_by(deliveries.c.event_id).limit(1).with_for_update()
    async with open_house(database, tmp_path, work=False) as world, receiving() as receiver:
        ada = await world.person("ada")
        mine = await playlist(ada)
        made = await hook(ada, receiver.url, "playlist.updated", ordered=True)
        await rename(ada, mine, *[f"Evening {number}" for number in range(3)])

        async def taken_in() -> bool:
            rows = await database.rows("SELECT status FROM webhook_deliveries ORDER BY event_id")
            return [row[0] for row in rows] == ["fresh", "waiting", "waiting"]

        async def at_rest() -> bool:
            [[due_at, leased_until]] = await database.rows("SELECT due_at, leased_until FROM webhook_queues")
            return due_at is None and leased_until is None

        async with AsyncExitStack() as work:
            async with database.write() as tx:
                await tx.all(Statement(first, sa.Row))
                await work.enter_async_context(dispatching(world))  # it is to find this one held
                await until(taken_in)
                await until(at_rest)
            log = await ended(ada, made["id"], 3)
        told = [got.headers["webhook-id"] for got in receiver.got]
        assert told == [one["id"] for one in reversed(log)]


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_what_is_tried_in_that_moment_keeps_nothing_else_from_being_hastened(
    database: Database, tmp_path: Path
) -> None:
    """W11: of a piece that another has changed meanwhile there is less to do, and yet more after it."""
    async with open_house(database, tmp_path, work=False) as world:
        ada = await world.person("ada")
        mine = await playlist(ada)
        made = await hook(ada, "https://example.com/", "playlist.updated")
        await rename(ada, mine, *[f"Evening {number}" for number in range(3)])
        await database.script(
            "UPDATE webhook_deliveries SET status = 'waiting',"
            " due_at = 9000000000000000 + (SELECT COUNT(*) FROM webhook_deliveries AS before"
            " WHERE before.event_id < webhook_deliveries.event_id)"
        )
        hook_id, hastened = UUID(made["id"]), list[bool]()
        rows = [UUID(one["id"]) for one in reversed(await log_of(ada, made["id"]))]

        async def hasten() -> None:
            async with database.write() as tx:
                hastened.append(await deliveries_store.hasten(tx, hook_id, 2))

        async def is_waiting() -> bool:
            return bool(
                await database.rows(
                    "SELECT 1 FROM pg_stat_activity"
                    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
                )
            )

        async with database.write() as tx:
            over = sa.update(deliveries).where(deliveries.c.event_id == rows[0]).values(status="delivered")
            await tx.run(Statement(over))
            hastening = asyncio.create_task(hasten())
            await until(is_waiting)
        await hastening
        assert hastened == [True]


async def test_a_queue_that_was_given_back_is_kept_by_nobody(database: Database, tmp_path: Path) -> None:
    """W10: who gives it back just as all leases are kept would keep it for nobody, for a minute."""
    async with open_house(database, tmp_path, work=False) as world:
        ada = await world.person("ada")
        await hook(ada, "https://example.com/", "playlist.created")
        await playlist(ada)
        async with database.write() as tx:
            await queues_store.take_in(tx, 1)
            [claim] = await queues_store.claim(tx, LEASE, Places(1, 0, 0), ())
            assert await queues_store.keep(tx, claim, clock.now() + LEASE)
        async with database.write() as tx:
            await queues_store.release(tx, claim, ordered=False, not_before=None)
        async with database.write() as tx:
            assert not await queues_store.keep(tx, claim, clock.now() + LEASE)
            [again] = await queues_store.claim(tx, LEASE, Places(1, 0, 0), ())
        assert (again.webhook_id, again.lease) == (claim.webhook_id, claim.lease + 1)
