"""Chat: rooms of a track or playlist, and reports of what was said."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """No room is one yet, and nothing that was said is reported."""
    op.add_column("chat_rooms", sa.Column("about_id", Id))
    op.create_index("uq_chat_rooms_about_id", "chat_rooms", ["about_id"], unique=True)
    op.add_column("reports", sa.Column("quote", sa.Text))
    op.add_column("reports", sa.Column("room_id", Id))
    op.create_index("ix_reports_room_id", "reports", ["room_id"])
