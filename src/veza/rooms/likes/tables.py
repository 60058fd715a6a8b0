"""Who likes which track."""

import sqlalchemy as sa

from veza.core.db import Id, Time, metadata

# No foreign key to tracks: the likes of a track that is gone are removed in pieces, not while somebody waits.
likes = sa.Table(
    "likes",
    metadata,
    sa.Column("track_id", Id, nullable=False),
    sa.Column("user_id", Id, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("track_id", "user_id"),
    sa.Index("ix_likes_track_id_created_at", "track_id", "created_at", "user_id"),
    sa.Index("ix_likes_user_id_created_at", "user_id", "created_at"),
    sqlite_with_rowid=False,
)
