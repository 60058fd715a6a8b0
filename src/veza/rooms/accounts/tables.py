"""Users, the names they gave up, and the single-use links they were sent."""

import sqlalchemy as sa

from veza.core.db import Id, Time, metadata

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("username", sa.Text, nullable=False),
    sa.Column("username_key", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("email_key", sa.Text, nullable=False),
    sa.Column("email_verified", sa.Boolean, nullable=False),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("bio", sa.Text),
    sa.Column("first_name", sa.Text),
    sa.Column("last_name", sa.Text),
    sa.Column("location", sa.Text),
    sa.Column("gender", sa.Text),
    # Storage key prefix of the present avatar; the sizes lie beneath it.
    sa.Column("avatar", sa.Text),
    # Sealed TOTP secret; two-factor login is on once totp_enabled_at is set.
    sa.Column("totp_secret", sa.LargeBinary),
    sa.Column("totp_enabled_at", Time),
    sa.Column("totp_last_step", sa.BigInteger),
    # Since when its tokens and its password open nothing. Whoever sets it notifies CHANGED in the same
    # transaction, for where one process serves alone it remembers who asks.
    sa.Column("suspended_at", Time),
    # What an admin said of it; it goes with the suspension.
    sa.Column("suspended_reason", sa.Text),
    # Bytes stored and reserved; kept here so that a quota is one conditional update.
    sa.Column("storage_used", sa.BigInteger, nullable=False),
    # How many users follow this one, and how many this one follows: as many as there are rows of `follows`.
    sa.Column("follower_count", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("following_count", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    # Whether they ever blocked or were blocked: of all others nobody needs to look at the blocks.
    sa.Column("has_blocks", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
    sa.UniqueConstraint("username_key"),
    sa.UniqueConstraint("email_key"),
    # Admins are few among many, and counted whenever one is about to be lost.
    sa.Index(
        "ix_users_admins",
        "id",
        sqlite_where=sa.text("role = 'admin'"),
        postgresql_where=sa.text("role = 'admin'"),
    ),
    # So are the suspended, whom the lists of people leave out and what they count has to.
    sa.Index(
        "ix_users_suspended",
        "id",
        sqlite_where=sa.text("suspended_at IS NOT NULL"),
        postgresql_where=sa.text("suspended_at IS NOT NULL"),
    ),
)

# How many users there are; the scope is always the empty one.
user_counts = sa.Table(
    "user_counts",
    metadata,
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("total", sa.BigInteger, nullable=False),
)

former_usernames = sa.Table(
    "former_usernames",
    metadata,
    sa.Column("username_key", sa.Text, primary_key=True),
    sa.Column("user_id", Id, nullable=False),
    sa.Column("held_until", Time, nullable=False),
    sa.Index("ix_former_usernames_user_id", "user_id"),
)

mail_tokens = sa.Table(
    "mail_tokens",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("user_id", Id, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("expires_at", Time, nullable=False),
    sa.Index("ix_mail_tokens_user_id", "user_id"),
    sa.Index("ix_mail_tokens_expires_at", "expires_at"),
)
