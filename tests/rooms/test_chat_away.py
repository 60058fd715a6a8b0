"""A database that goes away while something is said: those who speak are told, and nothing crashes."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.rooms.chat_house import room
from tests.world import open_world
from veza.access.actor import Member
from veza.core.db import Database
from veza.core.errors import DatabaseBusy, InsufficientStorage
from veza.rooms.chat import members_store
from veza.rooms.chat.saying import Words, say_all
from veza.rooms.chat.schemas import MessageDraft


@pytest.mark.parametrize("failure", [DatabaseBusy, InsufficientStorage])
async def test_a_statement_that_fails_is_nobodys_refusal(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: type[Exception]
) -> None:
    """X15: taken for one message's, its transaction was committed, which could not be: a crash."""

    async def fail(*_: Any) -> Any:
        raise failure

    async with open_world(database, tmp_path) as world:
        ann = await world.person("ann")
        words = Words(
            Member(id=UUID(ann.id), session_id=UUID(int=1)),
            UUID(await room(ann)),
            MessageDraft(content="Still there?"),
        )
        monkeypatch.setattr(members_store, "list_some", fail)
        with pytest.raises(failure):
            async with database.write() as tx:
                await say_all(tx, world.parts.live, [words])
