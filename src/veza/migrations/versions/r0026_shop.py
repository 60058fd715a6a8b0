"""Products that were taken down; refunds that came back, and shares of which no more was heard."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0026"
down_revision = "0024"


def upgrade() -> None:
    """Say of each product that it was not; nothing has come back."""
    op.add_column("products", sa.Column("taken_down_at", sa.BigInteger))
    order = sa.ForeignKey("orders.id", name="fk_failed_refunds_order_id", ondelete="CASCADE")
    op.create_table(
        "failed_refunds",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("order_id", Id, order, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_failed_refunds_order_id", "failed_refunds", ["order_id"])
    begun = sa.text("state = 'begun'")
    op.create_index(
        "ix_seller_shares_begun", "seller_shares", ["order_id"], sqlite_where=begun, postgresql_where=begun
    )
