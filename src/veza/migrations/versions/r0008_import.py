"""What was imported from folders, and tracks found by their content."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create them."""
    op.create_index("ix_tracks_user_id_sha256", "tracks", ["user_id", "sha256"])
    op.create_table(
        "imported_files",
        sa.Column("user_id", Id, nullable=False),
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column(
            "track_id",
            Id,
            sa.ForeignKey("tracks.id", name="fk_imported_files_track_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("user_id", "mark", name="pk_imported_files"),
    )
    op.create_index("ix_imported_files_track_id", "imported_files", ["track_id"])
