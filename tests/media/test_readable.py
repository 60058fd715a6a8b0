"""Tags that tinytag misreads by itself."""

import random
import re
import struct
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from tinytag import TinyTag

from tests.media.hostile import id3, id3_frame, mp3_frames, synchsafe
from veza.media import MediaLimits
from veza.media.headers import read_headers
from veza.media.readable import readable
from veza.media.tags import read_tags

TITLE, ARTIST = "Žluťoučký ÿ", "Àna"
# Full of what must not be in a tag as it is, and of what it is replaced by.
COVER = b"\xff\xd8\xff\xe0" + b"\xff\x00\x00\xff\xf0" * 20 + bytes(range(256)) + b"\xff\xd9\xff"
SOUND = b"\xff\xfb\x90\x00" + b"\xff\x00\xff\xe0" * 100


def unsynchronised(data: bytes) -> bytes:
    return re.sub(rb"\xff(?=[\xe0-\xff\x00]|$)", b"\xff\x00", data)


def contents(picture: bytes = b"image/jpeg\x00") -> list[bytes]:
    texts = [b"\x01" + text.encode("utf-16") for text in (TITLE, ARTIST)]
    return [*texts, b"\x00" + picture + b"\x03\x00" + COVER]


def frames(form: str, names: str = "TIT2 TPE1 APIC") -> bytes:
    pairs = zip(names.split(), contents(), strict=True)
    return b"".join(name.encode() + struct.pack(form, len(content), 0) + content for name, content in pairs)


def newer(flags: int, change: Callable[[bytes], bytes]) -> bytes:
    names = ("TIT2", "TPE1", "APIC")
    made = [id3_frame(name, change(one), flags) for name, one in zip(names, contents(), strict=True)]
    return b"".join(made)


def tag(version: int, flags: int, body: bytes) -> bytes:
    body += bytes(32)
    return b"ID3" + bytes([version, 0, flags]) + synchsafe(len(body)) + body


def oldest() -> bytes:
    named = zip(("TT2", "TP1", "PIC"), contents(b"JPG"), strict=True)
    return b"".join(name.encode() + len(content).to_bytes(3) + content for name, content in named)


OLDER, PLAIN = frames(">IH"), newer(0, bytes)
EXTENDED = {3: struct.pack(">IHI", 6, 0, 0), 4: synchsafe(6) + b"\x01\x00"}
TAGS = {
    "2.2, unsynchronised": tag(2, 0x80, unsynchronised(oldest())),
    "2.3, unsynchronised": tag(3, 0x80, unsynchronised(OLDER)),
    "2.3, said to be unsynchronised": tag(3, 0x80, OLDER),
    "2.3, extended": tag(3, 0x40, EXTENDED[3] + OLDER),
    "2.3, extended and unsynchronised": tag(3, 0xC0, unsynchronised(EXTENDED[3] + OLDER)),
    "2.4, unsynchronised with lengths": tag(
        4, 0x80, newer(0x03, lambda one: synchsafe(len(one)) + unsynchronised(one))
    ),
    "2.4, unsynchronised by frames": tag(4, 0, newer(0x02, unsynchronised)),
    "2.4, unsynchronised as a whole": tag(4, 0x80, newer(0, unsynchronised)),
    "2.4, said to be unsynchronised": tag(4, 0x80, newer(0x02, bytes)),
    "2.4, with lengths": tag(4, 0, newer(0x01, lambda one: synchsafe(len(one)) + one)),
    "2.4, grouped": tag(4, 0, newer(0x40, lambda one: b"\x07" + one)),
    "2.4, sizes of eight bits": tag(4, 0, frames(">IH")),
    "2.4, extended": tag(4, 0x40, EXTENDED[4] + PLAIN),
    "2.4, compressed beside others": tag(4, 0, id3_frame("TIT2", b"\x00\x00\x00\x09squeezed", 0x09) + PLAIN),
}
AS_IT_IS = {"2.2": tag(2, 0, oldest()), "2.3": tag(3, 0, OLDER), "2.4": tag(4, 0, PLAIN), "none": SOUND}


def read(file: bytes) -> tuple[str | None, str | None, bytes | None]:
    found = TinyTag.get(file_obj=readable(BytesIO(file)), image=True, duration=False)
    image = found.images.any
    return found.title, found.artist, image and image.data


@pytest.mark.parametrize("kind", TAGS)
def test_a_tag_is_read_as_it_is_meant(kind: str) -> None:
    """M15: else its title was noise, which took the place of a good one, and its cover was lost."""
    file = TAGS[kind] + SOUND
    assert read(file) == (TITLE, ARTIST, COVER)
    shown = readable(BytesIO(file)).read()
    assert (len(shown), shown[len(TAGS[kind]) :]) == (len(file), SOUND)


@pytest.mark.parametrize("kind", AS_IT_IS)
def test_what_is_plain_is_left_alone(kind: str) -> None:
    file = BytesIO(AS_IT_IS[kind] + SOUND)
    assert readable(file) is file
    if kind != "none":
        assert read(file.getvalue()) == (TITLE, ARTIST, COVER)


async def test_both_readers_read_it(sample: Callable[[str], Path], tmp_path: Path) -> None:
    """In the sandbox, of a file that is sound behind its tag."""
    song = tmp_path / "song.mp3"
    song.write_bytes(TAGS["2.3, unsynchronised"] + b"".join(mp3_frames(sample("a.mp3").read_bytes())))
    tags = await read_tags(song, MediaLimits())
    assert (tags.title, tags.artist, tags.cover) == (TITLE, ARTIST, COVER)
    (headers,) = await read_headers([song], MediaLimits())
    assert (headers.tags.title, headers.tags.artist) == (TITLE, ARTIST)
    assert headers.duration == pytest.approx(2.0, abs=0.1)


def test_no_tag_is_too_broken_to_be_shown() -> None:
    """M14, M15: whatever is in it, all behind it stays in its place."""
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    for kind, good in TAGS.items():
        for _ in range(40):
            bad = bytearray(good)
            for _ in range(dice.choice((1, 3, 20))):
                # Most of what may go wrong is in heads.
                bad[dice.randrange(3, dice.choice((30, len(bad))))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF))
            file = bytes(bad[: dice.choice((len(bad), dice.randrange(len(bad))))]) + SOUND
            shown = readable(BytesIO(file)).read()
            assert len(shown) == len(file), (seed, kind, file)
            size = int.from_bytes(file[6:10])  # synchsafe, if it is one of a tag's
            if size < 1 << 14:
                behind = 10 + ((size >> 8 & 0x7F) << 7 | size & 0x7F)
                assert shown[behind:] == file[behind:], (seed, kind, file)


@pytest.mark.parametrize(
    "body",
    [id3_frame("TIT2", b"") * 400_000, id3_frame("TIT2", b"\x03a", 0x02) * 300_000, b"A" * (4 << 20)],
    ids=["frames without content", "frames with flags", "names"],
)
def test_a_tag_of_nothing_but_frames_is_soon_given_up(body: bytes) -> None:
    """M6: those behind the first thousands are not looked at."""
    began = time.thread_time()
    assert len(readable(BytesIO(id3([body]))).read()) == len(body) + 10
    assert time.thread_time() - began < 1
