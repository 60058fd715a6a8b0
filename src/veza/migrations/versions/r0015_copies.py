"""Buyers' copies: what they are made by once a track is gone, and where they lie."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """No copy has been made, and of what was sold before, nothing is written down but what it is."""
    op.add_column("kept_files", sa.Column("particulars", sa.Text))
    op.create_table(
        "copies",
        sa.Column("order_id", Id, nullable=False),
        sa.Column("product_id", Id, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column("key", sa.Text),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("order_id", "product_id", "position", "format", name="pk_copies"),
    )
    op.create_index("ix_copies_used_at", "copies", ["used_at"])
    op.create_index("ix_copies_key", "copies", ["key"])
