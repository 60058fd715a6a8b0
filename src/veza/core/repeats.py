"""The same again and again: how often somebody may say one thing in one place, one after the other.

One process remembers in memory; several do in Valkey or Redis. When that is out of reach each process
remembers alone, which lets more pass.
"""

import hashlib
from math import ceil

import msgspec

from veza.core import clock
from veza.core.errors import Unavailable
from veza.core.recent import Recent
from veza.core.valkey import Valkey, store_key

SAME = 3
SAME_SECONDS = 30

# ARGV: what is said, which message it is (0: nobody knows), the window in milliseconds, how often.
_SAY = """
local said, mark = unpack(redis.call('HMGET', KEYS[1], 'said', 'mark'))
if said ~= ARGV[1] then
  redis.call('HSET', KEYS[1], 'said', ARGV[1], 'mark', ARGV[2], 'times', 1)
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {0}
end
if ARGV[2] ~= '0' and mark == ARGV[2] then return {0} end
redis.call('HSET', KEYS[1], 'mark', ARGV[2])
if redis.call('HINCRBY', KEYS[1], 'times', 1) <= tonumber(ARGV[4]) then return {0} end
return {math.max(redis.call('PTTL', KEYS[1]), 1)}
"""


class _Last(msgspec.Struct, gc=False):
    said: str
    mark: str | None
    times: int
    ends: float


class Repeats:
    """Remembers in this process what was said last."""

    def __init__(self) -> None:
        self._last: Recent[_Last] = Recent(SAME_SECONDS)

    async def say(self, key: str, said: str, mark: str | None) -> int:
        """Note what is said; 0 if it may be, else for how many seconds not.

        ``key`` is who says it, and where. What bears the ``mark`` of the last one is the same message, sent
        again, and is not counted.
        """
        return self.say_here(key, said, mark)

    def say_here(self, key: str, said: str, mark: str | None) -> int:
        """The same in this process alone, without waiting."""
        now = clock.monotonic()
        last = self._last.find(key, now)
        if last is None or last.ends <= now or last.said != said:
            self._last.put(key, _Last(said, mark, 1, now + SAME_SECONDS))
            return 0
        if mark is not None and mark == last.mark:
            return 0
        last.times += 1
        last.mark = mark
        return ceil(last.ends - now) if last.times > SAME else 0

    async def close(self) -> None:
        """Let go of what is held open."""


class SharedRepeats(Repeats):
    """Remembers with every other process that uses the same store."""

    def __init__(self, store: Valkey) -> None:
        super().__init__()
        self._store = store

    async def say(self, key: str, said: str, mark: str | None) -> int:
        """Note what is said, everywhere."""
        words, which = _number(said), 0 if mark is None else _number(mark)
        try:
            [left] = await self._store.call(
                _SAY, store_key("repeats", "said", key), words, which, SAME_SECONDS * 1000, SAME
            )
        except Unavailable:
            return self.say_here(key, said, mark)
        return ceil(left / 1000)

    async def close(self) -> None:
        """Close the connections to the store."""
        await self._store.close()


def _number(text: str) -> int:
    """What stands for a text in the store, which need not know it."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest()) or 1


def open_repeats(redis_url: str | None) -> Repeats:
    """The memory of one process, or with a URL of all that share that store."""
    return SharedRepeats(Valkey(redis_url)) if redis_url else Repeats()
