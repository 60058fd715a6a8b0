"""Reports: users say what should not be here, and those who moderate see to it."""

from uuid import UUID

from veza.access.actor import Actor, Member
from veza.access.policy import Action, require
from veza.core import clock
from veza.core.db import Tx, UniqueViolation
from veza.core.errors import NotFound, VezaError
from veza.core.ids import new_id
from veza.core.pages import Page
from veza.rooms.accounts import service as accounts
from veza.rooms.accounts import suspensions
from veza.rooms.chat import service as chat
from veza.rooms.chat.events import MessageRemoved
from veza.rooms.reports import store
from veza.rooms.reports.errors import AlreadyReported, AlreadyResolved, NothingToRevoke, ReportNotFound
from veza.rooms.reports.events import ContentReported, ReportResolved, ReportRevoked
from veza.rooms.reports.schemas import (
    Receipt,
    Report,
    ReportDraft,
    ReportList,
    Resolution,
    RoomReport,
    RoomReportList,
    Standing,
    Target,
)
from veza.rooms.reports.targets import KINDS


async def report(tx: Tx, actor: Member, draft: ReportDraft) -> Receipt:
    """Somebody reports a thing that they see.

    Raises what its room says of things that are not there, and :class:`AlreadyReported`.
    """
    await accounts.stay_signed_in(tx, actor)
    found = await KINDS[draft.target_type].find(tx, actor, draft.target_id)
    made = Report(
        id=new_id(), reporter_id=actor.id, target_type=draft.target_type, target_id=draft.target_id,
        owner_id=found.owner_id, reason=draft.reason, details=draft.details, created_at=clock.now(),
        resolved_at=None, resolved_by=None, action=None, note=None, quote=found.quote, room_id=found.room_id,
    )  # fmt: skip
    try:
        await store.add(tx, made)
    except UniqueViolation:
        raise AlreadyReported from None
    tx.emit(ContentReported(made.id, made.target_type, made.target_id))
    return Receipt(
        made.id, made.target_type, made.target_id, made.reason, made.details, made.created_at, "open"
    )


async def list_reports(
    tx: Tx, actor: Actor, page: Page, status: Standing | None, target_type: Target | None
) -> ReportList:
    """A page of reports, the latest first. Raises Forbidden."""
    require(actor, Action.RESOLVE_REPORT)
    asked = {"open": None if status is None else status == "open", "target_type": target_type}
    given = {name: value for name, value in asked.items() if value is not None}
    total = await store.count(tx, given)
    found = await store.page(tx, given, page) if page.offset < total else []
    return ReportList(found, page.of(total))


async def resolve(tx: Tx, actor: Member, report_id: UUID, wanted: Resolution) -> Report:
    """Dismiss a report, remove what it is about, or suspend whose that is; all reports of it are resolved.

    What has gone meanwhile needs no removal. Raises Forbidden, :class:`ReportNotFound`,
    :class:`AlreadyResolved`, and ValidationFailed for what cannot be done with such a thing.
    """
    found = await _get(tx, actor, report_id)
    if found.resolved_at is not None:
        raise AlreadyResolved
    why = wanted.note or found.reason
    # First what is done, for users and tracks are held before reports.
    if wanted.action == "remove":
        await _remove(tx, actor, found, why)
    if wanted.action == "suspend":
        if found.owner_id is None:
            raise ReportNotFound
        await suspensions.suspend(tx, actor, found.owner_id, why)
    kind, target = found.target_type, found.target_id
    if not await store.resolve(tx, kind, target, actor.id, wanted.action, wanted.note):
        raise AlreadyResolved
    tx.emit(ReportResolved(found.id, found.target_type, found.target_id, wanted.action))
    return await _get(tx, actor, report_id)


async def list_in_room(tx: Tx, actor: Member, room_id: UUID) -> RoomReportList:
    """What is reported in a room, for whoever moderates it: they may delete it, which resolves the report.

    To dismiss it is left to those who moderate everywhere. Raises RoomNotFound, Banned, Forbidden.
    """
    await chat.get_to_moderate(tx, actor, room_id)
    return RoomReportList(
        [
            RoomReport(
                one.id, one.target_id, one.owner_id, one.reason, one.details, one.quote, one.created_at
            )
            for one in await store.list_in_room(tx, room_id)
        ]
    )


async def follow_message(tx: Tx, event: MessageRemoved) -> None:
    """Who moderates a room has deleted a message: what was reported of it has been seen to."""
    await store.resolve(tx, "message", event.message_id, event.removed_by, "remove", None)


async def _remove(tx: Tx, actor: Member, found: Report, why: str) -> None:
    try:
        await KINDS[found.target_type].remove(tx, actor, found.target_id, why)
    except VezaError as problem:
        if problem.status != NotFound.status:
            raise


async def revoke(tx: Tx, actor: Member, report_id: UUID) -> Report:
    """Show a track again that was removed because of a report, or let a product be sold again.

    Raises :class:`NothingToRevoke`, and what its room says of what is not there any more.
    """
    found = await _get(tx, actor, report_id)
    let_back = KINDS[found.target_type].let_back
    if let_back is None or found.action != "remove":
        raise NothingToRevoke
    await let_back(tx, actor, found.target_id)
    tx.emit(ReportRevoked(found.id, found.target_type, found.target_id))
    return found


async def _get(tx: Tx, actor: Actor, report_id: UUID) -> Report:
    require(actor, Action.RESOLVE_REPORT)
    found = await store.find(tx, report_id)
    if found is None:
        raise ReportNotFound
    return found


async def list_by(tx: Tx, user_id: UUID) -> list[Receipt]:
    """What somebody has reported."""
    return [
        Receipt(
            one.id, one.target_type, one.target_id, one.reason, one.details, one.created_at,
            "resolved" if one.resolved_at else "open",
        )
        for one in await store.list_by(tx, user_id)
    ]  # fmt: skip
