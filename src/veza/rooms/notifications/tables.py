"""What people are told, what they have read of it, and what they want to be told of."""

import sqlalchemy as sa

from veza.core.db import Id, Json, Time, metadata
from veza.rooms.notifications.kinds import FanOut

# No foreign keys to users: what is left of an account that is gone is removed in pieces.
notifications = sa.Table(
    "notifications",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("user_id", Id, nullable=False),
    # Which change of this user's box brought it here: the order in which they see them.
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    # What is told together: a type and a thing; None for what stands alone.
    sa.Column("group_key", sa.Text),
    # The latest who did it, first; at most three, while all of them are counted.
    sa.Column("actor_ids", Json(list[str]), nullable=False),
    sa.Column("actor_count", sa.BigInteger, nullable=False),
    # The thing that it is about: of a kind that the type tells.
    sa.Column("subject_id", Id),
    sa.Column("detail", sa.Text),
    sa.Column("read_at", Time),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
    sa.UniqueConstraint("user_id", "seq"),
    sa.Index(
        "ix_notifications_unread",
        "user_id",
        "seq",
        sqlite_where=sa.text("read_at IS NULL"),
        postgresql_where=sa.text("read_at IS NULL"),
    ),
    sa.Index(
        "ix_notifications_group_key",
        "user_id",
        "group_key",
        "seq",
        sqlite_where=sa.text("group_key IS NOT NULL"),
        postgresql_where=sa.text("group_key IS NOT NULL"),
    ),
    sa.Index(
        "ix_notifications_read_at",
        "read_at",
        sqlite_where=sa.text("read_at IS NOT NULL"),
        postgresql_where=sa.text("read_at IS NOT NULL"),
    ),
    # These go with their track; all others are few, or taken back by their acts.
    sa.Index(
        "ix_notifications_released",
        "subject_id",
        sqlite_where=sa.text("type = 'track_released'"),
        postgresql_where=sa.text("type = 'track_released'"),
    ),
)

# What is told together in one notification: each like, follow or comment.
notification_acts = sa.Table(
    "notification_acts",
    metadata,
    sa.Column("notification_id", Id, sa.ForeignKey("notifications.id", ondelete="CASCADE"), nullable=False),
    sa.Column("actor_id", Id, nullable=False),
    sa.Column("act_id", Id, nullable=False),
    sa.Column("user_id", Id, nullable=False),
    sa.PrimaryKeyConstraint("notification_id", "actor_id", "act_id"),
    sa.Index("ix_notification_acts_actor_id_user_id", "actor_id", "user_id"),
    sqlite_with_rowid=False,
)

# One row for each user who was ever told anything; whoever changes what they have holds it meanwhile.
notification_boxes = sa.Table(
    "notification_boxes",
    metadata,
    sa.Column("user_id", Id, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("unread", sa.BigInteger, nullable=False),
    # All up to here has been read, whatever its own row says.
    sa.Column("read_seq", sa.BigInteger, nullable=False),
    # All up to here was in a digest, or was too late for one.
    sa.Column("digest_seq", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Only what somebody has chosen.
notification_preferences = sa.Table(
    "notification_preferences",
    metadata,
    sa.Column("user_id", Id, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("in_app", sa.Boolean, nullable=False),
    sa.Column("email", sa.Boolean, nullable=False),
    sa.PrimaryKeyConstraint("user_id", "type"),
    sa.Index(
        "ix_notification_preferences_email",
        "user_id",
        sqlite_where=sa.text("email = 1"),
        postgresql_where=sa.text("email"),
    ),
    sqlite_with_rowid=False,
)

# Tracks of which followers were told: once, however often they are hidden and shown again.
notified_releases = sa.Table(
    "notified_releases",
    metadata,
    sa.Column("track_id", Id, primary_key=True),
    sa.Column("user_id", Id, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    # Where it was broken off, because the track was hidden meanwhile.
    sa.Column("paused", Json(FanOut)),
    sa.Index("ix_notified_releases_user_id_created_at", "user_id", "created_at"),
    sqlite_with_rowid=False,
)
