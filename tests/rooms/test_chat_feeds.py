"""What a feed tells: everything in its order, once, whatever becomes of the hints."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tests.rooms.chat_house import room, say
from tests.world import open_world
from veza.access.actor import Member
from veza.core.db import Database
from veza.core.exchange import Exchange
from veza.core.ids import new_id
from veza.core.wire import text_frame
from veza.rooms.chat import replaying
from veza.rooms.chat.feeds import MOST_BUFFERED, MOST_WAITING, Feed, Socket
from veza.rooms.chat.hints import Entry, topic
from veza.rooms.chat.replaying import replay


class FakeWire:
    """A wire that keeps what was pushed; with ``stuck`` nobody takes it."""

    def __init__(self, *, stuck: bool = False) -> None:
        self.frames: list[Any] = []
        self.stuck = stuck
        self.waiting = 0
        self.code = 0

    def push(self, frame: bytes) -> int:
        body = frame[frame.index(b"{") :]
        assert frame == text_frame(body)
        self.frames.append(json.loads(body))
        self.waiting += len(frame) if self.stuck else 0
        return self.waiting

    async def drained(self) -> None:
        return None

    def end(self, code: int, _reason: str) -> None:
        self.code = code


def _socket(wire: FakeWire, *hidden: UUID) -> Socket:
    member = Member(id=new_id(), session_id=new_id(), hidden=frozenset(hidden))
    return Socket(wire, member, Exchange({"headers": []}, ()))


def _seqs(wire: FakeWire) -> list[int]:
    return [frame["message"]["seq"] for frame in wire.frames if frame["type"] == "message"]


async def test_what_hints_lose_is_read_and_nothing_is_told_twice(database: Database, tmp_path: Path) -> None:
    """H9: hints that are lost, late, twice or in the wrong order change nothing in what is told."""
    async with open_world(database, tmp_path) as world:
        ann, bob = await world.person("ann"), await world.person("bob")
        room_id = UUID(await room(ann, bob))
        wire, shy, late, keeper = FakeWire(), FakeWire(), FakeWire(), FakeWire()
        feed = Feed(database, room_id)
        feed.seat(_socket(wire)).settle(0)
        feed.seat(_socket(shy, UUID(bob.id))).settle(0)
        keeping = feed.seat(_socket(keeper, UUID(bob.id)))
        keeping.sees_all = True
        keeping.settle(0)
        await feed.open()
        with world.parts.live.subscribe([topic(room_id)]) as heard:
            for n in range(8):
                await say((ann, bob)[n % 2], str(room_id), f"{n}")
            hints = [(await heard.next(30)).read(list[Entry]) for _ in range(8)]
        feed.take(hints[0])
        feed.take(hints[0])
        assert _seqs(wire) == [1]
        chair = feed.seat(_socket(late))
        feed.take(hints[3])  # two were lost
        feed.take(hints[1])
        async with asyncio.timeout(30):
            while feed.seq < 8:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        for hint in (*hints[5:], hints[2]):
            feed.take(hint)
        assert _seqs(wire) == _seqs(keeper) == list(range(1, 9))
        assert _seqs(shy) == [1, 3, 5, 7]
        assert _seqs(late) == []
        chair.settle(6)
        assert _seqs(late) == [7, 8]
        feed.take([Entry(0, UUID(bob.id), msgspec.Raw(b'{"type":"typing"}'))])
        assert wire.frames[-1] == {"type": "typing"}
        assert shy.frames[-1]["type"] == keeper.frames[-1]["type"] == "message"


async def test_what_was_missed_comes_in_the_order_of_its_places(database: Database, tmp_path: Path) -> None:
    """H9: however much has changed, all of it comes, so that who is cut off amid it misses nothing before."""
    async with open_world(database, tmp_path) as world:
        ann = await world.person("ann")
        room_id = UUID(await room(ann))
        said = [await say(ann, str(room_id), f"{n}") for n in range(4)]
        for n in (0, 1):
            assert (await ann.put(f"/chat/messages/{said[n]['id']}", json={"content": "new"})).is_success
            await say(ann, str(room_id), "more")
        with pytest.MonkeyPatch.context() as small:
            small.setattr(replaying, "PIECE", 3)
            told = [one async for piece in replay(database, room_id, 2, 8) for one in piece]
            later = [one async for piece in replay(database, room_id, 6, 8) for one in piece]
        places = [(one.seq, type(one.frame).__name__) for one in told]
        assert places == [(3, "Said"), (4, "Said"), (5, "Edited"), (6, "Said"), (7, "Edited"), (8, "Said")]
        assert [one.seq for one in later] == [7, 8]


async def test_who_does_not_read_is_left_behind(database: Database) -> None:
    """H5: what waits for a reader is bounded, and what waits while one joins: then it ends with 1013."""
    feed = Feed(database, new_id())
    stuck, joining, well = FakeWire(stuck=True), FakeWire(), FakeWire()
    slow = _socket(stuck)
    feed.seat(slow).settle(0)
    feed.seat(_socket(joining))
    feed.seat(_socket(well)).settle(0)
    feed.seq = 0
    raw = msgspec.Raw(b'{"type":"x","fill":"%b"}' % (b"x" * 1_000))
    for seq in range(1, MOST_BUFFERED + 2):
        feed.take([Entry(seq, None, raw)])
    assert stuck.code == joining.code == 1013
    assert stuck.waiting <= MOST_WAITING + 2_000
    assert len(stuck.frames) < 300
    assert (well.code, len(well.frames)) == (0, MOST_BUFFERED + 1)
    feed.unseat(slow)
    assert slow.chairs == {}
