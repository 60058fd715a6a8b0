"""SQL about what was paid, what is disputed of it, and which notices of that have come."""

from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx
from veza.rooms.marketplace.payments import Dispute, Refund
from veza.rooms.marketplace.tables import charges, disputes, failed_refunds, provider_notices

C = charges.c
D = disputes.c
N = provider_notices.c


class Charge(msgspec.Struct, frozen=True):
    """What was paid for an order, in minor units.

    ``conceded`` of it went back at the platform's expense; ``owed`` was to go back, and could not be sent.
    """

    order_id: UUID
    intent: str
    charge: str
    amount: int
    currency: str
    conceded: int
    owed: int
    created_at: datetime


class _Failed(msgspec.Struct, frozen=True):
    id: str
    amount: int


_ALL = sa.select(*(charges.c[name] for name in Charge.__struct_fields__))
_FIND = Statement(_ALL.where(C.order_id == sa.bindparam("order")), Charge)
_BY_INTENT = Statement(sa.select(C.order_id).where(C.intent == sa.bindparam("intent")), UUID)
_ADD: Statement[None] = Statement(sa.insert(charges))
_CONCEDE: Statement[None] = Statement(
    sa.update(charges)
    .where(C.order_id == sa.bindparam("order"))
    .values(conceded=C.conceded + sa.bindparam("more", type_=sa.BigInteger))
)
_OWE: Statement[None] = Statement(
    sa.update(charges)
    .where(C.order_id == sa.bindparam("order"))
    .values(owed=C.owed + sa.bindparam("more", type_=sa.BigInteger))
)
_DISPUTES = Statement(
    sa.select(*(disputes.c[name] for name in Dispute.__struct_fields__))
    .where(D.order_id == sa.bindparam("order"))
    .order_by(D.id),
    Dispute,
)
_ADD_DISPUTE: Statement[None] = Statement(sa.insert(disputes))
_SET_DISPUTE: Statement[None] = Statement(
    sa.update(disputes)
    .where(D.id == sa.bindparam("one"))
    .values(state=sa.bindparam("new_state"), fee=sa.bindparam("new_fee"))
)
_ADD_FAILED: Statement[None] = Statement(sa.insert(failed_refunds))
_FAILED = Statement(
    sa.select(failed_refunds.c.id, failed_refunds.c.amount)
    .where(failed_refunds.c.order_id == sa.bindparam("order"))
    .order_by(failed_refunds.c.id),
    _Failed,
)
# The same words in both dialects; sa has no common form of it.
_NOTE: Statement[None] = Statement(
    sa.text(
        "INSERT INTO provider_notices (id, kind, created_at) VALUES (:id, :kind, :created_at)"
        " ON CONFLICT (id) DO NOTHING"
    ).bindparams(*(sa.bindparam(column.name, type_=column.type) for column in provider_notices.columns))
)
_FORGET: Statement[None] = Statement(sa.delete(provider_notices).where(N.created_at < sa.bindparam("before")))


async def find(tx: Tx, order_id: UUID) -> Charge | None:
    """What was paid for an order."""
    return await tx.first(_FIND, order=order_id)


async def find_order(tx: Tx, intent: str) -> UUID | None:
    """The order that was paid for by this."""
    return await tx.first(_BY_INTENT, intent=intent)


async def add(tx: Tx, charge: Charge) -> None:
    """Write down what was paid."""
    await tx.run(_ADD, **msgspec.structs.asdict(charge))


async def concede(tx: Tx, order_id: UUID, more: int) -> None:
    """So much more, or less, of what was paid went back at the platform's expense."""
    await tx.run(_CONCEDE, order=order_id, more=more)


async def owe(tx: Tx, order_id: UUID, more: int) -> None:
    """So much more, or less, is to go back and cannot be sent."""
    await tx.run(_OWE, order=order_id, more=more)


async def disputes_of(tx: Tx, order_id: UUID) -> dict[str, Dispute]:
    """What was ever disputed of an order, by the provider's names."""
    return {found.id: found for found in await tx.all(_DISPUTES, order=order_id)}


async def is_disputed(tx: Tx, order_id: UUID) -> bool:
    """Whether a dispute of an order is open."""
    return any(one.state == "open" for one in (await disputes_of(tx, order_id)).values())


async def add_dispute(tx: Tx, order_id: UUID, dispute: Dispute) -> None:
    """Write down a dispute."""
    row = msgspec.structs.asdict(dispute)
    await tx.run(_ADD_DISPUTE, order_id=order_id, created_at=clock.now(), **row)


async def set_dispute(tx: Tx, dispute: Dispute) -> None:
    """Write down how a dispute stands."""
    await tx.run(_SET_DISPUTE, one=dispute.id, new_state=dispute.state, new_fee=dispute.fee)


async def failed_refunds_of(tx: Tx, order_id: UUID) -> dict[str, int]:
    """The refunds of an order that have come back, by the provider's names."""
    return {found.id: found.amount for found in await tx.all(_FAILED, order=order_id)}


async def add_failed_refund(tx: Tx, order_id: UUID, refund: Refund) -> None:
    """Write down that a refund has come back."""
    await tx.run(_ADD_FAILED, id=refund.id, order_id=order_id, amount=refund.amount, created_at=clock.now())


async def note(tx: Tx, notice_id: str, kind: str) -> bool:
    """Whether a notice is new; from now on it is not."""
    return await tx.run(_NOTE, id=notice_id, kind=kind, created_at=clock.now()) > 0


async def forget(tx: Tx, before: datetime) -> None:
    """Forget the notices that are older than this."""
    await tx.run(_FORGET, before=before)
