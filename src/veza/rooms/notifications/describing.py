"""From what is kept to what its reader sees: with the names and titles that they may see now."""

from collections.abc import Sequence
from uuid import UUID

from veza.access.actor import Actor
from veza.core.db import Tx
from veza.rooms.accounts import profiles
from veza.rooms.notifications.schemas import Notification, Somebody, Subject
from veza.rooms.notifications.store import Row
from veza.rooms.notifications.wording import WORDINGS, say
from veza.rooms.playlists import service as playlists
from veza.rooms.tracks import service as tracks

# What is named by a title, and so is only named to who sees it.
_TITLED = {"track": tracks.list_titles, "playlist": playlists.list_titles}


async def describe(tx: Tx, actor: Actor, rows: Sequence[Row], read_seq: int) -> list[Notification]:
    """What ``actor``, who has read all up to a place, sees of what they are told."""
    people = await _names(tx, actor, {UUID(one) for row in rows for one in row.actor_ids})
    titles: dict[UUID, str] = {}
    for kind, find in _TITLED.items():
        wanted = {row.subject_id for row in rows if WORDINGS[row.type].subject == kind}  # type: ignore[index]  # the table's own words
        titles |= await find(tx, actor, [one for one in wanted if one is not None])
    return [_describe(row, people, titles, read_seq) for row in rows]


async def _names(tx: Tx, actor: Actor, ids: set[UUID]) -> dict[UUID, str]:
    found = await profiles.list_by_ids(tx, [one for one in ids if one not in actor.hidden])
    return {user.id: user.username for user in found if user.suspended_at is None}


def _describe(row: Row, people: dict[UUID, str], titles: dict[UUID, str], read_seq: int) -> Notification:
    actors = [Somebody(one, people[one]) for one in map(UUID, row.actor_ids) if one in people]
    kind = WORDINGS[row.type].subject  # type: ignore[index]  # as above
    title = None if row.subject_id is None else titles.get(row.subject_id)
    seen = row.subject_id is not None and (kind not in _TITLED or title is not None)
    names = [one.username for one in actors]
    return Notification(
        id=row.id,
        type=row.type,  # type: ignore[arg-type]  # as above
        message=say(row.type, names, row.actor_count, title, row.detail),
        read=not row.unread(read_seq),
        created_at=row.created_at,
        updated_at=row.updated_at,
        count=row.actor_count,
        actors=actors,
        subject=Subject(kind, row.subject_id) if seen and kind and row.subject_id else None,
        detail=row.detail,
        cursor=row.seq,
    )
