"""Which tables a backup holds: all of them, but for those named here with their reason."""

from collections.abc import Mapping
from functools import cache

import veza.app  # noqa: F401 - it names every room, so that every table is known
from veza.core.db import metadata
from veza.core.db.rows import Column, columns_of, select_all
from veza.core.db.statement import Statement

_INDEX = "made anew of what it is of, as each database has it"
LEFT_OUT: Mapping[str, str] = {
    "search_state": "says how far the search index is, which is made anew",
    **{
        f"search_{kind}{part}": _INDEX
        for kind in ("tracks", "users", "playlists")
        for part in ("", "_words", "_typos")
    },
    "early": "what can be heard while a track is processed, which begins anew",
}


def kept_tables() -> list[str]:
    """The names of all tables that are kept, each after those that it refers to."""
    return [str(table.name) for table in metadata.sorted_tables if table.name not in LEFT_OUT]


def columns(name: str) -> list[Column]:
    """The columns of a table."""
    return columns_of(metadata.tables[name])


@cache
def all_rows(name: str) -> Statement[None]:
    """Everything that is in it, in the order of its key."""
    return select_all(metadata.tables[name])
