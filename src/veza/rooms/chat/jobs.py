"""What is done about rooms when nobody waits for it."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from veza.core.db import Database
from veza.core.events import EventJob
from veza.core.jobs import Job, NoPayload
from veza.core.live import Live
from veza.core.worker import Task
from veza.rooms.chat import members_store, messages_store, opening, tickets_store
from veza.rooms.chat.hints import PEOPLE, People
from veza.rooms.chat.kinds import (
    FOLLOW_SUBJECT,
    FORGET_ROOM,
    FORGET_USER,
    LOOK_AGAIN,
    PURGE,
    FollowSubject,
)

# A few milliseconds of the writer.
PIECE = 500


class _Gone(msgspec.Struct, frozen=True):
    room_id: UUID


class _Of(msgspec.Struct, frozen=True):
    user_id: UUID


def tasks(database: Database, live: Live) -> Sequence[Task]:
    """What the worker is to know."""

    async def forget_room(_job: Job, told: EventJob) -> None:
        room_id = msgspec.convert(told.data, _Gone).room_id
        for forget in (messages_store.forget_room, members_store.forget_room):
            more = True
            while more:
                async with database.write() as tx:
                    more = await forget(tx, room_id, PIECE)
        async with database.write() as tx:
            await tickets_store.forget_room(tx, room_id)

    async def forget_user(_job: Job, told: EventJob) -> None:
        user_id = msgspec.convert(told.data, _Of).user_id
        more = True
        while more:
            async with database.write() as tx:
                more = await messages_store.forget_author(tx, user_id, PIECE)

    async def follow_subject(_job: Job, about: FollowSubject) -> None:
        async with database.write() as tx:
            await opening.follow(tx, live, about.room_id)

    async def look_again(_job: Job, told: EventJob) -> None:
        users = [UUID(told.data[name]) for name in ("user_id", "blocked_id", "by_id") if name in told.data]
        live.publish(PEOPLE, People(users))

    async def purge(_job: Job, _told: NoPayload) -> None:
        async with database.write() as tx:
            await tickets_store.purge(tx)

    return [
        Task(FORGET_ROOM, forget_room),
        Task(FORGET_USER, forget_user),
        Task(FOLLOW_SUBJECT, follow_subject),
        Task(LOOK_AGAIN, look_again),
        Task(PURGE, purge),
    ]
