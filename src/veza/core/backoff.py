"""Slower and slower: what keeps an account's password from being guessed, without locking its owner out.

Addresses have limits of their own; this counts for the account, wherever the guesses come from. After ten
failures within fifteen minutes each further one costs a wait, from two seconds doubling up to five minutes.
A try counts as failed from the moment it is let through, so that guesses made all at once gain nothing.
"""

from math import ceil

import msgspec

from veza.core import clock
from veza.core.recent import Recent
from veza.core.valkey import Valkey, store_key

_FREE = 10
_WINDOW = 15 * 60
_FIRST = 2
_LONGEST = 5 * 60

# Times in milliseconds by the store's clock, which is the same for all.
_CHECK = """
local tries, wait_until = unpack(redis.call('HMGET', KEYS[1], 'tries', 'until'))
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if wait_until and now < tonumber(wait_until) then return {wait_until - now, tonumber(tries)} end
tries = (tries or 0) + 1
redis.call('HSET', KEYS[1], 'tries', tries)
if tries >= tonumber(ARGV[1]) then
  local wait = math.min(ARGV[3] * 2 ^ math.min(tries - ARGV[1], 30), ARGV[4])
  redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + wait))
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {0, tries}
"""
_TRIES = "return {tonumber(redis.call('HGET', KEYS[1], 'tries') or 0)}"
_FORGET = "return {redis.call('DEL', KEYS[1])}"


class _Tries(msgspec.Struct, gc=False):
    count: int = 0
    wait_until: float = float("-inf")
    forget_at: float = float("inf")


class Backoff:
    """Counts in this process. ``name`` keeps apart what is tried: a login, a code."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._tries: Recent[_Tries] = Recent(_WINDOW)

    async def check(self, key: str) -> int:
        """Ask to try: 0 to go on, else how many seconds to wait. The try counts as failed until it succeeds.

        Raises :class:`Unavailable` when it cannot be counted.
        """
        now = clock.monotonic()
        tries = self._tries.find(key, now)
        if tries is None or tries.forget_at <= now:
            tries = _Tries()
            self._tries.put(key, tries)
        if now < tries.wait_until:
            return ceil(tries.wait_until - now)
        tries.count += 1
        tries.forget_at = now + _WINDOW
        if tries.count >= _FREE:
            tries.wait_until = now + min(_FIRST * 2 ** min(tries.count - _FREE, 30), _LONGEST)
        return 0

    async def fail(self, key: str) -> int:
        """The try has failed; how many have, this one too, since the last success or quarter of an hour."""
        tries = self._tries.find(key, clock.monotonic())
        return tries.count if tries else 0

    async def succeed(self, key: str) -> None:
        """The try has succeeded: forget those before."""
        self._tries.forget(key)

    async def close(self) -> None:
        """Let go of what is held open."""


class SharedBackoff(Backoff):
    """Counts with every other process that uses the same store; when that is out of reach, nobody may try."""

    def __init__(self, name: str, store: Valkey) -> None:
        super().__init__(name)
        self._store = store

    async def check(self, key: str) -> int:
        """Ask to try, everywhere."""
        numbers = (_FREE, _WINDOW * 1000, _FIRST * 1000, _LONGEST * 1000)
        wait, _ = await self._store.call(_CHECK, self._key(key), *numbers)
        return ceil(wait / 1000)

    async def fail(self, key: str) -> int:
        """The try has failed; how many have."""
        return (await self._store.call(_TRIES, self._key(key)))[0]

    async def succeed(self, key: str) -> None:
        """The try has succeeded."""
        await self._store.call(_FORGET, self._key(key))

    async def close(self) -> None:
        """Close the connections to the store."""
        await self._store.close()

    def _key(self, key: str) -> str:
        return store_key("backoff", self.name, key)


def open_backoff(name: str, redis_url: str | None) -> Backoff:
    """The delays for one process, or with a URL for all that share that store."""
    return SharedBackoff(name, Valkey(redis_url)) if redis_url else Backoff(name)
