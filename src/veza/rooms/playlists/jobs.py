"""What is done with playlists when nobody waits for it: following their tracks, and tidying up."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from veza.access.actor import SYSTEM
from veza.access.policy import Action
from veza.core.db import Database, Tx
from veza.core.events import EventJob
from veza.core.jobs import Job, JobKind, NoPayload, enqueue
from veza.core.storage import Storage
from veza.core.worker import Task
from veza.rooms.playlists import entries_store, links_store, people_store, store
from veza.rooms.playlists.kinds import REMOVE_FILES, RemoveFiles, folder_of
from veza.rooms.playlists.store import Sums
from veza.rooms.tracks import service as tracks
from veza.rooms.tracks.errors import TrackNotFound
from veza.rooms.tracks.remains import PIECE, forgetting
from veza.rooms.tracks.schemas import Track


class FollowTrack(msgspec.Struct, frozen=True):
    """Which track became another."""

    track_id: UUID


FORGET_TRACK = JobKind("playlists.forget_track", EventJob)
FORGET_PLAYLIST = JobKind("playlists.forget_playlist", EventJob)
FOLLOW_TRACK = JobKind("playlists.follow_track", FollowTrack)
PURGE_LINKS = JobKind("playlists.purge_links", NoPayload, every=timedelta(hours=24))


class _Gone(msgspec.Struct, frozen=True):
    playlist_id: UUID


async def follow_track(tx: Tx, event: Any) -> None:
    """Something happened to a track (``track_id``): where a playlist holds it, it is looked at again.

    At once only the question whether one does; there may be very many.
    """
    if await entries_store.playlists_with(tx, event.track_id, 1):
        await enqueue(tx, FOLLOW_TRACK, FollowTrack(event.track_id))


async def forget_track(tx: Tx, track_id: UUID, most: int) -> bool:
    """Take a track that is gone out of so many playlists; whether it may be in more."""
    found = await entries_store.playlists_with(tx, track_id, most)
    there = set(await store.lock_many(tx, found))
    for playlist_id in found:
        entry = await entries_store.find(tx, playlist_id, track_id)
        if entry is not None:
            await entries_store.remove(tx, playlist_id, track_id)
            if playlist_id in there:
                await store.add_sums(tx, playlist_id, entry.sums.negative)
    return len(found) == most


async def copy_track(tx: Tx, track_id: UUID, most: int) -> bool:
    """Let so many playlists know a track as it is; whether there may be more. What is gone is forgotten."""
    try:
        track = await tracks.hold(tx, SYSTEM, track_id, Action.EDIT_TRACK)
    except TrackNotFound:
        return False
    ms = round(track.duration * 1000)
    found = await entries_store.playlists_behind(tx, track_id, listed=track.listed, ms=ms, most=most)
    there = set(await store.lock_many(tx, found))
    for playlist_id in found:
        await _copy(tx, playlist_id, track, ms, counted=playlist_id in there)
    return len(found) == most


async def _copy(tx: Tx, playlist_id: UUID, track: Track, ms: int, *, counted: bool) -> None:
    entry = await entries_store.find(tx, playlist_id, track.id)
    if entry is None:
        return
    await entries_store.copy(tx, playlist_id, track.id, listed=track.listed, ms=ms)
    if counted:
        now = msgspec.structs.replace(entry, listed=track.listed, duration_ms=ms).sums
        before = entry.sums
        more = Sums(
            0,
            now.listed - before.listed,
            now.total_ms - before.total_ms,
            now.listed_ms - before.listed_ms,
        )
        await store.add_sums(tx, playlist_id, more)


def tasks(database: Database, storage: Storage) -> Sequence[Task]:
    """What the worker is to know."""

    async def follow(job: Job, told: FollowTrack) -> None:
        del job
        more = True
        while more:
            async with database.write() as tx:
                more = await copy_track(tx, told.track_id, PIECE)

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

    return [
        forgetting(database, FORGET_TRACK, forget_track),
        Task(FOLLOW_TRACK, follow),
        Task(FORGET_PLAYLIST, forget_playlist),
        Task(PURGE_LINKS, purge_links),
        Task(REMOVE_FILES, remove_files),
    ]
