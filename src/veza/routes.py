"""The map: every address of Veza and the room that answers it, top to bottom."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from litestar import Router
from litestar.handlers import HTTPRouteHandler

from veza.core import docs_pages, probes
from veza.core.edge import Hot, HotPost
from veza.core.exchange import Exchange
from veza.core.filebytes import is_later_part
from veza.core.gathering import Gatherer
from veza.core.http import StrictJSON
from veza.parts import Parts
from veza.rooms.accounts import pages as account_pages
from veza.rooms.accounts.routes import ROUTES as ACCOUNTS
from veza.rooms.admin.routes import ROUTES as ADMIN
from veza.rooms.analytics.routes import ROUTES as ANALYTICS
from veza.rooms.audit.routes import ROUTES as AUDIT
from veza.rooms.chat.routes import ROUTES as CHAT
from veza.rooms.comments.routes import ROUTES as COMMENTS
from veza.rooms.feed.routes import ROUTES as FEED
from veza.rooms.following.routes import ROUTES as FOLLOWING
from veza.rooms.likes.routes import ROUTES as LIKES
from veza.rooms.marketplace import payment_pages
from veza.rooms.marketplace.payment_routes import ROUTES as PAYMENTS
from veza.rooms.marketplace.routes import ROUTES as MARKETPLACE
from veza.rooms.marketplace.seller_routes import ROUTES as SELLERS
from veza.rooms.notifications import unsubscribing
from veza.rooms.notifications.routes import ROUTES as NOTIFICATIONS
from veza.rooms.playlists import pages as playlist_pages
from veza.rooms.playlists.routes import ROUTES as PLAYLISTS
from veza.rooms.plays.hot import HotPlays
from veza.rooms.plays.routes import ROUTES as PLAYS
from veza.rooms.plays.service import record_all
from veza.rooms.recommendations.routes import ROUTES as RECOMMENDATIONS
from veza.rooms.reports.routes import ROUTES as REPORTS
from veza.rooms.roles.routes import ROUTES as ROLES
from veza.rooms.search.routes import ROUTES as SEARCH
from veza.rooms.sessions.hot import HotLogin
from veza.rooms.sessions.means import Means
from veza.rooms.sessions.routes import ROUTES as SESSIONS
from veza.rooms.tracks.hot import Dress, HotTracks
from veza.rooms.tracks.routes import ROUTES as TRACKS
from veza.rooms.uploads.routes import ROUTES as UPLOADS
from veza.rooms.webhooks.routes import ROUTES as WEBHOOKS

BASE = "/api/v1"
# Chunks have a limit of their own. A payment provider's notices come from few addresses, and by the thousand
# after an outage.
_UNCOUNTED_POSTS = frozenset({f"{BASE}/tracks/chunk", f"{BASE}/payments/stripe/webhook"})
# Reading the bytes of sound and pictures does not count either; nor what a browser asks before that.
_BYTES = ("/stream", "/download", "/file", "/avatar", "/cover", "/init.mp4", ".m4s")
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
# That one of these was fetched is written down for years, so each time counts.
_DOWNLOADS = ("/download", "/file")

# What stands under each first word of an address.
AREAS = {
    "auth": "Signing up, in and out: passwords, second factors, confirmation of e-mail addresses.",
    "sessions": "Where somebody is signed in.",
    "users": "Profiles, avatars, who follows whom; all that is kept of somebody, to take along or to delete.",
    "audit": "What happened: your own part of the log.",
    "admin": "What admins see and do: users, payouts, jobs, storage, everybody's log, seeming attacks.",
    "roles": "What a role may do.",
    "tracks": "Music: upload, whole or in chunks; lists and search; sound, pictures, likes, plays, comments.",
    "uploads": "Files of any kind, to be used by their id.",
    "comments": "Changing and deleting what was said about a track.",
    "playlists": "Tracks in an order: who works on it, follows it, or sees it by a link.",
    "feed": "What is new by whom somebody follows.",
    "marketplace": "Products, orders, downloads, services; what a seller sold, has and is paid.",
    "payments": "What payment providers tell, signed by them.",
    "analytics": "What is heard, by how many, from where and how far; events of applications.",
    "notifications": "What you are told, and what of it you want to be told.",
    "events": "What you are told, live.",
    "reports": "Telling those who moderate of what should not be here.",
    "chat": "Rooms, who is in them, what was said; the token that opens the WebSocket.",
    "search": "Everything that can be found, at once.",
    "webhooks": "Programs of yours that are told what happens to your things.",
}


class _Api(Router):
    """A router that is mounted as it is.

    The framework copies every router that it mounts, with all that is in it: that is a third of the time that
    the server takes to make its routes, and ours is mounted only once.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Api":
        return self


def api() -> Router:
    """Everything under /api/v1."""
    return _Api(
        BASE,
        route_handlers=[
            *SESSIONS,
            *ACCOUNTS,
            *FOLLOWING,
            *ROLES,
            *TRACKS,
            *UPLOADS,
            *PLAYS,
            *LIKES,
            *COMMENTS,
            *PLAYLISTS,
            *FEED,
            *SEARCH,
            *RECOMMENDATIONS,
            *MARKETPLACE,
            *PAYMENTS,
            *ANALYTICS,
            *NOTIFICATIONS,
            *WEBHOOKS,
            *AUDIT,
            *ADMIN,
            *REPORTS,
            *SELLERS,
            *CHAT,
        ],
        dto=StrictJSON,
    )


def pages(document: Callable[[], bytes]) -> Sequence[HTTPRouteHandler]:
    """What people and machines look at outside the API."""
    return [
        *docs_pages.docs_routes(document),
        *account_pages.PAGES,
        *playlist_pages.PAGES,
        *payment_pages.PAGES,
        *unsubscribing.PAGES,
        *probes.PROBES,
    ]


def hot(parts: Parts, dress: Dress) -> Mapping[str, Hot]:
    """The reads that are answered from the edge, by path; one that ends with a slash is followed by an id."""
    tracks = HotTracks(parts.database, parts.authenticator.cached, dress)
    if parts.database.shared:
        return {}
    return {f"{BASE}/tracks": tracks.list, f"{BASE}/tracks/": tracks.get}


def hot_posts(parts: Parts, means: Means, dress: Dress) -> Mapping[str, HotPost]:
    """The writes that are answered from the edge, by path; a star stands for an id."""
    login = HotLogin(means, dress)
    found: dict[str, HotPost] = {f"{BASE}/auth/login": login.log_in}
    if not parts.database.shared:
        plays = HotPlays(
            Gatherer(parts.database, record_all, "plays"), parts.authenticator.cached, parts.places, dress
        )
        found[f"{BASE}/tracks/*/play"] = plays.record
    return found


def is_uncounted(exchange: Exchange) -> bool:
    """Whether a request of the API is left out of the limit on all requests."""
    path: str = exchange.scope["path"]
    if exchange.scope["method"] == "POST":
        return path in _UNCOUNTED_POSTS
    return path.endswith(_BYTES) and _only_reads(exchange, path)


def _only_reads(exchange: Exchange, path: str) -> bool:
    """Whether bytes go out, and nothing is changed or written down by that.

    Players and download managers fetch a file in many parts: of these the first counts. With If-Range it may
    be the whole file that goes out.
    """
    method, headers = exchange.scope["method"], exchange.headers
    if method != "GET" or not path.endswith(_DOWNLOADS):
        return method in _READS
    return b"if-range" not in headers and is_later_part(headers.get(b"range", b"").decode("latin-1"))
