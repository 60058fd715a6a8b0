"""The journey of an upload from unknown bytes to a track that can be streamed."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from veza.core.errors import VezaError
from veza.media.cover import COVER_SIZES, make_images
from veza.media.decode import Decoded, decode
from veza.media.errors import MediaUnavailable
from veza.media.limits import MediaLimits
from veza.media.loudness import Loudness
from veza.media.renditions import OnGrown, Rendition, encode, ignore_growth
from veza.media.sniff import AudioFormat, sniff
from veza.media.tags import Tags, read_tags

T = TypeVar("T")
OnProgress = Callable[[int], Awaitable[None] | None]
_TELL_EVERY = 0.5  # seconds


class Processed(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to know of a track. ``duration`` in seconds, ``bitrate`` in bit/s, files in the workdir.

    ``covers`` by size in pixels, empty when there is no (acceptable) cover. ``damaged`` files were cut short
    or broken, and are as long as what could be decoded.
    """

    format: AudioFormat
    codec: str
    duration: float
    sample_rate: int
    channels: int
    bit_depth: int | None
    bitrate: int
    damaged: bool
    loudness: Loudness
    tags: Tags
    covers: dict[int, Path]
    peaks: Path
    renditions: list[Rendition]


async def process(
    source: Path,
    workdir: Path,
    *,
    on_progress: OnProgress = lambda _: None,
    on_grown: OnGrown = ignore_growth,
    limits: MediaLimits | None = None,
    picture: bytes | None = None,
) -> Processed:
    """Sniff, read tags and cover, decode, encode; all files land in ``workdir``, the caller's empty folder.

    The untrusted ``picture`` is the cover if there is none inside, or none that can be used.
    ``on_progress`` hears rising whole numbers up to 100, ``on_grown`` now and then what there is of the
    renditions while they are made: what it raises ends the work. Safe to cancel (children are killed, files
    left) and to repeat: the same source gives the same result. Raises EmptyFile, UnsupportedAudio,
    UndecodableAudio, AudioTooLarge (all 422), or what is worth another try: EncodingFailed, MediaInterrupted,
    InsufficientStorage, MediaUnavailable.
    """
    limits = limits or MediaLimits()
    progress = _Progress(on_progress)
    sniffed = await asyncio.to_thread(sniff, source)
    await progress.to(2)
    tags = await read_tags(source, limits)
    covers = await _save_covers(tags.cover, workdir, limits) or await _save_covers(picture, workdir, limits)
    await progress.to(10)
    decoded = await progress.over(10, 25, lambda part: decode(source, sniffed, limits, part))
    peaks = workdir / "peaks.dat"
    await asyncio.to_thread(peaks.write_bytes, decoded.peaks.to_dat())
    renditions, loudness = await progress.over(
        25, 99, lambda part: encode(source, sniffed, decoded, workdir, limits, part, on_grown)
    )
    await progress.to(100)
    return _processed(sniffed.format, decoded, tags, covers, peaks, renditions, loudness)


def _processed(
    kind: AudioFormat,
    decoded: Decoded,
    tags: Tags,
    covers: dict[int, Path],
    peaks: Path,
    renditions: list[Rendition],
    loudness: Loudness,
) -> Processed:
    return Processed(
        format=kind,
        codec=decoded.codec,
        duration=decoded.duration,
        sample_rate=decoded.sample_rate,
        channels=decoded.channels,
        bit_depth=decoded.bit_depth,
        bitrate=decoded.bitrate,
        damaged=decoded.damaged,
        loudness=loudness,
        tags=msgspec.structs.replace(tags, cover=None),
        covers=covers,
        peaks=peaks,
        renditions=renditions,
    )


async def _save_covers(cover: bytes | None, workdir: Path, limits: MediaLimits) -> dict[int, Path]:
    """Covers are a gift: one that cannot be used never fails the track."""
    if cover is None:
        return {}
    try:
        images = await make_images(cover, COVER_SIZES, limits=limits)
    except MediaUnavailable:
        raise  # nothing is wrong with it
    except VezaError:
        return {}
    paths = {size: workdir / f"cover_{size}.jpg" for size in images}
    for size, path in paths.items():
        await asyncio.to_thread(path.write_bytes, images[size])
    return paths


class _Progress:
    """Rising whole percents, told on the event loop; a reader in a thread only leaves a number."""

    def __init__(self, listener: OnProgress) -> None:
        self._listener = listener
        self._told = -1

    async def to(self, percent: int) -> None:
        """Tell, if it is news."""
        if percent > self._told:
            self._told = percent
            answer = self._listener(percent)
            if inspect.isawaitable(answer):
                await answer

    async def over(
        self, first: int, last: int, start: Callable[[Callable[[float], None]], Coroutine[Any, Any, T]]
    ) -> T:
        """Run a step that reports parts of itself from 0 to 1, as percents from first to last."""
        part = 0.0

        def heard(value: float) -> None:
            nonlocal part
            part = value

        step = asyncio.ensure_future(start(heard))
        try:
            while not step.done():
                await asyncio.wait({step}, timeout=_TELL_EVERY)
                await self.to(first + int(part * (last - first)))
            return await step
        finally:
            if not step.done():
                step.cancel()
                await asyncio.wait({step})
