"""What happens to the audit log itself."""

from typing import ClassVar
from uuid import UUID

from veza.core.events import Event


class AuditPurged(Event, frozen=True):
    """So many rows of the log were too old to be kept: all up to ``up_to``, whose seal was ``mac``.

    ``seal`` is of both: nobody else can tell of a purge.
    """

    kind: ClassVar[str] = "audit.purged"
    up_to: int
    mac: str
    rows: int
    seal: str = ""


class AuditExported(Event, frozen=True):
    """Somebody took rows of everybody's log with them, or of one user's."""

    kind: ClassVar[str] = "audit.exported"
    of_user: UUID | None


class SuspiciousActivityFound(Event, frozen=True):
    """Something looks like an attack, of the kind ``what``; ``user_id`` is None where it is of an address."""

    kind: ClassVar[str] = "audit.suspicious_found"

    finding_id: UUID
    what: str
    severity: str
    user_id: UUID | None


class FindingAcknowledged(Event, frozen=True):
    """An admin has seen to what looked like an attack."""

    kind: ClassVar[str] = "audit.finding_acknowledged"

    finding_id: UUID
