"""Files as no honest program writes them."""

import struct
import zlib
from collections.abc import Iterable


def synchsafe(number: int) -> bytes:
    """28 bits in four bytes of seven (ID3v2.4, 6.2)."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def id3_frame(name: str, content: bytes, flags: int = 0) -> bytes:
    """A frame of ID3v2.4."""
    return name.encode() + synchsafe(len(content)) + struct.pack(">H", flags) + content


def id3(frames: Iterable[bytes], declared: int | None = None) -> bytes:
    """An ID3v2.4 tag."""
    body = b"".join(frames)
    return b"ID3\x04\x00\x00" + synchsafe(len(body) if declared is None else declared) + body


def apic(image: bytes, declared: int | None = None) -> bytes:
    """A front cover; with another length than it has, if wanted."""
    content = b"\x00image/png\x00\x03\x00" + image
    frame = id3_frame("APIC", content)
    return frame if declared is None else frame[:4] + synchsafe(declared) + frame[8:]


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG that says so large it is, with whatever pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def wav(
    data: bytes,
    *,
    code: int = 1,
    channels: int = 1,
    rate: int = 8000,
    bits: int = 16,
    align: int | None = None,
    data_size: int | None = None,
    riff: bytes = b"RIFF",
    before_data: bytes = b"",
    with_format: bool = True,
) -> bytes:
    """A WAV file whose every number can be a lie."""
    block = channels * bits // 8 if align is None else align
    form = struct.pack(
        "<4sIHHIIHH",
        *(b"fmt ", 16, code, channels & 0xFFFF, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, bits),
    )
    size = len(data) if data_size is None else data_size
    body = b"WAVE" + (form if with_format else b"") + before_data + b"data" + struct.pack("<I", size) + data
    return riff + struct.pack("<I", min(len(body), 0xFFFFFFFF)) + body


def ogg_pages(data: bytes) -> list[bytes]:
    """The pages of an Ogg file (RFC 3533)."""
    pages = []
    while data:
        segments = data[26]
        length = 27 + segments + sum(data[27 : 27 + segments])
        pages.append(data[:length])
        data = data[length:]
    return pages


def ogg_page(
    page: bytes, *, flags: int | None = None, granule: int | None = None, right: bool = True
) -> bytes:
    """The page with another header; with a wrong checksum, if wanted."""
    changed = bytearray(page)
    if flags is not None:
        changed[5] = flags
    if granule is not None:
        changed[6:14] = struct.pack("<Q", granule & 0xFFFF_FFFF_FFFF_FFFF)
    changed[22:26] = bytes(4)
    changed[22:26] = struct.pack("<I", _ogg_crc(bytes(changed)) if right else 0x12345678)
    return bytes(changed)


def _ogg_crc(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc


def mp3_frames(data: bytes) -> list[bytes]:
    """The frames of a clean MP3 of ffmpeg's (MPEG 1 or 2, Layer III), tags left out."""
    kbits = {3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)}
    kbits[2] = kbits[0] = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    rates = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
    tag = sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True)) + 10
    position = tag if data[:3] == b"ID3" else 0
    frames = []
    while position + 4 <= len(data) and data[position] == 0xFF:
        version = data[position + 1] >> 3 & 3
        rate = rates[version][data[position + 2] >> 2 & 3]
        bits = kbits[version][data[position + 2] >> 4] * 1000
        length = (1152 if version == 3 else 576) * bits // 8 // rate + (data[position + 2] >> 1 & 1)
        frames.append(data[position : position + length])
        position += length
    return frames
