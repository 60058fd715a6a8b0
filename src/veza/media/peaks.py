"""The picture of a track: the lowest and the highest sample of each fiftieth of a second.

Stored as audiowaveform's ``.dat`` version 2 with 8 bits and one channel (the envelope over all channels, so
that nothing cancels out), little endian: int32 version = 2, uint32 flags = 1 (8 bits), int32 sample rate,
int32 samples per pixel, uint32 length, int32 channels, then length pairs of int8 (lowest, highest).
Source: https://github.com/bbc/audiowaveform/blob/master/doc/DataFormat.md
"""

import struct
from array import array

import msgspec

PIXELS_PER_SECOND = 50
_HEADER = struct.Struct("<iIiiIi")


class Peaks(msgspec.Struct, frozen=True):
    """Pairs (lowest, highest) in ``data`` as int8, one for ``samples_per_pixel`` samples."""

    sample_rate: int
    samples_per_pixel: int
    data: bytes

    @property
    def length(self) -> int:
        """How many pairs there are."""
        return len(self.data) // 2

    def to_dat(self) -> bytes:
        """The file as it is stored."""
        return _HEADER.pack(2, 1, self.sample_rate, self.samples_per_pixel, self.length, 1) + self.data

    @classmethod
    def from_dat(cls, stored: bytes) -> "Peaks":
        """The inverse; raises ValueError if it is not one of ours."""
        if len(stored) < _HEADER.size:
            raise ValueError("too short for a peaks file")
        version, flags, rate, per_pixel, length, channels = _HEADER.unpack_from(stored)
        if (version, flags, channels) != (2, 1, 1) or len(stored) != _HEADER.size + 2 * length:
            raise ValueError("not a peaks file of version 2, 8 bits, one channel")
        return cls(rate, per_pixel, stored[_HEADER.size :])

    def coarser(self, pixels: int) -> "Peaks":
        """The same picture in at most so many pairs."""
        factor = -(-self.length // pixels)
        if factor <= 1:
            return self
        from veza.media.drawing import envelope  # noqa: PLC0415 - a server that draws nothing loads no numpy

        return Peaks(self.sample_rate, self.samples_per_pixel * factor, envelope(self.data, factor))

    def to_json(self, pixels: int | None = None) -> dict[str, int | list[int]]:
        """The JSON form of audiowaveform; with ``pixels``, so coarse as to have at most so many pairs."""
        shown = self.coarser(pixels) if pixels else self
        return {
            "version": 2,
            "channels": 1,
            "sample_rate": shown.sample_rate,
            "samples_per_pixel": shown.samples_per_pixel,
            "bits": 8,
            "length": shown.length,
            "data": array("b", shown.data).tolist(),
        }
