"""SQL that looks for what is wrong with the ledger, and finds nothing."""

from uuid import UUID

import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.rooms.accounts.tables import users
from veza.rooms.marketplace.ledger_store import whole
from veza.rooms.marketplace.orders_store import OPEN
from veza.rooms.marketplace.tables import ledger, licences, order_items, orders, payouts, seller_shares

G = ledger.c
LINE = order_items.c
ORDER = orders.c
P = payouts.c
T = seller_shares.c

_UNBALANCED = Statement(
    sa.select(G.order_id)
    .group_by(G.order_id, G.currency, G.kind)
    .having(sa.func.sum(G.amount) != 0)
    .distinct(),
    UUID,
    heavy=True,
)
# Of each order that is paid for, what was paid is what its lines cost, and what was given back is of the
# lines that were refunded. What is pending stands nowhere.
_lines = (
    sa.select(
        LINE.order_id,
        whole(sa.case((LINE.sold_at.is_not(None), LINE.price), else_=0)).label("sold"),
        whole(sa.case((LINE.refunded_at.is_not(None), LINE.price), else_=0)).label("back"),
    )
    .group_by(LINE.order_id)
    .subquery()
)
_paid = (
    sa.select(
        G.order_id,
        whole(sa.case((G.kind == "sale", -G.amount), else_=0)).label("sold"),
        whole(sa.case((G.kind == "refund", G.amount), else_=0)).label("back"),
    )
    .where(G.account == "payments")
    .group_by(G.order_id)
    .subquery()
)
_NOT_AS_ORDERED = Statement(
    sa.select(ORDER.id)
    .select_from(
        orders.join(_lines, _lines.c.order_id == ORDER.id).outerjoin(_paid, _paid.c.order_id == ORDER.id)
    )
    .where(
        sa.or_(
            sa.func.coalesce(_paid.c.sold, 0) != _lines.c.sold,
            sa.func.coalesce(_paid.c.back, 0) != _lines.c.back,
            sa.and_(ORDER.status == "pending", _lines.c.sold != 0),
            sa.and_(ORDER.status == "completed", _lines.c.sold != ORDER.total),
        )
    ),
    UUID,
    heavy=True,
)
_licence = sa.exists(
    sa.select(1).where(licences.c.order_id == LINE.order_id, licences.c.product_id == LINE.product_id)
)
# Who has left has no licences any more.
_there = sa.exists(sa.select(1).where(users.c.id == ORDER.buyer_id))
_WITHOUT_LICENCE = Statement(
    sa.select(ORDER.id)
    .select_from(orders.join(order_items, LINE.order_id == ORDER.id))
    .where(
        _there,
        sa.or_(
            sa.and_(LINE.sold_at.is_not(None), LINE.refunded_at.is_(None), ~_licence),
            sa.and_(sa.or_(LINE.sold_at.is_(None), LINE.refunded_at.is_not(None)), _licence),
        ),
    )
    .distinct(),
    UUID,
    heavy=True,
)
# Of each line what is held: the seller's part, while it is sold and neither accepted nor refunded.
_kept = (
    sa.select(G.order_id, G.position, whole(G.amount).label("amount"))
    .where(G.account == "held")
    .group_by(G.order_id, G.position)
    .subquery()
)
_open = sa.and_(
    LINE.sold_at.is_not(None),
    LINE.refunded_at.is_(None),
    sa.or_(*(LINE.delivery == state for state in OPEN)),
)
_NOT_AS_HELD = Statement(
    sa.select(LINE.order_id)
    .select_from(
        order_items.outerjoin(
            _kept, sa.and_(_kept.c.order_id == LINE.order_id, _kept.c.position == LINE.position)
        )
    )
    .where(sa.func.coalesce(_kept.c.amount, 0) != sa.case((_open, LINE.price - LINE.fee), else_=0))
    .distinct(),
    UUID,
    heavy=True,
)
_moved = (
    sa.select(
        G.order_id,
        *(
            whole(sa.case((G.account == account, G.amount), else_=0)).label(account)
            for account in ("seller", "payouts", "payments")
        ),
    )
    .where(sa.or_(*(G.kind == kind for kind in ("payout", "paid", "failed"))))
    .group_by(G.order_id)
    .subquery()
)
# Whose it is: the seller's again, on its way, or gone from what was paid in.
_NOT_AS_PAID_OUT = Statement(
    sa.select(sa.func.coalesce(P.id, _moved.c.order_id).label("id"))
    .select_from(payouts.outerjoin(_moved, _moved.c.order_id == P.id, full=True))
    .where(
        sa.or_(
            P.id.is_(None),
            _moved.c.order_id.is_(None),
            _moved.c.seller != sa.case((P.status == "failed", 0), else_=-P.amount),
            _moved.c.payouts != sa.case((P.status == "requested", P.amount), else_=0),
            _moved.c.payments != sa.case((P.status == "paid", P.amount), else_=0),
        )
    ),
    UUID,
    heavy=True,
)
# Of each order what was handed over is what its shares say; and none is of somebody with a service in it that
# is not accepted.
_handed = (
    sa.select(G.order_id, whole(G.amount).label("amount"))
    .where(G.account == "handed")
    .group_by(G.order_id)
    .subquery()
)
_shares = (
    sa.select(
        T.order_id, whole(sa.case((T.state != "failed", T.amount - T.taken_back), else_=0)).label("amount")
    )
    .group_by(T.order_id)
    .subquery()
)
_NOT_AS_HANDED = Statement(
    sa.select(sa.func.coalesce(_handed.c.order_id, _shares.c.order_id).label("id"))
    .select_from(_handed.outerjoin(_shares, _shares.c.order_id == _handed.c.order_id, full=True))
    .where(sa.func.coalesce(_handed.c.amount, 0) != sa.func.coalesce(_shares.c.amount, 0)),
    UUID,
    heavy=True,
)
_HANDED_TOO_EARLY = Statement(
    sa.select(T.order_id)
    .select_from(
        seller_shares.join(order_items, sa.and_(LINE.order_id == T.order_id, LINE.seller_id == T.seller_id))
    )
    .where(T.state != "failed", _open)
    .distinct(),
    UUID,
    heavy=True,
)


async def unbalanced(tx: Tx) -> list[UUID]:
    """Orders of which the ledger does not sum to zero."""
    return await tx.all(_UNBALANCED)


async def not_as_ordered(tx: Tx) -> list[UUID]:
    """Orders of which it says something else than they do."""
    return await tx.all(_NOT_AS_ORDERED)


async def without_licence(tx: Tx) -> list[UUID]:
    """Orders with a line that is paid for and has no licence, or has one and is not."""
    return await tx.all(_WITHOUT_LICENCE)


async def not_as_held(tx: Tx) -> list[UUID]:
    """Orders of which something else is held than what of their services is not accepted."""
    return await tx.all(_NOT_AS_HELD)


async def not_as_paid_out(tx: Tx) -> list[UUID]:
    """Payouts of which the ledger says something else than they do."""
    return await tx.all(_NOT_AS_PAID_OUT)


async def not_as_handed(tx: Tx) -> list[UUID]:
    """Orders of which it says something else than their sellers' shares do, or of which one is too early."""
    return [*await tx.all(_NOT_AS_HANDED), *await tx.all(_HANDED_TOO_EARLY)]
