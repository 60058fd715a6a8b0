"""The log, what waits to be sealed into it, how far it goes, and what is in it by kind.

Triggers of the migration hold what these tables are for: rows of ``events`` and ``audit_log`` are never
changed, and are removed only once they are sealed, or once the log says that they were purged.
"""

import sqlalchemy as sa

from veza.core.db import Id, Json, Time, metadata

# Rowids in SQLite, for which the column has to be spelt so.
_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Events that are in no seal yet; a trigger adds each in the transaction that writes it.
audit_queue = sa.Table(
    "audit_queue",
    metadata,
    sa.Column("id", Id, nullable=False),
    sa.PrimaryKeyConstraint("id"),
    sqlite_with_rowid=False,
)

audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("seq", _Number, primary_key=True, autoincrement=False),
    sa.Column("id", Id, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    # In whose log it stands: who did it, or whom it concerns where nobody was signed in.
    sa.Column("user_id", Id),
    sa.Column("actor_id", Id),
    sa.Column("target_type", sa.Text, nullable=False),
    sa.Column("target_id", Id),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("ip", sa.Text, nullable=False),
    sa.Column("user_agent", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    # As it was written, to the byte: the seal is of it.
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    # The seal of this row and of all before it, under a key of the server's secret.
    sa.Column("mac", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("id"),
    sa.Index("ix_audit_log_created_at", "created_at", "seq"),
    sa.Index("ix_audit_log_kind", "kind", "created_at", "seq"),
    sa.Index("ix_audit_log_user_id", "user_id", "created_at", "seq"),
    sa.Index("ix_audit_log_user_id_kind", "user_id", "kind", "created_at", "seq"),
    sa.Index("ix_audit_log_ip", "ip", "created_at", "seq"),
    sa.Index("ix_audit_log_target_id", "target_id", "created_at", "seq",
             sqlite_where=sa.text("target_id IS NOT NULL"),
             postgresql_where=sa.text("target_id IS NOT NULL")),
    # Nearly all rows are of no concern, and in no index of those that are.
    sa.Index("ix_audit_log_severity", "severity", "created_at", "seq",
             sqlite_where=sa.text("severity <> 'info'"), postgresql_where=sa.text("severity <> 'info'")),
)  # fmt: skip

# One row: how far the log is sealed, up to where it was purged, and up to where `events` was emptied.
audit_state = sa.Table(
    "audit_state",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("head_seq", sa.BigInteger, nullable=False),
    sa.Column("head_mac", sa.LargeBinary, nullable=False),
    sa.Column("purged_seq", sa.BigInteger, nullable=False),
    sa.Column("purged_mac", sa.LargeBinary, nullable=False),
    sa.Column("emptied_seq", sa.BigInteger, nullable=False),
)

# Kept counts of what is in the log: for everybody together under the nil UUID, and for each user.
audit_counts = sa.Table(
    "audit_counts",
    metadata,
    sa.Column("scope", Id, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("scope", "kind"),
    sqlite_with_rowid=False,
)

# Rows of the log that may be part of an attack, by kind of attack and by who or where it may be; for a day.
audit_signs = sa.Table(
    "audit_signs",
    metadata,
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("event_id", Id, nullable=False),
    # Where different ones are counted: which one this is.
    sa.Column("member", sa.Text, nullable=False),
    sa.Column("user_id", Id),
    sa.Column("ip", sa.Text, nullable=False),
    sa.Column("at", Time, nullable=False),
    sa.PrimaryKeyConstraint("kind", "key", "seq"),
    sa.Index("ix_audit_signs_at", "at"),
    sqlite_with_rowid=False,
)

audit_findings = sa.Table(
    "audit_findings",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("user_id", Id),
    sa.Column("ip_address", sa.Text),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("first_seen", Time, nullable=False),
    sa.Column("last_seen", Time, nullable=False),
    sa.Column("evidence", Json, nullable=False),
    sa.Column("acknowledged_at", Time),
    sa.Column("acknowledged_by", Id),
    sa.Column("note", sa.Text),
    sa.Index("ix_audit_findings_kind_key", "kind", "key", "last_seen"),
    sa.Index("ix_audit_findings_last_seen", "last_seen", "id"),
    sa.Index("ix_audit_findings_user_id", "user_id", "last_seen", "id"),
)

# One row: how far the log was looked through.
audit_watch = sa.Table(
    "audit_watch",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
)
