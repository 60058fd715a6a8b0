"""Guesses: how many are let through, and what is written down of them."""

from uuid import UUID

from veza.core.backoff import Backoff
from veza.core.db import Database
from veza.core.errors import RateLimited
from veza.core.events import Context, Event
from veza.core.limits import Limit, Limiter
from veza.rooms.sessions.events import LoginFailed, LoginSlowed

# From how many failures on an account is slowed: see core.backoff.
_MANY = 10
_TELL_OWNER = Limit("login_slowed", 1, 3600)
# A challenge lives five minutes; this window outlives it.
_CHALLENGE_TRIES = Limit("challenge", 5, 600, strict=True)


class Attempts:
    """What keeps passwords and codes from being guessed, wherever the guesses come from.

    Keys are accounts: folded addresses for ``passwords``, so that unknown ones are treated alike, and user
    ids for ``codes``.
    """

    def __init__(self, database: Database, limiter: Limiter, passwords: Backoff, codes: Backoff) -> None:
        self._database = database
        self._limiter = limiter
        self.passwords = passwords
        self.codes = codes

    async def may_answer(self, challenge_id: str) -> bool:
        """Count a try at the second factor; whether this challenge had one left."""
        return (await self._limiter.hit(_CHALLENGE_TRIES, challenge_id)).allowed

    async def note_failure(self, backoff: Backoff, key: str, user_id: UUID | None, origin: Context) -> None:
        """Write a failure down, although its request fails; the same for accounts that there are not.

        The owner of an account that is slowed is told, once an hour.
        """
        failures = await backoff.fail(key)
        slowed = failures >= _MANY and (await self._limiter.hit(_TELL_OWNER, key)).allowed
        await self._write(
            origin, LoginFailed(user_id, backoff.name), *([LoginSlowed(user_id)] if slowed else [])
        )

    async def note_suspended(self, user_id: UUID, origin: Context) -> None:
        """Write down that somebody suspended gave the right password."""
        await self._write(origin, LoginFailed(user_id, "suspended"))

    async def _write(self, origin: Context, *emitted: Event) -> None:
        async with self._database.write() as tx:
            tx.context = lambda: origin
            for event in emitted:
                tx.emit(event)


async def require_patience(backoff: Backoff, key: str) -> None:
    """Count a try. Raises RateLimited where so many failed before that this one has to wait."""
    wait = await backoff.check(key)
    if wait:
        raise too_soon(wait)


def too_soon(wait: int) -> RateLimited:
    """So many seconds too soon."""
    return RateLimited("Too many failures; wait before you try again.", headers={"Retry-After": str(wait)})
