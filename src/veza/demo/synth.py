"""A small synthesiser: voices with envelopes, drums, and a mix of two channels. Deterministic."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

RATE = 44_100  # Hz
Sound = npt.NDArray[np.float64]
Voice = Callable[[float, Sound], Sound]  # a frequency in Hz and moments in seconds


def soft(hertz: float, time: Sound) -> Sound:
    """A pad: three slightly different tones, swelling and falling."""
    wave = sum(np.sin(2 * np.pi * hertz * (1 + drift) * time) for drift in (-0.003, 0.0, 0.004))
    return np.asarray(wave) / 3 * _envelope(time, attack=0.4, release=0.6)


def pluck(hertz: float, time: Sound) -> Sound:
    """A string: overtones that die the sooner the higher they are."""
    wave = sum(np.sin(2 * np.pi * hertz * n * time) / n * np.exp(-time * 2.5 * n) for n in range(1, 8))
    return np.asarray(wave) * _envelope(time, attack=0.004, release=0.05)


def bell(hertz: float, time: Sound) -> Sound:
    """A bell: one tone bends the other."""
    bend = np.sin(2 * np.pi * hertz * 3.51 * time) * 2 * np.exp(-time * 3)
    return np.asarray(np.sin(2 * np.pi * hertz * time + bend) * np.exp(-time * 2))


def reed(hertz: float, time: Sound) -> Sound:
    """A reed: odd overtones, with a slow tremor."""
    bent = time + 0.0004 * np.sin(2 * np.pi * 5 * time)
    wave = sum(np.sin(2 * np.pi * hertz * n * bent) / n for n in (1, 3, 5, 7))
    return np.asarray(wave) * 0.7 * _envelope(time, attack=0.05, release=0.12)


def bass(hertz: float, time: Sound) -> Sound:
    """A bass: round, with an edge."""
    wave = np.tanh(2 * np.sin(2 * np.pi * hertz * time) + 0.4 * np.sin(4 * np.pi * hertz * time))
    return np.asarray(wave) * _envelope(time, attack=0.008, release=0.06)


class Mix:
    """Two channels to which sounds are added; ``seed`` decides what noise sounds like."""

    def __init__(self, seconds: float, seed: int) -> None:
        self._sound = np.zeros((round(seconds * RATE), 2))
        self._dice = np.random.default_rng(seed)
        # A song says most of its notes again and again.
        self._notes: dict[tuple[Voice, float, int], Sound] = {}

    def play(
        self, voice: Voice, note: float, at: float, length: float, *, loud: float = 0.3, side: float = 0.0
    ) -> None:
        """A note (69 is 440 Hz) from ``at`` on, in seconds; ``side`` from -1, left, to 1, right."""
        frames = round(length * RATE)
        known = (voice, note, frames)
        if known not in self._notes:
            self._notes[known] = voice(440 * 2 ** ((note - 69) / 12), np.arange(frames) / RATE)
        self._add(self._notes[known] * loud, at, side)

    def kick(self, at: float, loud: float = 0.7) -> None:
        """A bass drum: a tone that falls."""
        time = np.arange(round(0.3 * RATE)) / RATE
        self._add(np.sin(2 * np.pi * (50 * time - 6 * np.exp(-time * 30))) * np.exp(-time * 14) * loud, at, 0)

    def snare(self, at: float, loud: float = 0.35) -> None:
        """A snare: noise over a short tone."""
        time = np.arange(round(0.2 * RATE)) / RATE
        noise = self._dice.standard_normal(len(time)) * np.exp(-time * 22)
        self._add((noise + np.sin(2 * np.pi * 190 * time) * np.exp(-time * 30)) * loud * 0.6, at, 0.1)

    def hat(self, at: float, loud: float = 0.12) -> None:
        """A cymbal: the bright part of noise."""
        noise = np.diff(self._dice.standard_normal(round(0.06 * RATE) + 1))
        self._add(noise * np.exp(-np.arange(len(noise)) / RATE * 70) * loud, at, -0.3)

    def _add(self, sound: Sound, at: float, side: float) -> None:
        start = round(at * RATE)
        part = self._sound[start : start + len(sound)]
        angle = (side + 1) * np.pi / 4
        part += sound[: len(part), None] * (np.cos(angle), np.sin(angle)) * np.sqrt(2)

    def finish(self) -> npt.NDArray[np.float32]:
        """The whole, with an echo, a gentle end, and room to the top: (frames, 2)."""
        sound, late = self._sound.copy(), round(0.33 * RATE)
        if len(sound) > late:
            sound[late:] += self._sound[:-late, ::-1] * 0.25
        fade = min(len(sound), round(1.5 * RATE))
        sound[len(sound) - fade :] *= np.linspace(1, 0, fade)[:, None] ** 2
        loudest = float(np.abs(sound).max()) or 1.0
        return np.tanh(sound / loudest * 1.2).astype(np.float32) * np.float32(0.8)


def _envelope(time: Sound, *, attack: float, release: float) -> Sound:
    """From silence to full, and back at the end."""
    length = len(time) / RATE
    return np.minimum(np.minimum(time / attack, (length - time) / release), 1).clip(0)
