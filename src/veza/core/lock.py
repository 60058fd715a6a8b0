"""One process for one data folder: a second one is refused, not left to spoil the first one's work."""

import fcntl
import os
import time
from pathlib import Path
from typing import Self


class InUse(Exception):
    """Another Veza uses this data folder."""


_FILE = "veza.lock"
# Seconds. A child of a process that was killed holds its lock until it has become the program it is made for,
# and whoever looks whether a folder is locked holds one meanwhile.
_PATIENCE = 1.0
_PAUSE = 0.02


class FolderLock:
    """Held for as long as the process lives; the kernel lets go of it, however the process ends.

    Raises :class:`InUse`, after a second. Source: flock(2), of locks and fork.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        ends = time.monotonic() + _PATIENCE
        while not self._take():
            if time.monotonic() > ends:
                os.close(self._file)
                raise InUse(f"another Veza is running on {folder}; stop it first.")
            time.sleep(_PAUSE)

    def _take(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


def is_locked(folder: Path) -> bool:
    """Whether a process has this folder; nothing is made to find out."""
    try:
        file = os.open(folder / _FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False
