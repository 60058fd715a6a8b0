"""Loudness by EBU R128 (ITU-R BS.1770): measured by ffmpeg's ebur128 filter, read from its summary."""

import math
import re

import msgspec

FILTER = "ebur128=peak=true:framelog=quiet"
SILENCE = -70.0  # LUFS: the absolute gate of BS.1770; below it there is no loudness


class Loudness(msgspec.Struct, frozen=True):
    """Integrated loudness (LUFS), loudness range (LU) and true peak (dBTP); None of silence."""

    integrated: float | None = None
    range: float | None = None
    true_peak: float | None = None


def parse_summaries(log: str) -> list[Loudness]:
    """Every summary in a log: one, unless the decoder changed rate or layout midway (then one a part)."""
    return [
        _read(part.partition("[out#")[0])
        for part in re.split(r"^\[Parsed_ebur128_\d+ @ [^\]]*\] Summary:", log, flags=re.MULTILINE)[1:]
    ]


def _read(summary: str) -> Loudness:
    integrated = _number(r"\bI:\s+(\S+) LUFS", summary)
    if integrated is None or integrated <= SILENCE:
        integrated = None
    return Loudness(
        integrated=integrated,
        range=_number(r"\bLRA:\s+(\S+) LU\b", summary) if integrated is not None else None,
        true_peak=_number(r"\bPeak:\s+(\S+) dBFS", summary),
    )


def _number(pattern: str, text: str) -> float | None:
    """A finite number, else None: NaN and -inf are never stored."""
    found = re.search(pattern, text)
    try:
        value = float(found.group(1)) if found else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
