"""What happens to reports. Who is reported is not told; the words of a report are with it alone."""

from typing import ClassVar
from uuid import UUID

from veza.core.events import Event


class ContentReported(Event, frozen=True):
    """Somebody reported a thing of the kind ``about``."""

    kind: ClassVar[str] = "report.created"

    report_id: UUID
    about: str
    about_id: UUID


class ReportResolved(Event, frozen=True):
    """Somebody who moderates looked at a report, and this is what they did."""

    kind: ClassVar[str] = "report.resolved"

    report_id: UUID
    about: str
    about_id: UUID
    action: str


class ReportRevoked(Event, frozen=True):
    """What had been done because of a report was taken back."""

    kind: ClassVar[str] = "report.revoked"

    report_id: UUID
    about: str
    about_id: UUID
