"""Playlists of HLS (RFC 8216), version 7: fragmented MP4, on demand, complete from the first moment."""

from collections.abc import Sequence

import msgspec

from veza.media.fragments import Layout

MIME = "application/vnd.apple.mpegurl"
_VERSION = 7
# Segments that are shorter say nothing about the peak (RFC 8216, 4.1: half a target duration).
_TELLING = 0.5


class Variant(msgspec.Struct, frozen=True):
    """One choice of a master playlist; ``codecs`` as RFC 6381 spells it, bit rates in bit/s."""

    name: str
    codecs: str
    peak: int
    average: int


def master_playlist(variants: Sequence[Variant], query: str = "") -> str:
    """The choices, best for most first; ``query`` (without ``?``) goes along to each."""
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for variant in variants:
        lines.append(
            f"#EXT-X-STREAM-INF:BANDWIDTH={variant.peak},AVERAGE-BANDWIDTH={variant.average},"
            f'CODECS="{variant.codecs}"'
        )
        lines.append(_with(f"{variant.name}/index.m3u8", query))
    return _text(lines)


def media_playlist(rate: int, ticks: Sequence[int], query: str = "") -> str:
    """The segments of one rendition, ``rate`` ticks to the second: 1.m4s and so on, behind init.mp4."""
    target = max(1, *(int(duration / rate + 0.5) for duration in ticks))
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        f"#EXT-X-TARGETDURATION:{target}",
        "#EXT-X-MEDIA-SEQUENCE:1",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MAP:URI="{_with("init.mp4", query)}"',
    ]
    for number, duration in enumerate(ticks, 1):
        lines += [f"#EXTINF:{duration / rate:.6f},", _with(f"{number}.m4s", query)]
    return _text([*lines, "#EXT-X-ENDLIST"])


def peak_and_average(layout: Layout) -> tuple[int, int]:
    """The bit rate of the densest segment, and of all, in bit/s."""
    seconds = sum(layout.ticks) / layout.rate
    average = sum(layout.sizes) * 8 / max(seconds, 1 / layout.rate)
    telling = max(layout.ticks) * _TELLING
    peak = max(
        size * 8 * layout.rate / max(ticks, 1)
        for size, ticks in zip(layout.sizes, layout.ticks, strict=True)
        if ticks >= telling
    )
    return -int(-max(peak, average) // 1), -int(-average // 1)


def _with(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
