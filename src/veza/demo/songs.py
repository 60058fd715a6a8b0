"""The songs of the demo, and who is said to have made them: each a few numbers for one small composer."""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from veza.demo.synth import Mix, Voice, bass, bell, pluck, reed, soft

_BARS = 12
_MINOR, _MAJOR, _DORIAN = (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 9, 10)


class Song(msgspec.Struct, frozen=True):
    """What to play: the key as a note, beats in a minute, chords as steps of the scale, and how to beat."""

    title: str
    artist: str
    album: str
    genre: str
    form: str
    key: int
    tempo: int
    scale: Sequence[int]
    chords: Sequence[int]
    voice: Voice
    drums: str = ""
    swing: float = 0.0

    @property
    def seed(self) -> int:
        """Decides the tune, and what noise sounds like."""
        return sum(ord(letter) * (place + 1) for place, letter in enumerate(self.title))


# The people of the demo, as usernames, and the names they play under.
ARTISTS = {"lumen": "Lumen Fields", "orla": "Orla Quist", "tape.garden": "Tape Garden"}

SONGS = [
    Song("Harbour Lights", "lumen", "Slow Water", "Ambient", "flac", 57, 66, _MAJOR, (0, 4, 5, 3), soft),
    Song("Underwater Clock", "lumen", "Slow Water", "Ambient", "flac", 50, 60, _DORIAN, (0, 3, 6, 4), bell),
    Song("First Snow", "lumen", "Slow Water", "Classical", "ogg", 62, 76, _MAJOR, (0, 5, 3, 4), pluck),
    Song("Paper Moon Road", "lumen", "Far Rooms", "Folk", "mp3", 55, 96, _MAJOR, (0, 3, 0, 4), pluck, "soft"),
    Song(
        "Night Tram", "orla", "Small Hours", "Jazz", "flac", 53, 112, _DORIAN, (1, 4, 0, 5), reed, "ride", 0.3
    ),
    Song(
        "Blue Kettle", "orla", "Small Hours", "Jazz", "mp3", 58, 132, _DORIAN, (0, 3, 1, 4), reed, "ride", 0.3
    ),
    Song("Corner Table", "orla", "Small Hours", "Soul", "ogg", 51, 84, _MINOR, (0, 5, 3, 4), reed, "back"),
    Song(
        "Low Ceiling",
        "orla",
        "Small Hours",
        "Hip-Hop",
        "mp3",
        48,
        86,
        _MINOR,
        (0, 0, 5, 4),
        bell,
        "back",
        0.2,
    ),
    Song(
        "Neon Orchard",
        "tape.garden",
        "Circuit Bloom",
        "Electronic",
        "flac",
        57,
        122,
        _MINOR,
        (0, 5, 2, 6),
        pluck,
        "four",
    ),
    Song(
        "Glass Elevator",
        "tape.garden",
        "Circuit Bloom",
        "House",
        "mp3",
        55,
        126,
        _DORIAN,
        (0, 3, 4, 3),
        soft,
        "four",
    ),
    Song(
        "Pixel Rain",
        "tape.garden",
        "Circuit Bloom",
        "Chiptune",
        "ogg",
        60,
        140,
        _MAJOR,
        (0, 4, 5, 3),
        bass,
        "back",
    ),
    Song(
        "Engine Heart",
        "tape.garden",
        "Circuit Bloom",
        "Rock",
        "ogg",
        52,
        148,
        _MINOR,
        (0, 5, 6, 0),
        bass,
        "back",
    ),
]

# Of a bar of sixteen steps: where the bass drum, the snare and the cymbal fall.
_DRUMS: dict[str, tuple[Sequence[int], Sequence[int], Sequence[int]]] = {
    "": ((), (), ()),
    "soft": ((0, 8), (), (4, 12)),
    "ride": ((0,), (12,), (0, 4, 6, 8, 12, 14)),
    "back": ((0, 6, 8), (4, 12), range(0, 16, 2)),
    "four": ((0, 4, 8, 12), (4, 12), (2, 6, 10, 14)),
}


def perform(song: Song) -> npt.NDArray[np.float32]:
    """Chords, bass, tune and drums, in two channels at the synthesiser's rate."""
    step = 60 / song.tempo / 4
    bar = step * 16
    mix, dice = Mix(bar * _BARS + 2, song.seed), np.random.default_rng(song.seed)
    here = int(dice.integers(4, 9))
    for number in range(_BARS):
        at, root = number * bar, song.chords[number % len(song.chords)]
        for place, degree in enumerate((0, 2, 4)):
            mix.play(soft, _note(song, root + degree) + 12, at, bar, loud=0.16, side=place * 0.6 - 0.6)
        for beat in (0, 6, 10):
            mix.play(bass, _note(song, root) - 12, at + beat * step, step * 4, loud=0.22)
        for beat in range(0, 16, 2):
            if number and dice.random() < 0.62:  # noqa: PLR2004 - as often as it sounds well
                here = int(np.clip(here + dice.integers(-2, 3), 2, 13))
                late = song.swing * step if beat % 4 else 0.0
                loud = 0.2 + 0.1 * dice.random()
                mix.play(
                    song.voice,
                    _note(song, here) + 12,
                    at + beat * step + late,
                    step * 3.5,
                    loud=loud,
                    side=0.35,
                )
        kicks, snares, hats = _DRUMS[song.drums if number else ""]
        for beat in kicks:
            mix.kick(at + beat * step)
        for beat in snares:
            mix.snare(at + beat * step)
        for beat in hats:
            mix.hat(at + beat * step)
    return mix.finish()


def _note(song: Song, degree: int) -> int:
    octave, place = divmod(degree, len(song.scale))
    return song.key + 12 * octave + song.scale[place]
