"""All SQL about the ledger."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.rooms.marketplace.tables import ledger

G = ledger.c


class Entry(msgspec.Struct, frozen=True):
    """One side of an amount, in minor units."""

    id: UUID
    order_id: UUID
    position: int
    kind: str
    account: str
    owner_id: UUID | None
    amount: int
    currency: str
    created_at: datetime


class Balance(msgspec.Struct, frozen=True):
    """What one account of somebody's has in one currency, in minor units."""

    account: str
    currency: str
    amount: int


def whole(amounts: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """A sum that is a whole number on both databases."""
    return sa.cast(sa.func.coalesce(sa.func.sum(amounts), 0), sa.BigInteger)


_ADD: Statement[None] = Statement(sa.insert(ledger))
_BALANCES = Statement(
    sa.select(G.account, G.currency, whole(G.amount).label("amount"))
    .where(G.owner_id == sa.bindparam("owner"))
    .group_by(G.account, G.currency)
    .order_by(G.currency, G.account),
    Balance,
)
_OF_OWNER = Statement(
    sa.select(*(ledger.c[name] for name in Entry.__struct_fields__))
    .where(G.owner_id == sa.bindparam("owner"))
    .order_by(G.created_at, G.id),
    Entry,
)
_ONE = Statement(sa.select(G.id).where(G.id == sa.bindparam("entry")), UUID)
_LAST_POSITION = Statement(sa.select(sa.func.max(G.position)).where(G.order_id == sa.bindparam("order")), int)


async def add(tx: Tx, entries: Sequence[Entry]) -> None:
    """Write entries down."""
    await tx.run_many(_ADD, [msgspec.structs.asdict(entry) for entry in entries])


async def has(tx: Tx, entry_id: UUID) -> bool:
    """Whether there is an entry of this id."""
    return await tx.first(_ONE, entry=entry_id) is not None


async def next_position(tx: Tx, order_id: UUID, least: int) -> int:
    """Where the next entry of an order, which is locked, stands: at ``least`` or behind all others."""
    last = await tx.first(_LAST_POSITION, order=order_id)
    return least if last is None else max(last + 1, least)


async def balances(tx: Tx, owner_id: UUID) -> list[Balance]:
    """What somebody's accounts add up to."""
    return await tx.all(_BALANCES, owner=owner_id)


async def list_of(tx: Tx, owner_id: UUID) -> list[Entry]:
    """Everything that stands in somebody's accounts."""
    return await tx.all(_OF_OWNER, owner=owner_id)
