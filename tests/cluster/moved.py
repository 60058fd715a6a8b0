"""The clock of all nodes, moved by the tests: a file that each of them has in its memory says how far."""

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from veza.core import clock

_SECONDS = struct.Struct("d")


class SharedShift:
    """What `veza.core.clock` adds to the machine's time, as long as it is asked no more than it asks."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SECONDS.size)

    def total_seconds(self) -> float:
        seconds: float = _SECONDS.unpack(self._map[:])[0]
        return seconds

    def write(self, by: timedelta) -> None:
        self._map[:] = _SECONDS.pack(by.total_seconds())

    def __radd__(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.total_seconds())


def shift_at(path: Path) -> SharedShift:
    """The shift that a file holds, at first none."""
    path.write_bytes(_SECONDS.pack(0.0))
    return SharedShift(path)


@contextmanager
def moving(shift: SharedShift) -> Iterator[None]:
    """Within this, `clock.shifted` moves the clocks of the nodes as well."""
    here = clock.shifted

    @contextmanager
    def everywhere(by: timedelta) -> Iterator[None]:
        try:
            with here(by):
                shift.write(clock._shift)
                yield
        finally:
            shift.write(clock._shift)

    clock.shifted = everywhere
    try:
        yield
    finally:
        clock.shifted = here
