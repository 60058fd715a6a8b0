"""Running the platform: who is there, what is to be done, what is stored."""

from uuid import UUID

import msgspec

from veza.access.actor import Actor
from veza.access.policy import Action, require
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import Detail, InvalidRequest
from veza.core.jobs import CHANNEL
from veza.core.pages import Page
from veza.rooms.admin import store
from veza.rooms.admin.errors import JobNotFound
from veza.rooms.admin.events import JobDiscarded, JobsRetried
from veza.rooms.admin.schemas import (
    DeadJob,
    DeadJobs,
    ManagedUser,
    ManagedUsers,
    State,
    StorageOverview,
    Work,
)


async def list_users(
    tx: Tx,
    actor: Actor,
    page: Page,
    *,
    q: str | None = None,
    role: str | None = None,
    state: State | None = None,
) -> ManagedUsers:
    """A page of users whose name or address begins with ``q``. Raises Forbidden."""
    require(actor, Action.LIST_USERS)
    key = _plain("q", q).strip().casefold() or None
    total = await store.count_users(tx, key, role, state)
    found = await store.list_users(tx, page, key, role, state) if page.offset < total else []
    return ManagedUsers(found, page.of(total))


def _plain(field: str, text: str | None) -> str:
    if text and not text.isprintable():
        raise InvalidRequest(details=[Detail(field, "Must have no control characters.", "INVALID")])
    return text or ""


def managed(user: object) -> ManagedUser:
    """A user, as the room of accounts has them, as admins see them."""
    return msgspec.convert(user, ManagedUser, from_attributes=True)


async def look_at_work(tx: Tx, actor: Actor) -> Work:
    """What is to be done, by lane, and what fails of it, by kind. Raises Forbidden."""
    require(actor, Action.RUN_PLATFORM)
    return Work(await store.list_lanes(tx, clock.now()), await store.list_failing(tx))


async def list_dead(tx: Tx, actor: Actor, page: Page, kind: str | None = None) -> DeadJobs:
    """A page of jobs that were given up, the latest first. Raises Forbidden."""
    require(actor, Action.RUN_PLATFORM)
    kind = _plain("kind", kind) or None
    total = await store.count_dead(tx, kind)
    found = await store.list_dead(tx, page, kind) if page.offset < total else []
    return DeadJobs(found, page.of(total))


async def retry(tx: Tx, actor: Actor, job_id: UUID) -> None:
    """Have a job that was given up tried again. Raises Forbidden and JobNotFound."""
    job = await _hold(tx, actor, job_id)
    await store.retry(tx, job.id, clock.now())
    tx.notify(CHANNEL)
    tx.emit(JobsRetried(job.kind, 1, job.id))


async def retry_all(tx: Tx, actor: Actor, kind: str) -> int:
    """The same of all of a kind; how many there were. Raises Forbidden."""
    require(actor, Action.RUN_PLATFORM)
    count = await store.retry_all(tx, kind, clock.now())
    if count:
        tx.notify(CHANNEL)
        tx.emit(JobsRetried(kind, count, None))
    return count


async def discard(tx: Tx, actor: Actor, job_id: UUID) -> None:
    """Remove a job that was given up. Raises Forbidden and JobNotFound."""
    job = await _hold(tx, actor, job_id)
    await store.discard(tx, job.id)
    tx.emit(JobDiscarded(job.kind, job.id))


async def _hold(tx: Tx, actor: Actor, job_id: UUID) -> DeadJob:
    require(actor, Action.RUN_PLATFORM)
    job = await store.lock_dead(tx, job_id)
    if job is None:
        raise JobNotFound
    return job


async def look_at_storage(tx: Tx, actor: Actor) -> StorageOverview:
    """What is stored, and who stores most. Raises Forbidden."""
    require(actor, Action.RUN_PLATFORM)
    users, used = await store.sum_storage(tx)
    return StorageOverview(users, used, await store.list_kept(tx), await store.list_largest(tx))
