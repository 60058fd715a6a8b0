"""The kinds of jobs of this room that others queue, and where its files lie."""

from uuid import UUID

import msgspec

from veza.core.jobs import JobKind


class RemoveFiles(msgspec.Struct, frozen=True):
    """The prefix of files that nobody needs any more."""

    folder: str


# Of the storage.
ROOT = "playlists"
REMOVE_FILES = JobKind("playlists.remove_files", RemoveFiles)


def folder_of(playlist_id: UUID) -> str:
    """The prefix of all keys of a playlist."""
    return f"{ROOT}/{playlist_id}"
