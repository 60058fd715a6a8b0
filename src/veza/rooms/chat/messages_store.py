"""All SQL about what was said."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Literal
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Id, Json, Statement, Time, Tx, any_of
from veza.rooms.accounts.tables import users
from veza.rooms.chat.schemas import DELETED_USER, Card, Message, Reaction
from veza.rooms.chat.tables import chat_messages, chat_reactions

C = chat_messages.c
X = chat_reactions.c

# A search goes so far back, and no further.
SEARCHED = 100_000


class MessageRow(msgspec.Struct, frozen=True):
    """A message as it is kept, with its author's name of now; ``user_id`` is None once they are gone."""

    id: UUID
    room_id: UUID
    seq: int
    change_seq: int
    user_id: UUID | None
    username: str
    client_id: str | None
    content: str
    reply_to: UUID | None
    mentions: list[UUID]
    cards: list[Card]
    created_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None
    pinned_at: datetime | None

    def seen(self, reactions: Sequence[Reaction] = ()) -> Message:
        """The message as others see it; its fields are ours in the same order, and its reactions."""
        return Message(reactions=reactions, **{name: getattr(self, name) for name in _NAMES})


_NAMES = MessageRow.__struct_fields__


class _Given(msgspec.Struct, frozen=True):
    message_id: UUID
    emoji: str
    given: int
    mine: int


class Said(msgspec.Struct, frozen=True):
    """What a user said, for the export of their data."""

    id: UUID
    room_id: UUID
    content: str
    created_at: datetime
    edited_at: datetime | None


_BIG = sa.BigInteger
_SPECIAL: dict[str, sa.ColumnElement[Any]] = {
    "user_id": users.c.id.label("user_id"),
    "username": sa.func.coalesce(users.c.username, sa.literal(DELETED_USER)).label("username"),
    "mentions": sa.type_coerce(C.mentions, Json(list[UUID])).label("mentions"),
    "cards": sa.type_coerce(C.cards, Json(list[Card])).label("cards"),
}
_select = sa.select(*(_SPECIAL[name] if name in _SPECIAL else C[name] for name in _NAMES)).select_from(
    chat_messages.outerjoin(users, users.c.id == C.author_id)
)
_room = C.room_id == sa.bindparam("room", type_=Id)
_one = C.id == sa.bindparam("message", type_=Id)
_bound_seq = sa.bindparam("seq", type_=_BIG)
_to = sa.bindparam("to", type_=_BIG)
_since = sa.bindparam("since", type_=_BIG)
_limit = sa.bindparam("limit", type_=_BIG)
_FIND = Statement(_select.where(_one), MessageRow)
_SOME = Statement(_select.where(any_of(C.id, "messages")), MessageRow)
_BY_CLIENT = Statement(
    _select.where(_room, C.author_id == sa.bindparam("author", type_=Id), any_of(C.client_id, "client_ids")),
    MessageRow,
)
_ADD: Statement[None] = Statement(sa.insert(chat_messages))
_LAST_OF = Statement(
    sa.select(C.created_at)
    .where(C.author_id == sa.bindparam("author", type_=Id), _room)
    .order_by(C.id.desc())
    .limit(1),
    datetime,
)
_EDIT: Statement[None] = Statement(
    sa.update(chat_messages)
    .where(_one)
    .values(
        content=sa.bindparam("words"),
        folded=sa.bindparam("by"),
        mentions=sa.bindparam("named", type_=Json),
        edited_at=sa.bindparam("at", type_=Time),
        change_seq=_bound_seq,
    )
)
_DELETE: Statement[None] = Statement(
    sa.update(chat_messages)
    .where(_one)
    .values(
        content="", folded="", mentions=sa.literal_column("'[]'"), cards=sa.literal_column("'[]'"),
        pinned_at=None, deleted_at=sa.bindparam("at", type_=Time), change_seq=_bound_seq,
    )
)  # fmt: skip
_TOUCH: Statement[None] = Statement(sa.update(chat_messages).where(_one).values(change_seq=_bound_seq))
_PIN: Statement[None] = Statement(
    sa.update(chat_messages)
    .where(_one)
    .values(pinned_at=sa.bindparam("at", type_=Time), change_seq=_bound_seq)
)
_PINNED = Statement(_select.where(_room, C.pinned_at.is_not(None)).order_by(C.pinned_at, C.seq), MessageRow)
_REACT: Statement[None] = Statement(
    sa.text(
        "INSERT INTO chat_reactions (message_id, emoji, user_id, created_at) "
        "VALUES (:message, :emoji, :user, :at) ON CONFLICT (message_id, emoji, user_id) DO NOTHING"
    ).bindparams(
        sa.bindparam("message", type_=Id),
        sa.bindparam("emoji", type_=sa.Text),
        sa.bindparam("user", type_=Id),
        sa.bindparam("at", type_=Time),
    )
)
_UNREACT: Statement[None] = Statement(
    sa.delete(chat_reactions).where(
        X.message_id == sa.bindparam("message", type_=Id),
        X.emoji == sa.bindparam("emoji"),
        X.user_id == sa.bindparam("user", type_=Id),
    )
)
_UNREACT_ALL: Statement[None] = Statement(
    sa.delete(chat_reactions).where(X.message_id == sa.bindparam("message", type_=Id))
)
_GIVEN = Statement(
    sa.select(
        X.message_id,
        X.emoji,
        sa.func.count().label("given"),
        sa.func.max(sa.case((X.user_id == sa.bindparam("user", type_=Id), 1), else_=0)).label("mine"),
    )
    .where(any_of(X.message_id, "messages"))
    .group_by(X.message_id, X.emoji)
    .order_by(X.message_id, sa.func.min(X.created_at), X.emoji),
    _Given,
)
_SAID = Statement(
    sa.select(C.id, C.room_id, C.content, C.created_at, C.edited_at)
    .where(C.author_id == sa.bindparam("user", type_=Id), C.deleted_at.is_(None))
    .order_by(C.id),
    Said,
    heavy=True,
)
_some_of_user = (
    sa.select(C.id).where(C.author_id == sa.bindparam("user", type_=Id)).order_by(C.id).limit(_limit)
)
_FORGET_AUTHOR: Statement[None] = Statement(
    sa.update(chat_messages).where(C.id.in_(_some_of_user)).values(author_id=None, client_id=None)
)
_FORGET_REACTIONS: Statement[None] = Statement(
    sa.delete(chat_reactions).where(X.user_id == sa.bindparam("user", type_=Id))
)
_some_of_room = sa.select(C.id).where(_room).order_by(C.seq).limit(_limit)
_FORGET_REACTIONS_OF: Statement[None] = Statement(
    sa.delete(chat_reactions).where(X.message_id.in_(_some_of_room))
)
_FORGET: Statement[None] = Statement(sa.delete(chat_messages).where(C.id.in_(_some_of_room)))
_SEARCH = Statement(
    _select.where(
        _room,
        C.seq > sa.bindparam("after", type_=_BIG),
        C.seq < sa.bindparam("before", type_=_BIG),
        C.folded.like(sa.bindparam("pattern"), escape="\\"),
        sa.or_(C.author_id.is_(None), sa.not_(any_of(C.author_id, "hidden"))),
    )
    .order_by(C.seq.desc())
    .limit(_limit),
    MessageRow,
    heavy=True,
)

