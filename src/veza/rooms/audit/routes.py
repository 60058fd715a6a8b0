"""The audit log over HTTP."""

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from litestar.params import Dependency, Parameter

from veza.access.actor import Me
from veza.core.db import Database, Tx
from veza.core.http import InTx, Reply, Route, reply
from veza.core.pages import MAX_LIMIT, MAX_PAGE, Page
from veza.core.sheets import MIME, SheetAnswer
from veza.rooms.audit import service, suspicions
from veza.rooms.audit.export import pieces
from veza.rooms.audit.filters import Action, Address, Moment, Severity, TargetType, read_filters
from veza.rooms.audit.schemas import LogPage, LogStats
from veza.rooms.audit.suspicions import Acknowledgement, FindingBody, Findings, Kind

TheDatabase = Annotated[Database, Dependency(skip_validation=True)]
TheBegin = Annotated[Callable[[], Tx], Dependency(skip_validation=True)]
PageNumber = Annotated[int, Parameter(ge=1, le=MAX_PAGE)]
Limit = Annotated[int, Parameter(ge=1, le=MAX_LIMIT)]


@Route("/audit/logs", http_method="GET")
async def search_own(
    tx: InTx, actor: Me, user_id: UUID | None = None, action: Action = None, start_date: Moment = None,
    end_date: Moment = None, ip_address: Address = None, target_type: TargetType = None,
    target_id: UUID | None = None, severity: Severity | None = None, page: PageNumber = 1, limit: Limit = 20,
) -> Reply[LogPage]:  # fmt: skip
    """Search your own audit log."""
    wanted = read_filters(
        user_id=user_id, action=action, start_date=start_date, end_date=end_date, ip_address=ip_address,
        target_type=target_type, target_id=target_id, severity=severity,
    )  # fmt: skip
    return reply(await service.list_logs(tx, service.own(actor, wanted), Page(page, limit)))


@Route("/audit/stats", http_method="GET")
async def show_own_stats(tx: InTx, actor: Me) -> Reply[LogStats]:
    """Count what is in your own audit log."""
    return reply(await service.get_stats(tx, service.own(actor, read_filters())))


@Route("/audit/export", http_method="GET", media_type=MIME)
async def export_own(
    database: TheDatabase, actor: Me, action: Action = None, start_date: Moment = None,
    end_date: Moment = None,
) -> SheetAnswer:  # fmt: skip
    """Export your own audit log as CSV."""
    asked = read_filters(action=action, start_date=start_date, end_date=end_date)
    wanted = service.own(actor, asked)
    return SheetAnswer(pieces(database, wanted), "audit.csv")


@Route("/admin/audit/logs", http_method="GET")
async def search_all(
    tx: InTx, actor: Me, user_id: UUID | None = None, action: Action = None, start_date: Moment = None,
    end_date: Moment = None, ip_address: Address = None, target_type: TargetType = None,
    target_id: UUID | None = None, severity: Severity | None = None, page: PageNumber = 1, limit: Limit = 20,
) -> Reply[LogPage]:  # fmt: skip
    """Search everybody's audit log."""
    wanted = read_filters(
        user_id=user_id, action=action, start_date=start_date, end_date=end_date, ip_address=ip_address,
        target_type=target_type, target_id=target_id, severity=severity,
    )  # fmt: skip
    return reply(await service.list_logs(tx, service.everybodys(actor, wanted), Page(page, limit)))


@Route("/admin/audit/stats", http_method="GET")
async def show_all_stats(tx: InTx, actor: Me, user_id: UUID | None = None) -> Reply[LogStats]:
    """Count what is in everybody's audit log, or in one user's."""
    return reply(await service.get_stats(tx, service.everybodys(actor, read_filters(user_id=user_id))))


@Route("/admin/audit/export", http_method="GET", media_type=MIME)
async def export_all(
    begin: TheBegin, database: TheDatabase, actor: Me, user_id: UUID | None = None, action: Action = None,
    start_date: Moment = None, end_date: Moment = None, ip_address: Address = None,
    target_type: TargetType = None, target_id: UUID | None = None, severity: Severity | None = None,
) -> SheetAnswer:  # fmt: skip
    """Export everybody's audit log as CSV."""
    asked = read_filters(
        user_id=user_id, action=action, start_date=start_date, end_date=end_date, ip_address=ip_address,
        target_type=target_type, target_id=target_id, severity=severity,
    )  # fmt: skip
    wanted = service.everybodys(actor, asked)
    await service.note_export(begin(), wanted)
    return SheetAnswer(pieces(database, wanted), "audit.csv")


@Route("/audit/suspicious", http_method="GET")
async def list_own_findings(tx: InTx, actor: Me, page: PageNumber = 1, limit: Limit = 20) -> Reply[Findings]:
    """List what looks like an attack on your account."""
    return reply(await suspicions.list_own(tx, actor, Page(page, limit)))


@Route("/admin/audit/suspicious", http_method="GET")
async def list_all_findings(
    tx: InTx, actor: Me, user_id: UUID | None = None, kind: Kind | None = None,
    severity: Severity | None = None, page: PageNumber = 1, limit: Limit = 20, *,
    acknowledged: bool | None = None,
) -> Reply[Findings]:  # fmt: skip
    """Detect suspicious activity: list what looks like an attack."""
    return reply(
        await suspicions.list_all(
            tx, actor, Page(page, limit), user_id=user_id, kind=kind, severity=severity,
            acknowledged=acknowledged,
        )
    )  # fmt: skip


@Route("/admin/audit/suspicious/{finding_id:str}/acknowledge", http_method="POST", status_code=200)
async def acknowledge(tx: InTx, actor: Me, finding_id: UUID, data: Acknowledgement) -> Reply[FindingBody]:
    """Say that a finding was seen to."""
    return reply(FindingBody(await suspicions.acknowledge(tx, actor, finding_id, data.note)))


ROUTES = [
    search_own, show_own_stats, export_own, search_all, show_all_stats, export_all, list_own_findings,
    list_all_findings, acknowledge,
]  # fmt: skip
