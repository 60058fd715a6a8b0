"""Sheets: CSV as RFC 4180 has it, sent while it is looked up, in which nothing is a formula."""

import csv
import io
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from veza.core.delivery import disposition
from veza.core.http import SentBytes

MIME = "text/csv"
# A number stands as it is; a text may be a stranger's.
Cell = str | int | Decimal | datetime | UUID | None
# With what a text begins that a spreadsheet takes for a formula, and runs. Source: OWASP, CSV Injection.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - they are meant


def sheet(rows: Iterable[Iterable[Cell]]) -> bytes:
    """Lines of CSV in UTF-8; times as RFC 3339 has them."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: Cell) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if not isinstance(value, str):
        return "" if value is None else str(value)
    return f"'{value}" if value.startswith(_FORMULAS) or value.lstrip().startswith(_FORMULAS) else value


class SheetAnswer(SentBytes):
    """A sheet to be saved under ``filename``, as long as it may be: no more than a piece is in memory."""

    def __init__(self, pieces: AsyncIterator[bytes], filename: str) -> None:
        super().__init__(b"", media_type=MIME)
        self.pieces = pieces
        self.filename = filename

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        del receive
        head = {
            "content-type": f"{MIME}; charset=utf-8; header=present",
            "content-disposition": disposition("attachment", self.filename),
            "cache-control": "private, no-store",
            "vary": "Authorization",
        }
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in head.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        if scope["method"] != "HEAD":
            async for piece in self.pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
