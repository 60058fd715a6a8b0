"""SQL about the accounts on which sellers are paid, and what was handed to them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx, any_of
from veza.rooms.marketplace.ledger_store import whole
from veza.rooms.marketplace.tables import (
    charges,
    disputes,
    order_items,
    orders,
    seller_accounts,
    seller_shares,
)

A = seller_accounts.c
T = seller_shares.c
_NONE = UUID(int=0)


class SellerAccount(msgspec.Struct, frozen=True):
    """Where a seller is paid; ``ready`` once the provider knows enough of them."""

    user_id: UUID
    provider: str
    account: str
    ready: bool
    created_at: datetime
    updated_at: datetime


class Share(msgspec.Struct, frozen=True):
    """A seller's share of an order, in minor units, that was or is being handed over."""

    id: UUID
    order_id: UUID
    seller_id: UUID
    account: str
    amount: int
    taken_back: int
    currency: str
    state: str
    attempt: int
    reference: str | None
    created_at: datetime

    @property
    def key(self) -> str:
        """What tells this attempt from others."""
        return f"{self.id}:{self.attempt}"


class Sum(msgspec.Struct, frozen=True):
    """So much in one currency, in minor units."""

    currency: str
    amount: int


_ACCOUNTS = sa.select(*(seller_accounts.c[name] for name in SellerAccount.__struct_fields__))
_SHARES = sa.select(*(seller_shares.c[name] for name in Share.__struct_fields__))
_FIND = Statement(_ACCOUNTS.where(A.user_id == sa.bindparam("user")), SellerAccount)
_BY_ACCOUNT = Statement(
    _ACCOUNTS.where(A.account == sa.bindparam("account")).with_for_update(), SellerAccount
)
_LOCK = Statement(_ACCOUNTS.where(A.user_id == sa.bindparam("user")).with_for_update(), SellerAccount)
_HOLD = Statement(
    _ACCOUNTS.where(any_of(A.user_id, "users"), A.provider == sa.bindparam("provider"))
    .order_by(A.user_id)
    .with_for_update(),
    SellerAccount,
)
# The same words in both dialects; sa has no common form of it. Whatever is there already: of two at once
# PostgreSQL may find the other's account where it was to look at users alone, and call that a violation.
_ADD: Statement[None] = Statement(
    sa.text(
        "INSERT INTO seller_accounts (user_id, provider, account, ready, created_at, updated_at)"
        " VALUES (:user_id, :provider, :account, :ready, :created_at, :updated_at)"
        " ON CONFLICT DO NOTHING"
    ).bindparams(*(sa.bindparam(column.name, type_=column.type) for column in seller_accounts.columns))
)
_SET: Statement[None] = Statement(
    sa.update(seller_accounts)
    .where(A.user_id == sa.bindparam("user"))
    .values(ready=sa.bindparam("new_ready"), updated_at=sa.bindparam("now"))
)
_DROP: Statement[None] = Statement(sa.delete(seller_accounts).where(A.user_id == sa.bindparam("user")))
_OF_ORDER = Statement(
    _SHARES.where(T.order_id == sa.bindparam("order")).order_by(T.seller_id).with_for_update(), Share
)
_ONE = Statement(_SHARES.where(T.id == sa.bindparam("share")).with_for_update(), Share)
_OF_SELLER = Statement(
    _SHARES.where(T.seller_id == sa.bindparam("seller")).order_by(T.created_at, T.id), Share
)
_ADD_SHARE: Statement[None] = Statement(sa.insert(seller_shares))
_SET_SHARE: Statement[None] = Statement(
    sa.update(seller_shares)
    .where(T.id == sa.bindparam("share"))
    .values(**{
        name: sa.bindparam(f"new_{name}")
        for name in ("account", "amount", "taken_back", "state", "attempt", "reference")
    })
)  # fmt: skip
# Orders that were paid for by a provider and whose seller has not been handed anything of them.
_handed = sa.exists(
    sa.select(1).where(
        T.order_id == order_items.c.order_id, T.seller_id == order_items.c.seller_id, T.state != "failed"
    )
)
_theirs = sa.or_(order_items.c.delivery.is_(None), order_items.c.delivery == "accepted")
_UNPAID = Statement(
    sa.select(order_items.c.order_id)
    .select_from(order_items.join(charges, charges.c.order_id == order_items.c.order_id))
    .where(
        order_items.c.seller_id == sa.bindparam("seller"),
        order_items.c.sold_at.is_not(None),
        order_items.c.refunded_at.is_(None),
        order_items.c.price > order_items.c.fee,
        _theirs,
        order_items.c.order_id > sa.bindparam("after"),
        ~_handed,
    )
    .distinct()
    .order_by(order_items.c.order_id)
    .limit(sa.bindparam("most", type_=sa.BigInteger)),
    UUID,
    heavy=True,
)
_BEGUN_BEFORE = Statement(
    sa.select(T.order_id)
    .where(
        T.state == sa.literal_column("'begun'"),
        T.created_at < sa.bindparam("before"),
        T.order_id > sa.bindparam("after"),
        ~sa.exists(
            sa.select(1).where(
                disputes.c.order_id == T.order_id, disputes.c.state == sa.literal_column("'open'")
            )
        ),
    )
    .distinct()
    .order_by(T.order_id)
    .limit(sa.bindparam("most", type_=sa.BigInteger)),
    UUID,
)
# By currency what of somebody's lines is theirs and not handed over, in orders whose payment is disputed.
_DISPUTED = Statement(
    sa.select(
        orders.c.currency, whole(order_items.c.price - order_items.c.fee).label("amount"),
    )
    .select_from(order_items.join(orders, orders.c.id == order_items.c.order_id))
    .where(
        order_items.c.order_id.in_(sa.select(disputes.c.order_id).where(disputes.c.state == "open")),
        order_items.c.order_id != sa.bindparam("besides"),
        order_items.c.seller_id == sa.bindparam("seller"),
        order_items.c.sold_at.is_not(None),
        order_items.c.refunded_at.is_(None),
        _theirs,
        ~_handed,
    )
    .group_by(orders.c.currency),
    Sum,
)  # fmt: skip


