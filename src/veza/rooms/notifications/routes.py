"""Notifications over HTTP."""

from typing import Annotated
from uuid import UUID

from litestar import Response
from litestar.params import Dependency, Parameter

from veza.access.actor import Me
from veza.core.http import InTx, Reply, Route, Said, TheExchange, reply, said
from veza.core.live import Live
from veza.core.pages import MAX_LIMIT, MAX_PAGE, Page
from veza.rooms.accounts.config import TheAccounts
from veza.rooms.notifications import preferences, service
from veza.rooms.notifications.schemas import (
    Deleted,
    NotificationList,
    PreferenceChanges,
    Preferences,
    StreamAddress,
)
from veza.rooms.notifications.streams import Place, Sig, TheStreams
from veza.rooms.tracks.service import Begin

TheLive = Annotated[Live, Dependency(skip_validation=True)]
TheBegin = Annotated[Begin, Dependency(skip_validation=True)]


@Route("/notifications", http_method="GET")
async def list_notifications(
    tx: InTx,
    actor: Me,
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
    *,
    unread_only: bool = False,
) -> Reply[NotificationList]:
    """List what you are told, the latest first."""
    return reply(await service.list_own(tx, actor, Page(page, limit), unread_only=unread_only))


@Route("/notifications/{notification_id:str}/read", http_method="POST", status_code=200)
async def read_notification(tx: InTx, actor: Me, live: TheLive, notification_id: UUID) -> Reply[Said]:
    """Mark a notification as read."""
    await service.mark_read(tx, live, actor, notification_id)
    return said("Notification marked as read")


@Route("/notifications/read-all", http_method="POST", status_code=200)
async def read_all_notifications(
    tx: InTx,
    actor: Me,
    live: TheLive,
    up_to: Annotated[UUID | None, Parameter(description="The latest one that you have seen.")] = None,
) -> Reply[Said]:
    """Mark all notifications as read."""
    await service.mark_all_read(tx, live, actor, up_to)
    return said("All notifications marked as read")


@Route("/notifications/{notification_id:str}", http_method="DELETE", status_code=200)
async def delete_notification(tx: InTx, actor: Me, live: TheLive, notification_id: UUID) -> Reply[Said]:
    """Delete a notification."""
    await service.delete(tx, live, actor, notification_id)
    return said("Notification deleted")


@Route("/notifications/read", http_method="DELETE", status_code=200)
async def delete_read_notifications(begin: TheBegin, actor: Me) -> Reply[Deleted]:
    """Delete every notification that you have read."""
    return reply(Deleted("Read notifications deleted", await service.delete_read(begin, actor)))


@Route("/notifications/preferences", http_method="GET")
async def get_preferences(tx: InTx, actor: Me) -> Reply[Preferences]:
    """Get what you are told of, by type and channel."""
    return reply(await preferences.list_all(tx, actor.id))


@Route("/notifications/preferences", http_method="PUT")
async def put_preferences(tx: InTx, actor: Me, data: PreferenceChanges) -> Reply[Preferences]:
    """Change what you are told of; what is not named stays as it is."""
    return reply(await preferences.change(tx, actor, data))


@Route("/events", http_method="GET", media_type="text/event-stream")
async def stream_events(streams: TheStreams, actor: Me, last_event_id: Place = None) -> Response[bytes]:
    """Hear what you are told, as it happens."""
    return streams.open(actor, last_event_id)


@Route("/events/signed", http_method="GET", media_type="text/event-stream", opt={"also": (403,)})
async def stream_signed_events(
    streams: TheStreams, exchange: TheExchange, sig: Sig, last_event_id: Place = None
) -> Response[bytes]:
    """Hear the same at an address that was signed for you."""
    exchange.actor = await streams.by_signature(sig)
    return streams.open(exchange.actor, last_event_id)


@Route("/events/token", http_method="GET")
async def sign_stream(streams: TheStreams, actor: Me, accounts: TheAccounts) -> Reply[StreamAddress]:
    """Get an address of your events for a browser, which sends no headers with it."""
    return reply(streams.sign(actor, accounts.base_url))


ROUTES = [
    list_notifications, read_notification, read_all_notifications, delete_notification,
    delete_read_notifications, get_preferences, put_preferences, stream_events, stream_signed_events,
    sign_stream,
]  # fmt: skip
