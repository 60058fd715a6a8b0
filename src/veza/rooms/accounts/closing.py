"""Closing what somebody has while their account is suspended, and opening it after that.

Each room keeps with its things whether they are closed, for lists are made of that; a job of its own follows
the account.
"""

from typing import Protocol
from uuid import UUID

import msgspec

from veza.core.db import Database, Tx
from veza.core.events import EventJob
from veza.core.jobs import Job, JobKind
from veza.core.worker import Task
from veza.rooms.accounts import store

# Things closed in one transaction.
PIECE = 50


class Close(Protocol):
    """How a room does it."""

    async def __call__(self, tx: Tx, user_id: UUID, most: int, *, closed: bool) -> int:
        """Close, or open, at most so many things of a user, who is held; how many that were."""


class _Whose(msgspec.Struct, frozen=True):
    user_id: UUID


def closing(database: Database, kind: JobKind[EventJob], close: Close) -> Task:
    """The task that closes all that a room has of somebody who is suspended, and opens it after that."""

    async def run(job: Job, told: EventJob) -> None:
        del job
        user_id = msgspec.convert(told.data, _Whose).user_id
        while await _go_on(database, user_id, close):
            pass

    return Task(kind, run)


async def _go_on(database: Database, user_id: UUID, close: Close) -> bool:
    """One piece, as the account is now; whether there may be more."""
    async with database.write() as tx:
        # Held: whoever restores them meanwhile does so after this piece, and has all of it looked at again.
        user = await store.lock(tx, user_id)
        if user is None:
            return False
        return await close(tx, user_id, PIECE, closed=user.suspended_at is not None) == PIECE
