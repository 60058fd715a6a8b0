"""What an operator's machines ask: alive, ready, figures."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.params import Dependency

from veza.core.metrics import render

Check = Callable[[], Awaitable[Any]]


class Health(msgspec.Struct, frozen=True):
    """Whether each part answers, and all of them."""

    status: str
    checks: Mapping[str, str]


class Readiness:
    """Whether this process should be given requests: its parts answer, and it is not about to end."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self.draining = False

    def drain(self) -> None:
        """Ask for no more requests."""
        self.draining = True

    async def look(self) -> Health:
        """Ask every part, for at most five seconds."""
        answers = dict(
            zip(self._checks, await asyncio.gather(*map(_ask, self._checks.values())), strict=True)
        )
        if self.draining:
            answers["process"] = "draining"
        ready = all(answer == "ok" for answer in answers.values())
        return Health("ready" if ready else "unavailable", answers)


async def _ask(check: Check) -> str:
    try:
        async with asyncio.timeout(5):
            await check()
    except Exception:  # noqa: BLE001 - whatever is wrong with a part, it is not ready
        return "unavailable"
    return "ok"


# What the handler says it wants.
TheReadiness = Annotated[Readiness, Dependency(skip_validation=True)]


@get("/healthz", include_in_schema=False, sync_to_thread=False)
def _healthz() -> Health:
    """Alive."""
    return Health("ok", {})


@get("/readyz", include_in_schema=False)
async def _readyz(readiness: TheReadiness) -> Response[Health]:
    """Ready, or 503."""
    health = await readiness.look()
    return Response(health, status_code=200 if health.status == "ready" else 503)


@get("/metrics", include_in_schema=False, sync_to_thread=False)
def _metrics() -> Response[bytes]:
    """Figures in Prometheus' text format."""
    return Response(render(), media_type="text/plain; version=0.0.4; charset=utf-8")


PROBES = [_healthz, _readyz, _metrics]
