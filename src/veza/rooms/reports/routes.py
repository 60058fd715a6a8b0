"""Reports over HTTP."""

from typing import Annotated
from uuid import UUID

from litestar.params import Parameter

from veza.access.actor import Me
from veza.core.http import InTx, Reply, Route, reply
from veza.core.pages import MAX_LIMIT, MAX_PAGE, Page
from veza.rooms.reports import service
from veza.rooms.reports.schemas import (
    ReceiptBody,
    ReportBody,
    ReportDraft,
    ReportList,
    Resolution,
    RoomReportList,
    Standing,
    Target,
)


@Route("/reports", http_method="POST", status_code=201)
async def make_report(tx: InTx, actor: Me, data: ReportDraft) -> Reply[ReceiptBody]:
    """Report what should not be here."""
    return reply(ReceiptBody(await service.report(tx, actor, data)))


@Route("/admin/reports", http_method="GET")
async def list_reports(
    tx: InTx,
    actor: Me,
    status: Standing | None = None,
    target_type: Target | None = None,
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
) -> Reply[ReportList]:
    """List reports."""
    return reply(await service.list_reports(tx, actor, Page(page, limit), status, target_type))


@Route("/admin/reports/{report_id:str}/resolve", http_method="POST", status_code=200)
async def resolve(tx: InTx, actor: Me, report_id: UUID, data: Resolution) -> Reply[ReportBody]:
    """Dismiss a report, remove what it is about, or suspend whose that is."""
    return reply(ReportBody(await service.resolve(tx, actor, report_id, data)))


@Route("/admin/reports/{report_id:str}/revoke", http_method="POST", status_code=200)
async def revoke(tx: InTx, actor: Me, report_id: UUID) -> Reply[ReportBody]:
    """Show a track again that was removed because of a report."""
    return reply(ReportBody(await service.revoke(tx, actor, report_id)))


@Route("/chat/rooms/{room_id:str}/reports", http_method="GET")
async def list_room_reports(tx: InTx, actor: Me, room_id: UUID) -> Reply[RoomReportList]:
    """List what is reported in a room that you moderate."""
    return reply(await service.list_in_room(tx, actor, room_id))


ROUTES = [make_report, list_reports, list_room_reports, resolve, revoke]
