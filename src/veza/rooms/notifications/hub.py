"""Who listens in this process, and when each has to look into the database again.

A hint wakes those whom it names. Every two seconds all of them are looked at together, in two statements: who
is not signed in any more is ended, and who missed a hint is woken, whatever lost it. So a stream itself asks
the database only when there is something new for it.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog

from veza.access.actor import Member
from veza.core.db import Database
from veza.core.errors import Unavailable
from veza.core.live import MISSED, Ended, Hint, Live, Subscription, SubscriptionEnded
from veza.core.metrics import metrics
from veza.rooms.notifications import boxes_store
from veza.rooms.notifications.errors import TooManyStreams
from veza.rooms.notifications.telling import TOPIC, Hints
from veza.rooms.sessions.authenticator import Authenticator

log = structlog.get_logger()

MOST_OF_USER = 8
MOST = 5_000
LOOK_SECONDS = 2.0
_HINTS = 4_096


class Stream:
    """One listener: woken when there may be something new, or when it is ended."""

    __slots__ = ("_woken", "ended", "known", "session_id", "user_id")

    def __init__(self, member: Member) -> None:
        self.user_id = member.id
        self.session_id = member.session_id
        # Of the box, as it was when the stream last looked: its last change, and how much is unread.
        self.known = (-1, -1)
        self.ended = False
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There may be something new."""
        self._woken.set()

    def end(self) -> None:
        """Nothing comes any more."""
        self.ended = True
        self._woken.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until it is woken, at most so long; whether it was."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True


class Hub:
    """The streams of one process."""

    def __init__(self, database: Database, live: Live, authenticator: Authenticator) -> None:
        self._database = database
        self._live = live
        self._authenticator = authenticator
        self._streams: dict[UUID, list[Stream]] = {}
        self._count = 0
        self._running: asyncio.Task[None] | None = None
        metrics.watch("veza_event_streams", "Streams of events that are open.", lambda: self._count)

    @contextmanager
    def stream(self, member: Member) -> Iterator[Stream]:
        """Listen for as long as the block lasts. Raises :class:`TooManyStreams`, :class:`Unavailable`."""
        if self._count >= MOST:
            raise Unavailable(headers={"Retry-After": "30"})
        if len(self._streams.get(member.id, ())) >= MOST_OF_USER:
            raise TooManyStreams(headers={"Retry-After": "30"})
        made = Stream(member)
        self._streams.setdefault(member.id, []).append(made)
        self._count += 1
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(), name="event-streams")
        try:
            yield made
        finally:
            self._count -= 1
            self._streams[member.id].remove(made)
            if not self._streams[member.id]:
                del self._streams[member.id]

    async def _run(self) -> None:
        """For as long as anybody listens."""
        looked = 0.0
        loop = asyncio.get_running_loop()
        while self._streams:
            with self._live.subscribe([TOPIC], size=_HINTS) as heard:
                self._wake_all()  # for what came before
                while self._streams and heard.ended is None:
                    await self._hear(heard, max(looked + LOOK_SECONDS - loop.time(), 0))
                    if loop.time() - looked >= LOOK_SECONDS:
                        await self._look()
                        looked = loop.time()
            if heard.ended is Ended.STOPPING:
                self._end_all()
                return

    async def _hear(self, heard: Subscription, seconds: float) -> None:
        try:
            hint = await heard.next(seconds)
        except SubscriptionEnded:
            return
        if hint is not None:
            self._take(hint)

    def _take(self, hint: Hint) -> None:
        if hint is MISSED:
            self._wake_all()
            return
        for user_id in hint.read(Hints).users:
            for stream in self._streams.get(user_id, ()):
                stream.wake()

    async def _look(self) -> None:
        try:
            streams = self._everybody()
            good = await self._authenticator.list_good({one.session_id for one in streams})
            async with self._database.read() as view:
                boxes = await boxes_store.list_some(view, {one.user_id for one in streams})
        except Exception:
            log.exception("streams.look_failed")  # and they go on: who cannot be asked after is not refused
            return
        known = {box.user_id: (box.seq, box.unread) for box in boxes}
        for stream in streams:
            if stream.session_id not in good:
                stream.end()
            elif known.get(stream.user_id, (0, 0)) != stream.known:
                stream.wake()

    def _everybody(self) -> list[Stream]:
        return [one for some in self._streams.values() for one in some]

    def _wake_all(self) -> None:
        for stream in self._everybody():
            stream.wake()

    def _end_all(self) -> None:
        for stream in self._everybody():
            stream.end()
