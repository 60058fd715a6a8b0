"""Some pieces of a rendition from its middle, for whoever jumps there before it is encoded so far.

A second encoder begins at a piece's own place on the grid of sound frames, so that its fragments are cut
where the rendition's are; only the number and the time in each are set right. What an encoder puts in front,
and what it does not yet know of the music before, is in a piece that is made first and dropped. The bytes are
not those of the rendition, since an encoder's choices hang on all that came before; but they are heard behind
its head and beside its pieces without a seam.
"""

import asyncio
import shutil
from pathlib import Path
from typing import BinaryIO

import msgspec

from veza.core.ids import new_id
from veza.media.decode import Decoded
from veza.media.errors import EncodingFailed
from veza.media.failing import failure_of
from veza.media.ffmpeg import CLEAN_OUTPUT, find_ffmpeg, input_arguments
from veza.media.fragments import Fragments, Timing, set_place
from veza.media.limits import MediaLimits
from veza.media.profiles import FRAGMENT_SECONDS, SAMPLE_RATE, Profile, to_stream
from veza.media.sandbox import Limits, run
from veza.media.sniff import Sniffed

# Pieces made at a time: a minute of music, which takes about a second.
PIECES = 16
_SECONDS = 20.0  # by the clock; whoever waited has left by then
_MOST_BYTES = 16 << 20
# Seconds that a decoder has to find its feet (a frame of MP3 rests on those before it).
_RUN_IN = 1


class Original(msgspec.Struct, frozen=True):
    """An upload that has been decoded once, and a folder to work in."""

    source: Path
    sniffed: Sniffed
    decoded: Decoded
    workdir: Path
    limits: MediaLimits


def can_encode_from(decoded: Decoded) -> bool:
    """Whether places can be found to the sample: not in damaged files, and ADPCM is sought by bytes."""
    return not decoded.damaged and not decoded.codec.startswith("adpcm")


async def encode_from(
    original: Original, profile: Profile, timing: Timing, samples: int, piece: int
) -> list[bytes]:
    """This piece and some after it, of a rendition of so many samples that is cut so.

    Raises EncodingFailed when nothing comes of it, MediaInterrupted, MediaUnavailable.
    """
    plan = timing.plan(samples, FRAGMENT_SECONDS)
    last = min(piece - 1 + PIECES, len(plan))
    whole, first = timing.whole(FRAGMENT_SECONDS), max(piece - 1, 1)
    begin, end = (first - 1) * whole, last * whole + SAMPLE_RATE // 2
    # A whole second is a sample of any rate, and of ours.
    seek = max(begin // SAMPLE_RATE - _RUN_IN, 0)
    before = seek * SAMPLE_RATE
    graph = (
        f"[0:a:0]{to_stream(original.decoded.channels)},"
        f"atrim=start_pts={begin - before}:end_pts={end - before},asetpts=PTS-STARTPTS[o]"
    )
    folder = original.workdir / f"ahead-{new_id().hex}"
    made = Fragments(folder / f"{profile.name}.raw")
    arguments = [
        *input_arguments(original.sniffed, seek),
        *("-filter_complex", graph, "-map", "[o]"),
        *CLEAN_OUTPUT,
        *profile.arguments,
        "-y",
        made.path.name,
    ]
    try:
        folder.mkdir()
        await _encode(original, arguments, folder)
        pieces = await asyncio.to_thread(_take, made, plan, first, range(piece, last + 1), whole)
    except (OSError, ValueError) as error:
        raise EncodingFailed from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not pieces:
        raise EncodingFailed
    return pieces


async def _encode(original: Original, arguments: list[str], folder: Path) -> None:
    ffmpeg = await asyncio.to_thread(find_ffmpeg)
    with original.source.open("rb") as file:
        result = await run(
            [ffmpeg.path, *arguments],
            stdin=file.fileno(),
            limits=Limits(memory=original.limits.decoder_memory, seconds=_SECONDS, file_bytes=_MOST_BYTES),
            reader=BinaryIO.read,
            workdir=folder,
        )
    if result.returncode != 0:
        raise failure_of(result, folder)


def _take(made: Fragments, plan: list[int], first: int, wanted: range, whole: int) -> list[bytes]:
    """Of what was made from the ``first`` piece on those that are wanted, as far as they are as planned."""
    made.read()
    pieces: list[bytes] = []
    with made.path.open("rb") as file:
        for number in wanted:
            within = number - first + 1
            if within > len(made.sizes):
                break
            # The very last frame may be said to end a little sooner.
            least = plan[number - 1] - (made.frame if number == len(plan) else 0)
            if not least <= made.durations[within - 1] <= least + made.frame:
                break
            file.seek(made.find(within))
            data = file.read(made.sizes[within - 1])
            pieces.append(set_place(data, number, (number - 1) * whole))
    return pieces
