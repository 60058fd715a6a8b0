"""What a file is, by what it holds: never by its name.

Sources: ID3v2.4 structure, ISO 11172-3 (frame headers), RFC 9639 (FLAC), RFC 3533 (Ogg), EBU Tech 3306
(RF64), AIFF 1.3, ISO 14496-12 (boxes), ISO 13818-7 (ADTS).
"""

import os
import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import msgspec

from veza.media.errors import EmptyFile, UnsupportedAudio
from veza.media.isobmff import holds_only_audio

_PCM = ("u8", "s8", "s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "f32le", "f32be", "f64le", "f64be")
_PCM_DECODERS = tuple(f"pcm_{name}" for name in (*_PCM, "alaw", "mulaw"))


class AudioFormat(msgspec.Struct, frozen=True):
    """A format that we accept: its name in the API, MIME type, and ffmpeg's demuxer and decoders for it."""

    name: str
    mime: str
    demuxer: str
    decoders: tuple[str, ...]


MP3 = AudioFormat("mp3", "audio/mpeg", "mp3", ("mp3float", "mp3"))
WAV = AudioFormat("wav", "audio/wav", "wav", (*_PCM_DECODERS, "adpcm_ms", "adpcm_ima_wav"))
FLAC = AudioFormat("flac", "audio/flac", "flac", ("flac",))
OGG = AudioFormat("ogg", "audio/ogg", "ogg", ("vorbis", "opus", "libopus"))
AIFF = AudioFormat("aiff", "audio/aiff", "aiff", (*_PCM_DECODERS, "adpcm_ima_qt"))
M4A = AudioFormat("m4a", "audio/mp4", "mov,mp4,m4a,3gp,3g2,mj2", ("aac", "alac", "flac", "opus", "libopus"))
AAC = AudioFormat("aac", "audio/aac", "aac", ("aac",))
FORMATS = {kind.name: kind for kind in (MP3, WAV, FLAC, OGG, AIFF, M4A, AAC)}


class Sniffed(msgspec.Struct, frozen=True):
    """A format, and where the audio begins: behind ID3 tags and garbage (bytes)."""

    format: AudioFormat
    audio_offset: int = 0


_HEAD = 4096
_GARBAGE = 2 << 20  # bytes before the first frame that we look through
_MAX_TAGS = 16
# What is surely something else, though MPEG frames may follow (a ZIP can store an MP3 as it is).
_FOREIGN = re.compile(
    rb"PK\x03\x04|PK\x05\x06|%PDF|MZ|\x7fELF|\xca\xfe\xba\xbe|[\xce\xcf]\xfa\xed\xfe|GIF8|\x89PNG|\xff\xd8\xff|BM|"
    rb"RIFF|FORM|Rar!|7z\xbc\xaf|\x1f\x8b|BZh|\xfd7zXZ|\x1aE\xdf\xa3|FLV|\x00\x00\x01[\xba\xb3]|\x30\x26\xb2\x75|"
    rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff|\s)*(?:<|#|\[|\{|ffconcat)"
)


def sniff(source: Path) -> Sniffed:
    """Which format this file is in.

    Reads at most a few MiB; call it in a thread. Raises EmptyFile, UnsupportedAudio.
    """
    with source.open("rb") as file:
        return sniff_file(file)


def sniff_file(file: BinaryIO) -> Sniffed:
    """The same, of an open file; its position afterwards is undefined."""
    size = os.fstat(file.fileno()).st_size
    if size == 0:
        raise EmptyFile
    offset = _behind_tags(file)
    file.seek(offset)
    head = file.read(_HEAD)
    found = _by_magic(file, head, size) if offset == 0 else None
    if head.startswith(b"fLaC"):
        found = Sniffed(FLAC, offset)
    found = found or _mpeg(file, offset, head, size)
    if found is None:
        raise UnsupportedAudio
    return found


def _by_magic(file: BinaryIO, head: bytes, size: int) -> Sniffed | None:
    if head[:4] in {b"RIFF", b"RF64", b"BW64"} and head[8:12] == b"WAVE":
        return Sniffed(WAV)
    if head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}:
        return Sniffed(AIFF)
    if head[:4] == b"OggS" and _ogg_is_audio(head):
        return Sniffed(OGG)
    if head[4:8] == b"ftyp" and holds_only_audio(file, size):
        return Sniffed(M4A)
    return None


