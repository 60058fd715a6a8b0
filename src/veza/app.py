"""The composition root: makes the parts, joins them, and alone knows every room."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import cache, partial
from typing import Any
from uuid import UUID

import msgspec
from litestar import Litestar
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin

from veza import __version__, reactions, routes
from veza.access.signing import Signer
from veza.asking import ASKING, who_first
from veza.core import clock
from veza.core.api_document import api_document, openapi_config
from veza.core.backoff import open_backoff
from veza.core.edge import Edge, EdgeConfig
from veza.core.edge_traced import TracedEdge
from veza.core.errors import all_errors
from veza.core.events import Context
from veza.core.exchange import parse_networks
from veza.core.gauges import Gauges, look_at_events, look_at_jobs
from veza.core.given import Given, given
from veza.core.heap import keep_giving_back
from veza.core.http import JSON_BYTES, on_error
from veza.core.job_lanes import keep_lanes
from veza.core.limits import PersonalLimit, parse_limit
from veza.core.log import dropped_lines
from veza.core.metrics import watch
from veza.core.probes import PROBES
from veza.core.repeats import open_repeats
from veza.core.tracing import tracing
from veza.core.worker import Worker, release_leases
from veza.parts import Parts
from veza.rooms.accounts.avatars import Avatars
from veza.rooms.accounts.config import AccountsConfig
from veza.rooms.accounts.deletion import HOLDING as ACCOUNT
from veza.rooms.accounts.exporting import Exports
from veza.rooms.accounts.pictures import PictureIntake
from veza.rooms.analytics.holding import HOLDING as ANALYTICS
from veza.rooms.analytics.recording import Intake
from veza.rooms.audit.gauges import look_at_seals
from veza.rooms.audit.holding import HOLDING as AUDIT
from veza.rooms.audit.sealing import Sealer
from veza.rooms.chat.flood import Flood
from veza.rooms.chat.gathering import Speaker
from veza.rooms.chat.holding import HOLDING as CHAT
from veza.rooms.chat.hub import Hub as ChatHub
from veza.rooms.chat.sockets import Sockets
from veza.rooms.chat.talking import Talk
from veza.rooms.chat.tokens import Doorkeeper
from veza.rooms.comments.holding import HOLDING as COMMENTS
from veza.rooms.following.holding import HOLDING as FOLLOWING
from veza.rooms.likes.holding import HOLDING as LIKES
from veza.rooms.marketplace.downloads import Downloads
from veza.rooms.marketplace.holding import HOLDING as MARKETPLACE
from veza.rooms.marketplace.orders import Shop
from veza.rooms.marketplace.statements import Statements
from veza.rooms.marketplace.terms import Terms
from veza.rooms.notifications.holding import HOLDING as NOTIFICATIONS
from veza.rooms.notifications.hub import Hub
from veza.rooms.notifications.streams import Streams
from veza.rooms.notifications.unsubscribing import Unsubscribing
from veza.rooms.playlists.covers import Covers as PlaylistCovers
from veza.rooms.playlists.holding import HOLDING as PLAYLISTS
from veza.rooms.plays.holding import HOLDING as PLAYS
from veza.rooms.reports.holding import HOLDING as REPORTS
from veza.rooms.sessions import login
from veza.rooms.sessions.attempts import Attempts
from veza.rooms.sessions.holding import HOLDING as SESSIONS
from veza.rooms.sessions.means import Means
from veza.rooms.tracks.covers import Covers
from veza.rooms.tracks.hearing import Hearing
from veza.rooms.tracks.holding import HOLDING as TRACKS
from veza.rooms.tracks.pieces import Pieces
from veza.rooms.tracks.upload import UploadRules, Uploads
from veza.rooms.uploads.completing import Completer
from veza.rooms.uploads.files import Files, Pictures
from veza.rooms.uploads.holding import HOLDING as UPLOADS
from veza.rooms.uploads.jobs import reconcile
from veza.rooms.uploads.receiving import Receiver
from veza.rooms.uploads.transfers import Transfers
from veza.rooms.webhooks.dispatch import Dispatcher
from veza.rooms.webhooks.gauges import look_at_queues
from veza.rooms.webhooks.holding import HOLDING as WEBHOOKS
from veza.rooms.webhooks.sending import Sender
from veza.rooms.webhooks.service import HookMeans


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
    config = EdgeConfig(
        limiter=parts.limiter if settings.rate_limit_enabled else None,
        global_limit=parse_limit("global", settings.rate_limit_global),
        uncounted=routes.is_uncounted,
        trusted=parse_networks(settings.trusted_proxies),
        origins=settings.origins,
        https=settings.base_url.startswith("https://"),
    )
    things = _given(parts, means)
    kind = Edge if tracing.recorder is None else TracedEdge
    edge = kind(_routes(tuple(things)), config, things, partial(_running, parts, work=work))
    edge.hot = routes.hot(parts, edge.ready)
    edge.hot_posts = routes.hot_posts(parts, means, edge.ready)
    edge.sockets = {f"{routes.BASE}/chat/ws": make_sockets(parts).serve}
    return edge


def make_probes(parts: Parts) -> Edge:
    """What a process answers that serves nobody and only works: how it is, for whoever watches it."""
    probing = _Litestar(
        PROBES,
        dependencies={"readiness": given("readiness")},
        exception_handlers={Exception: on_error},
        openapi_config=None,
        logging_config=None,
    )
    nobody = parse_limit("global", parts.settings.rate_limit_global)
    config = EdgeConfig(limiter=None, global_limit=nobody, uncounted=lambda _: True)
    return Edge(probing, config, {"readiness": parts.readiness}, partial(working_alone, parts))


@cache
def _routes(names: tuple[str, ...]) -> Litestar:
    """The framework with every route, and with nothing of any application: requests bring what is given."""
    document = cache(lambda: msgspec.json.encode(_document(names)))
    return _Litestar(
        [routes.api(), *routes.pages(document)],
        dependencies={name: given(name) for name in names} | ASKING,
        guards=[who_first],
        exception_handlers={Exception: on_error},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=JSON_BYTES,
    )


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
        per_address=parts.limit("login", parts.settings.rate_limit_login),
        mail_limit=parts.limit("reset", parts.settings.rate_limit_verification),
        greeting_limit=parts.limit("greeting", parts.settings.rate_limit_verification),
    )


def openapi_document(parts: Parts) -> dict[str, Any]:
    """The OpenAPI 3.0.3 document of the API."""
    return _document(tuple(_given(parts, make_means(parts))))


def _document(names: tuple[str, ...]) -> dict[str, Any]:
    described = _Litestar(
        [routes.api()],
        dependencies={name: given(name) for name in names} | ASKING,
        openapi_config=openapi_config(__version__, routes.AREAS),
        logging_config=None,
    )
    return api_document(described, all_errors())


@asynccontextmanager
async def _running(parts: Parts, *, work: bool) -> AsyncIterator[None]:
    await parts.database.start()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(parts.live.running())
        serving = parts.authenticator.run(), parts.shelf.run(), make_gauges(parts).run()
        await stack.enter_async_context(_tasks(*serving, *_upkeep(parts)))
        if work:
            await stack.enter_async_context(working(parts))
        yield


def _upkeep(parts: Parts) -> tuple[Any, ...]:
    lanes = keep_lanes(parts.database, reactions.tasks(parts))
    return keep_giving_back(), parts.storage.keep_swept(), lanes


# What all processes share: that those which serve look for it is enough.
LOOKS = (look_at_jobs(), look_at_events(), look_at_queues(), look_at_seals())


def make_gauges(parts: Parts) -> Gauges:
    """Everything that is looked for to be shown as figures."""
    watch_process(parts)
    return Gauges(parts.database, LOOKS)


def watch_process(parts: Parts) -> None:
    """Show how this process and its disk are."""
    watch("veza_version", "The version that runs.", lambda: {__version__: 1.0}, "version")
    watch("veza_data_free_bytes", "Bytes free where the data folder is.", parts.free_bytes)
    watch("veza_clock_seconds", "What the clock shows, since 1970.", lambda: clock.now().timestamp())
    watch("veza_log_lines_dropped", "Log lines that were lost.", dropped_lines)


@asynccontextmanager
async def working_alone(parts: Parts) -> AsyncIterator[None]:
    """The same in a process that does nothing else."""
    parts.database.record_events = reactions.outbox()
    watch_process(parts)
    await parts.database.start()
    async with parts.live.running(), _tasks(*_upkeep(parts)), working(parts):
        yield


# Seconds that mails being sent have at a stop: a server that has the whole of one takes it in any case, and
# whoever does not hear of that sends it again.
MAIL_PARTING = 5.0


@asynccontextmanager
async def working(parts: Parts) -> AsyncIterator[None]:
    """Run every job there is for as long as the block lasts."""
    settings = parts.settings
    if not parts.database.shared:  # nobody else is here: what is left of work and uploads was cut off
        await release_leases(parts.database, clock.now())
        await parts.storage.sweep_scratch(timedelta(0))
        await reconcile(parts.database, parts.chunks)
    tasks = reactions.tasks(parts)
    workers = [
        Worker(parts.database, "default", tasks, concurrency=8),
        Worker(parts.database, "mail", tasks, concurrency=8, then=("bulk_mail",), parting=MAIL_PARTING),
        Worker(parts.database, "bought", tasks, concurrency=settings.media_jobs, then=("media", "backlog")),
    ]
    dispatcher = Dispatcher(parts.database, Sender(parts.keyring, parts.courier))
    sealer = Sealer(parts.database, parts.keyring)
    hearers = reactions.hearers(parts)
    async with _tasks(
        *(worker.run() for worker in workers),
        *(hearer.run() for hearer in hearers),
        dispatcher.run(),
        sealer.run(),
    ):
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


# Likes before tracks: what is liked is counted down while it is there. Playlists are held after them.
HOLDINGS = (
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
    ANALYTICS,
    NOTIFICATIONS,
    WEBHOOKS,
    REPORTS,
    AUDIT,
    CHAT,
)


def _given(parts: Parts, means: Means) -> Given:
    """What handlers may ask for, by name."""
    settings = parts.settings

    async def prove_password(user_id: UUID, password: str, origin: Context) -> None:
        await login.confirm_password(means, user_id, password, origin)

    exports = PersonalLimit(parts.limiter, parts.limit("export", settings.rate_limit_export))
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
    return {
        "database": parts.database,
        "storage": parts.storage,
        "limiter": parts.limiter,
        "means": means,
        "authenticator": parts.authenticator,
        "readiness": parts.readiness,
        "live": parts.live,
        "accounts": AccountsConfig(
            settings.base_url, parts.limit("verification", settings.rate_limit_verification)
        ),
        "avatars": Avatars(parts.database, parts.storage, pictures),
        "event_intake": Intake(
            PersonalLimit(parts.limiter, parts.limit("analytics", settings.rate_limit_analytics)),
            PersonalLimit(parts.limiter, parts.limit("analytics_bytes", settings.rate_limit_analytics_bytes)),
        ),
        "comment_limit": PersonalLimit(parts.limiter, parts.limit("comment", settings.rate_limit_comment)),
        "holdings": HOLDINGS,
        "exports": Exports(parts.database, parts.storage.scratch, HOLDINGS, exports),
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
            parts.providers.current,
            fee=settings.platform_fee,
            verified_only=settings.require_verified_email,
        ),
        "providers": parts.providers,
        "statements": Statements(parts.database),
        "terms": Terms(
            timedelta(days=settings.accept_days),
            timedelta(days=settings.deliver_days),
            settings.payout_minimum,
        ),
        "downloads": Downloads(
            parts.database,
            parts.storage,
            Signer(parts.keyring),
            settings.base_url,
            presigned=settings.presigned_downloads,
        ),
        "hearing": Hearing(Signer(parts.keyring), parts.authenticator),
        "hook_means": HookMeans(
            parts.database,
            parts.keyring,
            parts.courier,
            parts.limiter,
            parts.limit("webhook_test", settings.rate_limit_webhook_test),
        ),
        "shelf": parts.shelf,
        "places": parts.places,
        "streams": _streams(parts),
        "doorkeeper": Doorkeeper(parts.database, parts.tokens, parts.authenticator),
        "speaker": make_speaker(parts),
        "unsubscribing": Unsubscribing(Signer(parts.keyring), settings.base_url),
    }


def make_speaker(parts: Parts) -> Speaker:
    """What keeps what is said, one for each way in: each gathers what comes by it."""
    repeats = open_repeats(parts.settings.redis_url or None)
    flood = Flood(parts.limiter, parts.limit("chat", parts.settings.rate_limit_chat), repeats)
    return Speaker(parts.database, parts.live, flood)


def make_sockets(parts: Parts) -> Sockets:
    """What serves the chat's WebSockets."""
    hub = ChatHub(parts.database, parts.live, parts.authenticator)
    doorkeeper = Doorkeeper(parts.database, parts.tokens, parts.authenticator)
    limited = parts.settings.rate_limit_enabled
    talk = Talk(parts.database, parts.live, hub, make_speaker(parts), limited=limited)
    return Sockets(doorkeeper, hub, talk, parts.settings.origins, parts.settings.base_url)


def _streams(parts: Parts) -> Streams:
    hub = Hub(parts.database, parts.live, parts.authenticator)
    return Streams(parts.database, hub, parts.authenticator, Signer(parts.keyring))
