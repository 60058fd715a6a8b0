"""The sockets of one process, and the feeds that they hear.

Hints tell at once what is new and who is to be looked at anew. Every two seconds all are looked at together:
who is signed out is let go, what a lost hint would have told is read, and who may hear no longer is unseated.
So each of these is true within two seconds on every process, whatever becomes of the hints; and so is what
somebody's name and role are. Whom they have blocked is read again every half minute.
"""

import asyncio
from collections.abc import Collection, Coroutine, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any
from uuid import UUID

import structlog

from veza.core.db import Database
from veza.core.errors import Detail, InvalidRequest, InvalidToken, Unavailable, VezaError
from veza.core.live import MISSED, Ended, Hint, Live, Subscription, SubscriptionEnded
from veza.core.metrics import metrics
from veza.rooms.chat import hints, members_store, rooms_store, service
from veza.rooms.chat import messages_store as store
from veza.rooms.chat.errors import RoomNotFound, TooFarBehind, TooManyRooms, TooManySockets
from veza.rooms.chat.feeds import Chair, Feed, Socket
from veza.rooms.chat.frames import Presence, Removed
from veza.rooms.chat.hints import Entry, People
from veza.rooms.chat.replaying import replay
from veza.rooms.sessions.authenticator import Authenticator

log = structlog.get_logger()

MOST = 10_000
MOST_OF_USER = 20
MOST_JOINED = 200
MOST_NAMED = 200
# Who has missed more than so many messages reads them by REST.
MOST_REPLAYED = 5_000
LOOK_SECONDS = 2.0
NAMED_SECONDS = 30.0
SIGNED_OUT, GOING_AWAY = 4401, 1012
_HINTS = 8_192
_SESSIONS = 1_000


