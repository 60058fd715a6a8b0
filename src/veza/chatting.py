"""`veza chat`: a small chat for the terminal, and the protocol of docs/chat.md in one file to read.

It signs in, joins a room, prints what is said, and says what is typed, each line once the one before it is
acknowledged. When the connection is lost it comes back by itself, asks for what it missed, and says again
what was not acknowledged: once, by its `client_id`.
"""

import asyncio
import http.client
import json
import random
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

import msgspec
from rich.console import Console
from rich.markup import escape
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from veza.core.ids import new_id

PROTOCOL = "veza.chat.v1"
_WAIT = 30.0
# Between two tries to come back: longer each time, and not for all at once.
_AGAIN_SECONDS, _MOST_SECONDS = 1.0, 30.0
_SIGNED_OUT = 4401
_SHOWN = 20
_PAGE, _MOST_PAGES = 100, 20


class Refused(Exception):
    """The server did not do what it was asked for; it says why. With 401 there is no use in asking again."""

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status = status


class Server:
    """The HTTP side of a server, as somebody who is signed in."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.token = ""

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The data of an answer. Raises :class:`Refused`."""
        return await asyncio.to_thread(self._ask, method, path, body)

    def _ask(self, method: str, path: str, body: Any) -> Any:
        parts = urlsplit(self.url)
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(parts.netloc, timeout=_WAIT)
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            target = f"{parts.path}/api/v1{path}"
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            with connection.getresponse() as answer:  # which may have the socket to itself by now
                said = msgspec.json.decode(answer.read(), type=dict[str, Any])
        except (OSError, ValueError, http.client.HTTPException) as problem:
            raise Refused(f"{self.url} does not answer: {problem}") from None
        finally:
            connection.close()
        if not said.get("success"):
            raise Refused(said.get("error", {}).get("message", "no such server"), answer.status)
        return said["data"]

    async def sign_in(self, email: str, password: str, ask_code: Callable[[], str]) -> None:
        """Sign in; ``ask_code`` is asked where there is a second factor. Raises :class:`Refused`."""
        said = await self.ask("POST", "/auth/login", {"email": email, "password": password})
        if said.get("requires_2fa"):
            code = {"challenge_token": said["challenge_token"], "code": ask_code()}
            said = await self.ask("POST", "/auth/2fa/verify", code)
        self.token = said["token"]["access_token"]

    async def find_room(self, name: str) -> Any:
        """One's own room of this name or id, a public one, or the direct one with ``@somebody``."""
        if name.startswith("@"):
            found = await self.ask("GET", f"/users/by-username/{quote(name[1:])}")
            other = {"type": "direct", "user_id": found["profile"]["id"]}
            return (await self.ask("POST", "/chat/rooms", other))["room"]
        try:
            room = (await self.ask("GET", f"/chat/rooms/{UUID(name)}"))["room"]
        except ValueError:
            room = await self._find_named(name)
        if room["role"] is None:
            await self.ask("POST", f"/chat/rooms/{room['id']}/join")
        return room

    async def _find_named(self, name: str) -> Any:
        for which in ("mine", "public"):
            for page in range(1, _MOST_PAGES + 1):
                said = await self.ask("GET", f"/chat/rooms?which={which}&limit={_PAGE}&page={page}")
                for room in said["rooms"]:
                    if name == room["name"]:
                        return room
                if len(said["rooms"]) < _PAGE:
                    break
        raise Refused(f"There is no room named {name!r} that you may see.")


