"""What is done with playlists when nobody waits for it: following their tracks, and tidying up."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from veza.access.actor import SYSTEM
from veza.access.policy import Action
from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.events import EventJob
from veza.core.installation import may_sweep
from veza.core.jobs import Job, JobKind, NoPayload, enqueue
from veza.core.storage import Storage
from veza.core.worker import Task
from veza.rooms.accounts.closing import closing
from veza.rooms.playlists import copies_store, entries_store, links_store, people_store, store
from veza.rooms.playlists.closing import close
from veza.rooms.playlists.copies_store import FIRST
from veza.rooms.playlists.kinds import REMOVE_FILES, ROOT, RemoveFiles, folder_of
from veza.rooms.playlists.store import Sums
from veza.rooms.tracks import service as tracks
from veza.rooms.tracks.errors import TrackNotFound
from veza.rooms.tracks.remains import PIECE, forgetting


class FollowTrack(msgspec.Struct, frozen=True):
    """Which track became another."""

    track_id: UUID


FORGET_TRACK = JobKind("playlists.forget_track", EventJob)
CLOSE_USER = JobKind("playlists.close_user", EventJob)
FORGET_PLAYLIST = JobKind("playlists.forget_playlist", EventJob)
FOLLOW_TRACK = JobKind("playlists.follow_track", FollowTrack)
SWEEP = JobKind("playlists.sweep", NoPayload, every=timedelta(hours=24))
# Younger files may belong to a cover that is just being stored.
ORPHAN_AGE = timedelta(hours=24)
PURGE_LINKS = JobKind("playlists.purge_links", NoPayload, every=timedelta(hours=24))


class _Gone(msgspec.Struct, frozen=True):
    playlist_id: UUID


async def follow_track(tx: Tx, event: Any) -> None:
    """Something happened to a track (``track_id``): where a playlist holds it, it is looked at again.

    At once only the question whether one does; there may be very many.
    """
    if await copies_store.playlists_with(tx, event.track_id, 1):
        await enqueue(tx, FOLLOW_TRACK, FollowTrack(event.track_id))


async def forget_track(tx: Tx, track_id: UUID, most: int) -> bool:
    """Take a track that is gone out of so many playlists; whether it may be in more."""
    found = await copies_store.playlists_with(tx, track_id, most)
    there = await store.lock_many(tx, found)
    gone = await copies_store.list_copies(tx, track_id, there)
    await copies_store.remove(tx, track_id, found)
    await _add_up(tx, ((one.playlist_id, Sums() - one.sums) for one in gone))
    return len(found) == most


async def copy_track(tx: Tx, track_id: UUID, most: int, after: UUID = FIRST) -> UUID | None:
    """Let so many playlists beyond ``after`` know a track as it is; the last of them if there may be more.

    What is gone is forgotten by itself.
    """
    try:
        track = await tracks.hold(tx, SYSTEM, track_id, Action.EDIT_TRACK)
    except TrackNotFound:
        return None
    listed, ms = track.listed, round(track.duration * 1000)
    found = await copies_store.playlists_behind(tx, track_id, after, listed=listed, ms=ms, most=most)
    there = await store.lock_many(tx, found)
    before = await copies_store.list_copies(tx, track_id, there)
    await copies_store.copy(tx, track_id, there, listed=listed, ms=ms)
    now = Sums.of(ms, listed=listed)
    await _add_up(tx, ((one.playlist_id, now - one.sums) for one in before))
    return found[-1] if len(found) == most else None


async def _add_up(tx: Tx, changes: Iterable[tuple[UUID, Sums]]) -> None:
    """Change the sums of playlists, which are held: mostly there is one change, the same for all."""
    alike: dict[Sums, list[UUID]] = {}
    for playlist_id, more in changes:
        alike.setdefault(more, []).append(playlist_id)
    for more, ids in alike.items():
        await store.add_sums(tx, ids, more)


def tasks(database: Database, storage: Storage) -> Sequence[Task]:
    """What the worker is to know."""

    async def follow(job: Job, told: FollowTrack) -> None:
        del job
        after: UUID | None = FIRST
        while after is not None:
            async with database.write() as tx:
                after = await copy_track(tx, told.track_id, PIECE, after)

    async def forget_playlist(job: Job, told: EventJob) -> None:
        del job
        playlist_id = msgspec.convert(told.data, _Gone).playlist_id
        for forget in (entries_store.forget, people_store.forget_followers):
            more = PIECE
            while more == PIECE:
                async with database.write() as tx:
                    more = await forget(tx, playlist_id, PIECE)

        await storage.delete_prefix(folder_of(playlist_id))

    async def remove_files(job: Job, told: RemoveFiles) -> None:
        del job
        await storage.delete_prefix(told.folder)

    async def purge_links(job: Job, told: NoPayload) -> None:
        del job, told
        async with database.write() as tx:
            await links_store.purge(tx)

    async def sweep(job: Job, told: NoPayload) -> None:
        del job, told
        if await may_sweep(database, storage):
            await sweep_files(database, storage, ORPHAN_AGE)

    return [
        forgetting(database, FORGET_TRACK, forget_track),
        closing(database, CLOSE_USER, close),
        Task(FOLLOW_TRACK, follow),
        Task(FORGET_PLAYLIST, forget_playlist),
        Task(PURGE_LINKS, purge_links),
        Task(REMOVE_FILES, remove_files),
        Task(SWEEP, sweep),
    ]


async def sweep_files(database: Database, storage: Storage, age: timedelta) -> None:
    """Remove the files that are at least so old and in no cover of a playlist."""
    before = clock.now() - age
    async for entry in storage.list(ROOT):
        folder = entry.key.rpartition("/")[0]
        if entry.modified <= before and folder not in await _folders(database, folder):
            await storage.delete(entry.key)


async def _folders(database: Database, folder: str) -> set[str | None]:
    """Where the covers of that playlist lie to which this folder belongs."""
    try:
        playlist_id = UUID(folder.split("/")[1])
    except (IndexError, ValueError):  # an operator's own file is in no cover, and stops no sweep
        return set()
    async with database.read() as view:
        found = await store.find_covers(view, playlist_id)
    return {found.cover, found.mosaic}
