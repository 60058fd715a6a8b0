"""The audit log: sealed in order, only added to, purged from its beginning alone.

What was written to ``events`` before is queued, and sealed at the next start. The bodies of triggers stand in
one line each, for a script is told apart by its lines.
"""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0020"
down_revision = "0019"

# Of a table: when a change of a row is refused, and when its removal.
_ALWAYS = "TRUE"
_RULES = {
    "events": (_ALWAYS, "EXISTS (SELECT 1 FROM audit_queue WHERE audit_queue.id = OLD.id)"),
    "audit_queue": (_ALWAYS, "NOT EXISTS (SELECT 1 FROM audit_log WHERE audit_log.id = OLD.id)"),
    "audit_log": (_ALWAYS, "OLD.seq > COALESCE((SELECT purged_seq FROM audit_state), 0)"),
    "audit_state": ("NEW.head_seq < OLD.head_seq OR NEW.purged_seq < OLD.purged_seq", _ALWAYS),
}


def upgrade() -> None:
    """Create it."""
    _log()
    _beside()
    _triggers(op.get_context().dialect.name)
    op.execute("INSERT INTO audit_queue (id) SELECT id FROM events")


def _log() -> None:
    op.create_table(
        "audit_queue",
        sa.Column("id", Id, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_queue"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_log",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", Id, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("user_id", Id),
        sa.Column("actor_id", Id),
        sa.Column("target_type", sa.Text, nullable=False),
        sa.Column("target_id", Id),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("severity", "ip", "user_agent", "request_id", "data")
        ),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_log"),
        sa.UniqueConstraint("id", name="uq_audit_log_id"),
    )
    when = ["created_at", "seq"]
    op.create_index("ix_audit_log_created_at", "audit_log", when)
    for by in (["kind"], ["user_id"], ["user_id", "kind"], ["ip"]):
        op.create_index("_".join(("ix_audit_log", *by)), "audit_log", [*by, *when])
    for column, some in (("target_id", "target_id IS NOT NULL"), ("severity", "severity <> 'info'")):
        where = sa.text(some)
        op.create_index(
            f"ix_audit_log_{column}", "audit_log", [column, *when], sqlite_where=where, postgresql_where=where
        )


def _beside() -> None:
    op.create_table(
        "audit_state",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("head_seq", sa.BigInteger, nullable=False),
        sa.Column("head_mac", sa.LargeBinary, nullable=False),
        sa.Column("purged_seq", sa.BigInteger, nullable=False),
        sa.Column("purged_mac", sa.LargeBinary, nullable=False),
        sa.Column("emptied_seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_state"),
    )
    op.create_table(
        "audit_counts",
        sa.Column("scope", Id, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("scope", "kind", name="pk_audit_counts"),
        sqlite_with_rowid=False,
    )


def _triggers(dialect: str) -> None:
    make = _postgres if dialect == "postgresql" else _sqlite
    for statement in make():
        op.execute(statement)


def _sqlite() -> "list[str]":
    made = [
        (
            "CREATE TRIGGER events_queued AFTER INSERT ON events "
            "BEGIN INSERT INTO audit_queue (id) VALUES (NEW.id); END"
        )
    ]
    for table, rules in _RULES.items():
        for deed, rule in zip(("UPDATE", "DELETE"), rules, strict=True):
            made.append(
                f"CREATE TRIGGER {table}_no_{deed.lower()} BEFORE {deed} ON {table} WHEN {rule} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is only added to'); END"
            )
    return made


def _postgres() -> "list[str]":
    made = [
        (
            "CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'this table is only added to' USING ERRCODE = 'restrict_violation'; END $$"
        ),
        (
            "CREATE FUNCTION audit_enqueue() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "INSERT INTO audit_queue (id) VALUES (NEW.id); RETURN NULL; END $$"
        ),
        "CREATE TRIGGER events_queued AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION audit_enqueue()",
    ]
    for table, rules in _RULES.items():
        # A condition of WHEN may not ask other tables: so a function of its own does.
        for deed, rule in zip(("UPDATE", "DELETE"), rules, strict=True):
            name = f"{table}_no_{deed.lower()}"
            kept = "NEW" if deed == "UPDATE" else "OLD"
            made += [
                (
                    f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {rule} THEN "
                    "RAISE EXCEPTION 'this table is only added to' USING ERRCODE = 'restrict_violation'; "
                    f"END IF; RETURN {kept}; END $$"
                ),
                f"CREATE TRIGGER {name} BEFORE {deed} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
            ]
        made.append(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
        )
    return made