Direction = Literal["before", "after", "said", "changed"]


@cache
def _slice(direction: Direction, *, hiding: bool) -> Statement[MessageRow]:
    seen = [sa.or_(C.author_id.is_(None), sa.not_(any_of(C.author_id, "hidden")))] if hiding else []
    if direction == "before":
        chosen = _select.where(_room, C.seq < _bound_seq, *seen).order_by(C.seq.desc()).limit(_limit)
    elif direction == "after":
        chosen = _select.where(_room, C.seq > _bound_seq, *seen).order_by(C.seq).limit(_limit)
    elif direction == "said":
        chosen = _select.where(_room, C.seq > _bound_seq, C.seq <= _to, *seen)
    else:
        changed = sa.and_(C.seq <= _since, C.change_seq > _bound_seq, C.change_seq <= _to)
        chosen = _select.where(_room, changed, *seen)
    return Statement(chosen, MessageRow)


async def list_slice(
    tx: Tx,
    room_id: UUID,
    direction: Literal["before", "after"],
    seq: int,
    limit: int,
    hidden: Collection[UUID] = (),
) -> list[MessageRow]:
    """Messages next to a place, nearest first."""
    statement = _slice(direction, hiding=bool(hidden))
    given = {"hidden": hidden} if hidden else {}
    return await tx.all(statement, room=room_id, seq=seq, limit=limit, **given)


async def list_said_between(
    tx: Tx, room_id: UUID, seq: int, to: int, hidden: Collection[UUID] = ()
) -> list[MessageRow]:
    """What was said after one place and up to another, in no order."""
    given = {"hidden": hidden} if hidden else {}
    return await tx.all(_slice("said", hiding=bool(hidden)), room=room_id, seq=seq, to=to, **given)


async def list_changed_between(
    tx: Tx, room_id: UUID, since: int, seq: int, to: int, hidden: Collection[UUID] = ()
) -> list[MessageRow]:
    """What was said up to ``since`` and has changed last between two other places, in no order."""
    given = {"hidden": hidden} if hidden else {}
    statement = _slice("changed", hiding=bool(hidden))
    return await tx.all(statement, room=room_id, since=since, seq=seq, to=to, **given)


