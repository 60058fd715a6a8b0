"""The live bus: tells whoever waits now that something happened, in this process or in all.

It carries hints; the truth is in the database. A hint may be lost or come twice, and may come before or after
others: whoever must know everything reads the database, from where they stopped, when they begin, when they
are told :data:`MISSED`, and when their subscription was ended for being too slow.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import Any, Protocol, Self, TypeVar

import msgspec

from veza.core.db import Tx
from veza.core.live_relay import Relay

T = TypeVar("T")

MAX_BYTES = 16 * 1024
QUEUE = 256


class Hint(msgspec.Struct, frozen=True, gc=False):
    """What was published on a topic: JSON, encoded once for all who hear it."""

    topic: str
    data: bytes

    def read(self, kind: type[T]) -> T:
        """What the hint says."""
        return msgspec.json.decode(self.data, type=kind)


MISSED = Hint("", b"null")
"""Tells every subscriber that hints of other processes may have been lost: read the database again."""


class Ended(Enum):
    """Why a subscription is over."""

    LEFT = auto()
    """Its own subscriber closed it."""
    TOO_SLOW = auto()
    """More was waiting for its subscriber than may wait."""
    STOPPING = auto()
    """The process ends; another one is there soon, or is already."""


class SubscriptionEnded(Exception):
    """Nothing comes any more; ``why`` is known."""

    def __init__(self, why: Ended) -> None:
        super().__init__(why.name)
        self.why = why


class Outward(Protocol):
    """What carries hints to other processes, and brings theirs."""

    def send(self, topic: str, data: bytes) -> None:
        """Take a hint to the others, soon; never waits, and may lose it."""

    def running(self, hear: "Live") -> Any:
        """A context within which hints go out, and those of others are delivered to ``hear``."""


class Subscription:
    """Hints on some topics, in the order in which they came to this process; for one task.

    At most ``size`` may wait: then it is ended as too slow, and what waited is gone.
    """

    __slots__ = ("_live", "_queue", "_size", "_waiter", "ended", "topics")

    def __init__(self, live: "Live", topics: Iterable[str], size: int) -> None:
        self._live = live
        self._size = size
        self._queue: deque[Hint] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.ended: Ended | None = None
        self.topics: set[str] = set()
        for topic in topics:
            self.follow(topic)

    def follow(self, topic: str) -> None:
        """Hear this topic, too."""
        if self.ended is None:
            self.topics.add(topic)
            self._live.add(topic, self)

    def leave(self, topic: str) -> None:
        """Hear this topic no longer."""
        self.topics.discard(topic)
        self._live.remove(topic, self)

    async def next(self, seconds: float | None = None) -> Hint | None:
        """The next hint; None when there was none for so many seconds.

        Raises :class:`SubscriptionEnded` after the last one.
        """
        while not self._queue:
            if self.ended is not None:
                raise SubscriptionEnded(self.ended)
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(seconds):
                    await self._waiter
            except TimeoutError:
                return None
            finally:
                self._waiter = None
        return self._queue.popleft()

    def put(self, hint: Hint) -> None:
        """Take a hint in, or end for having too many."""
        if self.ended is not None:
            return
        if len(self._queue) >= self._size:
            self._queue.clear()
            self.close(Ended.TOO_SLOW)
            return
        self._queue.append(hint)
        self._wake()

    def close(self, why: Ended = Ended.LEFT) -> None:
        """End it; what waits already can still be read. A second time there is nothing to do."""
        if self.ended is None:
            self.ended = why
            for topic in self.topics:
                self._live.remove(topic, self)
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Live:
    """Who subscribes to what in this process, and perhaps a way to the others."""

    def __init__(self, outward: Outward | None = None) -> None:
        self._outward = outward
        self._topics: dict[str, dict[Subscription, None]] = {}
        self._closed = False

    def publish(self, topic: str, payload: Any) -> None:
        """Tell whoever hears ``topic``, now; at most 16 KiB as JSON. Never waits. Raises ValueError."""
        self._publish(topic, _encode(payload))

    def publish_after(self, tx: Tx, topic: str, payload: Any) -> None:
        """The same once ``tx`` is committed, and not at all if it is not. Raises ValueError."""
        data = _encode(payload)
        tx.on_commit(lambda: self._publish(topic, data))

    def subscribe(self, topics: Iterable[str], *, size: int = QUEUE) -> Subscription:
        """Hear these topics from now on, until it is closed: use it with ``with``.

        Subscribe first and read the database then: what is committed in between is heard.
        """
        made = Subscription(self, topics, size)
        if self._closed:
            made.close(Ended.STOPPING)
        return made

    def close(self) -> None:
        """The process ends: every subscription does, and no further one begins."""
        self._closed = True
        for subscription in self._everybody():
            subscription.close(Ended.STOPPING)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Within this, hints go to other processes and theirs come here; where there is a way to them."""
        try:
            if self._outward is None:
                yield
            else:
                async with self._outward.running(self):
                    yield
        finally:
            self.close()

    def _publish(self, topic: str, data: bytes) -> None:
        self.deliver(topic, data)
        if self._outward is not None:
            self._outward.send(topic, data)

    def deliver(self, topic: str, data: bytes) -> None:
        """Hand a hint to this process's subscribers alone."""
        found = self._topics.get(topic)
        if found:
            hint = Hint(topic, data)
            for subscription in tuple(found):
                subscription.put(hint)

    def miss(self) -> None:
        """Tell every subscriber of this process that something may have been lost."""
        for subscription in self._everybody():
            subscription.put(MISSED)

    def _everybody(self) -> dict[Subscription, None]:
        return {one: None for found in self._topics.values() for one in found}

    def add(self, topic: str, subscription: Subscription) -> None:
        """Called by the subscription alone."""
        self._topics.setdefault(topic, {})[subscription] = None

    def remove(self, topic: str, subscription: Subscription) -> None:
        """Called by the subscription alone."""
        found = self._topics.get(topic)
        if found is not None:
            found.pop(subscription, None)
            if not found:
                del self._topics[topic]


def _encode(payload: Any) -> bytes:
    data = msgspec.json.encode(payload)
    if len(data) > MAX_BYTES:
        raise ValueError(f"a hint of {len(data)} bytes: what is large is read from the database")
    return data


def open_live(redis_url: str | None) -> Live:
    """The bus of one process, or with a URL of all that share that Valkey or Redis. Raises ValueError."""
    return Live(Relay(redis_url) if redis_url else None)
