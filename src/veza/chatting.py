"""`veza chat`: a small chat for the terminal, and the protocol of docs/chat.md in one file to read.

It signs in, joins a room, prints what is said, and says what is typed. When the connection is lost it comes
back by itself, asks for what it missed, and says again what was not acknowledged: once, by its `client_id`.
"""

import asyncio
import http.client
import json
import ssl
import sys
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
from rich.console import Console
from rich.markup import escape
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from veza.core.ids import new_id

PROTOCOL = "veza.chat.v1"
_WAIT = 30.0
_AGAIN_SECONDS = 1.0
# After these there is no use in coming back.
_FINAL = {4401, 4403}


class Refused(Exception):
    """The server did not do what it was asked for; it says why."""


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
            said = json.loads(connection.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException) as problem:
            raise Refused(f"{self.url} does not answer: {problem}") from None
        finally:
            connection.close()
        if not said.get("success"):
            raise Refused(said["error"]["message"])
        return said["data"]

    async def sign_in(self, email: str, password: str) -> None:
        """Sign in. Raises :class:`Refused`."""
        said = await self.ask("POST", "/auth/login", {"email": email, "password": password})
        if "token" not in said:
            raise Refused("This account has a second factor, which this client does not know.")
        self.token = said["token"]["access_token"]

    async def find_room(self, name: str) -> Any:
        """One's own room of this name or id, a public one, or the direct one with ``@somebody``."""
        if name.startswith("@"):
            found = await self.ask("GET", f"/users/by-username/{quote(name[1:])}")
            other = {"type": "direct", "user_id": found["profile"]["id"]}
            return (await self.ask("POST", "/chat/rooms", other))["room"]
        for which in ("mine", "public"):
            said = await self.ask("GET", f"/chat/rooms?which={which}&limit=100")
            for room in said["rooms"]:
                if name in {room["id"], room["name"]}:
                    if room["role"] is None:
                        await self.ask("POST", f"/chat/rooms/{room['id']}/join")
                    return room
        raise Refused(f"There is no room named {name!r} that you may see.")


class Chat:
    """One room on the screen; ``since`` is the last place that was heard."""

    def __init__(self, server: Server, room: Any, console: Console) -> None:
        self.server = server
        self.room = room
        self.console = console
        self.since = max(0, room["seq"] - 20)
        self.unsaid: dict[str, str] = {}
        self.socket: ClientConnection | None = None
        self.over: int | None = None

    async def run(self, lines: AsyncIterator[str]) -> int:
        """Talk until the lines end; the exit code."""
        hearing = asyncio.create_task(self._hear_on())
        try:
            async for line in lines:
                if self.over is not None or line.strip() == "/quit":
                    break
                if line.strip():
                    await self._say(line.rstrip("\n"))
            await self._until_said(hearing)
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
            if self.socket is not None:
                await self.socket.close()
        return int(self.over is not None)

    async def _until_said(self, hearing: "asyncio.Task[None]") -> None:
        async with asyncio.timeout(_WAIT):
            while self.unsaid and not hearing.done():  # noqa: ASYNC110 - one look in a while is enough
                await asyncio.sleep(0.05)

    async def _say(self, content: str) -> None:
        client_id = str(new_id())
        self.unsaid[client_id] = content
        await self._send_message(client_id, content)

    async def _send_message(self, client_id: str, content: str) -> None:
        await self._send("message", room_id=self.room["id"], content=content, client_id=client_id)

    async def _send(self, kind: str, **fields: Any) -> None:
        if self.socket is None:
            return  # it is sent once we are back
        try:
            await self.socket.send(json.dumps({"type": kind, "id": fields.get("client_id"), **fields}))
        except ConnectionClosed:
            self.socket = None

    async def _hear_on(self) -> None:
        while self.over is None:
            try:
                await self._hear_once()
            except (Refused, OSError, InvalidHandshake) as problem:
                self.console.print(f"[dim]{escape(str(problem))}; trying again[/dim]")
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _hear_once(self) -> None:
        token = (await self.server.ask("GET", "/chat/token"))["token"]
        address = self.server.url.replace("http", "ws", 1) + "/api/v1/chat/ws"
        secure = ssl.create_default_context() if address.startswith("wss") else None
        async with connect(address, subprotocols=[PROTOCOL, token], compression=None, ssl=secure) as socket:  # type: ignore[list-item]  # a subprotocol is a text
            self.socket = socket
            await self._send("join", room_id=self.room["id"], since=self.since)
            for client_id, content in list(self.unsaid.items()):
                await self._send_message(client_id, content)
            try:
                async for text in socket:
                    self._take(msgspec.json.decode(text))
            except ConnectionClosed:
                pass
            self.socket = None
            if socket.close_code in _FINAL:
                self.over = socket.close_code
                self.console.print(f"[red]{escape(socket.close_reason or 'You are signed out')}[/red]")

    def _take(self, frame: Any) -> None:
        kind, message = frame["type"], frame.get("message")
        if kind in {"message", "edited"}:
            self.since = max(self.since, message["seq"], message["change_seq"])
            mark = " [dim](edited)[/dim]" if kind == "edited" else ""
            self.console.print(
                f"[bold]{escape(message['username'])}[/bold]{mark} {escape(message['content'])}"
            )
        elif kind in {"deleted", "reaction"}:
            self.since = max(self.since, frame["seq"])
        elif kind == "ack" and frame.get("client_id"):
            self.unsaid.pop(frame["client_id"], None)
        elif kind == "error":
            self.unsaid.pop(str(frame["id"]), None)
            self.console.print(f"[red]{escape(frame['message'])}[/red]")
        elif kind == "removed":
            self.over = 1
            self.console.print("[red]You are in this room no longer.[/red]")


async def _lines() -> AsyncIterator[str]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        yield line.decode("utf-8", "replace")


def chat(url: str, email: str, password: str, room: str) -> int:
    """Talk in a room of the server at ``url``; the exit code."""
    console = Console(highlight=False)

    async def main() -> int:
        server = Server(url)
        await server.sign_in(email, password)
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
