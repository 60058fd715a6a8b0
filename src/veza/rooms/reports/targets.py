"""What can be reported: whether somebody sees it, whose it is, what it said, and how it is removed."""

from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

import msgspec

from veza.access.actor import Member
from veza.access.policy import Action
from veza.core.db import Tx
from veza.core.errors import Detail, ValidationFailed
from veza.rooms.accounts import profiles
from veza.rooms.chat import messages
from veza.rooms.comments import service as comments
from veza.rooms.marketplace import products
from veza.rooms.playlists import service as playlists
from veza.rooms.tracks import service as tracks
from veza.rooms.tracks import withholding


class Found(msgspec.Struct, frozen=True):
    """A thing that somebody sees: whose it is; of a message also its words, which may be others tomorrow."""

    owner_id: UUID | None
    quote: str | None = None
    room_id: UUID | None = None


class Kind(msgspec.Struct, frozen=True):
    """One kind of thing. ``find`` raises what its room says of what is not there for somebody."""

    find: Callable[[Tx, Member, UUID], Awaitable[Found]]
    remove: Callable[[Tx, Member, UUID, str], Awaitable[None]]
    # Where a removal can be taken back.
    let_back: Callable[[Tx, Member, UUID], Awaitable[None]] | None = None


async def _track(tx: Tx, actor: Member, track_id: UUID) -> Found:
    return Found((await tracks.get_visible(tx, actor, track_id)).user_id)


async def _comment(tx: Tx, actor: Member, comment_id: UUID) -> Found:
    return Found(await comments.find_author(tx, actor, comment_id))


async def _playlist(tx: Tx, actor: Member, playlist_id: UUID) -> Found:
    return Found((await playlists.get_visible(tx, actor, playlist_id)).user_id)


async def _user(tx: Tx, actor: Member, user_id: UUID) -> Found:
    return Found((await profiles.get_visible(tx, actor, user_id)).id)


async def _product(tx: Tx, actor: Member, product_id: UUID) -> Found:
    return Found((await products.get_visible(tx, actor, product_id)).seller_id)


async def _message(tx: Tx, actor: Member, message_id: UUID) -> Found:
    said = await messages.get_visible(tx, actor, message_id)
    return Found(said.user_id, said.content, said.room_id)


async def _remove_comment(tx: Tx, actor: Member, comment_id: UUID, why: str) -> None:
    del why
    await comments.delete(tx, actor, comment_id)


async def _remove_playlist(tx: Tx, actor: Member, playlist_id: UUID, why: str) -> None:
    del why
    await playlists.delete(tx, await playlists.hold(tx, actor, playlist_id, Action.DELETE_PLAYLIST))


async def _remove_product(tx: Tx, actor: Member, product_id: UUID, why: str) -> None:
    del actor, why
    await products.take_down(tx, product_id)


async def _let_back_product(tx: Tx, actor: Member, product_id: UUID) -> None:
    del actor
    await products.let_back(tx, product_id)


async def _remove_message(tx: Tx, actor: Member, message_id: UUID, why: str) -> None:
    del why
    await messages.take_down(tx, actor, message_id)


async def _refuse(tx: Tx, actor: Member, user_id: UUID, why: str) -> None:
    del tx, actor, user_id, why
    detail = Detail("action", "A user is suspended, not removed.", "INVALID")
    raise ValidationFailed(details=[detail])


KINDS: Mapping[str, Kind] = {
    "track": Kind(_track, withholding.withhold, withholding.release),
    "comment": Kind(_comment, _remove_comment),
    "playlist": Kind(_playlist, _remove_playlist),
    "user": Kind(_user, _refuse),
    "product": Kind(_product, _remove_product, _let_back_product),
    "message": Kind(_message, _remove_message),
}
