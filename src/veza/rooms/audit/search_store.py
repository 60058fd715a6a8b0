"""The statements by which the log is searched: pages by an index each, and counts that are kept."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.core.events import events
from veza.rooms.audit.filters import Wanted
from veza.rooms.audit.rows import INFO, Entry, Happened
from veza.rooms.audit.sealing_store import EVENT
from veza.rooms.audit.tables import audit_counts, audit_log, audit_queue

A, C = audit_log.c, audit_counts.c

# What waits for its seal is shown before all else: no more than this, which is of a second unless no worker
# works.
MOST_WAITING = 1_000
# Rows beyond this are reached by narrower dates, not by turning pages; and more are not counted one by one.
MOST = 10_000
DEEP = 1_000

COLUMNS = tuple(A[name] for name in Entry.__struct_fields__)


class Counted(msgspec.Struct, frozen=True):
    """How many rows there are of a kind."""

    kind: str
    total: int


_WAITING = Statement(
    sa.select(*EVENT)
    .select_from(audit_queue.join(events, events.c.id == audit_queue.c.id))
    .order_by(audit_queue.c.id.desc())
    .limit(MOST_WAITING),
    Happened,
    heavy=True,
)
_COUNTS = Statement(sa.select(C.kind, C.total).where(C.scope == sa.bindparam("scope")), Counted)


async def list_waiting(tx: Tx) -> list[Happened]:
    """The latest events that wait to be sealed."""
    return await tx.all(_WAITING)


async def list_counts(tx: Tx, scope: UUID) -> list[Counted]:
    """How many rows of each kind are sealed, of a user or of everybody."""
    return await tx.all(_COUNTS, scope=scope)


async def page(tx: Tx, wanted: Wanted, limit: int, offset: int) -> list[Entry]:
    """Some of the rows, the latest first."""
    statement = _page_statement(_names(wanted), heavy=wanted.user_id is None or offset >= DEEP)
    return await tx.all(statement, limit=limit, offset=offset, **_given(wanted))


async def after(tx: Tx, wanted: Wanted, limit: int, at: datetime, seq: int) -> list[Entry]:
    """The rows that come, the latest first, after the one of this time and number."""
    return await tx.all(_after_statement(_names(wanted)), limit=limit, at=at, seq=seq, **_given(wanted))


async def count(tx: Tx, wanted: Wanted) -> int:
    """How many rows there are, but no more than one beyond :data:`MOST`."""
    return await tx.first(_count_statement(_names(wanted)), **_given(wanted)) or 0


def _names(wanted: Wanted) -> tuple[str, ...]:
    grave = wanted.severity not in {None, INFO}
    both = wanted.ip_before is not None
    return (*wanted.names, *(["grave"] if grave else []), *(["ip_before"] if both else []))


def _given(wanted: Wanted) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in (*wanted.names, "ip_before")}


_CONDITIONS: dict[str, sa.ColumnElement[bool]] = {
    "since": A.created_at >= sa.bindparam("since"),
    "until": A.created_at <= sa.bindparam("until"),
    "ip_before": A.ip == sa.bindparam("ip_before"),
    # As the index of them says it, or SQLite would not know that it may be used.
    "grave": A.severity != sa.literal_column(f"'{INFO}'"),
}


def _conditions(names: Iterable[str]) -> list[sa.ColumnElement[bool]]:
    return [_CONDITIONS[name] if name in _CONDITIONS else A[name] == sa.bindparam(name) for name in names]


_LATEST = (A.created_at.desc(), A.seq.desc())
_LIMIT = sa.bindparam("limit", type_=sa.BigInteger)
_OFFSET = sa.bindparam("offset", type_=sa.BigInteger)


def _chosen(
    names: tuple[str, ...],
    *columns: sa.ColumnElement[Any],
    most: sa.ColumnElement[int],
    order: Sequence[sa.ColumnElement[Any]] = _LATEST,
    here: Sequence[sa.ColumnElement[bool]] = (),
) -> sa.Subquery:
    """The first of the rows that are asked for; of each way to write an address so many, by its index."""
    ways = [[name for name in names if name != "ip_before"]]
    if "ip_before" in names:
        ways.append(["ip_before", *(name for name in ways[0] if name != "ip")])
    parts = [
        sa.select(*columns).where(*_conditions(way), *here).order_by(*order).limit(most).subquery()
        for way in ways
    ]
    return sa.union_all(*map(sa.select, parts)).subquery("chosen") if len(parts) > 1 else parts[0]


@cache
def _page_statement(names: tuple[str, ...], *, heavy: bool) -> Statement[Entry]:
    chosen = _chosen(names, A.created_at, A.seq, most=_LIMIT + _OFFSET)
    numbers = (
        sa.select(chosen.c.seq)
        .order_by(chosen.c.created_at.desc(), chosen.c.seq.desc())
        .limit(_LIMIT)
        .offset(_OFFSET)
        .subquery("found")
    )
    joined = sa.select(*COLUMNS).select_from(numbers.join(audit_log, A.seq == numbers.c.seq))
    return Statement(joined.order_by(*_LATEST), Entry, heavy=heavy)


@cache
def _after_statement(names: tuple[str, ...]) -> Statement[Entry]:
    here = sa.tuple_(A.created_at, A.seq) < sa.tuple_(
        sa.bindparam("at", type_=A.created_at.type), sa.bindparam("seq", type_=sa.BigInteger)
    )
    chosen = _chosen(names, *COLUMNS, most=_LIMIT, here=[here])
    latest = sa.select(chosen).order_by(chosen.c.created_at.desc(), chosen.c.seq.desc()).limit(_LIMIT)
    return Statement(latest, Entry, heavy=True)


@cache
def _count_statement(names: tuple[str, ...]) -> Statement[int]:
    chosen = _chosen(names, A.seq, most=sa.literal_column(f"{MOST + 1}"), order=())
    some = sa.select(chosen.c.seq).limit(MOST + 1).subquery("some")
    return Statement(sa.select(sa.func.count()).select_from(some), int, heavy=True)
