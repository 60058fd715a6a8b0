"""What an event becomes in the log: whose it is, what it is about, how grave it is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

INFO, WARNING, CRITICAL = "info", "warning", "critical"

# All others are ordinary.
_SEVERITY: Mapping[str, str] = {
    "audit.purged": WARNING,
    "audit.suspicious_found": WARNING,
    "auth.2fa_disabled": WARNING,
    "auth.2fa_reset": WARNING,
    "auth.login_failed": WARNING,
    "auth.login_slowed": WARNING,
    "auth.recovery_code_used": WARNING,
    "auth.refresh_reused": CRITICAL,
    "order.refund_failed": WARNING,
    "user.deleted": WARNING,
    "user.exported": WARNING,
    "user.restored": WARNING,
    "user.role_changed": WARNING,
    "user.suspended": WARNING,
    "webhook.target_forbidden": WARNING,
}
# The first word of a kind says what it is about, but for these.
_ABOUT = {"audit": "finding", "auth": "user", "transfer": "upload"}


class Happened(msgspec.Struct, frozen=True):
    """An event as its row says; ``data`` is JSON, as it was written."""

    id: UUID
    kind: str
    data: str
    actor_id: UUID | None
    ip: str
    user_agent: str
    request_id: str
    created_at: datetime


class Entry(msgspec.Struct, frozen=True):
    """A row of the log but for its seal; ``seq`` counts from 1, and is 0 for what is not sealed yet."""

    seq: int
    id: UUID
    kind: str
    user_id: UUID | None
    actor_id: UUID | None
    target_type: str
    target_id: UUID | None
    severity: str
    ip: str
    user_agent: str
    request_id: str
    data: str
    created_at: datetime


def entry_of(event: Happened, seq: int = 0) -> Entry:
    """The row that an event becomes."""
    data = fields_of(event.data)
    target_type, target_id = _target(event.kind, data)
    return Entry(
        seq=seq,
        id=event.id,
        kind=event.kind,
        user_id=event.actor_id or _id(data.get("user_id")),
        actor_id=event.actor_id,
        target_type=target_type,
        target_id=target_id,
        severity=_SEVERITY.get(event.kind, INFO),
        ip=event.ip,
        user_agent=event.user_agent,
        request_id=event.request_id,
        data=event.data,
        created_at=event.created_at,
    )


def fields_of(data: str) -> Mapping[str, Any]:
    """What is told of; nothing where somebody else wrote past Veza what is none, or none could be read."""
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        return {}


def _target(kind: str, data: Mapping[str, Any]) -> tuple[str, UUID | None]:
    first = kind.partition(".")[0]
    for name in (_ABOUT.get(first, first), "user"):
        found = _id(data.get(f"{name}_id"))
        if found is not None:
            return name, found
    return "", None


def _id(text: Any) -> UUID | None:
    try:
        return UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None
