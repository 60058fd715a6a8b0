"""Who follows whom, and who has blocked whom."""

import sqlalchemy as sa

from veza.core.db import Id, Time, metadata

# No foreign keys: what is left of an account that is gone is removed in pieces, and counted down in them.
follows = sa.Table(
    "follows",
    metadata,
    sa.Column("follower_id", Id, nullable=False),
    sa.Column("followed_id", Id, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("follower_id", "followed_id"),
    sa.Index("ix_follows_follower_id_created_at", "follower_id", "created_at", "followed_id"),
    sa.Index("ix_follows_followed_id_created_at", "followed_id", "created_at", "follower_id"),
    sqlite_with_rowid=False,
)

# Read from both ends: whoever stands at one does not see the other.
blocks = sa.Table(
    "blocks",
    metadata,
    sa.Column("blocker_id", Id, nullable=False),
    sa.Column("blocked_id", Id, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("blocker_id", "blocked_id"),
    sa.Index("ix_blocks_blocked_id_blocker_id", "blocked_id", "blocker_id"),
    sqlite_with_rowid=False,
)
