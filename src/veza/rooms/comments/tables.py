"""What people say about tracks."""

import sqlalchemy as sa

from veza.core.db import Id, Time, metadata

# No foreign key to tracks: the comments on a track that is gone are removed in pieces, not while somebody
# waits. Those of an account that is gone stay, and are nobody's.
comments = sa.Table(
    "comments",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("track_id", Id, nullable=False),
    sa.Column("user_id", Id, sa.ForeignKey("users.id", ondelete="SET NULL")),
    # The first comment of the thread; None for that one itself.
    sa.Column("parent_id", Id, sa.ForeignKey("comments.id", ondelete="CASCADE")),
    sa.Column("content", sa.Text, nullable=False),
    # Seconds into the track.
    sa.Column("timestamp", sa.Double),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("edited_at", Time),
    # Lists by time, and along the track; those that name no place in it come before its beginning.
    sa.Index("ix_comments_track_id_id", "track_id", "id"),
    sa.Index("ix_comments_track_id_timestamp", "track_id", sa.text("coalesce(timestamp, -1)"), "id"),
    sa.Index("ix_comments_user_id_track_id_created_at", "user_id", "track_id", "created_at"),
    sa.Index("ix_comments_parent_id", "parent_id"),
)
