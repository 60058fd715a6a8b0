"""What was found, as callers see it."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from veza.rooms.accounts.schemas import Profile
from veza.rooms.playlists.schemas import PlaylistSummary
from veza.rooms.tracks.schemas import TrackSummary

Type = Literal["tracks", "playlists", "users"]

# Characters of a question.
MAX_QUESTION = 256


class FoundPagination(msgspec.Struct, frozen=True):
    """Where a list of found things stands; ``total`` ends at 10,000, and then is not exact."""

    page: int
    limit: int
    total: int
    total_pages: int
    total_is_exact: bool


class FoundTracks(msgspec.Struct, frozen=True):
    """A page of the tracks that were found."""

    tracks: Sequence[TrackSummary]
    pagination: FoundPagination


class Found(msgspec.Struct, frozen=True):
    """A page of each kind of thing that was found, and how many there are in all and of each kind."""

    tracks: Sequence[TrackSummary]
    users: Sequence[Profile]
    playlists: Sequence[PlaylistSummary]
    total: int
    totals: dict[str, int]
    total_is_exact: bool
    page: int
    limit: int


class FoundPlaylists(msgspec.Struct, frozen=True):
    """A page of the playlists that were found: the asker's own private ones, then the best of the others.

    ``total`` of public ones ends at 10,000.
    """

    playlists: Sequence[PlaylistSummary]
    total: int
    page: int
    limit: int
