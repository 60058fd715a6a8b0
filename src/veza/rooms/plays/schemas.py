"""Plays and statistics as callers send and see them."""

from functools import partial
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from veza.core.body import checked
from veza.core.text import clean_text

MAX_DEVICE = 64
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Device = Annotated[str, checked(partial(clean_text, max_chars=MAX_DEVICE), maxLength=MAX_DEVICE)]


# Where in a player somebody was when they pressed play.
Source = Literal[
    "direct", "search", "feed", "profile", "playlist", "recommendation", "chart", "embed", "share", "other"
]


class PlayDraft(msgspec.Struct, frozen=True):
    """A play as the player tells it: how many seconds were heard, on what, and where it was found."""

    duration: Seconds
    device: Device | None = None
    source: Source | None = None


class RecordedPlay(msgspec.Struct, frozen=True):
    """A play that is kept; the id is that of the first within its half minute."""

    message: str
    id: UUID


class Stats(msgspec.Struct, frozen=True):
    """What is known of all plays of a track, the owner's own included.

    ``average_duration`` in seconds; ``completion_rate`` is how much of the track a play hears on average, in
    percent.
    """

    total_plays: int
    unique_listeners: int
    average_duration: float
    completion_rate: float


class StatsBody(msgspec.Struct, frozen=True):
    """The statistics of a track."""

    stats: Stats
