"""``/chat/ws``: one WebSocket, from its handshake to its end.

Pages of other origins may not open one. The token comes by the subprotocol, where no log has it, or by the
query. Whoever is refused is told by a close code, for a browser shows its page nothing else.
"""

from collections.abc import Collection
from urllib.parse import parse_qs, urlsplit

from veza.core.edge import Receive, Scope, Send
from veza.core.errors import Conflict, Forbidden, InvalidToken, Unavailable
from veza.core.exchange import Exchange
from veza.core.wire import WIRE, Wire
from veza.rooms.chat.feeds import Socket
from veza.rooms.chat.hub import SIGNED_OUT, Hub
from veza.rooms.chat.talking import POLICY, Talk
from veza.rooms.chat.tokens import Doorkeeper

PROTOCOL = "veza.chat.v1"
NOT_TEXT, TRY_LATER = 1003, 1013


class Sockets:
    """Serves sockets; ``origins`` are those whose pages may open one beside the server's own."""

    def __init__(
        self, doorkeeper: Doorkeeper, hub: Hub, talk: Talk, origins: Collection[str], base_url: str
    ) -> None:
        self._doorkeeper = doorkeeper
        self._hub = hub
        self._talk = talk
        self._origins = frozenset({*origins, base_url})

    async def serve(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        """Serve one. Raises :class:`Forbidden` for a page that may not open any."""
        scope = exchange.scope
        self._check_origin(exchange)
        await receive()  # that somebody connects
        offered = scope.get("subprotocols", ())
        chosen = PROTOCOL if PROTOCOL in offered else None
        await send({"type": "websocket.accept", "subprotocol": chosen})
        wire: Wire = scope["extensions"][WIRE]
        try:
            member = await self._doorkeeper.admit(_token_of(scope))
            socket = Socket(wire, member, exchange)
            # One may stay for a day: what its handshake said is not kept for as long.
            exchange.headers = {}
            scope["headers"] = scope["subprotocols"] = ()
            with self._hub.here(socket):
                await self._listen(socket, receive)
        except InvalidToken:
            wire.end(SIGNED_OUT, "this token is not valid, or no longer")
        except Unavailable:
            wire.end(TRY_LATER, "try again soon")
        except Conflict as full:
            wire.end(POLICY, full.code)

    async def _listen(self, socket: Socket, receive: Receive) -> None:
        while not socket.ended:
            event = await receive()
            if event["type"] != "websocket.receive":
                return
            text = event.get("text")
            if text is None:
                socket.end(NOT_TEXT, "text only")
                return
            await self._talk.hear(socket, text)

    def _check_origin(self, exchange: Exchange) -> None:
        origin = exchange.headers.get(b"origin")
        if origin is None or "*" in self._origins:
            return
        said = origin.decode("latin-1")
        host = exchange.headers.get(b"host", b"").decode("latin-1")
        if said not in self._origins and urlsplit(said).netloc != host:
            raise Forbidden("This origin may not open a socket; see VEZA_CORS_ORIGINS.")


def _token_of(scope: Scope) -> str:
    offered = [one for one in scope.get("subprotocols", ()) if one != PROTOCOL]
    if offered:
        return str(offered[0])
    return str(parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0])
