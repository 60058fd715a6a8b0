"""Products taken down, refunds that came back, shares of which no more was heard, services bought again."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0026"
down_revision = "0025"


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
    _licences()


def _licences() -> None:
    """Somebody may have several for one service, each of another order."""
    repeatable = sa.Column("repeatable", sa.Boolean, nullable=False, server_default=sa.false())
    key = ["buyer_id", "product_id", "order_id"]
    if op.get_context().dialect.name == "postgresql":
        op.add_column("licences", repeatable)
        op.drop_constraint("pk_licences", "licences")
        op.create_primary_key("pk_licences", "licences", key)
    else:  # it cannot give a table another key
        op.rename_table("licences", "licences_before")
        op.create_table(
            "licences",
            sa.Column("buyer_id", Id, sa.ForeignKey("users.id", name="fk_licences_buyer_id"), nullable=False),
            sa.Column(
                "product_id", Id, sa.ForeignKey("products.id", name="fk_licences_product_id"), nullable=False
            ),
            sa.Column("order_id", Id, nullable=False),
            sa.Column("license_type", sa.Text, nullable=False),
            sa.Column("created_at", sa.BigInteger, nullable=False),
            sa.Column("frozen_at", sa.BigInteger),
            repeatable,
            sa.PrimaryKeyConstraint(*key, name="pk_licences"),
        )
        columns = "buyer_id, product_id, order_id, license_type, created_at, frozen_at"
        op.execute(f"INSERT INTO licences ({columns}) SELECT {columns} FROM licences_before")  # noqa: S608 - of our own words
        op.drop_table("licences_before")
        op.create_index("ix_licences_product_id", "licences", ["product_id"])
        op.create_index("ix_licences_order_id", "licences", ["order_id"])
    services = "SELECT id FROM products WHERE product_type = 'service'"
    op.execute(f"UPDATE licences SET repeatable = true WHERE product_id IN ({services})")  # noqa: S608 - as above
    once = sa.text("NOT repeatable")
    op.create_index(
        "uq_licences_buyer_id_product_id", "licences", ["buyer_id", "product_id"], unique=True,
        sqlite_where=once, postgresql_where=once,
    )  # fmt: skip
