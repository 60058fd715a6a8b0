"""Valkey or Redis, for what several processes count together: scripts that run whole or not at all."""

import hashlib
from typing import Any

import structlog

from veza.core import clock
from veza.core.errors import Unavailable
from veza.core.metrics import count_away

log = structlog.get_logger()

# A burst waits its turn for one of these.
_CONNECTIONS = 16
_SECONDS = 0.5
# After a failure nobody waits for the store again for so long.
_REST = 1.0


class Valkey:
    """The store at a URL: ``redis://``, ``rediss://`` or ``unix://``. Raises ValueError for any other."""

    def __init__(self, url: str) -> None:
        # Here, for most installations have no store, and its library takes 20 MB.
        from redis.asyncio import BlockingConnectionPool, Redis  # noqa: PLC0415 - see above
        from redis.asyncio.retry import Retry  # noqa: PLC0415 - see above
        from redis.backoff import NoBackoff  # noqa: PLC0415 - see above
        from redis.exceptions import RedisError  # noqa: PLC0415 - see above

        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_SECONDS,
            socket_timeout=_SECONDS,
            socket_connect_timeout=_SECONDS,
            retry=Retry(NoBackoff(), 1),  # once more, for the store may have closed an idle connection
        )
        self._client = Redis.from_pool(pool)
        self._errors = (RedisError, OSError)
        self._scripts: dict[str, Any] = {}
        self._rests_until = float("-inf")

    async def call(self, script: str, key: str, *numbers: int) -> list[int]:
        """Run a Lua script on one key; it answers with whole numbers. Raises :class:`Unavailable`."""
        if clock.monotonic() < self._rests_until:
            raise Unavailable(headers={"Retry-After": "1"})
        known = self._scripts.get(script)
        if known is None:
            known = self._scripts[script] = self._client.register_script(script)
        try:
            found: list[int] = await known(keys=[key], args=numbers)
        except self._errors as error:
            self._rests_until = clock.monotonic() + _REST
            count_away("valkey")
            log.warning("valkey.unreachable", error=type(error).__name__)
            raise Unavailable(headers={"Retry-After": "1"}) from error
        return found

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def store_key(kind: str, name: str, key: str) -> str:
    """The store's key for one of ours. That may be an e-mail address: only its digest goes there."""
    return f"veza:{kind}:{name}:{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}"
