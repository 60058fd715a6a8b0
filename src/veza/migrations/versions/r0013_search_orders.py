"""The orders in which what is found is sorted, and what its ranges are looked up by."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create them."""
    op.create_index("ix_search_tracks_place", "search_tracks", ["place", "duration", "created_at"])
    op.create_index("ix_search_tracks_name", "search_tracks", ["name", "id"])
    op.create_index("ix_search_tracks_created_at", "search_tracks", ["created_at", "id", "duration"])
    op.create_index("ix_search_tracks_duration", "search_tracks", ["duration", "created_at"])
