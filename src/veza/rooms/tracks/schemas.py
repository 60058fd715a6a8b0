"""Tracks as callers send and see them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from veza.core.body import checked
from veza.core.pages import Pagination
from veza.core.text import clean_text, fold
from veza.media import Timing
from veza.rooms.accounts.quota import Quota

Status = Literal["uploading", "processing", "ready", "failed"]
SortBy = Literal["created_at", "title", "popularity"]
SortOrder = Literal["asc", "desc"]
Quality = Literal["high", "low", "opus", "lossless", "original"]

# A name of up to 255 characters; of a text with marks, as many as a reader would count at most.
MAX_NAME = 255
MAX_GENRE = 64
MAX_TAG = 40
MAX_TAGS = 20
MAX_BATCH = 100
Name = Annotated[
    str, checked(partial(clean_text, max_chars=MAX_NAME, min_chars=1), minLength=1, maxLength=MAX_NAME)
]
OptionalName = Annotated[str, checked(partial(clean_text, max_chars=MAX_NAME), maxLength=MAX_NAME)]
Genre = Annotated[str, checked(partial(clean_text, max_chars=MAX_GENRE), maxLength=MAX_GENRE)]
Year = Annotated[int, msgspec.Meta(ge=1000, le=2100)]


def _tag(given: str) -> str:
    return clean_text(given.strip().removeprefix("#").strip(), max_chars=MAX_TAG, min_chars=1)


Tags = Annotated[
    list[Annotated[str, checked(_tag, minLength=1, maxLength=MAX_TAG)]], msgspec.Meta(max_length=MAX_TAGS)
]


class TrackSummary(msgspec.Struct, frozen=True):
    """A track in a list; ``duration`` in seconds."""

    id: UUID
    user_id: UUID
    title: str
    artist: str
    album: str | None
    genre: str | None
    year: int | None
    duration: float
    format: str
    is_public: bool
    status: str
    has_cover: bool
    like_count: int
    play_count: int
    created_at: datetime


# What ReplayGain 2.0 plays at, in LUFS.
REFERENCE_LOUDNESS = -18.0


class Audio(msgspec.Struct, frozen=True):
    """What the decoder found: rates in Hz and bit/s, loudness in LUFS, LU and dBTP (EBU R128).

    From these follow ReplayGain 2.0's track gain, in dB, and track peak, where 1 is full scale.
    """

    codec: str = ""
    sample_rate: int = 0
    channels: int = 0
    bit_depth: int | None = None
    bitrate: int = 0
    loudness: float | None = None
    loudness_range: float | None = None
    true_peak: float | None = None
    damaged: bool = False
    replaygain_track_gain: float | None = None
    replaygain_track_peak: float | None = None

    def __post_init__(self) -> None:
        """Tracks that were measured before there were these values have them, too."""
        if self.loudness is not None:
            gain = round(REFERENCE_LOUDNESS - self.loudness, 2)
            msgspec.structs.force_setattr(self, "replaygain_track_gain", gain)
        if self.true_peak is not None:
            peak = round(10 ** (self.true_peak / 20), 6)
            msgspec.structs.force_setattr(self, "replaygain_track_peak", peak)


class Particulars(msgspec.Struct, frozen=True):
    """What copies of an original are made by: what it is called, and what it is; ``cover`` is a key."""

    title: str
    artist: str
    album: str | None
    genre: str | None
    year: int | None
    sha256: str
    duration: float
    format: str
    audio: Audio
    cover: str | None

    @property
    def lossless(self) -> bool:
        """Whether it is known to be without loss; of what was imported and not decoded yet, a FLAC alone."""
        return self.audio.bit_depth is not None and (bool(self.audio.codec) or self.format == "flac")


class Track(msgspec.Struct, frozen=True):
    """A track in full; ``duration`` in seconds, ``file_size`` in bytes, ``progress`` in percent."""

    id: UUID
    user_id: UUID
    title: str
    artist: str
    album: str | None
    genre: str | None
    year: int | None
    duration: float
    format: str
    file_size: int
    audio: Audio
    is_public: bool
    downloadable: bool
    status: str
    progress: int
    error: str | None
    has_cover: bool
    like_count: int
    play_count: int
    comment_count: int
    created_at: datetime
    updated_at: datetime
    tags: Sequence[str] = ()
    for_sale: bool = False
    # Why it is shown to nobody but its owner, as a moderator said; and whether the owner is suspended.
    withheld: str | None = None
    closed: bool = False

    @property
    def listed(self) -> bool:
        """Whether strangers see it."""
        return self.is_public and self.status == "ready" and self.withheld is None and not self.closed

    @property
    def saleable(self) -> bool:
        """Whether its owner may offer it: not what is not ready, nor what a moderator withholds."""
        return self.status == "ready" and self.withheld is None


class TrackBody(msgspec.Struct, frozen=True):
    """One track."""

    track: Track


class TrackList(msgspec.Struct, frozen=True):
    """A page of tracks."""

    tracks: Sequence[TrackSummary]
    pagination: Pagination


class TrackChanges(msgspec.Struct, frozen=True):
    """What may be changed about a track; what is left out stays."""

    title: Name | msgspec.UnsetType = msgspec.UNSET
    artist: Name | msgspec.UnsetType = msgspec.UNSET
    album: OptionalName | msgspec.UnsetType | None = msgspec.UNSET
    genre: Genre | msgspec.UnsetType | None = msgspec.UNSET
    year: Year | msgspec.UnsetType | None = msgspec.UNSET
    tags: Tags | msgspec.UnsetType = msgspec.UNSET
    is_public: bool | msgspec.UnsetType = msgspec.UNSET
    downloadable: bool | msgspec.UnsetType = msgspec.UNSET


class BatchDraft(msgspec.Struct, frozen=True):
    """Tracks that are to be deleted, at most a hundred."""

    track_ids: Annotated[list[UUID], msgspec.Meta(min_length=1, max_length=MAX_BATCH)]


class BatchResult(msgspec.Struct, frozen=True):
    """Which tracks are gone, and for the others the code of the reason."""

    deleted: Sequence[UUID]
    failed: Mapping[UUID, str]


class UploadForm(msgspec.Struct, frozen=True):
    """The form fields that may come beside the file."""

    title: Name | None = None
    artist: Name | None = None
    album: OptionalName | None = None
    genre: Genre | None = None
    year: Year | None = None
    is_public: bool = True
    tags: Tags = []


def distinct(tags: Sequence[str]) -> list[str]:
    """Each tag once, as it was spelt first."""
    found: dict[str, str] = {}
    for tag in tags:
        found.setdefault(fold(tag), tag)
    return list(found.values())


class UploadedTrack(msgspec.Struct, frozen=True):
    """A track that has just been uploaded."""

    id: UUID
    title: str
    status: str
    created_at: datetime


class UploadedBody(msgspec.Struct, frozen=True):
    """A track that has just been uploaded."""

    track: UploadedTrack


class TrackStatus(msgspec.Struct, frozen=True):
    """How far a track is: ``progress`` in percent, ``error`` when it failed.

    ``playable`` says whether HLS has its first seconds already.
    """

    status: str
    progress: int
    error: str | None
    playable: bool


class QuotaBody(msgspec.Struct, frozen=True):
    """A user's quota."""

    quota: Quota


