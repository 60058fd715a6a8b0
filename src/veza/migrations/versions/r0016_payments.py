"""Payments that move money: what was paid, disputed and transferred, and where sellers are paid."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Create them; nothing is frozen yet."""
    op.add_column("licences", sa.Column("frozen_at", sa.BigInteger))
    op.create_index("ix_orders_pending", "orders", ["id"], sqlite_where=_pending, postgresql_where=_pending)
    op.create_table(
        "charges",
        _order("charges", primary_key=True),
        *_texts("intent", "charge"),
        *_numbers("amount"),
        *_texts("currency"),
        *_numbers("conceded", "owed", "created_at"),
        sa.UniqueConstraint("intent", name="uq_charges_intent"),
    )
    op.create_table(
        "disputes",
        sa.Column("id", sa.Text, primary_key=True),
        _order("disputes"),
        *_numbers("amount", "fee"),
        *_texts("fee_currency", "state"),
        *_numbers("created_at"),
    )
    op.create_index("ix_disputes_order_id", "disputes", ["order_id"])
    user = sa.ForeignKey("users.id", name="fk_seller_accounts_user_id", ondelete="CASCADE")
    op.create_table(
        "seller_accounts",
        sa.Column("user_id", Id, user, primary_key=True),
        *_texts("provider", "account"),
        sa.Column("ready", sa.Boolean, nullable=False),
        *_numbers("created_at", "updated_at"),
        sa.UniqueConstraint("account", name="uq_seller_accounts_account"),
    )
    op.create_table(
        "seller_shares",
        sa.Column("id", Id, primary_key=True),
        _order("seller_shares"),
        sa.Column("seller_id", Id, nullable=False),
        *_texts("account"),
        *_numbers("amount", "taken_back"),
        *_texts("currency", "state"),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("reference", sa.Text),
        *_numbers("created_at"),
        sa.UniqueConstraint("order_id", "seller_id", name="uq_seller_shares_order_id_seller_id"),
    )
    op.create_index("ix_seller_shares_seller_id", "seller_shares", ["seller_id"])
    op.create_table(
        "provider_notices",
        sa.Column("id", sa.Text, primary_key=True),
        *_texts("kind"),
        *_numbers("created_at"),
    )
    op.create_index("ix_provider_notices_created_at", "provider_notices", ["created_at"])


_pending = sa.text("status = 'pending'")


def _order(table: str, *, primary_key: bool = False) -> "sa.Column[object]":
    key = sa.ForeignKey("orders.id", name=f"fk_{table}_order_id", ondelete="CASCADE")
    return sa.Column("order_id", Id, key, primary_key=primary_key, nullable=False)


def _numbers(*names: str) -> "list[sa.Column[int]]":
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def _texts(*names: str) -> "list[sa.Column[str]]":
    return [sa.Column(name, sa.Text, nullable=False) for name in names]
