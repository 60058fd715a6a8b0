"""What operators do to jobs."""

from typing import ClassVar
from uuid import UUID

from veza.core.events import Event


class JobsRetried(Event, frozen=True):
    """An admin had dead jobs tried again: one (``job_id``), or all of a kind."""

    kind: ClassVar[str] = "jobs.retried"

    job_kind: str
    jobs: int
    job_id: UUID | None


class JobDiscarded(Event, frozen=True):
    """An admin removed a dead job, which is never done."""

    kind: ClassVar[str] = "jobs.discarded"

    job_kind: str
    job_id: UUID
