"""Traces on, for as long as a process runs, where it is said where to send them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec

from veza.core.tracing import tracing

_NEEDED = "opentelemetry.exporter.otlp.proto.http"


def can_trace() -> bool:
    """Whether the extra `tracing` is installed."""
    try:
        return find_spec(_NEEDED) is not None and find_spec("opentelemetry.sdk.trace") is not None
    except ModuleNotFoundError:
        return False


@asynccontextmanager
async def traces_sent(url: str, percent: int, role: str) -> AsyncIterator[None]:
    """Record ``percent`` of all traces and send them to ``url``; nothing where there is none.

    What there is at the end is sent for some seconds at most. Raises ModuleNotFoundError without the extra.
    """
    if not url:
        yield
        return
    from veza.core.tracing_otel import OtelRecorder  # noqa: PLC0415 - who sends none does without it

    recorder = OtelRecorder(url, percent, role)
    tracing.recorder = recorder
    try:
        yield
    finally:
        tracing.recorder = None
        await asyncio.to_thread(recorder.close)
