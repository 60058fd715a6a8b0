"""Recommendations as callers see them."""

from collections.abc import Sequence

import msgspec

from veza.rooms.playlists.schemas import PlaylistSummary
from veza.rooms.tracks.schemas import TrackSummary

MAX_LIMIT = 100


class RecommendedTrack(TrackSummary, frozen=True):
    """A track, and in one sentence why it is recommended."""

    reason: str


class RecommendedPlaylist(PlaylistSummary, frozen=True):
    """A playlist, and in one sentence why it is recommended."""

    reason: str


class RecommendedPlaylists(msgspec.Struct, frozen=True):
    """Playlists, the best first."""

    playlists: Sequence[RecommendedPlaylist]


class RecommendedTracks(msgspec.Struct, frozen=True):
    """Tracks, the best first."""

    tracks: Sequence[RecommendedTrack]
