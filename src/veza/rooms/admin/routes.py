"""Running the platform, over HTTP."""

from typing import Annotated, Literal
from uuid import UUID

from litestar.params import Parameter

from veza.access.actor import Me
from veza.core.http import InTx, Reply, Route, Said, reply, said
from veza.core.pages import MAX_LIMIT, MAX_PAGE, Page
from veza.rooms.accounts import suspensions
from veza.rooms.admin import service
from veza.rooms.admin.schemas import (
    DeadJobs,
    ManagedUsers,
    Retried,
    RetryDraft,
    State,
    StorageOverview,
    Suspension,
    UserBody,
    Work,
)

PageNumber = Annotated[int, Parameter(ge=1, le=MAX_PAGE)]
Limit = Annotated[int, Parameter(ge=1, le=MAX_LIMIT)]
Role = Literal["user", "creator", "moderator", "admin"]


@Route("/admin/users", http_method="GET")
async def list_users(
    tx: InTx, actor: Me, q: Annotated[str | None, Parameter(max_length=254)] = None,
    role: Role | None = None, status: State | None = None, page: PageNumber = 1, limit: Limit = 20,
) -> Reply[ManagedUsers]:  # fmt: skip
    """List users, by the beginning of their name or address, by role, by state."""
    found = await service.list_users(tx, actor, Page(page, limit), q=q, role=role, state=status)
    return reply(found)


@Route("/admin/users/{user_id:str}/suspend", http_method="POST", status_code=200)
async def suspend_user(tx: InTx, actor: Me, user_id: UUID, data: Suspension) -> Reply[UserBody]:
    """Suspend a user: sign them out, and let them in no more."""
    user = await suspensions.suspend(tx, actor, user_id, data.reason)
    return reply(UserBody(service.managed(user)))


@Route("/admin/users/{user_id:str}/restore", http_method="POST", status_code=200)
async def restore_user(tx: InTx, actor: Me, user_id: UUID) -> Reply[UserBody]:
    """Restore a suspended user."""
    return reply(UserBody(service.managed(await suspensions.restore(tx, actor, user_id))))


@Route("/admin/jobs", http_method="GET")
async def look_at_work(tx: InTx, actor: Me) -> Reply[Work]:
    """See how many jobs wait in each lane, and which kinds fail."""
    return reply(await service.look_at_work(tx, actor))


@Route("/admin/jobs/dead", http_method="GET")
async def list_dead(
    tx: InTx, actor: Me, kind: Annotated[str | None, Parameter(max_length=64)] = None,
    page: PageNumber = 1, limit: Limit = 20,
) -> Reply[DeadJobs]:  # fmt: skip
    """List jobs that were given up."""
    return reply(await service.list_dead(tx, actor, Page(page, limit), kind))


@Route("/admin/jobs/retry", http_method="POST", status_code=200)
async def retry_all(tx: InTx, actor: Me, data: RetryDraft) -> Reply[Retried]:
    """Try all jobs of a kind again that were given up."""
    return reply(Retried(await service.retry_all(tx, actor, data.kind)))


@Route("/admin/jobs/{job_id:str}/retry", http_method="POST", status_code=200)
async def retry(tx: InTx, actor: Me, job_id: UUID) -> Reply[Said]:
    """Try a job again that was given up."""
    await service.retry(tx, actor, job_id)
    return said("The job is tried again")


@Route("/admin/jobs/{job_id:str}", http_method="DELETE", status_code=200)
async def discard(tx: InTx, actor: Me, job_id: UUID) -> Reply[Said]:
    """Discard a job that was given up."""
    await service.discard(tx, actor, job_id)
    return said("The job is gone")


@Route("/admin/storage", http_method="GET")
async def look_at_storage(tx: InTx, actor: Me) -> Reply[StorageOverview]:
    """See what is stored, and who stores most."""
    return reply(await service.look_at_storage(tx, actor))


ROUTES = [
    list_users, suspend_user, restore_user, look_at_work, list_dead, retry_all, retry, discard,
    look_at_storage,
]  # fmt: skip
