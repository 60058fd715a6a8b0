"""Rate limits: so many in so many seconds for each key, and what a caller is told of it.

A window begins with a key's first hit, so exactly ``count`` pass in any burst; a hit may weigh more than one,
and what is refused is not counted. One process counts in
memory; several count in Valkey or Redis. When that is out of reach, ordinary limits are counted by each
process alone, which lets more pass, and those that guard secrets (``strict``) refuse.
"""

import re
from functools import lru_cache
from ipaddress import IPv6Address
from math import ceil
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from veza.core import clock
from veza.core.errors import PayloadTooLarge, RateLimited, Unavailable
from veza.core.recent import Recent
from veza.core.valkey import Valkey, store_key

if TYPE_CHECKING:
    from veza.core.exchange import Exchange

_SETTING = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,3})?(s|sec|second|m|min|minute|h|hour|d|day)s?")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

# The window begins with the first hit and ends by itself; the store does all in one step.
_HIT = """
local before, weight = tonumber(redis.call('GET', KEYS[1]) or '0'), tonumber(ARGV[2])
if before + weight > tonumber(ARGV[3]) then return {before, redis.call('PTTL', KEYS[1]), 0} end
local count = redis.call('INCRBY', KEYS[1], weight)
if before == 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('PTTL', KEYS[1]), 1}
"""


class Limit(msgspec.Struct, frozen=True):
    """At most ``count`` in ``seconds``; ``strict`` when it guards secrets from being guessed."""

    name: str
    count: int
    seconds: int
    strict: bool = False


class Standing(msgspec.Struct, frozen=True, gc=False):
    """Where a key stands after a hit: ``reset_unix`` in seconds since 1970, ``retry_after`` in seconds."""

    limit: int
    remaining: int
    reset_unix: int
    allowed: bool
    retry_after: int

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """What every answer says of the limit."""
        return (
            (b"x-ratelimit-limit", b"%d" % self.limit),
            (b"x-ratelimit-remaining", b"%d" % self.remaining),
            (b"x-ratelimit-reset", b"%d" % self.reset_unix),
        )


class _Window(msgspec.Struct, gc=False):
    ends: float
    reset_unix: int
    count: int = 0


def parse_limit(name: str, text: str, *, strict: bool = False) -> Limit:
    """A limit as operators write it: ``100/min``, ``3/hour``, ``10/15min``. Raises ValueError."""
    found = _SETTING.fullmatch(text.replace(" ", "").lower())
    if found is None:
        raise ValueError(f"{text!r} is not a rate; write it like 100/min, 3/hour or 10/15min")
    count, times, unit = found.groups()
    return Limit(name, int(count), int(times or 1) * _UNITS[unit[0]], strict)


@lru_cache(maxsize=8192)
def address_key(ip: str) -> str:
    """What is counted together: an IPv4 address, or a /64 of IPv6, which is what one household is given.

    An IPv4 address within IPv6 (``::ffff:a.b.c.d``) is that IPv4 address. Source: RFC 4291, RFC 6177.
    """
    if ":" not in ip:
        return ip
    try:
        address = IPv6Address(ip.partition("%")[0])
    except ValueError:
        return ip
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{address.packed[:8].hex()}::/64"


def too_many(standing: Standing, said: str | None = None) -> RateLimited:
    """What a caller is told who does not pass; ``said`` in place of the usual words."""
    return RateLimited(said, headers={"Retry-After": str(standing.retry_after)})


