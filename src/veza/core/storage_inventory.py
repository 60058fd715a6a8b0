"""Files that are named, files that are there, and files of an earlier backup, told apart by the million.

Kept in a temporary database of this process, so that memory does not grow with the number of files: about
half a gigabyte a million. It lies where files wait, for `/tmp` is memory in many containers.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import apsw
import msgspec

from veza.core.db.types import from_micros, to_micros
from veza.core.ids import new_id
from veza.core.storage_base import Entry
from veza.core.storage_named import NamedFile

_TABLES = """
CREATE TABLE named (key TEXT PRIMARY KEY, size INTEGER, sha256 TEXT, spare INTEGER) WITHOUT ROWID;
CREATE TABLE there (key TEXT PRIMARY KEY, size INTEGER, modified INTEGER) WITHOUT ROWID;
CREATE TABLE copied (key TEXT PRIMARY KEY, size INTEGER, modified INTEGER, sha256 TEXT) WITHOUT ROWID;
CREATE TABLE kept (sha256 TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID;
"""
_NAME = """
INSERT INTO named VALUES (?, ?, ?, ?) ON CONFLICT (key)
DO UPDATE SET size = coalesce(named.size, excluded.size),
sha256 = max(named.sha256, excluded.sha256), spare = min(named.spare, excluded.spare)
"""
# Of a file that lies where it did then, with the same size and time, the digest is known: unless what is kept
# by that name cannot be it, or its row says another: then it is read again, and blamed again.
_AGAIN = """
SELECT there.key, there.size, there.modified, coalesce(copied.sha256, '')
FROM there JOIN named USING (key)
LEFT JOIN copied ON copied.key = there.key AND copied.size = there.size AND copied.modified = there.modified
AND named.sha256 IN ('', copied.sha256)
AND EXISTS (SELECT 1 FROM kept WHERE kept.sha256 = copied.sha256 AND kept.size = copied.size)
ORDER BY there.key
"""
_TOGETHER = 5_000


class Held(msgspec.Struct, frozen=True, array_like=True):
    """A file as a backup holds it: where it lay, since when, and what it is."""

    key: str
    size: int
    modified: int
    sha256: str


class Inventory:
    """What is known of files, by their keys."""

    def __init__(self, scratch: Path) -> None:
        self._path = scratch / f"inventory-{new_id().hex}"
        self._connection = apsw.Connection(str(self._path))
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=OFF", "synchronous=OFF", "cache_size=-32000"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()
        self._connection.execute(_TABLES).fetchall()

    def close(self) -> None:
        """Forget all of it; what a process leaves that was killed is swept like any other file there."""
        self._connection.close()
        self._path.unlink(missing_ok=True)

    def name(self, files: Iterable[NamedFile]) -> None:
        """Hear which files are named; what is named twice is as large and as sure as either says."""
        self._put(_NAME, ((one.key, one.size, one.sha256, one.spare) for one in files))

    def see(self, entries: Iterable[Entry]) -> None:
        """Hear which files are there."""
        rows = ((one.key, one.size, to_micros(one.modified)) for one in entries)
        self._put("INSERT OR REPLACE INTO there VALUES (?, ?, ?)", rows)

    def remember(self, files: Iterable[Held]) -> None:
        """Hear what an earlier backup holds."""
        rows = ((one.key, one.size, one.modified, one.sha256) for one in files)
        self._put("INSERT OR REPLACE INTO copied VALUES (?, ?, ?, ?)", rows)

    def keep(self, contents: Iterable[tuple[str, int]]) -> None:
        """Hear which contents are kept, and how many bytes there are of each."""
        self._put("INSERT OR REPLACE INTO kept VALUES (?, ?)", contents)

    def need(self, digests: Iterable[str]) -> None:
        """Hear which of them are needed; what is left is what :meth:`unneeded` tells."""
        self._put("DELETE FROM kept WHERE sha256 = ?", ((digest,) for digest in digests))

    def is_kept(self, digest: str, size: int) -> bool:
        """Whether such content is kept, in so many bytes: another number of them is another content."""
        return bool(self._all("SELECT 1 FROM kept WHERE sha256 = ? AND size = ?", digest, size))

    def unneeded(self) -> Iterator[str]:
        """Every content that is kept and that nothing was said to need."""
        return (row[0] for row in self._each("SELECT sha256 FROM kept ORDER BY sha256"))

    def take(self) -> Iterator[Held]:
        """Every file that is named and there, in order; with its digest where that is known already."""
        return (Held(*row) for row in self._each(_AGAIN))

    def bytes_to_take(self) -> tuple[int, int]:
        """How many these are, and their bytes."""
        ask = "SELECT count(*), coalesce(sum(there.size), 0) FROM there JOIN named USING (key)"
        count, size = self._all(ask)[0]
        return count, size

    def wanted(self, key: str) -> NamedFile | None:
        """What is named by this key."""
        rows = self._all("SELECT key, size, sha256, spare FROM named WHERE key = ?", key)
        return NamedFile(rows[0][0], rows[0][1], rows[0][2], bool(rows[0][3])) if rows else None

    def has(self, key: str, size: int) -> bool:
        """Whether a file of this size is there."""
        return bool(self._all("SELECT 1 FROM there WHERE key = ? AND size = ?", key, size))

    def missing(self) -> Iterator[str]:
        """Every file that must be there, and is not."""
        ask = "SELECT key FROM named WHERE NOT spare AND key NOT IN (SELECT key FROM there) ORDER BY key"
        return (row[0] for row in self._each(ask))

    def of_another_size(self) -> Iterator[tuple[str, int, int]]:
        """Every file that has another size than its row says: key, this, and its own."""
        return (
            (row[0], row[1], row[2])
            for row in self._each(
                "SELECT key, named.size, there.size FROM named JOIN there USING (key)"
                " WHERE named.size <> there.size ORDER BY key"
            )
        )

    def strangers(self, before: datetime) -> Iterator[tuple[str, int, datetime]]:
        """Every file that nothing names and that is older: key, size, since when."""
        ask = (
            "SELECT key, size, modified FROM there WHERE modified < ?"
            " AND key NOT IN (SELECT key FROM named) ORDER BY key"
        )
        return ((row[0], row[1], from_micros(row[2])) for row in self._each(ask, to_micros(before)))

    def _put(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with self._connection:
            self._connection.executemany(statement, rows).fetchall()

    def _all(self, ask: str, *args: Any) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._connection.execute(ask, args).fetchall()
        return found

    def _each(self, ask: str, *args: Any) -> Iterator[tuple[Any, ...]]:
        cursor = self._connection.execute(ask, args)
        while rows := list(islice(cursor, _TOGETHER)):
            yield from rows