def _behind_tags(file: BinaryIO) -> int:
    """Where the ID3v2 tags at the beginning end, and the zeros that some writers leave behind them."""
    offset = 0
    for _ in range(_MAX_TAGS):
        file.seek(offset)
        header = file.read(10)
        sized = len(header) == 10 and all(byte < 0x80 for byte in header[6:])  # noqa: PLR2004 - synchsafe
        if header[:3] != b"ID3" or not sized:
            break
        length = header[6] << 21 | header[7] << 14 | header[8] << 7 | header[9]
        offset += 10 + length + (10 if header[5] & 0x10 else 0)
    if offset:
        file.seek(offset)
        padding = file.read(_GARBAGE)
        offset += len(padding) - len(padding.lstrip(b"\0"))
    return offset


def _ogg_is_audio(head: bytes) -> bool:
    """Whether the first pages begin Vorbis or Opus streams, and none begins anything else (video, say)."""
    kinds = []
    position = 0
    while head[position : position + 4] == b"OggS" and len(head) > position + 27:
        if not head[position + 5] & 2:  # only pages that begin a stream; these stand first (RFC 3533, 4)
            break
        segments = head[position + 26]
        body = position + 27 + segments
        kinds.append(head[body : body + 8])
        position = body + sum(head[position + 27 : body])
    audio = [kind.startswith(b"\x01vorbis") or kind == b"OpusHead" for kind in kinds]
    # A skeleton stream describes the others and is harmless.
    others = [kind for kind, known in zip(kinds, audio, strict=True) if not known and kind != b"fishead\0"]
    return any(audio) and not others


# --- MPEG audio frames and ADTS ----------------------------------------------------------------------

_LAYER_3 = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]", re.DOTALL)
_ADTS = re.compile(rb"\xff[\xf0\xf1\xf8\xf9]", re.DOTALL)
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
# Of a window and a position: the length of the frame there, and what its successors must share with it.
_Step = Callable[[bytes, int], tuple[int, object] | None]
_SURE = 8  # frames in a row that are no accident in garbage
# So often garbage may look like a frame: by accident some two hundred times in what is looked at. Each costs
# up to eight steps, and what is made of nothing else cost seconds before it was refused.
_MOST_ACCIDENTS = 4_000


def _mpeg(file: BinaryIO, offset: int, head: bytes, size: int) -> Sniffed | None:
    """MP3 or ADTS: frames in a row, at once or behind some garbage."""
    if _FOREIGN.match(head):
        return None
    file.seek(offset)
    window = file.read(_GARBAGE + (64 << 10))
    at_end = offset + len(window) >= size
    for kind, pattern, step in ((MP3, _LAYER_3, _mp3_frame), (AAC, _ADTS, _adts_frame)):
        for match in islice(pattern.finditer(window, 0, _GARBAGE), _MOST_ACCIDENTS):
            start = match.start()
            if _frames(window, start, step, _SURE if start else 2, at_end=at_end):
                return Sniffed(kind, offset + start)
    return None


def _frames(window: bytes, start: int, step: _Step, wanted: int, *, at_end: bool) -> bool:
    """Whether so many frames of one kind follow each other from here (fewer when the file ends there)."""
    position, first = start, None
    for count in range(wanted):
        # The file may end after one whole frame, with an ID3v1 tag (128 bytes) behind it.
        if at_end and count and not start and len(window) - 128 <= position <= len(window):
            return True
        found = step(window, position)
        if found is None or (first is not None and found[1] != first):
            return False
        length, first = found
        position += length
    return True


def _mp3_frame(window: bytes, position: int) -> tuple[int, object] | None:
    header = window[position : position + 4]
    if len(header) < 4 or not _LAYER_3.match(header):  # noqa: PLR2004 - bytes of a header
        return None
    version, kbits, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if rate == 3:  # noqa: PLR2004 - reserved
        return None
    rate = _RATES[version][rate]
    bits = (_KBITS_1 if version == 3 else _KBITS_2)[kbits] * 1000  # noqa: PLR2004 - MPEG 1
    samples = 1152 if version == 3 else 576  # noqa: PLR2004 - MPEG 1
    return samples * bits // 8 // rate + (header[2] >> 1 & 1), (version, rate)


def _adts_frame(window: bytes, position: int) -> tuple[int, object] | None:
    header = window[position : position + 7]
    if len(header) < 7 or not _ADTS.match(header):  # noqa: PLR2004 - bytes of a header
        return None
    rate, channels = header[2] >> 2 & 15, (header[2] & 1) << 2 | header[3] >> 6
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    if rate > 12 or length < 7:  # noqa: PLR2004 - indexes that are not reserved
        return None
    return length, (rate, channels)
