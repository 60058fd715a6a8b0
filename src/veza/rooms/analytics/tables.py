"""What applications told."""

import sqlalchemy as sa

from veza.core.db import Id, Json, Time, metadata

analytics_events = sa.Table(
    "analytics_events",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("user_id", Id, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("event_name", sa.Text, nullable=False),
    sa.Column("payload", Json, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Index("ix_analytics_events_user_id", "user_id"),
    sa.Index("ix_analytics_events_created_at", "created_at", "event_name", "user_id"),
)
