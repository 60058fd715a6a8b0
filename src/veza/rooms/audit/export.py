"""Rows of the log as CSV, sent while they are read: no more than a piece is in memory."""

from collections.abc import AsyncIterator, Sequence

from veza.core.db import Database
from veza.core.sheets import Cell, sheet
from veza.rooms.audit import search_store, service
from veza.rooms.audit.filters import Wanted
from veza.rooms.audit.rows import Entry

PIECE = 500
HEAD = (
    "created_at", "seq", "id", "action", "severity", "user_id", "actor_id", "target_type", "target_id",
    "ip_address", "user_agent", "request_id", "details",
)  # fmt: skip


async def pieces(database: Database, wanted: Wanted) -> AsyncIterator[bytes]:
    """The file, a piece at a time; each is of a view of its own, and no row stands in two."""
    async with database.read() as view:
        entries = await service.list_waiting(view, wanted)
        rest = await search_store.page(view, wanted, PIECE, 0)
    seen = {entry.id for entry in rest}
    yield sheet([HEAD, *map(_cells, (entry for entry in entries if entry.id not in seen))])
    while rest:
        yield sheet(map(_cells, rest))
        last = rest[-1]
        async with database.read() as view:
            rest = await search_store.after(view, wanted, PIECE, last.created_at, last.seq)


def _cells(entry: Entry) -> Sequence[Cell]:
    return [
        entry.created_at, entry.seq or None, entry.id, entry.kind, entry.severity, entry.user_id,
        entry.actor_id, entry.target_type, entry.target_id, entry.ip, entry.user_agent,
        entry.request_id, entry.data,
    ]  # fmt: skip