class Chat:
    """One room on the screen; ``since`` is the last place that was heard."""

    def __init__(self, server: Server, room: Any, console: Console) -> None:
        self.server = server
        self.room = room
        self.console = console
        self.since = max(0, room["seq"] - _SHOWN)
        self.unsaid: tuple[str, str] | None = None
        self.wait = 0.0
        self.answered = asyncio.Event()
        self.socket: ClientConnection | None = None
        self.over = False

    async def run(self, lines: AsyncIterator[str]) -> int:
        """Talk until the lines end; the exit code."""
        hearing = asyncio.create_task(self._hear_on())
        talking = asyncio.create_task(self._talk(lines))
        done, _ = await asyncio.wait({hearing, talking}, return_when=asyncio.FIRST_COMPLETED)
        for task in (hearing, talking):
            task.cancel()
        await asyncio.gather(hearing, talking, return_exceptions=True)
        if self.socket is not None:
            await self.socket.close()
        for task in done:
            task.result()
        return int(self.over)

    async def _talk(self, lines: AsyncIterator[str]) -> None:
        async for line in lines:
            if line.strip() == "/quit":
                return
            if line.strip():
                self.unsaid = str(new_id()), line.rstrip("\n")
                await self._say()

    async def _say(self) -> None:
        """Until it is acknowledged or refused for good, over as many connections as that takes."""
        while self.unsaid is not None:
            self.answered.clear()
            client_id, content = self.unsaid
            await self._send("message", content=content, client_id=client_id)
            await self.answered.wait()
            await asyncio.sleep(self.wait)
            self.wait = 0.0

    async def _send(self, kind: str, **fields: Any) -> None:
        if self.socket is None:
            return  # it is sent once we are back
        frame = {"type": kind, "id": fields.get("client_id", kind), "room_id": self.room["id"], **fields}
        try:
            await self.socket.send(json.dumps(frame))
        except ConnectionClosed:
            self.socket = None

    async def _hear_on(self) -> None:
        wait, last, loop = _AGAIN_SECONDS, "", asyncio.get_running_loop()
        while not self.over:
            began = loop.time()
            try:
                await self._hear_once()
                last = ""
            except (Refused, OSError, InvalidHandshake) as problem:
                if str(problem) != last:
                    self._note(f"{problem}; trying again")
                if isinstance(problem, Refused) and problem.status == HTTPStatus.UNAUTHORIZED:
                    self.over = True
                last = str(problem)
            if loop.time() - began >= _MOST_SECONDS:
                wait = _AGAIN_SECONDS
            if not self.over:
                await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 - no secret
                wait = min(wait * 2, _MOST_SECONDS)

    async def _hear_once(self) -> None:
        token = (await self.server.ask("GET", "/chat/token"))["token"]
        address = self.server.url.replace("http", "ws", 1) + "/api/v1/chat/ws"
        secure = ssl.create_default_context() if address.startswith("wss") else None
        async with connect(address, subprotocols=[PROTOCOL, token], compression=None, ssl=secure) as socket:  # type: ignore[list-item]  # a subprotocol is a text
            self.socket = socket
            await self._send("join", since=self.since)
            self.answered.set()  # what is not said yet is said here
            try:
                async for text in socket:
                    await self._take(msgspec.json.decode(text))
            except ConnectionClosed:
                pass
            self.socket = None
            if socket.close_code == _SIGNED_OUT:
                self._end(socket.close_reason or "You are signed out")

    async def _take(self, frame: Any) -> None:
        kind, message = frame["type"], frame.get("message")
        if kind in {"message", "edited"}:
            # What was missed comes as it is now: its last change is a place that is yet to come.
            place = message["seq" if kind == "message" else "change_seq"]
            self.since = max(self.since, place)
            self._show(message, " [dim](edited)[/dim]" if kind == "edited" else "")
        elif kind in {"deleted", "reaction"}:
            self.since = max(self.since, frame["seq"])
        elif kind == "ack" and self.unsaid is not None and frame.get("client_id") == self.unsaid[0]:
            self.unsaid = None
            self.answered.set()
        elif kind == "error":
            await self._take_error(frame)
        elif kind == "removed":
            self._end("You are in this room no longer.")

    async def _take_error(self, frame: Any) -> None:
        if frame["code"] == "TOO_FAR_BEHIND":
            self._note("You have missed much; here is the end of it.")
            room = (await self.server.ask("GET", f"/chat/rooms/{self.room['id']}"))["room"]
            self.since = max(self.since, room["seq"] - _SHOWN)
            await self._send("join", since=self.since)
        elif frame["id"] == "join":
            self._end(frame["message"])
        elif self.unsaid is not None and frame["id"] == self.unsaid[0]:
            if frame.get("retry_after") and frame["code"] != "REPEATED_MESSAGE":
                self.wait = float(frame["retry_after"])
                self._note(f"{frame['message']} ({frame['retry_after']} s)")
            else:
                self.unsaid = None
                self.console.print(f"[red]{escape(frame['message'])}[/red]")
            self.answered.set()

    def _show(self, message: Any, mark: str) -> None:
        # Further lines stand apart, so that nobody writes what looks as if another had said it.
        words = escape(message["content"].replace("\n", "\n    ")) or "[dim](deleted)[/dim]"
        self.console.print(f"[bold]{escape(message['username'])}[/bold]{mark} {words}")

    def _note(self, words: str) -> None:
        self.console.print(f"[dim]{escape(words)}[/dim]")

    def _end(self, why: str) -> None:
        self.over = True
        self.console.print(f"[red]{escape(why)}[/red]")


async def _lines() -> AsyncIterator[str]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        yield line.decode("utf-8", "replace")


def chat(url: str, email: str, password: str, room: str, ask_code: Callable[[], str]) -> int:
    """Talk in a room of the server at ``url``; the exit code."""
    console = Console(highlight=False)

    async def main() -> int:
        server = Server(url)
        await server.sign_in(email, password, ask_code)
        found = await server.find_room(room)
        console.print(f"[dim]{escape(found['name'] or room)}: type to talk, /quit to leave[/dim]")
        return await Chat(server, found, console).run(_lines())

    try:
        return asyncio.run(main())
    except Refused as refused:
        console.print(f"[red]{escape(str(refused))}[/red]")
        return 1
    except KeyboardInterrupt:
        return 0
