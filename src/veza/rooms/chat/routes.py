"""Rooms and what is said in them, over HTTP."""

from typing import Annotated, Literal
from uuid import UUID

from litestar.params import Dependency, Parameter

from veza.access.actor import Me
from veza.core.http import InTx, Reply, Route, Said, TheExchange, reply, said
from veza.core.idempotency import claim_body
from veza.core.live import Live
from veza.core.pages import MAX_LIMIT, MAX_PAGE, Page
from veza.rooms.chat import messages, opening, service
from veza.rooms.chat.gathering import Speaker
from veza.rooms.chat.people_routes import ROUTES as PEOPLE
from veza.rooms.chat.saying import Words
from veza.rooms.chat.schemas import (
    ChatStats,
    ChatToken,
    MessageBody,
    MessageChanges,
    MessageDraft,
    MessageList,
    ReactionDraft,
    ReadDraft,
    RoomBody,
    RoomChanges,
    RoomDraft,
    RoomList,
)
from veza.rooms.chat.tokens import Doorkeeper

TheLive = Annotated[Live, Dependency(skip_validation=True)]
TheSpeaker = Annotated[Speaker, Dependency(skip_validation=True)]
TheDoorkeeper = Annotated[Doorkeeper, Dependency(skip_validation=True)]
Limit = Annotated[int, Parameter(ge=1, le=MAX_LIMIT)]
PageNumber = Annotated[int, Parameter(ge=1, le=MAX_PAGE)]
Near = Annotated[UUID | None, Parameter(description="The id of a message in this room.")]


@Route("/chat/token", http_method="GET")
async def get_chat_token(actor: Me, doorkeeper: TheDoorkeeper) -> Reply[ChatToken]:
    """Get a token that opens one WebSocket at `/chat/ws` within a minute."""
    return reply(doorkeeper.issue(actor))


@Route("/chat/stats", http_method="GET")
async def get_chat_stats(tx: InTx, actor: Me) -> Reply[ChatStats]:
    """Get how much is talked."""
    del actor
    return reply(await service.stats(tx))


@Route("/chat/rooms", http_method="POST", status_code=201)
async def create_room(tx: InTx, actor: Me, exchange: TheExchange, data: RoomDraft) -> Reply[RoomBody]:
    """Make a room, or get the direct one with somebody."""
    await claim_body(tx, exchange, actor.id, "POST /chat/rooms", data)
    return reply(RoomBody(await service.create(tx, actor, data)))


@Route("/chat/rooms", http_method="GET")
async def list_rooms(
    tx: InTx, actor: Me, page: PageNumber = 1, limit: Limit = 20, which: Literal["mine", "public"] = "mine"
) -> Reply[RoomList]:
    """List the rooms that you are in, or the public ones."""
    listed = {"mine": service.list_own, "public": service.list_public}
    return reply(await listed[which](tx, actor, Page(page, limit)))


@Route("/chat/rooms/{room_id:str}", http_method="GET")
async def get_room(tx: InTx, actor: Me, room_id: UUID) -> Reply[RoomBody]:
    """Get a room."""
    return reply(RoomBody(await service.describe(tx, actor, room_id)))


@Route("/chat/rooms/{room_id:str}", http_method="PUT")
async def change_room(tx: InTx, actor: Me, room_id: UUID, data: RoomChanges) -> Reply[RoomBody]:
    """Change the name or topic of a room, or slow it down."""
    return reply(RoomBody(await service.change(tx, actor, room_id, data)))


@Route("/chat/rooms/{room_id:str}", http_method="DELETE", status_code=200)
async def delete_room(tx: InTx, actor: Me, live: TheLive, room_id: UUID) -> Reply[Said]:
    """Delete a room with all that was said in it."""
    await service.delete(tx, live, actor, room_id)
    return said("Room deleted successfully")


@Route("/tracks/{track_id:str}/room", http_method="POST", status_code=201)
async def open_track_room(tx: InTx, actor: Me, track_id: UUID) -> Reply[RoomBody]:
    """Open the room of a track of yours, for whoever may hear the track, or get it."""
    return reply(RoomBody(await opening.open_room(tx, actor, "track", track_id)))


@Route("/tracks/{track_id:str}/room", http_method="GET")
async def get_track_room(tx: InTx, actor: Me, track_id: UUID) -> Reply[RoomBody]:
    """Get the room of a track."""
    return reply(RoomBody(await opening.get_room(tx, actor, "track", track_id)))


@Route("/playlists/{playlist_id:str}/room", http_method="POST", status_code=201)
async def open_playlist_room(tx: InTx, actor: Me, playlist_id: UUID) -> Reply[RoomBody]:
    """Open the room of a playlist of yours, for whoever may see the playlist, or get it."""
    return reply(RoomBody(await opening.open_room(tx, actor, "playlist", playlist_id)))


