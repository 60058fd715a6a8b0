"""Identifiers: UUID version 7 (RFC 9562), so that they sort by the time they were made.

The millisecond in an id is public knowledge anyway: everything that carries an id also carries
its ``created_at``. Secrets are never ids; they come from :mod:`secrets`.
"""

import os
import time
from datetime import UTC, datetime
from uuid import UUID

_last = 0
_new = object.__new__
_set = object.__setattr__


def uuid_of(number: int) -> UUID:
    """The UUID of 128 bits; half the price of ``UUID(int=number)``, which matters on lists."""
    made = _new(UUID)
    _set(made, "int", number)
    _set(made, "is_safe", None)
    return made


def first_id_at(moment: datetime) -> UUID:
    """What is smaller than every id made at this moment or later, and greater than those made before."""
    return UUID(int=int(moment.timestamp() * 1000) << 80 | 0x7000 << 64)


def made_at(own: UUID) -> datetime:
    """When an id was made, to the millisecond."""
    return datetime.fromtimestamp((own.int >> 80) / 1000, UTC)


def new_id() -> UUID:
    """A fresh UUIDv7; ids made by one process sort strictly by the order in which they were made."""
    global _last  # noqa: PLW0603 - the sequence is the process's
    # 48 bits of milliseconds and 12 of their fraction (RFC 9562, 6.2, method 3), then 62 random bits.
    tick = time.time_ns() * 4096 // 1_000_000
    _last = tick = max(tick, _last + 1)
    head = (tick >> 12) << 16 | 0x7000 | (tick & 0xFFF)
    tail = int.from_bytes(os.urandom(8)) & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    return uuid_of(head << 64 | tail)
