"""The composition root: makes the parts, joins them, and alone knows every room."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import cache, partial
from typing import Any
from uuid import UUID

import msgspec
from litestar import Litestar, Request
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.types import Guard

from veza import __version__, reactions, routes
from veza.access.actor import GUEST, Actor, Member
from veza.access.signing import Signer
from veza.core import clock
from veza.core.api_document import api_document, openapi_config
from veza.core.backoff import open_backoff
from veza.core.db import Tx
from veza.core.edge import Edge, EdgeConfig
from veza.core.errors import Unauthenticated, all_errors
from veza.core.events import Context
from veza.core.exchange import Exchange, parse_networks
from veza.core.gauges import watch_jobs
from veza.core.http import JSON_BYTES, Route, on_error
from veza.core.limits import parse_limit
from veza.core.worker import Worker, release_leases
from veza.parts import Parts
from veza.rooms.accounts.avatars import Avatars
from veza.rooms.accounts.config import AccountsConfig
from veza.rooms.accounts.deletion import HOLDING as ACCOUNT
from veza.rooms.accounts.pictures import PictureIntake
from veza.rooms.comments.holding import HOLDING as COMMENTS
from veza.rooms.comments.service import CommentLimit
from veza.rooms.following.holding import HOLDING as FOLLOWING
from veza.rooms.likes.holding import HOLDING as LIKES
from veza.rooms.marketplace.downloads import Downloads
from veza.rooms.marketplace.holding import HOLDING as MARKETPLACE
from veza.rooms.marketplace.orders import Shop
from veza.rooms.playlists.covers import Covers as PlaylistCovers
from veza.rooms.playlists.holding import HOLDING as PLAYLISTS
from veza.rooms.plays.holding import HOLDING as PLAYS
from veza.rooms.sessions import login
from veza.rooms.sessions.attempts import Attempts
from veza.rooms.sessions.authenticator import Authenticator
from veza.rooms.sessions.holding import HOLDING as SESSIONS
from veza.rooms.sessions.means import Means
from veza.rooms.tracks.covers import Covers
from veza.rooms.tracks.hearing import Hearing, Listener, Sig, TheHearing
from veza.rooms.tracks.holding import HOLDING as TRACKS
from veza.rooms.tracks.pieces import Pieces
from veza.rooms.tracks.upload import UploadRules, Uploads
from veza.rooms.uploads.completing import Completer
from veza.rooms.uploads.files import Files, Pictures
from veza.rooms.uploads.holding import HOLDING as UPLOADS
from veza.rooms.uploads.jobs import reconcile
from veza.rooms.uploads.receiving import Receiver
from veza.rooms.uploads.transfers import Transfers

AnyRequest = Request[Any, Any, Any]


class _Litestar(Litestar):
    """Without the plugins for models that we do not use: they take 0.2 s and 10 MB at the start."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]


def make_app(parts: Parts, *, work: bool = True) -> Edge:
    """The whole application; with ``work`` it also runs the jobs."""
    settings, database = parts.settings, parts.database
    database.record_events = reactions.outbox()
    means = make_means(parts)
    document = cache(lambda: msgspec.json.encode(openapi_document(parts)))
    app = _Litestar(
        [routes.api(parts, means), *routes.pages(document, parts.readiness)],
        dependencies=_dependencies(parts, means),
        guards=[_who_first(parts.authenticator)],
        exception_handlers={Exception: on_error},
        lifespan=[lambda _: _running(parts, work=work)],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=JSON_BYTES,
    )
    config = EdgeConfig(
        limiter=parts.limiter if settings.rate_limit_enabled else None,
        global_limit=parse_limit("global", settings.rate_limit_global),
        uncounted=routes.is_uncounted,
        trusted=parse_networks(settings.trusted_proxies),
        origins=settings.origins,
        https=settings.base_url.startswith("https://"),
    )
    edge = Edge(app, config)
    edge.hot = routes.hot(parts, edge.ready)
    edge.hot_posts = routes.hot_posts(parts, means, edge.ready)
    return edge


def make_means(parts: Parts) -> Means:
    """What the sessions room proves identities with."""
    redis_url = parts.settings.redis_url or None
    passwords, codes = (open_backoff(name, redis_url) for name in ("password", "code"))
    return Means(
        database=parts.database,
        hasher=parts.hasher,
        tokens=parts.tokens,
        keyring=parts.keyring,
        authenticator=parts.authenticator,
        attempts=Attempts(parts.database, parts.limiter, passwords, codes),
        limiter=parts.limiter,
        mail_limit=parts.limit("reset", parts.settings.rate_limit_verification),
    )


def openapi_document(parts: Parts) -> dict[str, Any]:
    """The OpenAPI 3.0.3 document of the API."""
    means = make_means(parts)
    described = _Litestar(
        [routes.api(parts, means)],
        dependencies=_dependencies(parts, means),
        openapi_config=openapi_config(__version__, routes.AREAS),
        logging_config=None,
    )
    return api_document(described, all_errors())


@asynccontextmanager
async def _running(parts: Parts, *, work: bool) -> AsyncIterator[None]:
    await parts.database.start()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            _tasks(parts.authenticator.run(), parts.shelf.run(), watch_jobs(parts.database))
        )
        if work:
            await stack.enter_async_context(working(parts))
        yield


