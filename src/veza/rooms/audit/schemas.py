"""The log as callers see it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from veza.rooms.audit.rows import Entry, fields_of


class LogEntry(msgspec.Struct, frozen=True):
    """Something that happened: what, in whose log, done by whom, to what, from where.

    ``user_id`` is who did it, or whom it concerns where nobody was signed in. ``seq`` is its number in the
    sealed log; it is null for the second or so until it is sealed.
    """

    id: UUID
    user_id: UUID | None
    action: str
    ip_address: str
    created_at: datetime
    actor_id: UUID | None
    target_type: str | None
    target_id: UUID | None
    severity: str
    user_agent: str
    request_id: str
    details: Mapping[str, Any]
    seq: int | None


class LogStanding(msgspec.Struct, frozen=True):
    """Where a page of the log stands; not ``exact``: there are more than ``total``."""

    page: int
    limit: int
    total: int
    total_pages: int
    exact: bool


class LogPage(msgspec.Struct, frozen=True):
    """A page of the log, the latest first."""

    logs: Sequence[LogEntry]
    pagination: LogStanding


class LogStats(msgspec.Struct, frozen=True):
    """How much the log holds, and of which kinds; so many rows of all are ``unsealed`` yet."""

    total_logs: int
    actions_count: Mapping[str, int]
    unsealed: int


def shown(entry: Entry) -> LogEntry:
    """A row as callers see it."""
    return LogEntry(
        id=entry.id,
        user_id=entry.user_id,
        action=entry.kind,
        ip_address=entry.ip,
        created_at=entry.created_at,
        actor_id=entry.actor_id,
        target_type=entry.target_type or None,
        target_id=entry.target_id,
        severity=entry.severity,
        user_agent=entry.user_agent,
        request_id=entry.request_id,
        details=fields_of(entry.data),
        seq=entry.seq or None,
    )
