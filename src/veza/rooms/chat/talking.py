"""What each frame of a client does: by the services that REST calls, answered by ``ack`` or ``error``."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog

from veza.core import clock
from veza.core.body import parse_json, validate
from veza.core.db import Database, Tx
from veza.core.errors import Detail, InternalError, RateLimited, ValidationFailed, VezaError
from veza.core.live import Live
from veza.rooms.chat import frames, hints, messages, service
from veza.rooms.chat.errors import UnknownFrame
from veza.rooms.chat.feeds import Socket
from veza.rooms.chat.frames import CLIENT_FRAMES, Ack, Failed, FrameId, IsTyping, Pong, ServerFrame
from veza.rooms.chat.gathering import Speaker
from veza.rooms.chat.hub import Hub
from veza.rooms.chat.saying import Words
from veza.rooms.chat.schemas import MessageDraft

log = structlog.get_logger()

# Frames of one socket in a second: more are refused, and whoever does not heed that is let go.
MOST_FRAMES = 50
MOST_REFUSED = 250
TYPING_EVERY = 2.0
POLICY = 1008
_KINDS = {kind.name: kind for kind in CLIENT_FRAMES}


class Talk:
    """Understands clients."""

    def __init__(
        self, database: Database, live: Live, hub: Hub, speaker: Speaker, *, limited: bool = True
    ) -> None:
        self._limited = limited
        self._database = database
        self._live = live
        self._hub = hub
        self._speaker = speaker
        self._does: Mapping[type[Any], Callable[[Socket, Any], Awaitable[ServerFrame]]] = {
            frames.Join: self._join,
            frames.Leave: self._leave,
            frames.Say: self._say,
            frames.Edit: self._edit,
            frames.Delete: self._delete,
            frames.Typing: self._typing,
            frames.Read: self._read,
            frames.React: self._react,
            frames.Ping: self._ping,
        }

    async def hear(self, socket: Socket, text: str) -> None:
        """Do what a client says, and answer."""
        asked: str | int | None = None
        try:
            if self._limited:
                self._admit(socket)
            given = parse_json(text.encode("utf-8", "surrogatepass"))
            if not isinstance(given, dict):
                raise ValidationFailed("A frame must be a JSON object.")  # noqa: TRY301 - as all that is refused
            asked = _id_of(given)
            kind = _KINDS.get(str(given.pop("type", "")))
            if kind is None:
                raise UnknownFrame  # noqa: TRY301 - as above
            answer = await self._does[kind](socket, validate(given, kind))
        except VezaError as error:
            answer = _refusal(asked, error)
        except Exception:
            log.exception("chat.frame_failed")
            answer = _refusal(asked, InternalError())
        socket.send(answer)

    def _admit(self, socket: Socket) -> None:
        now = clock.monotonic()
        if now - socket.window >= 1:
            socket.window, socket.frames = now, 0
        socket.frames += 1
        if socket.frames > MOST_REFUSED:
            socket.end(POLICY, "too many frames")
        if socket.frames > MOST_FRAMES:
            raise RateLimited(headers={"Retry-After": "1"})

    def _write(self, socket: Socket) -> Tx:
        tx = self._database.write()
        tx.context = lambda: socket.context
        return tx

    async def _join(self, socket: Socket, frame: frames.Join) -> ServerFrame:
        seq = await self._hub.join(socket, frame.room_id, frame.after, frame.since)
        online = self._hub.present(frame.room_id, socket.member.hidden)
        return Ack(id=frame.id, room_id=frame.room_id, seq=seq, online=online)

    async def _leave(self, socket: Socket, frame: frames.Leave) -> ServerFrame:
        self._hub.leave(socket, frame.room_id)
        return Ack(id=frame.id, room_id=frame.room_id)

    async def _say(self, socket: Socket, frame: frames.Say) -> ServerFrame:
        draft = MessageDraft(frame.content, frame.client_id, frame.reply_to, frame.cards)
        said = (await self._speaker.say(Words(socket.member, frame.room_id, draft))).message
        return Ack(
            id=frame.id,
            room_id=frame.room_id,
            message_id=said.id,
            client_id=said.client_id,
            seq=said.seq,
        )

    async def _edit(self, socket: Socket, frame: frames.Edit) -> ServerFrame:
        await self._speaker.count(socket.member.id)
        async with self._write(socket) as tx:
            said = await messages.edit(tx, self._live, socket.member, frame.message_id, frame.content)
        return Ack(id=frame.id, room_id=said.room_id, message_id=said.id, seq=said.change_seq)

    async def _delete(self, socket: Socket, frame: frames.Delete) -> ServerFrame:
        async with self._write(socket) as tx:
            room_id = await messages.delete(tx, self._live, socket.member, frame.message_id)
        return Ack(id=frame.id, room_id=room_id, message_id=frame.message_id)

    async def _react(self, socket: Socket, frame: frames.React) -> ServerFrame:
        await self._speaker.count(socket.member.id)
        async with self._write(socket) as tx:
            said = await messages.react(
                tx, self._live, socket.member, frame.message_id, frame.emoji, given=not frame.remove
            )
        return Ack(id=frame.id, room_id=said.room_id, message_id=said.id, seq=said.change_seq)

    async def _read(self, socket: Socket, frame: frames.Read) -> ServerFrame:
        async with self._write(socket) as tx:
            seq = await messages.read_to(tx, self._live, socket.member, frame.room_id, frame.message_id)
        return Ack(id=frame.id, room_id=frame.room_id, message_id=frame.message_id, seq=seq)

    async def _typing(self, socket: Socket, frame: frames.Typing) -> ServerFrame:
        now, member = clock.monotonic(), socket.member
        if now - socket.typed >= TYPING_EVERY:
            async with self._database.read() as view:
                seat = await service.get_seat(view, member, frame.room_id)
            messages.refuse_silent(member, seat)
            socket.typed = now
            said = IsTyping(room_id=frame.room_id, user_id=member.id, username=member.username)
            hints.tell(self._live, frame.room_id, said, member.id)
        return Ack(id=frame.id, room_id=frame.room_id)

    async def _ping(self, _socket: Socket, frame: frames.Ping) -> ServerFrame:
        return Pong(id=frame.id)


def _id_of(given: dict[str, Any]) -> str | int | None:
    """Its own id, if it is one: what cannot be said back would end the socket."""
    found = given.get("id")
    try:
        return msgspec.convert(found, FrameId) if msgspec.json.encode(found) else None
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError):
        return None


def _refusal(asked: str | int | None, error: VezaError) -> Failed:
    wait = error.headers.get("Retry-After")
    said = "; ".join(f"{one.field}: {one.message}" for one in error.details if isinstance(one, Detail))
    message = f"{error.message} ({said})" if said else error.message
    return Failed(id=asked, code=error.code, message=message, retry_after=int(wait) if wait else None)
