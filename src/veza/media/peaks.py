"""The picture of a track: the lowest and the highest sample of each fiftieth of a second.

Stored as audiowaveform's ``.dat`` version 2 with 8 bits and one channel (the envelope over all channels, so
that nothing cancels out), little endian: int32 version = 2, uint32 flags = 1 (8 bits), int32 sample rate,
int32 samples per pixel, uint32 length, int32 channels, then length pairs of int8 (lowest, highest).
Source: https://github.com/bbc/audiowaveform/blob/master/doc/DataFormat.md
"""

import struct

import msgspec
import numpy as np
import numpy.typing as npt

PIXELS_PER_SECOND = 50
_HEADER = struct.Struct("<iIiiIi")
_Samples = npt.NDArray[np.float32]


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
        pairs = np.frombuffer(self.data, np.int8).reshape(-1, 2)
        factor = -(-len(pairs) // pixels)
        if factor <= 1:
            return self
        starts = np.arange(0, len(pairs), factor)
        low = np.minimum.reduceat(pairs[:, 0], starts)
        high = np.maximum.reduceat(pairs[:, 1], starts)
        data = np.stack((low, high), axis=1).tobytes()
        return Peaks(self.sample_rate, self.samples_per_pixel * factor, data)

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
            "data": np.frombuffer(shown.data, np.int8).tolist(),
        }


class PeaksBuilder:
    """Draws peaks from samples as they come, in memory that does not grow with them but for the picture."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._rate = sample_rate
        self._per_pixel = max(sample_rate // PIXELS_PER_SECOND, 1)
        self._rest: _Samples = np.empty((0, channels), np.float32)
        self._parts: list[bytes] = []

    def add(self, samples: _Samples) -> bool:
        """Take samples of shape (frames, channels); False if one of them is NaN or infinite."""
        if len(self._rest):
            samples = np.concatenate((self._rest, samples))
        whole = len(samples) // self._per_pixel
        cut = whole * self._per_pixel
        self._rest = samples[cut:].copy()
        return self._draw(samples[:cut].reshape(whole, -1)) if whole else True

    def finish(self) -> Peaks:
        """The picture, with a last pixel for what is left."""
        if len(self._rest):
            self._draw(self._rest.reshape(1, -1))
            self._rest = self._rest[:0]
        return Peaks(self._rate, self._per_pixel, b"".join(self._parts))

    def _draw(self, rows: _Samples) -> bool:
        pairs = np.stack((rows.min(axis=1), rows.max(axis=1)), axis=1)  # both hand NaN and infinity on
        finite = bool(np.isfinite(pairs).all())
        scaled = np.nan_to_num(np.clip(pairs, -1.0, 1.0)) * 127
        self._parts.append(np.rint(scaled).astype(np.int8).tobytes())
        return finite
