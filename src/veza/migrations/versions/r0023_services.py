"""Services that are delivered, and what sellers are paid out."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Create them; what was sold before counts as delivered."""
    op.add_column("order_items", sa.Column("delivery", sa.Text))
    op.add_column("order_items", sa.Column("due_at", sa.BigInteger))
    of_seller = sa.text("delivery IS NOT NULL AND sold_at IS NOT NULL")
    op.create_index(
        "ix_order_items_services",
        "order_items",
        ["seller_id", "delivery", "sold_at", "order_id", "position"],
        sqlite_where=of_seller,
        postgresql_where=of_seller,
    )
    due = sa.text("delivery = 'delivered'")
    op.create_index(
        "ix_order_items_due_at", "order_items", ["due_at", "order_id", "position"],
        sqlite_where=due, postgresql_where=due,
    )  # fmt: skip
    order = sa.ForeignKey("orders.id", name="fk_deliveries_order_id", ondelete="CASCADE")
    op.create_table(
        "deliveries",
        sa.Column("order_id", Id, order, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("upload_id", Id),
        *(sa.Column(name, sa.Text) for name in ("key", "filename", "mime")),
        sa.Column("size", sa.BigInteger),
        sa.Column("delivered_at", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("returned_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("order_id", "position", "number", name="pk_deliveries"),
    )
    op.create_index("ix_deliveries_key", "deliveries", ["key"])
    op.create_table(
        "payouts",
        sa.Column("id", Id, primary_key=True),
        sa.Column("seller_id", Id, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("settled_at", sa.BigInteger),
    )
    op.create_index("ix_payouts_seller_id_created_at", "payouts", ["seller_id", "created_at", "id"])
    op.create_index("ix_payouts_status_created_at", "payouts", ["status", "created_at", "id"])
    op.create_index("ix_ledger_owner_id_account", "ledger", ["owner_id", "account", "currency", "amount"])
