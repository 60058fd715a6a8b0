"""Sees to it that every delivery is made: by hooks, each of which has its turn and cannot hold up another.

What was written with an event is taken in, so that the queue of its hook knows of it. Queues that are due are
claimed for a minute, so that of several workers one works on each; when one is killed, its queues are free
again as soon as their leases end.
"""

import asyncio
import resource
from collections import OrderedDict
from datetime import timedelta
from uuid import UUID

import structlog

from veza.core import clock
from veza.core.db import Database
from veza.core.job_times import ClockWatch
from veza.core.outgoing import Line
from veza.rooms.webhooks import queues_store
from veza.rooms.webhooks.driving import HANDS, Drive, Office
from veza.rooms.webhooks.due_times import set_right
from veza.rooms.webhooks.queues_store import CHANNEL, Claim, Places
from veza.rooms.webhooks.sending import Sender

log = structlog.get_logger()

LEASE = timedelta(seconds=60)
_BEAT_SECONDS = 20.0
# Queues worked on at a time; those whose receivers are only waited for do not count, but for their sockets.
BUSY = 96
MOST = 512
_SOCKETS_EACH = 4
# Receivers that are slow, and those that fail, have no more than this part each of all that may be worked on:
# so the others find room, however many there are.
_PART = 4
# Receivers that are remembered to be slow, the latest.
_MOST_SLOW = 10_000
# Lines that are kept for when there is something more to say.
_KEPT_LINES = 64
_TAKEN = 500
_GRACE_SECONDS = 2.0
_LONGEST_SLEEP, _SHARED_POLL, _CROWDED_SLEEP = 30.0, 1.0, 0.1


class Dispatcher:
    """Delivers until it is cancelled; requests under way then have two seconds, and else are made again."""

    def __init__(self, database: Database, sender: Sender) -> None:
        self._database = database
        self._office = Office(database, sender)
        self._sender = sender
        self._drives: dict[asyncio.Task[None], Drive] = {}
        self._lines: OrderedDict[UUID, Line] = OrderedDict()
        self._slow: OrderedDict[UUID, None] = OrderedDict()
        self._clock = ClockWatch()
        self._woken = asyncio.Event()
        self._stopped = False
        self._most = min(MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // _SOCKETS_EACH)
        database.listen(CHANNEL, self._woken.set)

    async def run(self) -> None:
        """Take in, claim and deliver, again and again."""
        beat = asyncio.create_task(self._keep_leases(), name="webhooks-leases")
        begun = False
        try:
            while True:
                self._woken.clear()
                try:
                    if not begun:
                        await self._begin()
                        begun = True
                    wait = await self._step()
                except Exception:
                    log.exception("webhooks.step_failed")
                    wait = 1.0
                if wait > 0:
                    await self._sleep(wait)
        finally:
            beat.cancel()
            await asyncio.shield(self._stop())

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _begin(self) -> None:
        """Where nobody else is, nobody works on anything yet."""
        if not self._database.shared:
            async with self._database.write() as tx:
                await queues_store.release_all(tx)
        await set_right(self._database, LEASE)

    async def _step(self) -> float:
        """Start what is due; how many seconds until there may be more."""
        if self._clock.went_back():
            log.warning("webhooks.clock_set_back")
            await set_right(self._database, LEASE)
            self._clock.noted()
        places = self._places()
        async with self._database.read() as view:
            fresh = await queues_store.any_fresh(view)
            due = await queues_store.next_due(view)
        poll = _SHARED_POLL if self._database.shared else _LONGEST_SLEEP
        ahead = poll if due is None else (due - clock.now()).total_seconds()
        if not fresh and ahead > 0:
            return min(poll, ahead + 0.001)
        if not fresh and places.well <= 0:
            return _CROWDED_SLEEP
        await self._sender.prepare()
        async with self._database.write() as tx:
            taken = await queues_store.take_in(tx, _TAKEN) if fresh else 0
            until = clock.monotonic() + LEASE.total_seconds()  # however long the commit takes
            claims = await queues_store.claim(tx, LEASE, places, self._slow)
        for claim in claims:
            self._start(claim, until)
        return 0.0 if taken or claims else _CROWDED_SLEEP

    def _places(self) -> Places:
        """How many queues may be begun of each kind."""
        drives = self._drives.values()
        busy = sum(not drive.slow for drive in drives)
        failing = sum(drive.failing for drive in drives)
        slow = sum(drive.claim.webhook_id in self._slow for drive in drives if not drive.failing)
        free = max(min(BUSY - busy, self._most - len(drives)), 0)
        part = max(self._most // _PART, 1)
        return Places(free, min(free // 2, max(part - slow, 0)), min(free // 2, max(part - failing, 0)))

    def _start(self, claim: Claim, until: float) -> None:
        line = self._lines.pop(claim.webhook_id, None) or self._sender.line(HANDS)
        drive = Drive(self._office, claim, line, until)
        task = asyncio.create_task(self._run(drive), name=f"webhook:{claim.webhook_id}")
        self._drives[task] = drive
        task.add_done_callback(self._done)

    async def _run(self, drive: Drive) -> None:
        try:
            await drive.run()
        except Exception:
            log.exception("webhooks.drive_failed", webhook_id=str(drive.claim.webhook_id))
        finally:
            self._remember(drive)
            await self._keep_line(drive)

    def _remember(self, drive: Drive) -> None:
        """Whether its receiver is slow, from how long its answers took."""
        hook_id = drive.claim.webhook_id
        if drive.answered:
            self._slow.pop(hook_id, None)
        if drive.was_slow:
            self._slow[hook_id] = None
            if len(self._slow) > _MOST_SLOW:
                self._slow.popitem(last=False)

    async def _keep_line(self, drive: Drive) -> None:
        hook_id = drive.claim.webhook_id
        if self._stopped or drive.failing or hook_id in self._lines:
            await drive.line.close()
            return
        self._lines[hook_id] = drive.line
        if len(self._lines) > _KEPT_LINES:
            await self._lines.popitem(last=False)[1].close()

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._drives.pop(task, None)
        self._woken.set()

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            try:
                await self._keep_all()
            except Exception:
                log.exception("webhooks.leases_not_kept")

    async def _keep_all(self) -> None:
        """Hold on to what is worked on; who has lost a queue begins nothing more with it."""
        drives = sorted(self._drives.values(), key=lambda drive: drive.claim.webhook_id)
        if not drives:
            return
        until = clock.monotonic() + LEASE.total_seconds()
        async with self._database.write() as tx:
            kept = [await queues_store.keep(tx, drive.claim, clock.now() + LEASE) for drive in drives]
        for drive, is_kept in zip(drives, kept, strict=True):
            drive.leased_until = until if is_kept else 0.0

    async def _stop(self) -> None:
        """Begin nothing more; what is under way may end."""
        for drive in self._drives.values():
            drive.stopped = True
        if self._drives:
            _, late = await asyncio.wait(self._drives, timeout=_GRACE_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=_GRACE_SECONDS)
        self._stopped = True  # who is later yet closes their own
        for line in self._lines.values():
            await line.close()
        self._lines.clear()
