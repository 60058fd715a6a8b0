"""Time, in one place, so that tests can move it.

Wall-clock times are aware ``datetime`` objects in UTC with microseconds; the databases hold them as
integers (microseconds since 1970). Limits and deadlines use the monotonic clock instead.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

_shift = timedelta()


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC) + _shift


def monotonic() -> float:
    """Seconds that never run backwards, whatever is done to the wall clock."""
    return time.monotonic() + _shift.total_seconds()


@contextmanager
def shifted(by: timedelta) -> Iterator[None]:
    """Within this block, both clocks stand ``by`` away from the machine's: for tests and the demo's past."""
    global _shift  # noqa: PLW0603 - the one clock of the process
    _shift += by
    try:
        yield
    finally:
        _shift -= by  # and not to what it was: another task may have moved it meanwhile
