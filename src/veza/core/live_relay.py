"""Hints from process to process, by the publish and subscribe of Valkey or Redis.

All of Veza's processes hear one channel, always: so there is no moment in which a new subscriber is not heard
yet. Each sends a beat every few seconds, which comes back to all, itself included; where nothing comes for
longer, the connection is dead, whatever the kernel thinks. While the store is away hints are dropped, and
everybody is told so once it is back.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import msgspec
import structlog

from veza.core.ids import new_id

log = structlog.get_logger()

CHANNEL = "veza:live"
BEAT_SECONDS = 5.0
SILENCE_SECONDS = 15.0
_SECONDS = 2.0
_RETRY_SECONDS = 1.0
# Until what was to end is told so again.
_AGAIN_SECONDS = 0.1
_MOST_WAITING = 10_000
_BATCH = 500
# Topics that are no one's: that somebody is there, and that hints may have been lost.
_BEAT, _LOST = "", "!"


class Hearer(Protocol):
    """Who is told what others say."""

    def deliver(self, topic: str, data: bytes) -> None:
        """Hand on a hint."""

    def miss(self) -> None:
        """Say that hints may have been lost."""


class _Wire(msgspec.Struct, frozen=True, array_like=True):
    origin: str
    topic: str
    data: msgspec.Raw


class Relay:
    """One process at the channel of the store at a URL. Raises ValueError for one that is none."""

    def __init__(self, url: str) -> None:
        # Here, for most installations have no store, and its library takes 20 MB.
        from redis.asyncio import Redis  # noqa: PLC0415 - see above
        from redis.asyncio.retry import Retry  # noqa: PLC0415 - see above
        from redis.backoff import NoBackoff  # noqa: PLC0415 - see above
        from redis.exceptions import RedisError  # noqa: PLC0415 - see above

        self._client = Redis.from_url(
            url,
            socket_timeout=_SECONDS,
            socket_connect_timeout=_SECONDS,
            retry=Retry(NoBackoff(), 0),  # what fails is begun anew here, where everybody is told of it
        )
        self._errors = (RedisError, OSError, TimeoutError)
        self._origin = new_id().hex
        self._waiting: deque[bytes] = deque()
        self._stirred = asyncio.Event()
        self._lost = False

    def send(self, topic: str, data: bytes) -> None:
        """Take a hint to the other processes, soon."""
        if len(self._waiting) >= _MOST_WAITING:
            self._drop()
        self._waiting.append(self._wire(topic, data))
        self._stirred.set()

    @asynccontextmanager
    async def running(self, hear: Hearer) -> AsyncIterator[None]:
        """Send and hear within this; at its end what waits is sent, if that goes quickly."""
        sending = asyncio.create_task(self._send_on(), name="live-send")
        hearing = asyncio.create_task(self._hear_on(hear), name="live-hear")
        try:
            yield
        finally:
            await _end(sending, hearing)
            try:
                await self._send_waiting()
            except self._errors:
                log.warning("live.last_hints_lost")
            await self._client.aclose()

    def _wire(self, topic: str, data: bytes = b"null") -> bytes:
        return msgspec.json.encode(_Wire(self._origin, topic, msgspec.Raw(data)))

    def _drop(self) -> None:
        self._waiting.clear()
        self._lost = True

    async def _send_on(self) -> None:
        away = False
        while True:
            try:
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._stirred.wait()
            except TimeoutError:
                self._waiting.append(self._wire(_BEAT))
            self._stirred.clear()
            try:
                await self._send_waiting()
                away = False
            except self._errors as error:
                self._drop()
                self._stirred.set()  # try again, if only to say that something was lost
                if not away:
                    log.warning("live.unreachable", error=type(error).__name__)
                away = True
                await asyncio.sleep(_RETRY_SECONDS)

    async def _send_waiting(self) -> None:
        while self._waiting or self._lost:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            if self._lost:
                batch.append(self._wire(_LOST))
            self._lost = False
            try:
                async with self._client.pipeline(transaction=False) as pipe:
                    for one in batch:
                        pipe.publish(CHANNEL, one)
                    await pipe.execute()
            except BaseException:
                self._lost = True  # also when cancelled: nobody knows how far it came
                raise

    async def _hear_on(self, hear: Hearer) -> None:
        while True:
            try:
                await self._hear_once(hear)
            except self._errors as error:
                log.warning("live.deaf", error=type(error).__name__)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _hear_once(self, hear: Hearer) -> None:
        async with self._client.pubsub() as channel:
            await channel.subscribe(CHANNEL)
            while True:
                message = await channel.get_message(timeout=SILENCE_SECONDS)
                if message is None:
                    raise TimeoutError
                self._take(hear, message)

    def _take(self, hear: Hearer, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            hear.miss()  # what was said before
        elif message["type"] == "message":
            try:
                wire = msgspec.json.decode(message["data"], type=_Wire)
            except msgspec.DecodeError:
                log.warning("live.not_ours")
                return
            if wire.origin == self._origin or wire.topic == _BEAT:
                return
            if wire.topic == _LOST:
                hear.miss()
            else:
                hear.deliver(wire.topic, bytes(wire.data))


async def _end(*tasks: asyncio.Task[None]) -> None:
    """Cancel these until they have ended.

    Once is not enough: the store's library sends within `asyncio.wait_for`, which up to Python 3.11 takes a
    cancellation for itself when that comes as it is done; a task that goes on for ever would then do so.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
