"""Sessions, their refresh tokens, and recovery codes."""

import sqlalchemy as sa

from veza.core.db import Id, Time, metadata

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("user_id", Id, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("ip_address", sa.Text, nullable=False),
    sa.Column("user_agent", sa.Text, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("last_activity", Time, nullable=False),
    sa.Column("expires_at", Time, nullable=False),
    sa.Column("revoked_at", Time),
    sa.Index("ix_sessions_user_id_created_at", "user_id", "created_at"),
    sa.Index("ix_sessions_expires_at", "expires_at"),
)

# One row for each token ever issued to a living session: a used one that comes back gives a thief away.
refresh_tokens = sa.Table(
    "refresh_tokens",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("session_id", Id, sa.ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    # From it and the token itself the successor is derived, so that a repeat within the grace gets the same.
    sa.Column("nonce", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("used_at", Time),
    sa.Index("ix_refresh_tokens_session_id", "session_id"),
)

recovery_codes = sa.Table(
    "recovery_codes",
    metadata,
    sa.Column("user_id", Id, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("user_id", "digest"),
)
