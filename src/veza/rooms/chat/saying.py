"""Saying things in rooms: many at once, in one transaction, each with an outcome of its own.

A message gets its place while its room is held, so places become visible in their order and none is left out.
Whether its author may speak is asked in the same transaction, and not remembered.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

import msgspec

from veza.access.actor import Member
from veza.access.policy import Action, may
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import (
    Detail,
    Forbidden,
    InsufficientStorage,
    InvalidToken,
    Unavailable,
    ValidationFailed,
    VezaError,
)
from veza.core.ids import new_id
from veza.core.live import Live
from veza.core.text import fold
from veza.rooms.accounts import profiles
from veza.rooms.accounts import service as accounts
from veza.rooms.accounts.errors import UserNotFound
from veza.rooms.chat import hints, members_store, rooms_store, service, subjects
from veza.rooms.chat import messages_store as store
from veza.rooms.chat.errors import Banned, Muted, NotInRoom, RoomNotFound, SlowMode
from veza.rooms.chat.events import MessageSent
from veza.rooms.chat.frames import Said
from veza.rooms.chat.members_store import MemberRow
from veza.rooms.chat.messages_store import MessageRow
from veza.rooms.chat.rooms_store import RoomRow
from veza.rooms.chat.schemas import Message, MessageDraft
from veza.rooms.following import blocks
from veza.rooms.playlists import service as playlists
from veza.rooms.tracks import service as tracks

MOST_NAMED = 10
_NAMED = re.compile(r"(?<![\w@])@([A-Za-z0-9][A-Za-z0-9_.-]{2,29})")
_TITLED = {"track": tracks.list_titles, "playlist": playlists.list_titles}


class Words(msgspec.Struct, frozen=True):
    """What somebody wants to say in a room."""

    actor: Member
    room_id: UUID
    draft: MessageDraft


class _Desk:
    """What is said in one room within one transaction."""

    def __init__(self, room: RoomRow, members: dict[UUID, MemberRow]) -> None:
        self.room = room
        self.members = members
        self.seq = room.seq
        self.rows: list[MessageRow] = []
        # What was said already, by its author and their own id for it.
        self.known: dict[tuple[UUID, str], MessageRow] = {}
        self.last: dict[UUID, datetime] = {}
        self.parted: dict[UUID, bool] = {}
        self.seen: dict[UUID, bool] = {}


class Outcome(msgspec.Struct, frozen=True):
    """A message, and whether it was there before."""

    message: Message
    again: bool = False


async def say_all(tx: Tx, live: Live, batch: Sequence[Words]) -> list[Outcome | VezaError]:
    """Say all of these; what became of each, in the same order.

    ``tx`` is not spoilt by one that is refused: it has written nothing by then.
    """
    there = await accounts.stay(tx, sorted({one.actor.id for one in batch}))
    rooms = await rooms_store.hold_some(tx, sorted({one.room_id for one in batch}))
    desks: dict[UUID, _Desk] = {}
    outcomes: list[Outcome | VezaError] = []
    for one in batch:
        try:
            if one.actor.id not in there:
                raise InvalidToken
            desk = desks.get(one.room_id)
            if desk is None:
                desk = desks[one.room_id] = await _open(tx, rooms.get(one.room_id), batch)
            outcomes.append(await _say(tx, desk, one))
        except (Unavailable, InsufficientStorage):
            raise  # a statement failed, and with it ``tx``: it concerns them all
        except VezaError as refused:
            outcomes.append(refused)
    for desk in desks.values():
        if desk.rows:
            await _keep(tx, live, desk)
    return outcomes


async def _open(tx: Tx, room: RoomRow | None, batch: Sequence[Words]) -> _Desk:
    if room is None:
        raise RoomNotFound
    here = [one for one in batch if one.room_id == room.id]
    desk = _Desk(room, await members_store.list_some(tx, room.id, {one.actor.id for one in here}))
    given: dict[UUID, set[str]] = defaultdict(set)
    for one in here:
        if one.draft.client_id is not None:
            given[one.actor.id].add(one.draft.client_id)
    for author, client_ids in given.items():
        found = await store.list_by_client(tx, room.id, author, client_ids)
        desk.known |= {(author, client_id): row for client_id, row in found.items()}
    return desk


async def _say(tx: Tx, desk: _Desk, words: Words) -> Outcome:
    actor, draft, room = words.actor, words.draft, desk.room
    member = await _admit(tx, desk, actor)
    if draft.client_id is not None:
        known = desk.known.get((actor.id, draft.client_id))
        if known is not None:
            return Outcome(known.seen(), again=True)
    await _slow_down(tx, desk, member)
    replied = await _check_reply(tx, actor, room, draft)
    await _check_cards(tx, actor, draft)
    mentions = await find_named(tx, actor, room.id, draft.content)
    desk.seq += 1
    row = MessageRow(
        id=new_id(),
        room_id=room.id,
        seq=desk.seq,
        change_seq=desk.seq,
        user_id=actor.id,
        username=actor.username,
        client_id=draft.client_id,
        content=draft.content,
        reply_to=draft.reply_to,
        mentions=mentions,
        cards=draft.cards,
        created_at=clock.now(),
        edited_at=None,
        deleted_at=None,
        pinned_at=None,
    )
    desk.rows.append(row)
    desk.last[actor.id] = row.created_at
    if draft.client_id is not None:
        desk.known[actor.id, draft.client_id] = row
    told = {*mentions, *replied, *([service.partner_of(room, actor.id)] if room.pair else [])} - {actor.id}
    if told:
        tx.emit(MessageSent(row.id, room.id, actor.id, row.seq, tuple(sorted(told))))
    return Outcome(row.seen())


async def _admit(tx: Tx, desk: _Desk, actor: Member) -> MemberRow:
    member, room = desk.members.get(actor.id), desk.room
    if actor.id not in desk.seen:
        desk.seen[actor.id] = await subjects.is_seen(tx, actor, room)
    if not desk.seen[actor.id]:
        raise RoomNotFound
    if member is None and room.type not in service.OPEN:
        raise RoomNotFound
    if member is None:
        banned = await members_store.find_ban(tx, room.id, actor.id) is not None
        raise Banned if banned else NotInRoom
    if not may(actor, Action.SPEAK, member):
        raise Forbidden("You may read in this room, not write.")
    if member.muted_until is not None and member.muted_until > clock.now():
        raise Muted(headers={"Retry-After": str(ceil((member.muted_until - clock.now()).total_seconds()))})
    if room.pair:
        if actor.id not in desk.parted:
            other = service.partner_of(room, actor.id)
            there = await profiles.list_by_ids(tx, [other])
            desk.parted[actor.id] = not there or await blocks.stands_between(tx, actor.id, other)
        if desk.parted[actor.id]:
            raise UserNotFound
    return member


async def _slow_down(tx: Tx, desk: _Desk, member: MemberRow) -> None:
    if not desk.room.slow_seconds or member.role in {"owner", "moderator"}:
        return
    last = desk.last.get(member.user_id) or await store.find_last_of(tx, desk.room.id, member.user_id)
    if last is None:
        return
    left = (last + timedelta(seconds=desk.room.slow_seconds) - clock.now()).total_seconds()
    if left > 0:
        raise SlowMode(headers={"Retry-After": str(ceil(left))})


async def _check_reply(tx: Tx, actor: Member, room: RoomRow, draft: MessageDraft) -> list[UUID]:
    """Whom it answers."""
    if draft.reply_to is None:
        return []
    found = await store.find(tx, draft.reply_to)
    if found is None or found.room_id != room.id or found.deleted_at or found.user_id in actor.hidden:
        raise ValidationFailed(
            details=[Detail("reply_to", "There is no such message in this room.", "INVALID")]
        )
    if found.user_id is None or await members_store.find(tx, room.id, found.user_id) is None:
        return []
    return [found.user_id]


async def _check_cards(tx: Tx, actor: Member, draft: MessageDraft) -> None:
    for kind, list_titles in _TITLED.items():
        wanted = [card.id for card in draft.cards if card.type == kind]
        if wanted and len(await list_titles(tx, actor, wanted)) < len(set(wanted)):
            raise ValidationFailed(details=[Detail("cards", f"There is no such {kind}.", "INVALID")])


async def find_named(tx: Tx, actor: Member, room_id: UUID, content: str) -> list[UUID]:
    """Who of a room is named in a text by ``@`` and their name; ten at most."""
    if "@" not in content:
        return []
    names = dict.fromkeys(found.rstrip(".-").casefold() for found in _NAMED.findall(content))
    named = []
    for name in list(names)[:MOST_NAMED]:
        try:
            user = await profiles.get_by_username(tx, actor, name)
        except UserNotFound:
            continue
        if await members_store.find(tx, room_id, user.id) is not None:
            named.append(user.id)
    return named


async def _keep(tx: Tx, live: Live, desk: _Desk) -> None:
    room_id = desk.room.id
    await store.add_all(tx, [(row, fold(row.content)) for row in desk.rows])
    await rooms_store.said(tx, room_id, desk.seq, len(desk.rows))
    told = [hints.entry(row.seq, row.user_id, Said(room_id=room_id, message=row.seen())) for row in desk.rows]
    hints.tell_after(tx, live, room_id, told)
