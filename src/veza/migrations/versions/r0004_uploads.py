"""Transfers, their chunks, and uploads."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "transfers",
        sa.Column("id", Id, primary_key=True),
        sa.Column("user_id", Id, sa.ForeignKey("users.id", name="fk_transfers_user_id"), nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("total_chunks", sa.Integer, nullable=False),
        sa.Column("total_size", sa.BigInteger, nullable=False),
        sa.Column("chunk_size", sa.BigInteger, nullable=False),
        sa.Column("received", sa.Integer, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("form", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_transfers_user_id_status", "transfers", ["user_id", "status"])
    op.create_index("ix_transfers_status_updated_at", "transfers", ["status", "updated_at"])
    op.create_table(
        "transfer_chunks",
        sa.Column(
            "transfer_id",
            Id,
            sa.ForeignKey("transfers.id", name="fk_transfer_chunks_transfer_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("in_place", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("transfer_id", "number", name="pk_transfer_chunks"),
    )
    op.create_table(
        "uploads",
        sa.Column("id", Id, primary_key=True),
        sa.Column("user_id", Id, sa.ForeignKey("users.id", name="fk_uploads_user_id"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("mime", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_uploads_user_id_created_at", "uploads", ["user_id", "created_at", "id"])
