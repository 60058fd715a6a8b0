"""How long a receiver that fails is tried, and how gently one that comes back is treated."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from veza.rooms.webhooks.schemas import Attempt

# After each failed attempt; after the last of them a delivery is given up.
DELAYS = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(hours=24),
)
_JITTER = 0.2
LONGEST_ASKED = timedelta(hours=24)
# A hook that fails for so long is turned off.
GIVEN_UP_AFTER = timedelta(days=5)
GONE = 410
_ASKS_TO_WAIT = frozenset({429, 503})
# From the third failure in a row on, the whole hook rests, so that its backlog does not keep trying either.
RESTS_FROM = 3
_FIRST_REST = timedelta(seconds=5)
LONGEST_REST = timedelta(minutes=1)
# What is late goes no quicker than so many a second: who was away is not run over when they come back.
LATE_AFTER = timedelta(minutes=1)
LATE_PER_SECOND = 50


def next_attempt(attempt: int, now: datetime, retry_after: str) -> datetime | None:
    """When to try again what has failed so many times; None when it is given up.

    A receiver that names a later time is heeded, up to a day.
    """
    if attempt > len(DELAYS):
        return None
    jitter = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - jitter, not a secret
    planned = now + DELAYS[attempt - 1] * jitter
    asked = asked_for(retry_after, now)
    return max(planned, asked) if asked else planned


def asked_for(retry_after: str, now: datetime) -> datetime | None:
    """What a header ``Retry-After`` asks for, seconds or a date; a day at most (RFC 9110, 10.2.3).

    None where that is no time to come.
    """
    text = retry_after.strip()
    try:
        if text.isascii() and text.isdecimal():
            until = now + timedelta(
                seconds=min(int(text.lstrip("0")[:9] or 0), LONGEST_ASKED.total_seconds())
            )
        else:
            until = parsedate_to_datetime(text)
            until = until.replace(tzinfo=UTC) if until.tzinfo is None else until
    except (ValueError, TypeError, OverflowError):
        return None
    return min(until, now + LONGEST_ASKED) if until > now else None


def rest(failures: int, attempt: Attempt, now: datetime, retry_after: str) -> datetime | None:
    """Until when a hook is left alone after so many failures in a row, the last of them this one.

    A receiver that asks for more is left more, but not less.
    """
    asked = asked_for(retry_after, now) if attempt.status in _ASKS_TO_WAIT else None
    if failures < RESTS_FROM:
        return asked
    ours = now + min(_FIRST_REST * (1 << min(failures - RESTS_FROM, 10)), LONGEST_REST)
    return max(ours, asked) if asked else ours
