"""Real music: what lies among the examples of pygame-ce, a loop in five formats, and effects with tags.

The package is installed with the tests for these files alone, and never imported.
"""

import importlib.util
from pathlib import Path
from typing import NamedTuple


class Piece(NamedTuple):
    """A file, and what is known of it: seconds, Hz, and what its tags say, where they say it."""

    name: str
    format: str
    duration: float
    sample_rate: int
    title: str | None = None
    year: int | None = None


PIECES = [
    Piece("house_lo.mp3", "mp3", 7.262, 11_025),
    Piece("house_lo.flac", "flac", 7.105, 11_025, year=1999),
    Piece("house_lo.ogg", "ogg", 7.105, 11_025),
    Piece("house_lo.opus", "ogg", 7.105, 48_000, year=1999),
    Piece("house_lo.wav", "wav", 7.105, 11_025, year=1999),
    Piece("secosmic_lo.wav", "wav", 3.31, 11_025, year=2000),
    Piece("boom.wav", "wav", 1.128, 11_025, year=1995),
    Piece("punch.wav", "wav", 0.367, 11_025, "Punch Face", 1994),
    Piece("car_door.wav", "wav", 0.339, 11_025, "Car Door"),
]


def real_folder() -> Path:
    """Where they lie."""
    found = importlib.util.find_spec("pygame")
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "examples" / "data"