@asynccontextmanager
async def working(parts: Parts) -> AsyncIterator[None]:
    """Run every job there is for as long as the block lasts."""
    if not parts.database.shared:  # nobody else is here: what is left of work and uploads was cut off
        await release_leases(parts.database, clock.now())
        await parts.storage.sweep_scratch(timedelta(0))
        await reconcile(parts.database, parts.chunks)
    tasks = reactions.tasks(parts)
    workers = [
        Worker(parts.database, "default", tasks, concurrency=8),
        Worker(parts.database, "media", tasks, concurrency=parts.settings.media_jobs, then="backlog"),
    ]
    async with _tasks(*(worker.run() for worker in workers)):
        yield


@asynccontextmanager
async def _tasks(*coroutines: Any) -> AsyncIterator[None]:
    running = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _dependencies(parts: Parts, means: Means) -> dict[str, Provide]:
    settings = parts.settings

    async def prove_password(user_id: UUID, password: str, origin: Context) -> None:
        await login.confirm_password(means, user_id, password, origin)

    verification = parts.limit("verification", settings.rate_limit_verification)
    rules = UploadRules(
        max_file_size=settings.max_file_size,
        quota=settings.quota,
        verified_only=settings.require_verified_email,
        limit=parts.limit("upload", settings.rate_limit_upload),
    )
    uploads = Uploads(parts.storage, parts.database, parts.limiter, parts.scanner, rules)
    chunk_limit = parts.limit("chunk", settings.rate_limit_chunk)
    pictures = PictureIntake(parts.storage.scratch, Pictures(parts.database, parts.storage))
    covers = Covers(parts.database, parts.storage, pictures)
    given = {
        "database": parts.database,
        "storage": parts.storage,
        "limiter": parts.limiter,
        "accounts": AccountsConfig(settings.base_url, verification),
        "avatars": Avatars(parts.database, parts.storage, pictures),
        "comment_limit": CommentLimit(parts.limiter, parts.limit("comment", settings.rate_limit_comment)),
        # Likes before tracks: what is liked is counted down while it is there. Playlists are held after them.
        "holdings": (
            ACCOUNT,
            FOLLOWING,
            SESSIONS,
            LIKES,
            PLAYS,
            COMMENTS,
            TRACKS,
            PLAYLISTS,
            UPLOADS,
            MARKETPLACE,
        ),
        "prove_password": prove_password,
        "forget_member": parts.authenticator.forget_user,
        "uploads": uploads,
        "transfers_": Transfers(parts.database, parts.chunks, uploads),
        "receiver": Receiver(parts.database, parts.chunks, parts.limiter, chunk_limit),
        "completer": Completer(parts.database, parts.chunks, uploads),
        "files": Files(parts.database, parts.storage, uploads, parts.scanner),
        "covers": covers,
        "playlist_covers": PlaylistCovers(parts.database, parts.storage, pictures, covers),
        "pieces": Pieces(parts.database, parts.storage),
        "shop": Shop(
            parts.database,
            parts.payments,
            fee=settings.platform_fee,
            verified_only=settings.require_verified_email,
        ),
        "downloads": Downloads(parts.storage, Signer(parts.keyring), settings.base_url),
        "hearing": Hearing(Signer(parts.keyring), parts.authenticator),
        "shelf": parts.shelf,
    }
    always = {name: Provide(_always(thing), sync_to_thread=False) for name, thing in given.items()}
    return always | _asking(parts)


def _asking(parts: Parts) -> dict[str, Provide]:
    """Who asks, and the transaction in which it is answered."""

    def exchange(request: AnyRequest) -> Exchange:
        return request.scope["veza"]  # type: ignore[typeddict-item, no-any-return]  # ours

    async def viewer(request: AnyRequest) -> Actor:
        return await _who(parts.authenticator, exchange(request))

    async def actor(request: AnyRequest) -> Member:
        return await _member(parts.authenticator, exchange(request))

    async def listener(request: AnyRequest, hearing: TheHearing, track_id: UUID, sig: Sig = None) -> Listener:
        here = exchange(request)
        if sig is None:
            return hearing.by_header(await _who(parts.authenticator, here), track_id)
        found = await hearing.by_signature(track_id, sig)
        here.actor = found.actor
        return found

    def tx(request: AnyRequest) -> Tx:
        here = exchange(request)
        if here.tx is None:
            here.tx = parts.database.read() if request.method == "GET" else parts.database.write()
            here.tx.context = partial(_context, here)
        return here.tx

    def begin(request: AnyRequest) -> Callable[[], Tx]:
        here = exchange(request)

        def one() -> Tx:
            made = parts.database.write()
            made.context = partial(_context, here)
            return made

        return one

    return {
        "begin": Provide(begin, sync_to_thread=False),
        "exchange": Provide(exchange, sync_to_thread=False),
        "viewer": Provide(viewer),
        "actor": Provide(actor),
        "listener": Provide(listener),
        "tx": Provide(tx, sync_to_thread=False),
    }


def _context(exchange: Exchange) -> Context:
    who = exchange.actor.id if exchange.actor else None
    return Context(who, exchange.ip, exchange.user_agent, exchange.request_id)


def _always(thing: Any) -> Any:
    return lambda: thing


def _who_first(authenticator: Authenticator) -> Guard:
    """Settles who asks before anything else of a request is read: a guest is told that, and nothing else."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if not isinstance(handler, Route):
            return
        exchange: Exchange = connection.scope["veza"]  # type: ignore[typeddict-item]  # ours
        wanted = handler.parsed_fn_signature.parameters
        if "actor" in wanted:
            await _member(authenticator, exchange)
        elif "viewer" in wanted:
            await _who(authenticator, exchange)

    return guard


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
