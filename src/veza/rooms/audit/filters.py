"""What a search in the log is narrowed down by, as it was asked for, and whether that makes sense."""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar.params import Parameter

from veza.core.addresses import canonical
from veza.core.errors import Detail, InvalidRequest
from veza.rooms.audit.rows import Entry

# Nobody keeps a log for longer than that, and beyond a few centuries no database knows the time.
LONGEST = timedelta(days=3_660)

Severity = Literal["info", "warning", "critical"]
Action = Annotated[str | None, Parameter(max_length=64, description="Like `track.uploaded`.")]
Moment = Annotated[str | None, Parameter(max_length=40, description="Like 2025-01-31T12:00:00Z (RFC 3339).")]
Address = Annotated[str | None, Parameter(max_length=45)]
TargetType = Annotated[str | None, Parameter(max_length=32, description="Like `track`.")]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows of the log; what is None does not matter."""

    user_id: UUID | None = None
    kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ip: str | None = None
    target_type: str | None = None
    target_id: UUID | None = None
    severity: Severity | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What does matter."""
        return tuple(name for name, value in msgspec.structs.asdict(self).items() if value is not None)

    @property
    def ip_before(self) -> str | None:
        """The address as earlier versions wrote it for whoever came by a socket for both kinds."""
        return f"::ffff:{self.ip}" if self.ip is not None and ":" not in self.ip else None

    def takes(self, entry: Entry) -> bool:
        """Whether a row is one of those."""
        since, until = self.since or entry.created_at, self.until or entry.created_at
        same = (name for name in self.names if name not in {"since", "until", "ip"})
        if self.ip is not None and entry.ip not in {self.ip, self.ip_before}:
            return False
        return since <= entry.created_at <= until and all(
            getattr(entry, name) == getattr(self, name) for name in same
        )


def read_filters(
    *,
    user_id: UUID | None = None,
    action: str | None = None,
    start_date: str | None = None,
    end_date: str | None = None,
    ip_address: str | None = None,
    target_type: str | None = None,
    target_id: UUID | None = None,
    severity: Severity | None = None,
) -> Wanted:
    """The rows that are asked for. Raises :class:`InvalidRequest` for what can be none."""
    wanted = Wanted(
        user_id=user_id,
        kind=_plain("action", action),
        since=_moment("start_date", start_date),
        until=_moment("end_date", end_date),
        ip=_address(ip_address),
        target_type=_plain("target_type", target_type),
        target_id=target_id,
        severity=severity,
    )
    if wanted.since is not None and wanted.until is not None:
        if wanted.since > wanted.until:
            raise _refused("end_date", "Must not be before start_date.")
        if wanted.until - wanted.since > LONGEST:
            raise _refused("end_date", "Must be within ten years of start_date.")
    return wanted


_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


def _moment(field: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return msgspec.convert(text, _Moment)
    except msgspec.ValidationError:
        raise _refused(field, "Must be a time like 2025-01-31T12:00:00Z (RFC 3339).") from None


def _plain(field: str, text: str | None) -> str | None:
    if text and not text.isprintable():
        raise _refused(field, "Must be a word without control characters.")
    return text or None


def _address(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return canonical(text)
    except ValueError:
        raise _refused("ip_address", "Must be an IP address.") from None


def _refused(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(details=[Detail(field, message, "INVALID")])
