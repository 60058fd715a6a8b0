"""Rooms in which people talk, who is in them, and what was said."""

import sqlalchemy as sa

from veza.core.db import Id, Json, Time, metadata

# ``seq`` counts every change of what was said in a room; ``version`` those of who may hear it.
chat_rooms = sa.Table(
    "chat_rooms",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    # Of a direct room: its two people, in one order whoever begins.
    sa.Column("pair", sa.Text),
    # Of a room of a track or playlist: which one.
    sa.Column("about_id", Id),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("message_count", sa.BigInteger, nullable=False),
    sa.Column("member_count", sa.BigInteger, nullable=False),
    sa.Column("slow_seconds", sa.Integer, nullable=False),
    sa.Column("created_by", Id),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("last_message_at", Time),
    sa.UniqueConstraint("pair", name="uq_chat_rooms_pair"),
    sa.Index("ix_chat_rooms_type_member_count", "type", "member_count", "id"),
    sa.Index("uq_chat_rooms_about_id", "about_id", unique=True),
)

chat_members = sa.Table(
    "chat_members",
    metadata,
    sa.Column("room_id", Id, nullable=False),
    sa.Column("user_id", Id, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("read_seq", sa.BigInteger, nullable=False),
    sa.Column("muted_until", Time),
    sa.Column("joined_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("room_id", "user_id", name="pk_chat_members"),
    sa.Index("ix_chat_members_user_id_room_id", "user_id", "room_id"),
    sqlite_with_rowid=False,
)

chat_bans = sa.Table(
    "chat_bans",
    metadata,
    sa.Column("room_id", Id, nullable=False),
    sa.Column("user_id", Id, nullable=False),
    sa.Column("banned_by", Id),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("until", Time),
    sa.Column("created_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("room_id", "user_id", name="pk_chat_bans"),
    sa.Index("ix_chat_bans_user_id", "user_id"),
    sqlite_with_rowid=False,
)

# No foreign keys: what is left of a room or an account goes in pieces, and not while somebody waits.
chat_messages = sa.Table(
    "chat_messages",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("room_id", Id, nullable=False),
    # Its place in the room, and the place of its last change; ``seq`` is the smaller one, or both.
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("change_seq", sa.BigInteger, nullable=False),
    sa.Column("author_id", Id),
    sa.Column("client_id", sa.Text),
    sa.Column("content", sa.Text, nullable=False),
    # What it is searched by.
    sa.Column("folded", sa.Text, nullable=False),
    sa.Column("reply_to", Id),
    sa.Column("mentions", Json, nullable=False),
    sa.Column("cards", Json, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("edited_at", Time),
    sa.Column("deleted_at", Time),
    sa.Column("pinned_at", Time),
    sa.UniqueConstraint("room_id", "seq", name="uq_chat_messages_room_id_seq"),
    sa.UniqueConstraint(
        "room_id", "author_id", "client_id", name="uq_chat_messages_room_id_author_id_client_id"
    ),
    sa.Index("ix_chat_messages_room_id_change_seq", "room_id", "change_seq"),
    sa.Index("ix_chat_messages_author_id_id", "author_id", "id"),
    sa.Index(
        "ix_chat_messages_pinned",
        "room_id",
        "pinned_at",
        sqlite_where=sa.text("pinned_at IS NOT NULL"),
        postgresql_where=sa.text("pinned_at IS NOT NULL"),
    ),
)

chat_reactions = sa.Table(
    "chat_reactions",
    metadata,
    sa.Column("message_id", Id, nullable=False),
    sa.Column("emoji", sa.Text, nullable=False),
    sa.Column("user_id", Id, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.PrimaryKeyConstraint("message_id", "emoji", "user_id", name="pk_chat_reactions"),
    sa.Index("ix_chat_reactions_user_id", "user_id"),
    sqlite_with_rowid=False,
)

chat_invites = sa.Table(
    "chat_invites",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("room_id", Id, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("created_by", Id),
    sa.Column("uses_left", sa.Integer),
    sa.Column("expires_at", Time, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.UniqueConstraint("digest", name="uq_chat_invites_digest"),
    sa.Index("ix_chat_invites_room_id", "room_id"),
)

# Tokens that have opened a socket already, until they expire.
chat_tickets = sa.Table(
    "chat_tickets",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("expires_at", Time, nullable=False),
    sqlite_with_rowid=False,
)

# Who was here last when.
chat_people = sa.Table(
    "chat_people",
    metadata,
    sa.Column("user_id", Id, primary_key=True),
    sa.Column("seen_at", Time, nullable=False),
    sa.Index("ix_chat_people_seen_at", "seen_at"),
    sqlite_with_rowid=False,
)
