"""What handlers may ask for besides what they are given: who asks, and the transaction that answers them."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler

from veza.access.actor import GUEST, Actor, Member
from veza.core.db import Database, Tx
from veza.core.errors import Unauthenticated
from veza.core.events import Context
from veza.core.exchange import Exchange
from veza.core.given import given_to
from veza.core.http import Route
from veza.core.parameters import check_ids
from veza.rooms.sessions.authenticator import Authenticator
from veza.rooms.tracks.downloads import Notes
from veza.rooms.tracks.hearing import Listener, Sig, TheHearing

AnyRequest = Request[Any, Any, Any]
AnyConnection = ASGIConnection[Any, Any, Any, Any]


def _exchange(request: AnyRequest) -> Exchange:
    return request.scope["veza"]  # type: ignore[typeddict-item, no-any-return]  # ours


async def _viewer(request: AnyRequest) -> Actor:
    return await _who(_authenticator(request), _exchange(request))


async def _actor(request: AnyRequest) -> Member:
    return await _member(_authenticator(request), _exchange(request))


async def _listener(request: AnyRequest, hearing: TheHearing, track_id: UUID, sig: Sig = None) -> Listener:
    here = _exchange(request)
    if sig is None:
        return hearing.by_header(await _who(_authenticator(request), here), track_id)
    found = await hearing.by_signature(track_id, sig)
    here.actor = found.actor
    return found


def _tx(request: AnyRequest) -> Tx:
    here, database = _exchange(request), _database(request)
    if here.tx is None:
        here.tx = database.look() if request.method == "GET" else database.write()
        here.tx.context = partial(_context, here)
    return here.tx


def _snapshot(request: AnyRequest) -> Tx:
    here = _exchange(request)
    if here.tx is None:
        here.tx = _database(request).snapshot()
    return here.tx


def _begin(request: AnyRequest) -> Callable[[], Tx]:
    here, database = _exchange(request), _database(request)

    def one() -> Tx:
        made = database.write()
        made.context = partial(_context, here)
        return made

    return one


def _notes(request: AnyRequest) -> Notes:
    return Notes(_begin(request), _exchange(request), given_to(request)["limiter"])


def _database(request: AnyRequest) -> Database:
    found: Database = given_to(request)["database"]
    return found


def _authenticator(connection: AnyConnection) -> Authenticator:
    found: Authenticator = given_to(connection)["authenticator"]
    return found


def _context(exchange: Exchange) -> Context:
    who = exchange.actor.id if exchange.actor else None
    return Context(who, exchange.ip, exchange.user_agent, exchange.request_id)


async def who_first(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """Settles who asks before anything else of a request is read: a guest is told that, and nothing else."""
    if not isinstance(handler, Route):
        return
    exchange: Exchange = connection.scope["veza"]  # type: ignore[typeddict-item]  # ours
    wanted = handler.parsed_fn_signature.parameters
    if "actor" in wanted:
        await _member(_authenticator(connection), exchange)
    elif "viewer" in wanted:
        await _who(_authenticator(connection), exchange)
    check_ids(connection, handler)


async def _member(authenticator: Authenticator, exchange: Exchange) -> Member:
    who = await _who(authenticator, exchange)
    if not isinstance(who, Member):
        raise Unauthenticated
    return who


async def _who(authenticator: Authenticator, exchange: Exchange) -> Actor:
    if exchange.actor is None:
        token = exchange.bearer()
        if token == "":
            raise Unauthenticated
        exchange.actor = GUEST if token is None else await authenticator.authenticate(token)
    found: Actor = exchange.actor
    return found


ASKING = {
    "begin": Provide(_begin, sync_to_thread=False),
    "notes": Provide(_notes, sync_to_thread=False),
    "exchange": Provide(_exchange, sync_to_thread=False),
    "viewer": Provide(_viewer),
    "actor": Provide(_actor),
    "listener": Provide(_listener),
    "tx": Provide(_tx, sync_to_thread=False),
    "snapshot": Provide(_snapshot, sync_to_thread=False),
}
"""By the names that handlers say."""
