"""How much somebody may say: so often, and not the same again and again."""

from math import ceil
from uuid import UUID

import msgspec

from veza.core import clock
from veza.core.limits import Limit, Limiter, too_many
from veza.core.recent import Recent
from veza.rooms.chat.errors import Repeated
from veza.rooms.chat.saying import Words

SAME = 3
SAME_SECONDS = 30


class _Last(msgspec.Struct):
    content: str
    client_id: str | None
    times: int
    ends: float


class Flood:
    """Counts what people say; ``limit`` is None where limits are off."""

    def __init__(self, limiter: Limiter, limit: Limit | None) -> None:
        self._limiter = limiter
        self._limit = limit
        self._last: Recent[_Last] = Recent(SAME_SECONDS)

    async def admit(self, words: Words) -> None:
        """Count one more message. Raises :class:`veza.core.errors.RateLimited`, :class:`Repeated`."""
        await self.count(words.actor.id)
        if self._limit is not None:
            self._refuse_same(words.actor.id, words)

    async def count(self, user_id: UUID) -> None:
        """Count one more thing that a whole room hears. Raises :class:`veza.core.errors.RateLimited`."""
        if self._limit is None:
            return
        standing = await self._limiter.hit(self._limit, str(user_id))
        if not standing.allowed:
            raise too_many(standing)

    def _refuse_same(self, user_id: UUID, words: Words) -> None:
        now, draft = clock.monotonic(), words.draft
        key = f"{user_id}:{words.room_id}"
        last = self._last.find(key, now)
        if last is None or last.ends <= now or last.content != draft.content:
            self._last.put(key, _Last(draft.content, draft.client_id, 1, now + SAME_SECONDS))
            return
        if draft.client_id is not None and draft.client_id == last.client_id:
            return  # the same message, sent again
        last.times += 1
        last.client_id = draft.client_id
        if last.times > SAME:
            raise Repeated(headers={"Retry-After": str(ceil(last.ends - now))})
