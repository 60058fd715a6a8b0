"""Chat: rooms of a track or playlist."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0027"
down_revision = "0024"


def upgrade() -> None:
    """No room is one yet."""
    op.add_column("chat_rooms", sa.Column("about_id", Id))
    op.create_index("uq_chat_rooms_about_id", "chat_rooms", ["about_id"], unique=True)
