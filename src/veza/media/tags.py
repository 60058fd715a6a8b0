"""Who made it and what it is called: the tags inside the file, read in the sandbox and cleaned.

Tags help, they are never required: whatever is wrong with them, the track is processed without.
"""

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import msgspec
import tinytag

from veza.media.children import package, split_parts
from veza.media.limits import MediaLimits
from veza.media.sandbox import Limits, run_python

_SCRIPT = Path(__file__).with_name("tag_child.py")
# What children need beside tinytag.
READABLE = _SCRIPT.with_name("readable.py")
_SECONDS = 20.0
_LONGEST = 256  # characters
_FIRST_YEAR, _LAST_YEAR = 1000, 2100


class Tags(msgspec.Struct, frozen=True):
    """Clean text (NFC, no control characters, at most 256 characters); ``cover`` is untrusted bytes."""

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    album_artist: str | None = None
    genre: str | None = None
    year: int | None = None
    track_number: int | None = None
    cover: bytes | None = None


async def read_tags(source: Path, limits: MediaLimits) -> Tags:
    """The tags of a file that was sniffed; empty ones when it has none or they cannot be read.

    Raises MediaUnavailable.
    """
    tinytag_folder = package(tinytag.__file__)
    with source.open("rb") as file:
        try:
            result = await run_python(
                _SCRIPT,
                str(tinytag_folder.parent),
                str(READABLE),
                str(limits.max_cover_bytes),
                stdin=file.fileno(),
                limits=Limits(memory=limits.tag_memory, seconds=_SECONDS),
                at_most=limits.max_cover_bytes + (1 << 20),
                packages=[tinytag_folder, READABLE],
            )
            parts = split_parts(result.value)
            found = msgspec.json.decode(parts[0], type=dict[str, str])
        except (TimeoutError, ValueError, IndexError):  # msgspec's errors are ValueErrors
            return Tags()
    return tags_of(found, parts[1] if len(parts) > 1 else None)


def tags_of(found: Mapping[str, str], cover: bytes | None = None) -> Tags:
    """Clean tags of what a child read, under tinytag's names."""
    return Tags(
        title=clean_text(found.get("title")),
        artist=clean_text(found.get("artist")),
        album=clean_text(found.get("album")),
        album_artist=clean_text(found.get("albumartist")),
        genre=clean_text(found.get("genre")),
        year=_year(found.get("year", "")),
        track_number=_track_number(found.get("track", "")),
        cover=cover,
    )


def clean_text(text: str | None) -> str | None:
    """One line of printable Unicode in NFC, at most 256 characters; None when nothing is left.

    Control characters, lone surrogates, unassigned ones and the marks that reorder text (bidirectional
    overrides and isolates) go; white space of any kind becomes one space.
    """
    if not text:
        return None
    text = unicodedata.normalize("NFC", text[: _LONGEST * 8])
    kept = "".join(" " if char.isspace() else char for char in text if char.isspace() or _printable(char))
    return " ".join(kept.split())[:_LONGEST].strip() or None


def _printable(char: str) -> bool:
    category = unicodedata.category(char)
    if category == "Cf":  # joiners shape scripts and emoji; the others of this kind deceive
        return char in "\u200c\u200d"
    return category not in {"Cc", "Cs", "Co", "Cn"}


def _year(text: str) -> int | None:
    """The first four digits that are a year; dates come as 2024, 2024-05-17 or 17.05.2024."""
    years = (int(digits) for digits in re.findall(r"(?<!\d)\d{4}(?!\d)", text[:64], re.ASCII))
    return next((year for year in years if _FIRST_YEAR <= year <= _LAST_YEAR), None)


def _track_number(text: str) -> int | None:
    found = re.match(r"\s*(\d{1,4})(?!\d)", text, re.ASCII)
    return int(found.group(1)) or None if found else None
