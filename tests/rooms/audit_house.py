"""What tests of the audit log share: sealing at once, checking, and the hand of somebody who tampers."""

from typing import Any
from uuid import UUID

import apsw
import asyncpg

from tests.world import JSON, Person, World
from veza.core.db import Database
from veza.core.events import Context, Event
from veza.rooms.audit.sealing import Sealer
from veza.rooms.audit.verifying import Head, Verdict, verify

GUARDS = {
    "events": ("events_no_update", "events_no_delete", "events_queued"),
    "audit_queue": ("audit_queue_no_update", "audit_queue_no_delete"),
    "audit_log": ("audit_log_no_update", "audit_log_no_delete"),
    "audit_state": ("audit_state_no_update", "audit_state_no_delete"),
}
REFUSED = (apsw.ConstraintError, asyncpg.IntegrityConstraintViolationError)


def sealer_of(world: World) -> Sealer:
    """Whoever seals this world's log."""
    return Sealer(world.parts.database, world.parts.keyring)


async def seal(world: World) -> None:
    """Seal all there is."""
    await sealer_of(world).seal_all()


async def check(world: World, known: Head | None = None) -> Verdict:
    """What a verification finds."""
    return await verify(world.parts.database, sealer_of(world), known)


async def tell(
    database: Database, *happened: Event, who: Person | None = None, ip: str = "192.0.2.7"
) -> None:
    """Let these things have happened, in one transaction."""
    async with database.write() as tx:
        tx.context = lambda: Context(UUID(who.id) if who else None, ip, "test/1", "request-1")
        for event in happened:
            tx.emit(event)


async def logs(person: Person, query: str = "", *, path: str = "/audit/logs") -> list[JSON]:
    """What somebody finds in the log."""
    answer = await person.get(f"{path}?{query}")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"]["logs"])


async def tamper(database: Database, *statements: str, guarded: bool = False) -> None:
    """Change the database past Veza; unless ``guarded``, the triggers are away meanwhile."""
    lines = [] if guarded else await _unguarded(database, *statements)
    await database.script(";\n".join(lines or statements))


async def _unguarded(database: Database, *statements: str) -> list[str]:
    if database.dialect == "postgresql":
        return [
            "SET LOCAL session_replication_role = replica",
            *statements,
            "SET LOCAL session_replication_role = DEFAULT",
        ]
    made = await database.rows("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    ours = {name for names in GUARDS.values() for name in names}
    kept = [(name, sql) for name, sql in made if name in ours]
    return [*(f"DROP TRIGGER {name}" for name, _ in kept), *statements, *(str(sql) for _, sql in kept)]


def literal(database: Database, one: Any) -> str:
    """An id in SQL."""
    found = UUID(str(one))
    return f"'{found}'" if database.dialect == "postgresql" else f"x'{found.hex}'"


def blob(database: Database, value: bytes) -> str:
    """Bytes in SQL."""
    return f"'\\x{value.hex()}'" if database.dialect == "postgresql" else f"x'{value.hex()}'"