class Hub:
    """Who is here."""

    def __init__(self, database: Database, live: Live, authenticator: Authenticator) -> None:
        self._database = database
        self._live = live
        self._authenticator = authenticator
        self._sockets: dict[UUID, set[Socket]] = {}
        self._count = 0
        self._feeds: dict[UUID, Feed] = {}
        self._refreshed = 0.0
        self._heard: Subscription | None = None
        self._running: asyncio.Task[None] | None = None
        self._work: set[asyncio.Task[None]] = set()
        metrics.watch("veza_chat_sockets", "Chat sockets that are open.", lambda: self._count)

    @contextmanager
    def here(self, socket: Socket) -> Iterator[None]:
        """A socket is here for as long as the block lasts. Raises TooManySockets, Unavailable."""
        mine = self._sockets.get(socket.member.id, set())
        if self._count >= MOST:
            raise Unavailable(headers={"Retry-After": "30"})
        if len(mine) >= MOST_OF_USER:
            raise TooManySockets
        self._sockets.setdefault(socket.member.id, mine).add(socket)
        self._count += 1
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(), name="chat-hub")
        try:
            yield
        finally:
            self._count -= 1
            mine.discard(socket)
            if not mine:
                self._sockets.pop(socket.member.id, None)
            for room_id in list(socket.chairs):
                self.leave(socket, room_id)

    async def join(self, socket: Socket, room_id: UUID, after: UUID | None, since: int | None) -> int:
        """Let a socket hear a room, and first what it has missed; the place up to which all was told.

        Raises RoomNotFound, Banned, TooManyRooms, TooFarBehind, InvalidRequest.
        """
        sitting = socket.chairs.get(room_id)
        if sitting is not None and after is None and since is None:
            return await self._stay(sitting)
        if len(socket.chairs) >= MOST_JOINED and sitting is None:
            raise TooManyRooms
        feed = self._feeds.get(room_id)
        if feed is None:
            feed = self._feeds[room_id] = Feed(self._database, room_id)
            if self._heard is not None:
                self._heard.follow(hints.topic(room_id))
        chair = feed.seat(socket)
        try:
            await feed.open()
            seen = await self._fill(chair, after, since)
        except BaseException:
            if socket.chairs.get(room_id) is chair:
                self.leave(socket, room_id)
            raise
        if socket.chairs.get(room_id) is not chair:  # sent away meanwhile
            raise RoomNotFound
        chair.settle(seen)
        return seen

    async def _stay(self, chair: Chair) -> int:
        """Who hears a room already keeps their chair: what is on its way to them is not passed over."""
        async with self._database.read() as view:
            seat = await service.get_seat(view, chair.socket.member, chair.feed.room_id)
        chair.sees_all = service.sees_all(seat, chair.socket.member)
        if chair.socket.chairs.get(chair.feed.room_id) is not chair:  # sent away meanwhile
            raise RoomNotFound
        return max(chair.seen, chair.feed.seq)

    async def _fill(self, chair: Chair, after: UUID | None, since: int | None) -> int:
        """Asked only now that what is told is kept: so between this and the first hint there is no gap."""
        socket, room_id = chair.socket, chair.feed.room_id
        async with self._database.read() as view:
            seat = await service.get_seat(view, socket.member, room_id)
            chair.sees_all = service.sees_all(seat, socket.member)
            place = since
            if after is not None:
                found = await store.find(view, after)
                if found is None or found.room_id != room_id:
                    raise InvalidRequest(
                        details=[Detail("after", "There is no such message in this room.", "INVALID")]
                    )
                place = found.seq
        if place is None or place >= seat.seq:
            return seat.seq
        if seat.seq - place > MOST_REPLAYED:
            raise TooFarBehind
        member = socket.member
        async for piece in replay(
            self._database, room_id, place, seat.seq,
            reader=member.id, hidden=service.hidden_in(seat, member), changes=since is not None,
        ):  # fmt: skip
            for one in piece:
                await socket.wire.drained()
                socket.send(one.frame)
        return seat.seq

    def leave(self, socket: Socket, room_id: UUID) -> None:
        """Let a socket hear a room no longer."""
        feed = self._feeds.get(room_id)
        if feed is None:
            return
        feed.unseat(socket)
        if not feed.chairs:
            del self._feeds[room_id]
            if self._heard is not None:
                self._heard.leave(hints.topic(room_id))
            self._say_who_came(feed)

    async def _run(self) -> None:
        """For as long as anybody is here."""
        loop = asyncio.get_running_loop()
        while self._sockets:
            looked = 0.0  # also of what was told while nobody heard
            topics = [hints.PEOPLE, *(hints.topic(room_id) for room_id in self._feeds)]
            with self._live.subscribe(topics, size=_HINTS) as heard:
                self._heard = heard
                while self._sockets and heard.ended is None:
                    await self._hear(heard, max(looked + LOOK_SECONDS - loop.time(), 0))
                    if loop.time() - looked >= LOOK_SECONDS:
                        await self._look()
                        looked = loop.time()
            self._heard = None
            if heard.ended is Ended.STOPPING:
                for socket in self._everybody():
                    socket.end(GOING_AWAY, "the server restarts")
                return

    async def _hear(self, heard: Subscription, seconds: float) -> None:
        try:
            hint = await heard.next(seconds)
        except SubscriptionEnded:
            return
        if hint is not None:
            try:
                self._take(hint)
            except Exception:
                log.exception("chat.bad_hint")  # what it said is looked at in two seconds

    def _take(self, hint: Hint) -> None:
        if hint is MISSED:
            self._spawn(self._look())
        elif hint.topic == hints.PEOPLE:
            self._spawn(self._look_at(hint.read(People)))
        else:
            feed = self._feeds.get(UUID(hint.topic.partition(":")[2]))
            if feed is not None:
                feed.take(hint.read(list[Entry]))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="chat-look")
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _look_at(self, people: People) -> None:
        """Some people have changed, everywhere or in a room."""
        try:
            if people.room is None:
                for user_id in people.users:
                    await self._refresh(user_id)
                return
            feed = self._feeds.get(people.room)
            if feed is not None:
                users = set(people.users) or set(feed.people)
                await self._recheck(feed, users & feed.people.keys())
        except Exception:
            log.exception("chat.look_failed")  # all are looked at again soon

    async def _refresh(self, user_id: UUID) -> None:
        for socket in tuple(self._sockets.get(user_id, ())):
            try:
                known = await self._authenticator.member_of(socket.member.session_id)
            except InvalidToken:
                socket.end(SIGNED_OUT, "signed out")
                continue
            before, socket.member = socket.member, known
            # By a block, or another role: what they saw may not be there for them any more.
            if (before.hidden, before.role) != (known.hidden, known.role):
                for chair in tuple(socket.chairs.values()):
                    await self._recheck(chair.feed, {user_id})

    async def _recheck(self, feed: Feed, users: set[UUID]) -> None:
        """Unseat those of these users who may not hear a room any more."""
        async with self._database.read() as view:
            members = await members_store.list_some(view, feed.room_id, users)
            closed = await service.is_closed(view, feed.room_id)
            for user_id in users:
                for socket in tuple(self._sockets.get(user_id, ())):
                    safe = user_id in members and not closed and not socket.member.hidden
                    if feed.room_id in socket.chairs and not safe:
                        await self._recheck_one(view, feed, socket)

    async def _recheck_one(self, view: Any, feed: Feed, socket: Socket) -> None:
        try:
            seat = await service.get_seat(view, socket.member, feed.room_id)
        except VezaError:
            self.leave(socket, feed.room_id)
            socket.send(Removed(room_id=feed.room_id))
            return
        if (chair := socket.chairs.get(feed.room_id)) is not None:
            chair.sees_all = service.sees_all(seat, socket.member)

    async def _look(self) -> None:
        """Look at everybody, and at how far their rooms are."""
        try:
            await self._let_go()
            feeds = {room_id: feed for room_id, feed in self._feeds.items() if feed.seq >= 0}
            async with self._database.read() as view:
                states = {state.id: state for state in await rooms_store.list_states(view, feeds.keys())}
        except Exception:
            log.exception("chat.look_failed")  # and they go on: who cannot be asked after is not refused
            return
        for room_id, feed in feeds.items():
            try:
                await self._look_into(feed, states.get(room_id))
            except Exception:
                log.exception("chat.look_failed", room_id=str(room_id))  # and at the others all the same

    async def _look_into(self, feed: Feed, state: rooms_store.State | None) -> None:
        if state is not None:
            feed.catch_up(state.seq)
        if state is None or state.version != feed.version:
            await self._recheck(feed, set(feed.people))
            feed.version = -1 if state is None else state.version  # looked at, and not before
        self._say_who_came(feed)

    async def _let_go(self) -> None:
        sockets, changed, now = self._everybody(), set[UUID](), asyncio.get_running_loop().time()
        due = now - self._refreshed >= NAMED_SECONDS
        if due:
            self._refreshed = now
        for start in range(0, len(sockets), _SESSIONS):
            some = sockets[start : start + _SESSIONS]
            good = await self._authenticator.list_good({one.member.session_id for one in some})
            for socket in some:
                member, found = socket.member, good.get(socket.member.session_id)
                if found is None:
                    socket.end(SIGNED_OUT, "signed out")
                    continue
                blocks = due and (found.has_blocks or member.hidden)
                if blocks or (member.role, member.username) != (found.role, found.username):
                    changed.add(member.id)
        for user_id in changed:
            await self._refresh(user_id)

    def _say_who_came(self, feed: Feed) -> None:
        """Tell who came and went since the last time, once for all; and now and then who is here.

        Other processes do so, too: so everybody learns of everybody, and nobody stays who was cut off.
        """
        came, feed.came = feed.came, {}
        now = asyncio.get_running_loop().time()
        if feed.chairs and now - feed.named >= NAMED_SECONDS:
            feed.named = now
            came |= dict.fromkeys(islice(feed.people, MOST_NAMED), True)
        if came:
            online = [user_id for user_id, here in came.items() if here]
            offline = [user_id for user_id, here in came.items() if not here]
            frame = Presence(room_id=feed.room_id, online=online, offline=offline)
            hints.tell(self._live, feed.room_id, frame)

    def present(self, room_id: UUID, hidden: Collection[UUID]) -> list[UUID]:
        """Who hears a room in this process, but for the hidden; so many at most."""
        feed = self._feeds.get(room_id)
        return list(islice((one for one in feed.people if one not in hidden), MOST_NAMED)) if feed else []

    def _everybody(self) -> list[Socket]:
        return [one for some in self._sockets.values() for one in some]
