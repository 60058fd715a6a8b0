"""A place to back up and one to restore to, for databases of either kind."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from tests.world import World
from veza import opening
from veza.backup import commands, tables
from veza.backup.commands import Ways
from veza.core.db import Database, open_database
from veza.core.db.rows import Sum, reader
from veza.settings import Settings

WAYS = Ways(opening.opened, opening.prepared, opening.lock)


def settings_of(world: World) -> Settings:
    """The settings by which an operator's command finds what the world serves."""
    return msgspec.structs.replace(world.parts.settings, database_url=world.parts.database.url)


async def do(settings: Settings, deed: str, **given: Any) -> int:
    """A command, in this process; its exit code."""
    return await commands.carry_out(settings, WAYS, deed, given)


async def back_up(settings: Settings, target: Path | str, **given: Any) -> int:
    return await do(settings, "back_up", target=str(target), **{"keep": None, "with_secret": True, **given})


async def restore(settings: Settings, target: Path | str, **given: Any) -> int:
    return await do(settings, "restore", target=str(target), **{"at": None, "verify": True, **given})


async def fsck(settings: Settings, *, deep: bool = True, as_json: bool = False) -> int:
    return await do(settings, "check_files", deep=deep, as_json=as_json)


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = open_database(url)
    try:
        yield database
    finally:
        await database.close()


async def sums(database: Database) -> dict[str, tuple[int, str]]:
    """Of each table that is kept: how many rows, and the sum of their digests."""
    found = {}
    async with database.snapshot() as view:
        for name in tables.kept_tables():
            convert, total = reader(tables.columns(name), database.dialect), Sum()
            async for rows in view.scan(tables.all_rows(name)):
                for row in convert(rows):
                    total.add(row)
            found[name] = (total.rows, total.digest)
    return found
