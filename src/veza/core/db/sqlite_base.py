"""What SQLite is to Veza: how a connection is set up, and what its errors mean."""

import re
from pathlib import Path

import apsw

from veza.core.db.base import UniqueViolation
from veza.core.errors import Conflict, DatabaseBusy, InsufficientStorage, Unavailable

# Versions before may damage a database in WAL mode (https://sqlite.org/wal.html#walresetbug).
OLDEST = (3, 51, 3)
WAL_BYTES = 64 * 1024**2


def connect(path: Path, *, readonly: bool = False, cache_kib: int = 8_000) -> apsw.Connection:
    """A connection set up as Veza needs it.

    No ANALYZE is ever run, and so no ``PRAGMA optimize``: without figures SQLite takes every table for a
    large one and uses the indexes made for it, also on the day a small table has grown large. And no memory
    map: a failed read would be a signal that ends the process, and each connection's map counts as memory.
    """
    found = tuple(map(int, apsw.sqlite_lib_version().split(".")))
    if found < OLDEST:
        raise RuntimeError(f"SQLite {apsw.sqlite_lib_version()} can damage databases; {OLDEST} is needed")
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(str(path), flags, statementcachesize=400)
    connection.set_busy_timeout(5_000)
    for pragma in (
        "journal_mode=WAL",
        f"journal_size_limit={WAL_BYTES}",
        "synchronous=FULL",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        f"cache_size=-{cache_kib}",
        f"query_only={'ON' if readonly else 'OFF'}",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def translate(error: Exception) -> Exception:
    """The error as the rest of Veza knows it."""
    match error:
        case apsw.ConstraintError():
            return _constraint(error)
        case apsw.BusyError() | apsw.LockedError():
            return DatabaseBusy(headers={"Retry-After": "1"})
        case apsw.FullError():
            return InsufficientStorage()
        case (
            apsw.IOError()
            | apsw.ReadOnlyError()
            | apsw.CantOpenError()
            | apsw.InterruptError()
            | apsw.ConnectionClosedError()
        ):
            return Unavailable(headers={"Retry-After": "5"})
    return error


def _constraint(error: apsw.ConstraintError) -> Exception:
    """The name that PostgreSQL would say; SQLite says the columns, or an index on expressions."""
    unique = re.search(r"UNIQUE constraint failed: (?:index '(?P<index>.+)'|(?P<columns>.+))", str(error))
    if unique is None:
        return Conflict()
    if unique["index"]:
        return UniqueViolation(unique["index"])
    parts = [part.rpartition(".") for part in unique["columns"].split(", ")]
    table = parts[0][0]
    if getattr(error, "extendedresult", 0) == apsw.SQLITE_CONSTRAINT_PRIMARYKEY:
        return UniqueViolation(f"pk_{table}")
    return UniqueViolation("_".join(("uq", table, *(column for _, _, column in parts))))
