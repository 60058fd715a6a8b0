"""What happens to the audit log itself."""

from typing import ClassVar
from uuid import UUID

from veza.core.events import Event


class AuditPurged(Event, frozen=True):
    """So many rows of the log were too old to be kept: all up to ``up_to``, whose seal was ``mac``."""

    kind: ClassVar[str] = "audit.purged"
    up_to: int
    mac: str
    rows: int


class AuditExported(Event, frozen=True):
    """Somebody took rows of everybody's log with them, or of one user's."""

    kind: ClassVar[str] = "audit.exported"
    of_user: UUID | None
