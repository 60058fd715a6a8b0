"""A database that goes away while something is said: those who speak are told, and nothing crashes."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.rooms.chat_house import room
from tests.rooms.test_chat_feeds import FakeWire
from tests.world import open_world
from veza.access.actor import Member
from veza.core.db import Database
from veza.core.errors import DatabaseBusy, InsufficientStorage
from veza.core.exchange import Exchange
from veza.core.live import Live
from veza.rooms.chat import hub, members_store
from veza.rooms.chat.feeds import Feed, Socket
from veza.rooms.chat.hub import Hub
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


async def test_who_could_not_be_looked_at_is_looked_at_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H6: where hints are lost and the database is busy just then, who was sent away goes."""
    monkeypatch.setattr(hub, "LOOK_SECONDS", 0.05)
    failed: list[UUID] = []
    always: list[UUID] = []
    recheck = Hub._recheck

    async def fail_once(self: Hub, feed: Feed, users: set[UUID]) -> None:
        if feed.room_id in always:
            raise DatabaseBusy
        if not failed:
            failed.append(feed.room_id)
            raise DatabaseBusy
        await recheck(self, feed, users)

    monkeypatch.setattr(Hub, "_recheck", fail_once)
    async with open_world(database, tmp_path) as world:
        ann, bob = await world.person("ann"), await world.person("bob")
        always.append(UUID(await room(ann, bob)))  # nor does this one keep it from the next
        room_id = UUID(await room(ann, bob))
        who = await world.parts.authenticator.authenticate(bob.client.headers["authorization"].split()[1])
        wire, here = FakeWire(), Hub(database, Live(), world.parts.authenticator)
        socket = Socket(wire, who, Exchange({"headers": []}, ()))
        with here.here(socket):
            for one in (*always, room_id):
                await here.join(socket, one, None, None)
                assert (await ann.delete(f"/chat/rooms/{one}/members/{bob.id}")).is_success
            async with asyncio.timeout(30):
                while room_id in socket.chairs:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)
        assert here._running is not None
        await here._running
        assert failed == [room_id]
        assert wire.frames[-1]["type"] == "removed"
