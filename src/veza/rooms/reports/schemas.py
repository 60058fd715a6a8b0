"""Reports as callers see them."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from veza.core.body import checked
from veza.core.pages import Pagination
from veza.core.text import clean_text

Target = Literal["track", "comment", "playlist", "user", "product", "message"]
Reason = Literal["copyright", "spam", "abuse", "hate", "violence", "sexual", "fraud", "other"]
Deed = Literal["dismiss", "remove", "suspend"]
Standing = Literal["open", "resolved"]
Words = Annotated[str, checked(partial(clean_text, max_chars=1_000, multiline=True), maxLength=1_000)]


class ReportDraft(msgspec.Struct, frozen=True):
    """What is reported, and why."""

    target_type: Target
    target_id: UUID
    reason: Reason
    details: Words | None = None


class Report(msgspec.Struct, frozen=True):
    """That somebody thinks a thing should not be here, and what became of that.

    Of a message: ``quote`` is what it said then, and ``room_id`` where.
    """

    id: UUID
    reporter_id: UUID
    target_type: str
    target_id: UUID
    owner_id: UUID | None
    reason: str
    details: str | None
    created_at: datetime
    resolved_at: datetime | None
    resolved_by: UUID | None
    action: str | None
    note: str | None
    quote: str | None = None
    room_id: UUID | None = None


class RoomReport(msgspec.Struct, frozen=True):
    """A report of a message as those see it who moderate its room: not by whom it is."""

    id: UUID
    message_id: UUID
    author_id: UUID | None
    reason: str
    details: str | None
    quote: str | None
    created_at: datetime


class RoomReportList(msgspec.Struct, frozen=True):
    """What is reported in a room and was not seen to yet, the latest first; a hundred at most."""

    reports: Sequence[RoomReport]


class Receipt(msgspec.Struct, frozen=True):
    """What whoever reported something gets to see of it."""

    id: UUID
    target_type: str
    target_id: UUID
    reason: str
    details: str | None
    created_at: datetime
    status: Standing


class ReceiptBody(msgspec.Struct, frozen=True):
    """One of those."""

    report: Receipt


class ReportBody(msgspec.Struct, frozen=True):
    """One report."""

    report: Report


class ReportList(msgspec.Struct, frozen=True):
    """A page of reports, the latest first."""

    reports: Sequence[Report]
    pagination: Pagination


class Resolution(msgspec.Struct, frozen=True):
    """What is done about a report, and why; the owner of a track that is removed reads the note."""

    action: Deed
    note: Words | None = None
