"""The two reads that most requests are, answered from the edge by the same services.

Their answers are kept until the next commit that writes to a table they come from, and are therefore always
true to the last write. What is kept is what every guest sees; a member who asks for the same gets the same
bytes, under headers that keep them out of shared caches.

Any request with something out of the ordinary (a parameter that is not understood, a token that is not
remembered, a member from whom somebody is hidden, a track that is not everybody's) is left to the ordinary
route, which answers it or says what is wrong. So there is one set of rules, and the API's document knows only
the ordinary routes.
"""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec

from veza.access.actor import GUEST, Actor
from veza.core.db import Database
from veza.core.edge import Header, Ready, Scope
from veza.core.exchange import Exchange
from veza.core.http import etag_of, reply
from veza.core.pages import MAX_LIMIT, MAX_PAGE, Page
from veza.rooms.tracks import service
from veza.rooms.tracks.errors import TrackNotFound
from veza.rooms.tracks.schemas import TrackBody

# The member behind a token, if that is known without waiting.
Remembered = Callable[[str], Actor | None]
Dress = Callable[[str, int, Sequence[Header], bytes], Ready]

# Bytes of bodies on a shelf; what is around each of them weighs some 2 kB more.
MOST_KEPT = 2_000_000
AROUND = 2_000

# The tables that the answers come from: a test holds what is read to them.
LISTED_FROM = ("tracks", "track_counts")
SHOWN_FROM = ("tracks", "track_stats")

_encode = msgspec.json.Encoder().encode
_NAMES = {"user_id", "genre", "format", "sort_by", "sort_order", "page", "limit"}
_SORTS = {"created_at", "title", "popularity"}
_ORDERS = {"asc", "desc"}
_UUID = 36


class _Kept:
    """One body, and the answers it makes: to guests, to members, and to those who have it already."""

    __slots__ = ("guest", "guest_unchanged", "member", "member_unchanged", "tag")

    def __init__(self, route: str, body: bytes, dress: Dress) -> None:
        self.tag = etag_of(body)
        same = ((b"etag", self.tag), (b"vary", b"Authorization"))
        public, private = (b"cache-control", b"public, no-cache"), (b"cache-control", b"private, no-store")
        json = (b"content-type", b"application/json")
        self.guest = dress(route, 200, (*same, public, json), body)
        self.member = dress(route, 200, (*same, private, json), body)
        self.guest_unchanged = dress(route, 304, (*same, public), b"")
        self.member_unchanged = dress(route, 304, (*same, private), b"")

    def answer(self, exchange: Exchange, viewer: Actor) -> Ready:
        known = exchange.headers.get(b"if-none-match")
        if known is not None and (known == b"*" or self.tag in known):
            return self.guest_unchanged if viewer is GUEST else self.member_unchanged
        return self.guest if viewer is GUEST else self.member


class _Shelf:
    """The answers of one route, for as long as nobody writes to the tables that they come from."""

    def __init__(self, database: Database, dress: Dress, route: str, tables: Sequence[str]) -> None:
        self._database = database
        self._dress = dress
        self._route = route
        self._tables = tables
        self.version: int | None = None
        self._kept: dict[str | bytes, _Kept] = {}
        self._weight = 0

    def find(self, name: str | bytes) -> _Kept | None:
        version = self._database.version(self._tables)
        if version != self.version:
            self._kept.clear()
            self._weight = 0
            self.version = version
        return self._kept.get(name)

    def keep(self, version: int | None, name: str | bytes, body: bytes) -> _Kept:
        kept = _Kept(self._route, body, self._dress)
        # What was read at ``version`` or later may be kept under it, but not under one that came meanwhile.
        if version == self.version:
            self._weight += len(body) + AROUND
            if self._weight > MOST_KEPT:
                self._kept.clear()
                self._weight = len(body) + AROUND
            self._kept[name] = kept
        return kept


class HotTracks:
    """``GET /tracks`` and ``GET /tracks/{id}``."""

    def __init__(self, database: Database, remembered: Remembered, dress: Dress) -> None:
        self._database = database
        self._remembered = remembered
        self._lists = _Shelf(database, dress, "/api/v1/tracks", LISTED_FROM)
        self._tracks = _Shelf(database, dress, "/api/v1/tracks/{track_id}", SHOWN_FROM)

    async def list(self, exchange: Exchange, scope: Scope) -> Ready | None:
        """A list; None leaves it to the ordinary route."""
        viewer = self._viewer(exchange)
        if viewer is None:
            return None
        query: bytes = scope["query_string"]
        kept = self._lists.find(query)
        if kept is None or (viewer is not GUEST and b"user_id" in query):
            wanted = _read_query(query)
            if wanted is None or (viewer is not GUEST and wanted[1].get("user_id") == viewer.id):
                return None
            page, filters = wanted
            version = self._lists.version
            async with self._database.look() as view:
                found = await service.list_tracks(view, GUEST, page, **filters)
            kept = self._lists.keep(version, query, _encode(reply(found)))
        return kept.answer(exchange, viewer)

    async def get(self, exchange: Exchange, scope: Scope) -> Ready | None:
        """One track; None leaves it to the ordinary route."""
        viewer = self._viewer(exchange)
        if viewer is None or scope["query_string"]:
            return None
        path: str = scope["path"]
        kept = self._tracks.find(path)
        if kept is None:
            track_id = _read_id(path[-_UUID:])
            if track_id is None:
                return None
            version = self._tracks.version
            try:
                async with self._database.look() as view:
                    track = await service.get_visible(view, GUEST, track_id)
            except TrackNotFound:
                return None
            kept = self._tracks.keep(version, path, _encode(reply(TrackBody(track))))
        return kept.answer(exchange, viewer)

    def _viewer(self, exchange: Exchange) -> Actor | None:
        if b"authorization" not in exchange.headers:
            return GUEST
        token = exchange.bearer()
        viewer = self._remembered(token) if token else None
        exchange.actor = viewer
        # Whoever does not see all that guests see.
        return None if viewer is not None and viewer.hidden else viewer


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
    # By how it is written one sees whether an owner may be asking for their own.
    plain = b"%" not in raw or not any(b"%" in field.partition(b"=")[0] for field in raw.split(b"&"))
    if len(given) != len(pairs) or not (plain and given.keys() <= _NAMES) or "" in given.values():
        return None
    page, limit = _number(given.pop("page", "1"), MAX_PAGE), _number(given.pop("limit", "20"), MAX_LIMIT)
    known = given.get("sort_by", "title") in _SORTS and given.get("sort_order", "asc") in _ORDERS
    if page is None or limit is None or not known or any(len(text) > _UUID for text in given.values()):
        return None
    filters: dict[str, Any] = dict(given)
    if "format" in filters:
        filters["form"] = filters.pop("format")
    if "user_id" in filters:
        filters["user_id"] = _read_id(filters["user_id"])
        if filters["user_id"] is None:
            return None
    return Page(page, limit), filters


def _number(text: str, highest: int) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 8):  # noqa: PLR2004 - MAX_PAGE has eight
        return None
    return int(text) if 1 <= int(text) <= highest else None