class SignedUrls(msgspec.Struct, frozen=True):
    """Addresses for players that cannot send a header: good for whoever asked for them, and for a time."""

    hls: str
    stream: str
    waveform: str
    cover: str
    expires_at: datetime


class EarlyPart(msgspec.Struct, frozen=True):
    """A stored file that holds pieces in a row, from the ``first`` on and from byte ``offset``.

    Those that were made ``ahead`` of their turn are other bytes than those of the rendition.
    """

    key: str
    offset: int
    first: int
    sizes: list[int]
    ahead: bool = False

    @property
    def end(self) -> int:
        """The first piece after them."""
        return self.first + len(self.sizes)


class EarlyRendition(msgspec.Struct, frozen=True):
    """What there is already of a rendition of so many ``samples``; ``bitrate`` in bit/s."""

    codec: str
    bitrate: int
    samples: int
    timing: Timing
    parts: list[EarlyPart]

    @property
    def reached(self) -> int:
        """The first piece that is still to come in its turn."""
        return max((part.end for part in self.parts if not part.ahead), default=0)

    def find(self, piece: int) -> EarlyPart | None:
        """Where a piece is; None if it is still to come."""
        return next((part for part in self.parts if part.first <= piece < part.end), None)


class Wish(msgspec.Struct, frozen=True):
    """A piece that somebody waits for, far from where its rendition is."""

    rendition: str
    piece: int


class Early(msgspec.Struct, frozen=True):
    """What there is already of the renditions of a track, and what is wished for, the latest last."""

    renditions: dict[str, EarlyRendition]
    wishes: list[Wish] = []
