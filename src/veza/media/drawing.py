"""Drawing peaks, with numpy: loaded only where something is drawn, for it takes 16 MB."""

import numpy as np
import numpy.typing as npt

from veza.media.peaks import PIXELS_PER_SECOND, Peaks

Samples = npt.NDArray[np.float32]


def envelope(data: bytes, factor: int) -> bytes:
    """Of each ``factor`` pairs (lowest, highest) the lowest and the highest."""
    pairs = np.frombuffer(data, np.int8).reshape(-1, 2)
    starts = np.arange(0, len(pairs), factor)
    low = np.minimum.reduceat(pairs[:, 0], starts)
    high = np.maximum.reduceat(pairs[:, 1], starts)
    return np.stack((low, high), axis=1).tobytes()


class PeaksBuilder:
    """Draws peaks from samples as they come, in memory that does not grow with them but for the picture."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._rate = sample_rate
        self._per_pixel = max(sample_rate // PIXELS_PER_SECOND, 1)
        self._channels = channels
        self._rest: Samples = np.empty((0, channels), np.float32)
        self._parts: list[bytes] = []
        self.frames = 0
        # Whether none of the samples is NaN or infinite.
        self.finite = True

    def add(self, data: bytes, count: int) -> None:
        """Take the first ``count`` samples of ``data``: 32-bit floats in little endian, by frames."""
        samples = np.frombuffer(data, np.dtype("<f4"), count).reshape(-1, self._channels)
        self.frames += len(samples)
        if len(self._rest):
            samples = np.concatenate((self._rest, samples))
        whole = len(samples) // self._per_pixel
        cut = whole * self._per_pixel
        self._rest = samples[cut:].copy()
        if whole:
            self._draw(samples[:cut].reshape(whole, -1))

    def finish(self) -> Peaks:
        """The picture, with a last pixel for what is left."""
        if len(self._rest):
            self._draw(self._rest.reshape(1, -1))
            self._rest = self._rest[:0]
        return Peaks(self._rate, self._per_pixel, b"".join(self._parts))

    def _draw(self, rows: Samples) -> None:
        pairs = np.stack((rows.min(axis=1), rows.max(axis=1)), axis=1)  # both hand NaN and infinity on
        self.finite = self.finite and bool(np.isfinite(pairs).all())
        scaled = np.nan_to_num(np.clip(pairs, -1.0, 1.0)) * 127
        self._parts.append(np.rint(scaled).astype(np.int8).tobytes())
