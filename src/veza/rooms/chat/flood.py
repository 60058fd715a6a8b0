"""How much somebody may say: so often, and not the same again and again."""

from uuid import UUID

from veza.core.limits import Limit, Limiter, too_many
from veza.core.repeats import Repeats
from veza.rooms.chat.errors import Repeated
from veza.rooms.chat.saying import Words


class Flood:
    """Counts what people say; ``limit`` is None where limits are off."""

    def __init__(self, limiter: Limiter, limit: Limit | None, repeats: Repeats) -> None:
        self._limiter = limiter
        self._limit = limit
        self._repeats = repeats

    async def admit(self, words: Words) -> None:
        """Count one more message. Raises :class:`veza.core.errors.RateLimited`, :class:`Repeated`."""
        await self.count(words.actor.id)
        if self._limit is not None:
            key, draft = f"{words.actor.id}:{words.room_id}", words.draft
            wait = await self._repeats.say(key, draft.content, draft.client_id)
            if wait:
                raise Repeated(headers={"Retry-After": str(wait)})

    async def count(self, user_id: UUID) -> None:
        """Count one more thing that a whole room hears. Raises :class:`veza.core.errors.RateLimited`."""
        if self._limit is None:
            return
        standing = await self._limiter.hit(self._limit, str(user_id))
        if not standing.allowed:
            raise too_many(standing)
