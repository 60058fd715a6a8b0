"""What many files say of themselves, read by one child in the sandbox: tags, and how long they claim to be.

A child for each file costs a tenth of a second; one for a hundred files a millisecond each. The child is
handed open files, and reads them one after the other. When one of them ends it, or is still being read when
the time is up, that file is left unread and the others go to another child.

Headers lie: what they say is good for a list, and is put right when the file is decoded.
"""

import math
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import tinytag

from veza.media.children import package, split_parts
from veza.media.errors import MediaUnavailable
from veza.media.limits import MediaLimits
from veza.media.sandbox import Limits, run_python
from veza.media.tags import READABLE, Tags, tags_of

# As many as wait in a socket at once, with room to spare: all are handed over before the child begins.
MOST_FILES = 128
_SCRIPT = Path(__file__).with_name("header_child.py")
_SECONDS = 30.0
_MOST_OUTPUT = 64 << 10  # bytes, for each file
_MOST_RATE, _MOST_CHANNELS, _MOST_BITS = 1 << 20, 64, 64


class Headers(msgspec.Struct, frozen=True):
    """Tags, and what the file claims: ``duration`` in seconds, None where nothing believable is said."""

    tags: Tags = Tags()
    duration: float | None = None
    sample_rate: int = 0
    channels: int = 0
    bit_depth: int | None = None


UNREAD = Headers()


async def read_headers(files: Sequence[Path], limits: MediaLimits) -> list[Headers]:
    """The headers of files that were sniffed, in their order; :data:`UNREAD` for what cannot be read.

    Raises MediaUnavailable.
    """
    found: list[Headers] = []
    while len(found) < len(files):
        rest = files[len(found) : len(found) + MOST_FILES]
        read = await _read_some(rest, limits)
        if len(read) < len(rest):  # the next one was too much for its child
            read.append(UNREAD)
        found += read
    return found


async def _read_some(files: Sequence[Path], limits: MediaLimits) -> list[Headers]:
    """The headers of the first of these, up to whatever ended the child."""
    folder = package(tinytag.__file__)
    with _handed_over(files) as waiting:
        try:
            result = await run_python(
                _SCRIPT,
                str(folder.parent),
                str(READABLE),
                stdin=waiting.fileno(),
                limits=Limits(memory=limits.tag_memory, seconds=_SECONDS),
                at_most=_MOST_OUTPUT * len(files),
                packages=[folder, READABLE],
            )
        except (TimeoutError, ValueError):
            # What was read is lost with the child. By halves, the one that does this is soon alone.
            return [] if len(files) == 1 else await _read_some(files[: len(files) // 2], limits)
    parts = split_parts(result.value, whole=False)[: len(files)]
    return [_headers_of(part, limits) for part in parts]


def _handed_over(files: Sequence[Path]) -> socket.socket:
    """The end of a socket in which these files wait, open."""
    ours, theirs = socket.socketpair()
    with ours:
        try:
            ours.setblocking(False)  # noqa: FBT003 - as the library has it
            for path in files:
                with path.open("rb") as file:
                    socket.send_fds(ours, [b"f"], [file.fileno()])
        except OSError as error:
            theirs.close()
            raise MediaUnavailable from error
    return theirs


def _headers_of(part: bytes, limits: MediaLimits) -> Headers:
    try:
        found = msgspec.json.decode(part, type=dict[str, Any])
    except ValueError:  # what is no number in JSON, say
        return UNREAD
    said = found.get("duration")
    duration = float(said) if isinstance(said, float | int) and math.isfinite(said) else 0.0
    return Headers(
        tags=tags_of({name: text for name, text in found.items() if isinstance(text, str)}),
        duration=duration if 0 < duration <= limits.max_seconds else None,
        sample_rate=_number(found.get("samplerate"), _MOST_RATE) or 0,
        channels=_number(found.get("channels"), _MOST_CHANNELS) or 0,
        bit_depth=_number(found.get("bitdepth"), _MOST_BITS),
    )


def _number(value: object, most: int) -> int | None:
    return int(value) if isinstance(value, int | float) and 0 < value <= most else None
