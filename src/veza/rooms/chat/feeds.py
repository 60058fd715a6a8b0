"""What the sockets of one process hear of one room: everything in its order, once, without a gap.

A feed knows up to which place it has told. What comes next it hands on; what comes later shows that something
was missed, and that is read from the database before anything else is told. Who joins is seated first and
reads then: what is told meanwhile waits, and what was read already is dropped.
"""

import asyncio
from collections.abc import Iterable
from uuid import UUID

import msgspec
import structlog

from veza.access.actor import Member
from veza.core.db import Database
from veza.core.events import Context
from veza.core.exchange import Exchange
from veza.core.wire import Wire, text_frame
from veza.rooms.chat import rooms_store
from veza.rooms.chat.frames import ServerFrame
from veza.rooms.chat.hints import Entry
from veza.rooms.chat.replaying import replay

log = structlog.get_logger()

# What may wait for a reader, in bytes, and for one who joins, in frames.
MOST_WAITING = 256 * 1024
MOST_BUFFERED = 2_000
TOO_SLOW = 1013


class Socket:
    """Somebody's open connection."""

    __slots__ = ("chairs", "context", "ended", "frames", "member", "typed", "window", "wire")

    def __init__(self, wire: Wire, member: Member, exchange: Exchange) -> None:
        self.wire = wire
        self.member = member
        self.context = Context(member.id, exchange.ip, exchange.user_agent, exchange.request_id)
        self.chairs: dict[UUID, Chair] = {}
        self.ended = False
        self.frames = 0
        self.window = 0.0
        self.typed = 0.0

    def send(self, frame: ServerFrame) -> None:
        """Say something to this one alone."""
        self.push(text_frame(msgspec.json.encode(frame)))

    def push(self, frame: bytes) -> None:
        """Say something that is framed already; who does not listen any more is left behind."""
        if not self.ended and self.wire.push(frame) > MOST_WAITING:
            self.end(TOO_SLOW, "too slow")

    def end(self, code: int, reason: str) -> None:
        """Close it."""
        self.ended = True
        self.wire.end(code, reason)


class Chair:
    """A socket in a room; ``seen`` is the place up to which it was told, ``waiting`` what waits meanwhile.

    Whether it ``sees_all`` that is said, also by hidden people, is what it was when that was last looked at.
    """

    __slots__ = ("feed", "seen", "sees_all", "socket", "waiting")

    def __init__(self, feed: "Feed", socket: Socket) -> None:
        self.feed = feed
        self.socket = socket
        self.seen = 0
        self.sees_all = False
        self.waiting: list[tuple[int, bytes]] | None = []

    def tell(self, seq: int, frame: bytes) -> None:
        """Tell what happened at a place, or passes."""
        if self.waiting is None:
            if seq == 0 or seq > self.seen:
                self.socket.push(frame)
        elif len(self.waiting) < MOST_BUFFERED:
            self.waiting.append((seq, frame))
        else:
            self.socket.end(TOO_SLOW, "too slow")

    def settle(self, seen: int) -> None:
        """All up to here was read: what waited is told, and from now on everything at once."""
        waiting, self.waiting, self.seen = self.waiting or [], None, seen
        for seq, frame in waiting:
            self.tell(seq, frame)


class Feed:
    """A room's hearers in this process; ``seq`` is -1 until it is known where the room stands."""

    def __init__(self, database: Database, room_id: UUID) -> None:
        self._database = database
        self.room_id = room_id
        self.seq = -1
        self.version = -1
        self.heard = 0
        self.chairs: dict[Socket, Chair] = {}
        self.people: dict[UUID, int] = {}
        self.came: dict[UUID, bool] = {}
        self.named = 0.0
        self.opening = asyncio.Lock()
        self._catching: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Find out where the room stands, the first time."""
        async with self.opening:
            if self.seq >= 0:
                return
            async with self._database.read() as view:
                state = next(iter(await rooms_store.list_states(view, [self.room_id])), None)
            self.seq, self.version = (state.seq, state.version) if state else (0, -1)
            self.catch_up(self.heard)

    def seat(self, socket: Socket) -> Chair:
        """Let a socket hear this room; what is told waits until its chair is settled."""
        made = Chair(self, socket)
        if socket not in self.chairs:
            self._count(socket.member.id, 1)
        self.chairs[socket] = socket.chairs[self.room_id] = made
        return made

    def unseat(self, socket: Socket) -> None:
        """Let it hear this room no longer."""
        if self.chairs.pop(socket, None) is not None:
            socket.chairs.pop(self.room_id, None)
            self._count(socket.member.id, -1)

    def _count(self, user_id: UUID, more: int) -> None:
        before = self.people.get(user_id, 0)
        after = self.people[user_id] = before + more
        if not after:
            del self.people[user_id]
        if bool(before) != bool(after):
            self.came[user_id] = bool(after)

    def take(self, entries: Iterable[Entry]) -> None:
        """Tell what comes next; what comes later has to wait for what was missed."""
        for one in entries:
            if one.seq == 0:
                self._tell(0, one.by, bytes(one.frame))
            elif self._catching is not None or self.seq < 0:
                self.heard = max(self.heard, one.seq)
            elif one.seq == self.seq + 1 and one.told:
                self.seq = one.seq
                self._tell(one.seq, one.by, bytes(one.frame))
            elif one.seq > self.seq:
                self.catch_up(one.seq)

    def _tell(self, seq: int, by: UUID | None, text: bytes) -> None:
        frame = text_frame(text)
        for socket, chair in list(self.chairs.items()):
            hidden = socket.member.hidden
            # What passes and is nobody's is of many: who came and went. Some of them may be hidden.
            if hidden and (by in hidden or (by is None and seq == 0)) and not (seq and chair.sees_all):
                continue
            chair.tell(seq, frame)

    def catch_up(self, to: int) -> None:
        """Read what was missed up to a place, and tell it."""
        self.heard = max(self.heard, to)
        if self._catching is None and 0 <= self.seq < self.heard:
            self._catching = asyncio.create_task(self._catch_up(), name="chat-feed")

    async def _catch_up(self) -> None:
        try:
            while self.seq < self.heard and self.chairs:
                async with self._database.read() as view:
                    state = next(iter(await rooms_store.list_states(view, [self.room_id])), None)
                if state is None:
                    return
                async for piece in replay(self._database, self.room_id, self.seq, state.seq):
                    for one in piece:
                        self._tell(one.seq, one.by, msgspec.json.encode(one.frame))
                        self.seq = one.seq  # told: whatever fails after this, it is not told again
                self.seq = state.seq
        except Exception:
            log.exception("chat.feed_failed")  # it is looked at again in two seconds
        finally:
            self._catching = None
