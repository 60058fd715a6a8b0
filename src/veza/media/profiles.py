"""What renditions there are, and how each is made."""

import msgspec

SAMPLE_RATE = 48_000
FRAGMENT_SECONDS = 4


class Profile(msgspec.Struct, frozen=True):
    """How one rendition is made; ``bitrate`` in bit/s, 0 if the music alone decides."""

    name: str
    codec: str
    bitrate: int
    arguments: tuple[str, ...]


_MP4 = (
    "-movflags", "+delay_moov+default_base_moof",
    "-frag_duration", str(FRAGMENT_SECONDS * 1_000_000),
    "-flush_packets", "1",
    "-f", "mp4",
)  # fmt: skip
# The quick coder: at these rates the slow one (two loops) gains little and takes twice the time.
_AAC = ("-c:a", "aac", "-aac_coder", "fast")
_OPUS = ("-c:a", "libopus", "-compression_level", "5")
PROFILES = (
    Profile("aac_160", "mp4a.40.2", 160_000, (*_AAC, "-b:a", "160k", *_MP4)),
    Profile("aac_96", "mp4a.40.2", 96_000, (*_AAC, "-b:a", "96k", *_MP4)),
    Profile("opus_128", "Opus", 128_000, (*_OPUS, "-b:a", "128k", *_MP4)),
)
# Frames of a fixed length, so that the fragments' is known beforehand. Higher levels of compression gain a
# hundredth and take twice the time.
LOSSLESS = Profile(
    "flac", "fLaC", 0, ("-c:a", "flac", "-compression_level", "3", "-frame_size", "4096", *_MP4)
)


def to_stream(channels: int) -> str:
    """The filters between a decoder and the encoders that have a loss.

    Whole numbers between the two, so that no encoder meets an infinite one (floats of 1e38 are legal).
    """
    layout = "mono" if channels == 1 else "stereo"
    return f"aresample={SAMPLE_RATE}:osf=s32,aformat=channel_layouts={layout}"
