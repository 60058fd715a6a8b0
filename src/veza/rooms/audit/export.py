"""Rows of the log as CSV, sent while they are read: no more than a piece is in memory."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Any

from litestar import Response
from litestar.types import ASGIApp

from veza.core.db import Database
from veza.core.delivery import disposition
from veza.core.exchange import Exchange
from veza.rooms.audit import search_store, service
from veza.rooms.audit.filters import Wanted
from veza.rooms.audit.rows import Entry

MIME = "text/csv"
PIECE = 500
HEAD = (
    "created_at", "seq", "id", "action", "severity", "user_id", "actor_id", "target_type", "target_id",
    "ip_address", "user_agent", "request_id", "details",
)  # fmt: skip
# What a spreadsheet would take for a formula, and run (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class CsvAnswer(Response[bytes]):
    """All rows that are wanted, the latest first, as a file to save."""

    def __init__(self, database: Database, wanted: Wanted) -> None:
        super().__init__(b"", media_type=MIME)
        self.database = database
        self.wanted = wanted

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # type: ignore[override]  # not the bytes that the base would render
        """The answer itself."""
        return self._answer

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        del receive
        exchange: Exchange = scope["veza"]
        if exchange.tx is not None:
            # Whoever downloads for an hour holds no connection to the database meanwhile.
            await exchange.tx.close()
        head = {
            "content-type": f"{MIME}; charset=utf-8; header=present",
            "content-disposition": disposition("attachment", "audit.csv"),
            "cache-control": "private, no-store",
        }
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in head.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        if scope["method"] != "HEAD":
            async for piece in pieces(self.database, self.wanted):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def pieces(database: Database, wanted: Wanted) -> AsyncIterator[bytes]:
    """The file, a piece at a time; each is of a view of its own, and no row stands in two."""
    async with database.read() as view:
        entries = await service.list_waiting(view, wanted)
        rest = await search_store.page(view, wanted, PIECE, 0)
    seen = {entry.id for entry in rest}
    yield write([HEAD, *map(_cells, (entry for entry in entries if entry.id not in seen))])
    while rest:
        yield write(list(map(_cells, rest)))
        last = rest[-1]
        async with database.read() as view:
            rest = await search_store.after(view, wanted, PIECE, last.created_at, last.seq)


def write(rows: Sequence[Sequence[str]]) -> bytes:
    """Lines of CSV (RFC 4180), in which no cell is a formula."""
    out = io.StringIO()
    csv.writer(out).writerows([[_harmless(cell) for cell in row] for row in rows])
    return out.getvalue().encode()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _cells(entry: Entry) -> Sequence[str]:
    return [
        entry.created_at.isoformat(), str(entry.seq or ""), str(entry.id), entry.kind, entry.severity,
        str(entry.user_id or ""), str(entry.actor_id or ""), entry.target_type, str(entry.target_id or ""),
        entry.ip, entry.user_agent, entry.request_id, entry.data,
    ]  # fmt: skip
