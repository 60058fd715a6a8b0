"""Who follows whom, and who has blocked whom."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create them."""
    for name in ("follower_count", "following_count"):
        column = sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0"))
        op.add_column("users", column)
    flag = sa.Column("has_blocks", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("users", flag)
    op.create_table(
        "follows",
        sa.Column("follower_id", Id, nullable=False),
        sa.Column("followed_id", Id, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("follower_id", "followed_id", name="pk_follows"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_follows_follower_id_created_at", "follows", ["follower_id", "created_at", "followed_id"]
    )
    op.create_index(
        "ix_follows_followed_id_created_at", "follows", ["followed_id", "created_at", "follower_id"]
    )
    op.create_table(
        "blocks",
        sa.Column("blocker_id", Id, nullable=False),
        sa.Column("blocked_id", Id, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("blocker_id", "blocked_id", name="pk_blocks"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_blocks_blocked_id_blocker_id", "blocks", ["blocked_id", "blocker_id"])
