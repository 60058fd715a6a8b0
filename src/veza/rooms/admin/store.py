"""The statements by which operators see users, jobs and storage as a whole."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from uuid import UUID

import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.core.jobs import jobs
from veza.core.pages import Page
from veza.rooms.accounts.tables import users
from veza.rooms.admin.schemas import DeadJob, Failing, Holder, Kept, Lane, ManagedUser, State
from veza.rooms.tracks.tables import tracks

U, J, T = users.c, jobs.c, tracks.c
_LARGEST = 20
_COLUMNS = tuple(U[name] for name in ManagedUser.__struct_fields__)
_LIMITS = tuple(sa.bindparam(name, type_=sa.BigInteger) for name in ("limit", "offset"))


def _count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.count(sa.case((condition, 1)))


_alive, _dead = J.dead_at.is_(None), J.dead_at.is_not(None)
_due = sa.and_(_alive, J.run_at <= sa.bindparam("now"))
_LANES = Statement(
    sa.select(
        J.lane,
        _count(_alive).label("waiting"),
        _count(_due).label("due"),
        sa.func.min(sa.case((_due, J.run_at)), type_=J.run_at.type).label("oldest_due"),
        _count(_dead).label("dead"),
    )
    .group_by(J.lane)
    .order_by(J.lane),
    Lane,
    heavy=True,
)
_FAILING = Statement(
    sa.select(
        J.kind,
        _count(sa.and_(_alive, J.error.is_not(None))).label("retrying"),
        _count(_dead).label("dead"),
        sa.func.max(J.error).label("error"),
    )
    .where(sa.or_(_dead, J.error.is_not(None)))
    .group_by(J.kind)
    .order_by(J.kind),
    Failing,
    heavy=True,
)
_DEAD_COLUMNS = tuple(J[name] for name in DeadJob.__struct_fields__)
_this = sa.and_(J.id == sa.bindparam("job_id"), _dead)
_LOCK = Statement(sa.select(*_DEAD_COLUMNS).where(_this).with_for_update(), DeadJob)
_AGAIN = dict.fromkeys(("dead_at", "error", "away_since")) | {
    "attempt": 0,
    "run_at": sa.bindparam("now", type_=J.run_at.type),
}
_RETRY: Statement[None] = Statement(sa.update(jobs).where(_this).values(**_AGAIN))
_RETRY_ALL: Statement[None] = Statement(
    sa.update(jobs).where(_dead, J.kind == sa.bindparam("of_kind")).values(**_AGAIN)
)
_DISCARD: Statement[None] = Statement(sa.delete(jobs).where(_this))
_USED = Statement(
    sa.select(sa.cast(sa.func.coalesce(sa.func.sum(U.storage_used), 0), sa.BigInteger)), int, heavy=True
)
_USERS = Statement(sa.select(sa.func.count()).select_from(users), int, heavy=True)
_KEPT = Statement(
    sa.select(
        T.status,
        sa.func.count().label("tracks"),
        sa.cast(sa.func.sum(T.file_size), sa.BigInteger).label("bytes"),
    )
    .group_by(T.status)
    .order_by(T.status),
    Kept,
    heavy=True,
)
_HOLDERS = Statement(
    sa.select(U.id, U.username, U.role, U.storage_used).order_by(U.storage_used.desc(), U.id).limit(_LARGEST),
    Holder,
    heavy=True,
)


async def list_users(
    tx: Tx, page: Page, q: str | None, role: str | None, state: State | None
) -> list[ManagedUser]:
    """A page of users by name: whose name or address begins so, of this role, in this state."""
    statement = _users_statement(q is not None, role is not None, state)
    return await tx.all(statement, q=_beginning(q), role=role, limit=page.limit, offset=page.offset)


async def count_users(tx: Tx, q: str | None, role: str | None, state: State | None) -> int:
    """How many there are."""
    statement = _users_count(q is not None, role is not None, state)
    return await tx.first(statement, q=_beginning(q), role=role) or 0


def _beginning(q: str | None) -> str | None:
    return None if q is None else "".join(f"!{c}" if c in "%_!" else c for c in q) + "%"


def _conditions(by_name: bool, by_role: bool, state: State | None) -> list[sa.ColumnElement[bool]]:  # noqa: FBT001 - a key of a cache
    named = sa.or_(*(key.like(sa.bindparam("q"), escape="!") for key in (U.username_key, U.email_key)))
    states = {"active": U.suspended_at.is_(None), "suspended": U.suspended_at.is_not(None)}
    return [
        *([named] if by_name else []),
        *([U.role == sa.bindparam("role")] if by_role else []),
        *([states[state]] if state else []),
    ]


@cache
def _users_statement(by_name: bool, by_role: bool, state: State | None) -> Statement[ManagedUser]:  # noqa: FBT001 - as above
    chosen = sa.select(*_COLUMNS).where(*_conditions(by_name, by_role, state)).order_by(U.username_key)
    return Statement(chosen.limit(_LIMITS[0]).offset(_LIMITS[1]), ManagedUser, heavy=True)


@cache
def _users_count(by_name: bool, by_role: bool, state: State | None) -> Statement[int]:  # noqa: FBT001 - as above
    chosen = sa.select(sa.func.count()).select_from(users).where(*_conditions(by_name, by_role, state))
    return Statement(chosen, int, heavy=True)


async def list_lanes(tx: Tx, now: datetime) -> list[Lane]:
    """Every lane that has jobs."""
    return await tx.all(_LANES, now=now)


async def list_failing(tx: Tx) -> list[Failing]:
    """Every kind of which some fail."""
    return await tx.all(_FAILING)


async def list_dead(tx: Tx, page: Page, kind: str | None) -> list[DeadJob]:
    """A page of what was given up, the latest first."""
    return await tx.all(_dead_statement(kind is not None), of_kind=kind, limit=page.limit, offset=page.offset)


async def count_dead(tx: Tx, kind: str | None) -> int:
    """How many jobs were given up."""
    return await tx.first(_dead_count(kind is not None), of_kind=kind) or 0


@cache
def _dead_statement(by_kind: bool) -> Statement[DeadJob]:  # noqa: FBT001 - a key of a cache
    more = [J.kind == sa.bindparam("of_kind")] if by_kind else []
    chosen = sa.select(*_DEAD_COLUMNS).where(_dead, *more).order_by(J.dead_at.desc(), J.id.desc())
    return Statement(chosen.limit(_LIMITS[0]).offset(_LIMITS[1]), DeadJob, heavy=True)


@cache
def _dead_count(by_kind: bool) -> Statement[int]:  # noqa: FBT001 - a key of a cache
    more = [J.kind == sa.bindparam("of_kind")] if by_kind else []
    return Statement(sa.select(sa.func.count()).select_from(jobs).where(_dead, *more), int, heavy=True)


async def lock_dead(tx: Tx, job_id: UUID) -> DeadJob | None:
    """A job that was given up."""
    return await tx.first(_LOCK, job_id=job_id)


async def retry(tx: Tx, job_id: UUID, now: datetime) -> None:
    """Have it tried again, as often as at first."""
    await tx.run(_RETRY, job_id=job_id, now=now)


async def retry_all(tx: Tx, kind: str, now: datetime) -> int:
    """Have all dead jobs of a kind tried again; how many."""
    return await tx.run(_RETRY_ALL, of_kind=kind, now=now)


async def discard(tx: Tx, job_id: UUID) -> None:
    """Remove it."""
    await tx.run(_DISCARD, job_id=job_id)


async def sum_storage(tx: Tx) -> tuple[int, int]:
    """How many users there are, and the bytes of all."""
    return await tx.first(_USERS) or 0, await tx.first(_USED) or 0


async def list_kept(tx: Tx) -> Sequence[Kept]:
    """Tracks by state."""
    return await tx.all(_KEPT)


async def list_largest(tx: Tx) -> Sequence[Holder]:
    """Who stores most."""
    return await tx.all(_HOLDERS)
