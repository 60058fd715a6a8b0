"""The statements about reports."""

from collections.abc import Mapping
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx
from veza.core.pages import Page
from veza.rooms.reports.schemas import Report
from veza.rooms.reports.tables import reports

R = reports.c
_select = sa.select(*(R[name] for name in Report.__struct_fields__))
_ADD: Statement[None] = Statement(sa.insert(reports))
_FIND = Statement(_select.where(R.id == sa.bindparam("report_id")), Report)
_BY = Statement(_select.where(R.reporter_id == sa.bindparam("user_id")).order_by(R.created_at), Report)
_IN_ROOM = Statement(
    _select.where(R.room_id == sa.bindparam("room"), R.resolved_at.is_(None))
    .order_by(R.created_at.desc(), R.id.desc())
    .limit(100),
    Report,
)
_RESOLVE: Statement[None] = Statement(
    sa.update(reports)
    .where(
        R.target_type == sa.bindparam("of_type"),
        R.target_id == sa.bindparam("of_target"),
        R.resolved_at.is_(None),
    )
    .values(
        resolved_at=sa.bindparam("at"),
        resolved_by=sa.bindparam("by"),
        action=sa.bindparam("deed"),
        note=sa.bindparam("said"),
    )
)


async def add(tx: Tx, report: Report) -> None:
    """Keep a report. Raises :class:`veza.core.db.UniqueViolation` where the same one waits already."""
    await tx.run(_ADD, **msgspec.structs.asdict(report))


async def find(tx: Tx, report_id: UUID) -> Report | None:
    """The report with this id."""
    return await tx.first(_FIND, report_id=report_id)


async def list_by(tx: Tx, user_id: UUID) -> list[Report]:
    """Every report by somebody."""
    return await tx.all(_BY, user_id=user_id)


async def list_in_room(tx: Tx, room_id: UUID) -> list[Report]:
    """What waits and is about messages of a room, the latest first."""
    return await tx.all(_IN_ROOM, room=room_id)


async def resolve(tx: Tx, kind: str, target_id: UUID, by: UUID | None, action: str, note: str | None) -> int:
    """All that wait and are about the same thing have been seen to; how many those were."""
    return await tx.run(
        _RESOLVE, of_type=kind, of_target=target_id, at=clock.now(), by=by, deed=action, said=note
    )


async def page(tx: Tx, given: Mapping[str, Any], page: Page) -> list[Report]:
    """Some reports, the latest first: ``open`` ones or not, about one ``target_type``."""
    return await tx.all(_page_statement(_names(given)), limit=page.limit, offset=page.offset, **given)


async def count(tx: Tx, given: Mapping[str, Any]) -> int:
    """How many there are."""
    return await tx.first(_count_statement(_names(given)), **given) or 0


def _names(given: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{name}={value}" if name == "open" else name for name, value in given.items())


def _conditions(names: tuple[str, ...]) -> list[sa.ColumnElement[bool]]:
    known = {"open=True": R.resolved_at.is_(None), "open=False": R.resolved_at.is_not(None)}
    return [known[name] if name in known else R[name] == sa.bindparam(name) for name in names]


@cache
def _page_statement(names: tuple[str, ...]) -> Statement[Report]:
    limit, offset = (sa.bindparam(name, type_=sa.BigInteger) for name in ("limit", "offset"))
    chosen = _select.where(*_conditions(names)).order_by(R.created_at.desc(), R.id.desc())
    return Statement(chosen.limit(limit).offset(offset), Report, heavy=True)


@cache
def _count_statement(names: tuple[str, ...]) -> Statement[int]:
    chosen = sa.select(sa.func.count()).select_from(reports).where(*_conditions(names))
    return Statement(chosen, int, heavy=True)
