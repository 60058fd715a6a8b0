"""The two reads that most requests are, answered from the edge by the same services.

Any request with something out of the ordinary (a parameter that is not understood, a token that is not
remembered) is left to the ordinary route, which answers it or says what is wrong. So there is one set of
rules, and the API's document knows only the ordinary routes.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec

from veza.access.actor import GUEST, Actor
from veza.core.db import Database
from veza.core.edge import Scope, Send
from veza.core.exchange import Exchange
from veza.core.http import cacheable, reply
from veza.core.pages import MAX_LIMIT, MAX_PAGE, Page
from veza.rooms.tracks import service
from veza.rooms.tracks.schemas import TrackBody

# The member behind a token, if that is known without waiting.
Remembered = Callable[[str], Actor | None]

_encode = msgspec.json.Encoder().encode
_NAMES = {"user_id", "genre", "format", "sort_by", "sort_order", "page", "limit"}
_SORTS = {"created_at", "title", "popularity"}
_ORDERS = {"asc", "desc"}
_UUID = 36


class HotTracks:
    """``GET /tracks`` and ``GET /tracks/{id}``."""

    def __init__(self, database: Database, remembered: Remembered) -> None:
        self._database = database
        self._remembered = remembered

    async def list(self, exchange: Exchange, scope: Scope, send: Send) -> bool:
        """Answer a list; False leaves it to the ordinary route."""
        viewer = self._viewer(exchange)
        wanted = _read_query(scope["query_string"]) if viewer is not None else None
        if viewer is None or wanted is None:
            return False
        exchange.route = "/tracks"
        page, filters = wanted
        async with self._database.read() as view:
            found = await service.list_tracks(view, viewer, page, **filters)
        await _send(exchange, send, _encode(reply(found)))
        return True

    async def get(self, exchange: Exchange, scope: Scope, send: Send) -> bool:
        """Answer one track; False leaves it to the ordinary route."""
        path: str = scope["path"]
        viewer = self._viewer(exchange)
        track_id = _read_id(path[-_UUID:])
        if viewer is None or track_id is None or scope["query_string"]:
            return False
        exchange.route = "/tracks/{track_id:str}"
        async with self._database.read() as view:
            track = await service.get_visible(view, viewer, track_id)
        await _send(exchange, send, _encode(reply(TrackBody(track))))
        return True

    def _viewer(self, exchange: Exchange) -> Actor | None:
        if b"authorization" not in exchange.headers:
            return GUEST
        token = exchange.bearer()
        viewer = self._remembered(token) if token else None
        exchange.actor = viewer
        return viewer


async def _send(exchange: Exchange, send: Send, body: bytes) -> None:
    status, body, headers = cacheable(exchange, body)
    headers.append((b"content-type", b"application/json"))
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _read_id(text: str) -> UUID | None:
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def _read_query(raw: bytes) -> tuple[Page, dict[str, Any]] | None:
    """Page and filters of a plain query; None for anything that needs a second look."""
    if not raw:
        return Page(), {}
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        return None
    given = dict(pairs)
    if len(given) != len(pairs) or not given.keys() <= _NAMES or "" in given.values():
        return None
    page, limit = _number(given.pop("page", "1"), MAX_PAGE), _number(given.pop("limit", "20"), MAX_LIMIT)
    known = given.get("sort_by", "title") in _SORTS and given.get("sort_order", "asc") in _ORDERS
    if page is None or limit is None or not known or any(len(text) > _UUID for text in given.values()):
        return None
    filters: dict[str, Any] = dict(given)
    if "format" in filters:
        filters["form"] = filters.pop("format")
    if "user_id" in filters and (user_id := _read_id(filters["user_id"])):
        filters["user_id"] = user_id
    elif "user_id" in filters:
        return None
    return Page(page, limit), filters


def _number(text: str, highest: int) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 8):  # noqa: PLR2004 - MAX_PAGE has eight
        return None
    return int(text) if 1 <= int(text) <= highest else None
