"""Transfers of files in chunks, the chunks that are there, and uploaded files of any kind."""

import sqlalchemy as sa

from veza.core.db import Id, Json, Time, metadata
from veza.rooms.tracks.schemas import UploadForm
from veza.rooms.uploads.schemas import Outcome

transfers = sa.Table(
    "transfers",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("user_id", Id, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("total_chunks", sa.Integer, nullable=False),
    sa.Column("total_size", sa.BigInteger, nullable=False),
    # Of every chunk but the last, in bytes; 0 until one has come that tells it.
    sa.Column("chunk_size", sa.BigInteger, nullable=False),
    sa.Column("received", sa.Integer, nullable=False),
    # Counts what came and came again: so it is known whether a file is of the chunks that there are now.
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("form", Json(UploadForm), nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    # Once it is completed, what its sender was told.
    sa.Column("outcome", Json(Outcome)),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
    sa.Index("ix_transfers_user_id_status", "user_id", "status"),
    sa.Index("ix_transfers_status_updated_at", "status", "updated_at"),
)

transfer_chunks = sa.Table(
    "transfer_chunks",
    metadata,
    sa.Column("transfer_id", Id, sa.ForeignKey("transfers.id", ondelete="CASCADE"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    # Another one each time the chunk comes.
    sa.Column("id", Id, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("in_place", sa.Boolean, nullable=False),
    sa.PrimaryKeyConstraint("transfer_id", "number"),
)

uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("user_id", Id, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("mime", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
    sa.Index("ix_uploads_user_id_created_at", "user_id", "created_at", "id"),
)
