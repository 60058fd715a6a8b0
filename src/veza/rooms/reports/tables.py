"""What users have reported, and what became of it."""

import sqlalchemy as sa

from veza.core.db import Id, Time, metadata

reports = sa.Table(
    "reports",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("reporter_id", Id, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("target_type", sa.Text, nullable=False),
    sa.Column("target_id", Id, nullable=False),
    # Whose it was when it was reported.
    sa.Column("owner_id", Id),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("details", sa.Text),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("resolved_at", Time),
    sa.Column("resolved_by", Id),
    sa.Column("action", sa.Text),
    sa.Column("note", sa.Text),
    # Of a message: what it said then, and where.
    sa.Column("quote", sa.Text),
    sa.Column("room_id", Id),
    # Nobody reports a thing twice before somebody has looked at it.
    sa.Index(
        "uq_reports_reporter_id_target_type_target_id",
        "reporter_id",
        "target_type",
        "target_id",
        unique=True,
        sqlite_where=sa.text("resolved_at IS NULL"),
        postgresql_where=sa.text("resolved_at IS NULL"),
    ),
    sa.Index("ix_reports_target", "target_type", "target_id"),
    sa.Index("ix_reports_created_at", "created_at", "id"),
    sa.Index("ix_reports_reporter_id", "reporter_id"),
    sa.Index("ix_reports_room_id", "room_id"),
)
