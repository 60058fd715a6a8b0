"""A process of `veza` that dies in the middle of a migration, after so many statements of it.

On SQLite it kills itself there. On PostgreSQL it is the server that works, and a client cannot know how far
it is: there it waits for a lock that the test holds, and is killed meanwhile.
"""

import os
import signal
from typing import Any

import apsw

from veza.core.db import migrate

LOCK = 0x68616C74
_HALT = {"sqlite": "SELECT halt()", "postgresql": f"SELECT pg_advisory_xact_lock({LOCK})"}


def statements(script: str) -> list[str]:
    """A script of migrations, taken apart."""
    return [part for part in script.split(";\n") if part.strip()]


def halt_at(position: int) -> None:
    """From now on, in this process, stop after so many statements of a migration."""
    write = migrate.upgrade_sql

    def halting(dialect: str, *given: Any) -> str:
        parts = statements(write(dialect, *given))
        return ";\n".join([*parts[:position], _HALT[dialect], *parts[position:]])

    migrate.upgrade_sql = halting
    apsw.connection_hooks.append(lambda opened: opened.create_scalar_function("halt", _die, 0))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
