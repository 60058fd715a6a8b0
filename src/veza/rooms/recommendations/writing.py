"""Writing down what was learned; :mod:`veza.rooms.recommendations.model` says how it lies in the file."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from veza.core.db.types import to_micros
from veza.rooms.recommendations.learning import Near, Numbers
from veza.rooms.recommendations.model import HEAD, MARK, Kind


@dataclass(frozen=True)
class Learned:
    """All that a model holds; ``ids`` are 16 bytes for each thing, in the order of their numbers."""

    tracks: int
    playlists: int
    ids: bytes
    near: Mapping[Kind, Near]
    charts: Mapping[Kind, Numbers]
    learned_at: datetime


def write(path: Path, learned: Learned) -> None:
    """Write a new file."""
    head = HEAD.pack(
        MARK,
        learned.tracks,
        learned.playlists,
        *(len(learned.charts[kind]) for kind in Kind),
        *(learned.near[kind].neighbours.nbytes for kind in Kind),
        to_micros(learned.learned_at),
    )
    with path.open("xb") as file:
        file.write(head)
        file.write(learned.ids)
        for kind in Kind:
            file.write(learned.near[kind].places.astype("<u4").tobytes())
            file.write(np.ascontiguousarray(learned.near[kind].neighbours).data)
        for kind in Kind:
            file.write(learned.charts[kind].astype("<u4").tobytes())
