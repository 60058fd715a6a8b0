"""Notifications: what people are told, have read, and want to be told of."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Create them; nobody has been told anything yet."""
    op.create_table(
        "notifications",
        sa.Column("id", Id, primary_key=True),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("group_key", sa.Text),
        sa.Column("actor_ids", sa.Text, nullable=False),
        sa.Column("actor_count", sa.BigInteger, nullable=False),
        sa.Column("subject_id", Id),
        sa.Column("detail", sa.Text),
        sa.Column("read_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("user_id", "seq", name="uq_notifications_user_id_seq"),
    )
    for name, columns, condition in (
        ("unread", ["user_id", "seq"], "read_at IS NULL"),
        ("group_key", ["user_id", "group_key", "seq"], "group_key IS NOT NULL"),
        ("read_at", ["read_at"], "read_at IS NOT NULL"),
    ):
        where = sa.text(condition)
        op.create_index(
            f"ix_notifications_{name}", "notifications", columns, sqlite_where=where, postgresql_where=where
        )
    notification = sa.ForeignKey(
        "notifications.id", name="fk_notification_acts_notification_id", ondelete="CASCADE"
    )
    op.create_table(
        "notification_acts",
        sa.Column("notification_id", Id, notification, nullable=False),
        sa.Column("actor_id", Id, nullable=False),
        sa.Column("act_id", Id, nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("notification_id", "actor_id", "act_id", name="pk_notification_acts"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_notification_acts_actor_id_user_id", "notification_acts", ["actor_id", "user_id"])
    op.create_table(
        "notification_boxes",
        sa.Column("user_id", Id, primary_key=True),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("seq", "total", "unread", "read_seq", "digest_seq")
        ),
        sqlite_with_rowid=False,
    )
    _preferences()
    op.create_table(
        "notified_releases",
        sa.Column("track_id", Id, primary_key=True),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("paused", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_notified_releases_user_id_created_at", "notified_releases", ["user_id", "created_at"])


def _preferences() -> None:
    user = sa.ForeignKey("users.id", name="fk_notification_preferences_user_id", ondelete="CASCADE")
    op.create_table(
        "notification_preferences",
        sa.Column("user_id", Id, user, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("in_app", sa.Boolean, nullable=False),
        sa.Column("email", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "type", name="pk_notification_preferences"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_notification_preferences_email",
        "notification_preferences",
        ["user_id"],
        sqlite_where=sa.text("email = 1"),
        postgresql_where=sa.text("email"),
    )