async def find(tx: Tx, message_id: UUID) -> MessageRow | None:
    """The message, whoever asks."""
    return await tx.first(_FIND, message=message_id)


async def list_some(tx: Tx, message_ids: Collection[UUID]) -> dict[UUID, MessageRow]:
    """Those of these messages that there are."""
    return {row.id: row for row in await tx.all(_SOME, messages=message_ids)}


async def list_by_client(
    tx: Tx, room_id: UUID, author_id: UUID, client_ids: Collection[str]
) -> dict[str, MessageRow]:
    """What an author has said in a room under these ids of their own."""
    found = await tx.all(_BY_CLIENT, room=room_id, author=author_id, client_ids=client_ids)
    return {row.client_id: row for row in found if row.client_id is not None}


async def add_all(tx: Tx, rows: Iterable[tuple[MessageRow, str]]) -> None:
    """Write messages down, each with what it is searched by."""
    await tx.run_many(_ADD, [_values(row, folded) for row, folded in rows])


def _values(row: MessageRow, folded: str) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in _NAMES if name not in ("user_id", "username")}
    return values | {"author_id": row.user_id, "folded": folded}


async def find_last_of(tx: Tx, room_id: UUID, author_id: UUID) -> datetime | None:
    """When an author last said something in a room."""
    return await tx.first(_LAST_OF, room=room_id, author=author_id)


async def edit(tx: Tx, row: MessageRow, folded: str) -> None:
    """Keep other words of a message."""
    await tx.run(
        _EDIT, message=row.id, words=row.content, by=folded, named=row.mentions, at=row.edited_at,
        seq=row.change_seq,
    )  # fmt: skip


async def delete(tx: Tx, message_id: UUID, seq: int) -> None:
    """Leave of a message only that it was there."""
    await tx.run(_UNREACT_ALL, message=message_id)
    await tx.run(_DELETE, message=message_id, at=clock.now(), seq=seq)


async def pin(tx: Tx, message_id: UUID, at: datetime | None, seq: int) -> None:
    """Pin a message, or take it down."""
    await tx.run(_PIN, message=message_id, at=at, seq=seq)


async def list_pinned(tx: Tx, room_id: UUID) -> list[MessageRow]:
    """What is pinned in a room, as it was pinned."""
    return await tx.all(_PINNED, room=room_id)


async def react(tx: Tx, message_id: UUID, emoji: str, user_id: UUID) -> bool:
    """Give an emoji to a message; whether it was not given yet."""
    return await tx.run(_REACT, message=message_id, emoji=emoji, user=user_id, at=clock.now()) == 1


async def unreact(tx: Tx, message_id: UUID, emoji: str, user_id: UUID) -> bool:
    """Take an emoji back; whether it was given."""
    return await tx.run(_UNREACT, message=message_id, emoji=emoji, user=user_id) == 1


async def touch(tx: Tx, message_id: UUID, seq: int) -> None:
    """A message has changed at this place of its room."""
    await tx.run(_TOUCH, message=message_id, seq=seq)


async def list_reactions(
    tx: Tx, message_ids: Collection[UUID], user_id: UUID | None
) -> dict[UUID, list[Reaction]]:
    """What was given to these messages; and with a user, which of it is theirs."""
    found: dict[UUID, list[Reaction]] = {}
    nobody = UUID(int=0)
    for one in await tx.all(_GIVEN, messages=message_ids, user=user_id or nobody):
        mine = msgspec.UNSET if user_id is None else bool(one.mine)
        found.setdefault(one.message_id, []).append(Reaction(one.emoji, one.given, mine))
    return found


async def search(
    tx: Tx, room_id: UUID, folded: str, *, before: int, limit: int, hidden: Collection[UUID]
) -> list[MessageRow]:
    """Messages before a place that hold these folded words as they stand, the latest first."""
    escaped = folded.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return await tx.all(
        _SEARCH, room=room_id, before=before, after=before - SEARCHED, pattern=f"%{escaped}%", limit=limit,
        hidden=hidden,
    )  # fmt: skip


def pieces_said(view: Tx, user_id: UUID) -> AsyncIterator[list[Said]]:
    """Everything that a user has said and not deleted."""
    return view.pieces(_SAID, user=user_id)


async def forget_author(tx: Tx, user_id: UUID, most: int) -> bool:
    """Make so many messages of an account that is gone nobody's; whether there may be more."""
    await tx.run(_FORGET_REACTIONS, user=user_id)
    return await tx.run(_FORGET_AUTHOR, user=user_id, limit=most) > 0


async def forget_room(tx: Tx, room_id: UUID, most: int) -> bool:
    """Forget so much of what was said in a room that is gone; whether there may be more."""
    await tx.run(_FORGET_REACTIONS_OF, room=room_id, limit=most)
    return await tx.run(_FORGET, room=room_id, limit=most) > 0
