"""Chat: rooms, who is in them, what was said."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0024"
down_revision = "0023"

_BIG = sa.BigInteger


def upgrade() -> None:
    """Create them; nobody has said anything yet."""
    op.create_table(
        "chat_rooms",
        sa.Column("id", Id, primary_key=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("pair", sa.Text),
        *(sa.Column(name, _BIG, nullable=False) for name in ("seq", "version", "message_count")),
        sa.Column("member_count", _BIG, nullable=False),
        sa.Column("slow_seconds", sa.Integer, nullable=False),
        sa.Column("created_by", Id),
        sa.Column("created_at", _BIG, nullable=False),
        sa.Column("last_message_at", _BIG),
        sa.UniqueConstraint("pair", name="uq_chat_rooms_pair"),
    )
    op.create_index("ix_chat_rooms_type_member_count", "chat_rooms", ["type", "member_count", "id"])
    _people()
    _messages()
    op.create_table(
        "chat_invites",
        sa.Column("id", Id, primary_key=True),
        sa.Column("room_id", Id, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("created_by", Id),
        sa.Column("uses_left", sa.Integer),
        sa.Column("expires_at", _BIG, nullable=False),
        sa.Column("created_at", _BIG, nullable=False),
        sa.UniqueConstraint("digest", name="uq_chat_invites_digest"),
    )
    op.create_index("ix_chat_invites_room_id", "chat_invites", ["room_id"])
    op.create_table(
        "chat_tickets",
        sa.Column("id", Id, primary_key=True),
        sa.Column("expires_at", _BIG, nullable=False),
        sqlite_with_rowid=False,
    )


def _people() -> None:
    op.create_table(
        "chat_members",
        sa.Column("room_id", Id, nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("read_seq", _BIG, nullable=False),
        sa.Column("muted_until", _BIG),
        sa.Column("joined_at", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("room_id", "user_id", name="pk_chat_members"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_chat_members_user_id_room_id", "chat_members", ["user_id", "room_id"])
    op.create_table(
        "chat_bans",
        sa.Column("room_id", Id, nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("banned_by", Id),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("until", _BIG),
        sa.Column("created_at", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("room_id", "user_id", name="pk_chat_bans"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_chat_bans_user_id", "chat_bans", ["user_id"])
    op.create_table(
        "chat_people",
        sa.Column("user_id", Id, primary_key=True),
        sa.Column("seen_at", _BIG, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_chat_people_seen_at", "chat_people", ["seen_at"])


def _messages() -> None:
    op.create_table(
        "chat_messages",
        sa.Column("id", Id, primary_key=True),
        sa.Column("room_id", Id, nullable=False),
        sa.Column("seq", _BIG, nullable=False),
        sa.Column("change_seq", _BIG, nullable=False),
        sa.Column("author_id", Id),
        sa.Column("client_id", sa.Text),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("folded", sa.Text, nullable=False),
        sa.Column("reply_to", Id),
        sa.Column("mentions", sa.Text, nullable=False),
        sa.Column("cards", sa.Text, nullable=False),
        sa.Column("created_at", _BIG, nullable=False),
        sa.Column("edited_at", _BIG),
        sa.Column("deleted_at", _BIG),
        sa.Column("pinned_at", _BIG),
        sa.UniqueConstraint("room_id", "seq", name="uq_chat_messages_room_id_seq"),
        sa.UniqueConstraint(
            "room_id", "author_id", "client_id", name="uq_chat_messages_room_id_author_id_client_id"
        ),
    )
    op.create_index("ix_chat_messages_room_id_change_seq", "chat_messages", ["room_id", "change_seq"])
    op.create_index("ix_chat_messages_author_id_id", "chat_messages", ["author_id", "id"])
    where = sa.text("pinned_at IS NOT NULL")
    op.create_index(
        "ix_chat_messages_pinned",
        "chat_messages",
        ["room_id", "pinned_at"],
        sqlite_where=where,
        postgresql_where=where,
    )
    op.create_table(
        "chat_reactions",
        sa.Column("message_id", Id, nullable=False),
        sa.Column("emoji", sa.Text, nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("created_at", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("message_id", "emoji", "user_id", name="pk_chat_reactions"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_chat_reactions_user_id", "chat_reactions", ["user_id"])
