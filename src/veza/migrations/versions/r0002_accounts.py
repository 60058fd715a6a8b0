"""Who people are, and how they prove it."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables of accounts and sessions."""
    _accounts()
    _sessions()


def _accounts() -> None:
    op.create_table(
        "users",
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
        sa.Column("avatar", sa.Text),
        sa.Column("totp_secret", sa.LargeBinary),
        sa.Column("totp_enabled_at", sa.BigInteger),
        sa.Column("totp_last_step", sa.BigInteger),
        sa.Column("suspended_at", sa.BigInteger),
        sa.Column("storage_used", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("username_key", name="uq_users_username_key"),
        sa.UniqueConstraint("email_key", name="uq_users_email_key"),
    )
    admins = sa.text("role = 'admin'")
    op.create_index("ix_users_admins", "users", ["id"], sqlite_where=admins, postgresql_where=admins)
    op.create_table(
        "former_usernames",
        sa.Column("username_key", sa.Text, primary_key=True),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("held_until", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_former_usernames_user_id", "former_usernames", ["user_id"])
    op.create_table(
        "mail_tokens",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("purpose", sa.Text, nullable=False),
        _user("mail_tokens"),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_mail_tokens_user_id", "mail_tokens", ["user_id"])
    op.create_index("ix_mail_tokens_expires_at", "mail_tokens", ["expires_at"])


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", Id, primary_key=True),
        _user("sessions"),
        sa.Column("ip_address", sa.Text, nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_activity", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
    )
    op.create_index("ix_sessions_user_id_created_at", "sessions", ["user_id", "created_at"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_table(
        "refresh_tokens",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column(
            "session_id",
            Id,
            sa.ForeignKey("sessions.id", name="fk_refresh_tokens_session_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("nonce", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger),
    )
    op.create_index("ix_refresh_tokens_session_id", "refresh_tokens", ["session_id"])
    op.create_table(
        "recovery_codes",
        _user("recovery_codes"),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "digest", name="pk_recovery_codes"),
    )


def _user(table: str) -> "sa.Column[object]":
    key = sa.ForeignKey("users.id", name=f"fk_{table}_user_id", ondelete="CASCADE")
    return sa.Column("user_id", Id, key, nullable=False)
