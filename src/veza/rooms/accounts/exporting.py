"""The copy of everything that is held about a user, as a file: what may be very much comes in pieces."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Annotated
from uuid import UUID

from litestar.params import Dependency

from veza.access.actor import Member
from veza.access.policy import Action
from veza.core import clock
from veza.core.db import Database
from veza.core.errors import Unavailable
from veza.core.events import Context
from veza.core.exchange import Exchange
from veza.core.http import reply
from veza.core.json_file import JsonFile, JsonFileAnswer
from veza.core.limits import PersonalLimit
from veza.core.turns import Turns
from veza.rooms.accounts import profiles
from veza.rooms.accounts.events import DataExported
from veza.rooms.accounts.holdings import Holdings

# Each takes some milliseconds, a very large one some seconds; what takes this long waits for a database
# that is lost.
_MOST_WAITING, _PATIENCE = 100, 300.0


class Exports:
    """Makes such files in ``folder``, one at a time."""

    def __init__(self, database: Database, folder: Path, holdings: Holdings, limit: PersonalLimit) -> None:
        self._database = database
        self._folder = folder
        self._holdings = holdings
        self._limit = limit
        self._turns = Turns(_MOST_WAITING)

    async def answer(self, actor: Member, exchange: Exchange, user_id: UUID) -> JsonFileAnswer:
        """Everything that is held about somebody, by room, as of one moment; secrets are left out.

        Raises :class:`veza.rooms.accounts.errors.UserNotFound`, RateLimited, InsufficientStorage and
        Unavailable.
        """
        async with self._database.read() as view:
            await profiles.get_own(view, actor, Action.EXPORT_ACCOUNT, user_id)
        await self._limit.hit(actor.id, exchange)
        made = JsonFile(self._folder)
        try:
            await self._fill(made, user_id)
            # After the view is closed: many who hold one connection and wait for a second stop everybody.
            async with self._database.write() as note:
                note.context = lambda: Context(
                    actor.id, exchange.ip, exchange.user_agent, exchange.request_id
                )
                note.emit(DataExported(user_id))
        except BaseException:
            made.close()
            raise
        return JsonFileAnswer(made, f"veza-{user_id}.json")

    async def _fill(self, made: JsonFile, user_id: UUID) -> None:
        async with self._turns:
            try:
                async with asyncio.timeout(_PATIENCE), self._database.snapshot(apart=True) as view:
                    rooms = {one.name: partial(one.export, view, user_id) for one in self._holdings}
                    await made.put(reply({"exported_at": clock.now(), **rooms}))
                    await made.finish()
            except TimeoutError as late:
                raise Unavailable(headers={"Retry-After": "60"}) from late


TheExports = Annotated[Exports, Dependency(skip_validation=True)]