class Limiter:
    """Counts in this process."""

    shared = False

    def __init__(self) -> None:
        self._windows: dict[str, Recent[_Window]] = {}

    async def hit(self, limit: Limit, key: str, weight: int = 1) -> Standing:
        """Count one more for ``key``, or ``weight``; whether it passes is the standing's ``allowed``.

        Raises :class:`Unavailable` for a strict limit that cannot be counted.
        """
        return self.hit_now(limit, key, weight)

    def hit_now(self, limit: Limit, key: str, weight: int = 1) -> Standing:
        """Count one more for ``key``, or ``weight``, in this process alone, without waiting."""
        now = clock.monotonic()
        windows = self._windows.get(limit.name)
        if windows is None:
            windows = self._windows[limit.name] = Recent(limit.seconds)
        window = windows.find(key, now)
        if window is None or window.ends <= now:
            window = _Window(now + limit.seconds, ceil(clock.now().timestamp() + limit.seconds))
            windows.put(key, window)
        count = window.count + weight
        if count <= limit.count:
            window.count = count
            return Standing(limit.count, limit.count - count, window.reset_unix, True, 0)  # noqa: FBT003 - 4 times quicker
        left = max(limit.count - window.count, 0)
        return Standing(limit.count, left, window.reset_unix, False, ceil(window.ends - now))  # noqa: FBT003 - as above

    def peek(self, limit: Limit, key: str) -> Standing:
        """Where ``key`` stands, as far as this process knows; nothing is counted."""
        now = clock.monotonic()
        windows = self._windows.get(limit.name)
        window = windows.find(key, now) if windows is not None else None
        if window is None or window.ends <= now:
            reset = ceil(clock.now().timestamp() + limit.seconds)
            return Standing(limit.count, limit.count, reset, True, 0)  # noqa: FBT003 - as above
        return Standing(limit.count, max(limit.count - window.count, 0), window.reset_unix, True, 0)  # noqa: FBT003 - as above

    async def admit(self, limit: Limit, key: str, exchange: "Exchange") -> None:
        """Count one more for ``key``; the answer says of this limit where it stands.

        Raises :class:`RateLimited`, and :class:`Unavailable` as ``hit`` does.
        """
        standing = await self.hit(limit, key)
        exchange.limits = standing.headers
        if not standing.allowed:
            raise too_many(standing)

    async def close(self) -> None:
        """Let go of what is held open."""


class PersonalLimit:
    """How often, or how much, one person may do one thing; ``limit`` is None where limits are off."""

    def __init__(self, limiter: Limiter, limit: Limit | None) -> None:
        self._limiter = limiter
        self._limit = limit

    async def hit(self, who: UUID, exchange: "Exchange") -> None:
        """Count one more of theirs. Raises as :meth:`Limiter.admit` does."""
        if self._limit is not None:
            await self._limiter.admit(self._limit, str(who), exchange)

    async def take(self, who: UUID, weight: int, said: str) -> None:
        """Count so much more of theirs at once; the answer goes on speaking of how often they may.

        ``said`` is what they are told who do not pass now. Raises :class:`RateLimited`, and
        :class:`PayloadTooLarge` for what weighs more than would ever pass.
        """
        if self._limit is None:
            return
        if weight > self._limit.count:
            raise PayloadTooLarge
        standing = await self._limiter.hit(self._limit, str(who), weight)
        if not standing.allowed:
            raise too_many(standing, said)


class SharedLimiter(Limiter):
    """Counts with every other process that uses the same store."""

    shared = True

    def __init__(self, store: Valkey) -> None:
        super().__init__()
        self._store = store

    async def hit(self, limit: Limit, key: str, weight: int = 1) -> Standing:
        """Count one more for ``key``, or ``weight``, everywhere."""
        try:
            count, left, passed = await self._store.call(
                _HIT, store_key("limit", limit.name, key), limit.seconds * 1000, weight, limit.count
            )
        except Unavailable:
            if limit.strict:
                raise
            return self.hit_now(limit, key, weight)
        reset = ceil(clock.now().timestamp() + left / 1000)
        self._note(limit, key, _Window(clock.monotonic() + left / 1000, reset, count))
        allowed = bool(passed)
        remaining = max(limit.count - count, 0)
        return Standing(limit.count, remaining, reset, allowed, 0 if allowed else max(ceil(left / 1000), 1))

    def _note(self, limit: Limit, key: str, window: _Window) -> None:
        """Remember what the store said: for a peek, and to go on from when the store is out of reach."""
        windows = self._windows.setdefault(limit.name, Recent(limit.seconds))
        windows.find(key, clock.monotonic())
        windows.put(key, window)

    async def close(self) -> None:
        """Close the connections to the store."""
        await self._store.close()


def open_limiter(redis_url: str | None) -> Limiter:
    """The limiter for one process, or with a URL for all that share that store."""
    return SharedLimiter(Valkey(redis_url)) if redis_url else Limiter()
