"""How much one file may cost."""

import msgspec


class MediaLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What is refused as too large (422 AUDIO_TOO_LARGE), and what a decoder may use."""

    max_seconds: float = 6 * 3600.0
    max_channels: int = 8
    # Hz: half of what the oldest voice memos have. Below it there is nothing to hear, and hours of it fit
    # into a small file.
    min_sample_rate: int = 1_000
    max_sample_rate: int = 192_000  # Hz
    max_samples: int = 6 * 3600 * 48_000 * 4  # over all channels: six hours of 96 kHz stereo
    decode_seconds: float = 300.0  # wall clock of the pass that only decodes
    encode_speed: float = 2.0  # times real time that encoding must reach, on top of two minutes
    decoder_memory: int = 1 << 30  # bytes of address space of an ffmpeg
    tag_memory: int = 256 << 20  # of the tag reader
    image_memory: int = 512 << 20  # of the image scaler
    max_cover_bytes: int = 16 << 20
    max_rendition_bytes: int = 1 << 30
