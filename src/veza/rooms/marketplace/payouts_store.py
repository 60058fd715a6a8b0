"""SQL about what sellers are paid out."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx
from veza.core.pages import Page
from veza.rooms.marketplace.products_store import MOST_COUNTED
from veza.rooms.marketplace.tables import payouts

P = payouts.c


class Payout(msgspec.Struct, frozen=True):
    """What a seller asked to be paid, in minor units; ``status``: requested, paid or failed."""

    id: UUID
    seller_id: UUID
    currency: str
    amount: int
    status: str
    note: str
    created_at: datetime
    settled_at: datetime | None


_ALL = sa.select(*(payouts.c[name] for name in Payout.__struct_fields__))
_LOCK = Statement(_ALL.where(P.id == sa.bindparam("id")).with_for_update(), Payout)
_INSERT: Statement[None] = Statement(sa.insert(payouts))
_SETTLE: Statement[None] = Statement(
    sa.update(payouts)
    .where(P.id == sa.bindparam("payout"))
    .values(status=sa.bindparam("new_status"), note=sa.bindparam("new_note"), settled_at=sa.bindparam("at"))
)
_OF_SELLER = Statement(
    _ALL.where(P.seller_id == sa.bindparam("seller_id")).order_by(P.created_at, P.id), Payout
)


async def lock(tx: Tx, payout_id: UUID) -> Payout | None:
    """The payout; nobody else changes it until ``tx`` is over."""
    return await tx.first(_LOCK, id=payout_id)


async def add(tx: Tx, payout: Payout) -> None:
    """Write down a new one."""
    await tx.run(_INSERT, **msgspec.structs.asdict(payout))


async def settle(tx: Tx, payout: Payout, status: str, note: str) -> Payout:
    """Say what became of one that is locked; what it is afterwards."""
    after = msgspec.structs.replace(payout, status=status, note=note, settled_at=clock.now())
    await tx.run(_SETTLE, payout=payout.id, new_status=status, new_note=note, at=after.settled_at)
    return after


async def list_of(tx: Tx, seller_id: UUID) -> list[Payout]:
    """Everything that a seller asked for."""
    return await tx.all(_OF_SELLER, seller_id=seller_id)


async def page(tx: Tx, wanted: Mapping[str, Any], page: Page) -> list[Payout]:
    """One page of those with these values, the latest first."""
    return await tx.all(_page_statement(tuple(wanted)), **wanted, limit=page.limit, offset=page.offset)


async def count(tx: Tx, wanted: Mapping[str, Any]) -> int:
    """How many these are; one more than are counted where they are more."""
    return await tx.first(_count_statement(tuple(wanted)), **wanted) or 0


def _equal(names: tuple[str, ...]) -> list[sa.ColumnElement[bool]]:
    return [payouts.c[name] == sa.bindparam(name) for name in names]


@cache
def _page_statement(names: tuple[str, ...]) -> Statement[Payout]:
    limit, offset = [sa.bindparam(name, type_=sa.BigInteger) for name in ("limit", "offset")]
    chosen = _ALL.where(*_equal(names)).order_by(P.created_at.desc(), P.id.desc())
    return Statement(chosen.limit(limit).offset(offset), Payout, heavy=True)


@cache
def _count_statement(names: tuple[str, ...]) -> Statement[int]:
    some = sa.select(P.id).where(*_equal(names)).limit(MOST_COUNTED + 1).subquery()
    return Statement(sa.select(sa.func.count()).select_from(some), int, heavy=True)