@Route("/playlists/{playlist_id:str}/room", http_method="GET")
async def get_playlist_room(tx: InTx, actor: Me, playlist_id: UUID) -> Reply[RoomBody]:
    """Get the room of a playlist."""
    return reply(RoomBody(await opening.get_room(tx, actor, "playlist", playlist_id)))


@Route("/chat/rooms/{room_id:str}/messages", http_method="GET")
async def list_messages(
    tx: InTx, actor: Me, room_id: UUID, before: Near = None, after: Near = None, limit: Limit = 50
) -> Reply[MessageList]:
    """List what was said, the oldest first: the latest of it, or what came before or after a message."""
    return reply(await messages.list_messages(tx, actor, room_id, before, after, limit))


@Route("/chat/rooms/{room_id:str}/messages", http_method="POST", status_code=201)
async def post_message(
    actor: Me, speaker: TheSpeaker, room_id: UUID, data: MessageDraft
) -> Reply[MessageBody]:
    """Say something; the same `client_id` again is the same message."""
    return reply(MessageBody((await speaker.say(Words(actor, room_id, data))).message))


@Route("/chat/rooms/{room_id:str}/search", http_method="GET")
async def search_messages(
    tx: InTx,
    actor: Me,
    room_id: UUID,
    q: Annotated[str, Parameter(min_length=1, max_length=200)],
    before: Near = None,
    limit: Limit = 20,
) -> Reply[MessageList]:
    """Find messages that hold these words, the latest first."""
    return reply(await messages.search(tx, actor, room_id, q, before, limit))


@Route("/chat/rooms/{room_id:str}/pinned", http_method="GET")
async def list_pinned_messages(tx: InTx, actor: Me, room_id: UUID) -> Reply[MessageList]:
    """List what is pinned in a room."""
    return reply(await messages.list_pinned(tx, actor, room_id))


@Route("/chat/messages/{message_id:str}", http_method="PUT")
async def edit_message(
    tx: InTx, actor: Me, live: TheLive, message_id: UUID, data: MessageChanges
) -> Reply[MessageBody]:
    """Change the words of a message of yours."""
    return reply(MessageBody(await messages.edit(tx, live, actor, message_id, data.content)))


@Route("/chat/messages/{message_id:str}", http_method="DELETE", status_code=200)
async def delete_message(tx: InTx, actor: Me, live: TheLive, message_id: UUID) -> Reply[Said]:
    """Delete a message."""
    await messages.delete(tx, live, actor, message_id)
    return said("Message deleted successfully")


@Route("/chat/messages/{message_id:str}/pin", http_method="POST", status_code=200)
async def pin_message(tx: InTx, actor: Me, live: TheLive, message_id: UUID) -> Reply[MessageBody]:
    """Pin a message."""
    return reply(MessageBody(await messages.pin(tx, live, actor, message_id, pinned=True)))


@Route("/chat/messages/{message_id:str}/pin", http_method="DELETE", status_code=200)
async def unpin_message(tx: InTx, actor: Me, live: TheLive, message_id: UUID) -> Reply[MessageBody]:
    """Take a pinned message down."""
    return reply(MessageBody(await messages.pin(tx, live, actor, message_id, pinned=False)))


@Route("/chat/messages/{message_id:str}/reactions", http_method="POST", status_code=200)
async def react_to_message(
    tx: InTx, actor: Me, live: TheLive, message_id: UUID, data: ReactionDraft
) -> Reply[MessageBody]:
    """Give an emoji to a message."""
    return reply(MessageBody(await messages.react(tx, live, actor, message_id, data.emoji, given=True)))


@Route("/chat/messages/{message_id:str}/reactions/{emoji:str}", http_method="DELETE", status_code=200)
async def take_back_reaction(
    tx: InTx, actor: Me, live: TheLive, message_id: UUID, emoji: str
) -> Reply[MessageBody]:
    """Take an emoji back."""
    return reply(MessageBody(await messages.react(tx, live, actor, message_id, emoji, given=False)))


@Route("/chat/rooms/{room_id:str}/read", http_method="POST", status_code=200)
async def read_room(tx: InTx, actor: Me, live: TheLive, room_id: UUID, data: ReadDraft) -> Reply[Said]:
    """Say up to which message you have read."""
    await messages.read_to(tx, live, actor, room_id, data.message_id)
    return said("Room marked as read")


ROUTES = [
    get_chat_token, get_chat_stats, create_room, list_rooms, get_room, change_room, delete_room,
    open_track_room, get_track_room, open_playlist_room, get_playlist_room,
    list_messages, post_message, search_messages, list_pinned_messages, edit_message, delete_message,
    pin_message, unpin_message, react_to_message, take_back_reaction, read_room, *PEOPLE,
]  # fmt: skip