async def find(tx: Tx, user_id: UUID) -> SellerAccount | None:
    """Where somebody is paid."""
    return await tx.first(_FIND, user=user_id)


async def lock(tx: Tx, user_id: UUID) -> SellerAccount | None:
    """The same; nothing is handed to them by others until ``tx`` is over."""
    return await tx.first(_LOCK, user=user_id)


async def lock_account(tx: Tx, account: str) -> SellerAccount | None:
    """The same by the provider's name for it; nobody else changes it until ``tx`` is over."""
    return await tx.first(_BY_ACCOUNT, account=account)


async def hold(tx: Tx, user_ids: Sequence[UUID], provider: str) -> dict[UUID, SellerAccount]:
    """Where these are paid by a provider; nothing is handed to them by others until ``tx`` is over."""
    return {found.user_id: found for found in await tx.all(_HOLD, users=user_ids, provider=provider)}


async def add(tx: Tx, account: SellerAccount) -> bool:
    """Write down where somebody is paid; False if it is written down already."""
    return await tx.run(_ADD, **msgspec.structs.asdict(account)) > 0


async def set_ready(tx: Tx, user_id: UUID, *, ready: bool) -> None:
    """Say whether somebody can be paid there."""
    await tx.run(_SET, user=user_id, new_ready=ready, now=clock.now())


async def drop(tx: Tx, user_id: UUID) -> None:
    """Forget where somebody is paid."""
    await tx.run(_DROP, user=user_id)


async def lock_shares(tx: Tx, order_id: UUID) -> dict[UUID, Share]:
    """What of an order was handed over, by seller; nobody else changes that until ``tx`` is over."""
    return {found.seller_id: found for found in await tx.all(_OF_ORDER, order=order_id)}


async def lock_share(tx: Tx, share_id: UUID) -> Share | None:
    """One of these."""
    return await tx.first(_ONE, share=share_id)


async def shares_of(tx: Tx, seller_id: UUID) -> list[Share]:
    """All that was ever handed to somebody."""
    return await tx.all(_OF_SELLER, seller=seller_id)


async def add_share(tx: Tx, share: Share) -> None:
    """Write down that a share is being handed over."""
    await tx.run(_ADD_SHARE, **msgspec.structs.asdict(share))


async def set_share(tx: Tx, share: Share) -> None:
    """Write down how that stands."""
    await tx.run(
        _SET_SHARE,
        share=share.id,
        new_account=share.account,
        new_amount=share.amount,
        new_taken_back=share.taken_back,
        new_state=share.state,
        new_attempt=share.attempt,
        new_reference=share.reference,
    )


async def unpaid(tx: Tx, seller_id: UUID, after: UUID, most: int) -> list[UUID]:
    """The next orders by id of which a seller has been handed nothing."""
    return await tx.all(_UNPAID, seller=seller_id, after=after, most=most)


async def begun_before(tx: Tx, before: datetime, after: UUID, most: int) -> list[UUID]:
    """The next orders by id with a share whose handover began before then, and of which no more was heard.

    Those whose payment is disputed wait for that.
    """
    return await tx.all(_BEGUN_BEFORE, before=before, after=after, most=most)


async def disputed(tx: Tx, seller_id: UUID, besides: UUID = _NONE) -> dict[str, int]:
    """By currency what a seller may have to give back by a dispute, and was not handed; but for one order."""
    rows = await tx.all(_DISPUTED, seller=seller_id, besides=besides)
    return {row.currency: row.amount for row in rows}
