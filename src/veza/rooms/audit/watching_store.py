"""The statements by which the log is watched, and what was found in it is kept."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx
from veza.core.pages import Page
from veza.rooms.audit.detectors import Sign
from veza.rooms.audit.rows import Entry
from veza.rooms.audit.tables import audit_findings, audit_log, audit_signs, audit_watch

A, S, F = audit_log.c, audit_signs.c, audit_findings.c
# A key with more signs than that is far beyond every threshold.
_MOST_SIGNS = 2_000


class Finding(msgspec.Struct, frozen=True):
    """Something that looks like an attack: by or on whom, how often, when, and what says so."""

    id: UUID
    kind: str
    severity: str
    user_id: UUID | None
    ip_address: str | None
    count: int
    first_seen: datetime
    last_seen: datetime
    evidence: dict[str, Any]
    acknowledged_at: datetime | None
    acknowledged_by: UUID | None
    note: str | None


_PLACE = Statement(sa.select(audit_watch.c.seq).with_for_update(), int)
_BEGIN: Statement[None] = Statement(
    sa.text("INSERT INTO audit_watch (id, seq) VALUES (1, 0) ON CONFLICT (id) DO NOTHING")
)
_MOVE: Statement[None] = Statement(sa.update(audit_watch).values(seq=sa.bindparam("to")))
_AFTER = Statement(
    sa.select(*(A[name] for name in Entry.__struct_fields__))
    .where(A.seq > sa.bindparam("after"))
    .order_by(A.seq)
    .limit(sa.bindparam("most", type_=sa.BigInteger)),
    Entry,
)
_ADD_SIGN: Statement[None] = Statement(sa.insert(audit_signs))
_FORGET: Statement[None] = Statement(sa.delete(audit_signs).where(S["at"] < sa.bindparam("before")))
_same = sa.and_(S.kind == sa.bindparam("of_kind"), S.key == sa.bindparam("of_key"))
_latest = (
    sa.select(*(S[name] for name in Sign.__struct_fields__))
    .where(_same, S["at"] >= sa.bindparam("since"))
    .order_by(S.seq.desc())
    .limit(_MOST_SIGNS)
)
_SIGNS = Statement(_latest, Sign)
_COLUMNS = tuple(F[name] for name in Finding.__struct_fields__)
_GOING = Statement(
    sa.select(*_COLUMNS)
    .where(
        F.kind == sa.bindparam("of_kind"),
        F.key == sa.bindparam("of_key"),
        F.last_seen >= sa.bindparam("since"),
    )
    .order_by(F.last_seen.desc())
    .limit(1),
    Finding,
)
_ADD: Statement[None] = Statement(sa.insert(audit_findings))
_one = F.id == sa.bindparam("finding_id")
_GO_ON: Statement[None] = Statement(
    sa.update(audit_findings)
    .where(_one)
    .values(count=sa.bindparam("times"), last_seen=sa.bindparam("at"), evidence=sa.bindparam("told"))
)
_LOCK = Statement(sa.select(*_COLUMNS).where(_one).with_for_update(), Finding)
_ACKNOWLEDGE: Statement[None] = Statement(
    sa.update(audit_findings)
    .where(_one)
    .values(acknowledged_at=sa.bindparam("at"), acknowledged_by=sa.bindparam("by"), note=sa.bindparam("said"))
)
_LEFT = Statement(
    sa.select(A.seq).where(A.target_id == sa.bindparam("user_id"), A.kind == "user.deleted").limit(1), int
)


async def lock_place(tx: Tx) -> int:
    """How far the log was looked through; nobody else looks until ``tx`` is over."""
    found = await tx.first(_PLACE)
    if found is None:
        await tx.run(_BEGIN)
        found = await tx.first(_PLACE)
    return found or 0


async def move(tx: Tx, seq: int, before: datetime) -> None:
    """The log was looked through up to here; signs from before that time are forgotten."""
    await tx.run(_MOVE, to=seq)
    await tx.run(_FORGET, before=before)


async def list_after(tx: Tx, seq: int, most: int) -> list[Entry]:
    """The next rows of the log."""
    return await tx.all(_AFTER, after=seq, most=most)


async def has_left(tx: Tx, user_id: UUID) -> bool:
    """Whether the log says that somebody deleted their account, and all that was theirs with it."""
    return await tx.first(_LEFT, user_id=user_id) is not None


async def add_signs(tx: Tx, signs: Iterable[Sign]) -> None:
    """Keep these signs."""
    await tx.run_many(_ADD_SIGN, [msgspec.structs.asdict(sign) for sign in signs])


async def list_signs(tx: Tx, kind: str, key: str, since: datetime) -> list[Sign]:
    """The latest signs of a kind with this key, in the order of time."""
    found = await tx.all(_SIGNS, of_kind=kind, of_key=key, since=since)
    return sorted(found, key=lambda sign: sign.at)


async def find_last(tx: Tx, kind: str, key: str, since: datetime) -> Finding | None:
    """The latest finding that was going on after that time."""
    return await tx.first(_GOING, of_kind=kind, of_key=key, since=since)


async def add(tx: Tx, finding: Finding, key: str) -> None:
    """Keep a finding."""
    await tx.run(_ADD, key=key, **msgspec.structs.asdict(finding))


async def go_on(tx: Tx, finding: Finding, more: int, at: datetime, evidence: Mapping[str, Any]) -> None:
    """So many more signs, the last at that time."""
    await tx.run(_GO_ON, finding_id=finding.id, times=finding.count + more, at=at, told=evidence)


async def lock(tx: Tx, finding_id: UUID) -> Finding | None:
    """A finding, which nobody else changes until ``tx`` is over."""
    return await tx.first(_LOCK, finding_id=finding_id)


async def acknowledge(tx: Tx, finding_id: UUID, by: UUID, note: str | None) -> None:
    """Somebody has seen to it."""
    await tx.run(_ACKNOWLEDGE, finding_id=finding_id, at=clock.now(), by=by, said=note)


async def page(tx: Tx, given: Mapping[str, Any], page: Page) -> list[Finding]:
    """Some findings, the latest first: of a user, a kind, a severity, ``acknowledged`` or not."""
    return await tx.all(_page_statement(_names(given)), limit=page.limit, offset=page.offset, **given)


async def count(tx: Tx, given: Mapping[str, Any]) -> int:
    """How many there are."""
    return await tx.first(_count_statement(_names(given)), **given) or 0


def _names(given: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{name}={value}" if name == "acknowledged" else name for name, value in given.items())


def _conditions(names: tuple[str, ...]) -> list[sa.ColumnElement[bool]]:
    known = {
        "acknowledged=True": F.acknowledged_at.is_not(None),
        "acknowledged=False": F.acknowledged_at.is_(None),
    }
    return [known[name] if name in known else F[name] == sa.bindparam(name) for name in names]


@cache
def _page_statement(names: tuple[str, ...]) -> Statement[Finding]:
    chosen = sa.select(*_COLUMNS).where(*_conditions(names)).order_by(F.last_seen.desc(), F.id.desc())
    limits = (sa.bindparam(name, type_=sa.BigInteger) for name in ("limit", "offset"))
    return Statement(chosen.limit(next(limits)).offset(next(limits)), Finding)


@cache
def _count_statement(names: tuple[str, ...]) -> Statement[int]:
    return Statement(sa.select(sa.func.count()).select_from(audit_findings).where(*_conditions(names)), int)
