"""Many files at once: copied in from elsewhere, and made durable together.

An fsync waits for the disk; thousands of small files would wait thousands of times. The files of one batch
are synced together by a ``syncfs``, which returns when everything on that file system is on the disk, and
once more when they have their names: so a batch waits twice, however many files are in it.

What is relied on: a file has its name only when its content is on the disk. In a vault, and in a storage that
is restored, a name alone says that the content need not be copied again; a name that came to the disk before
its content, as a file system may have it, would be believed after a power cut. Source: syncfs(2), which tells
of failed writes since Linux 5.8.
"""

import ctypes
import fcntl
import hashlib
import os
import platform
import re
import weakref
from collections.abc import Sequence
from contextlib import suppress
from errno import EINVAL, ENOSYS, EOPNOTSUPP, EXDEV
from pathlib import Path

from veza.core.storage_files import rename_into, sync_file, sync_folders

_FICLONE = 0x40049409  # linux/fs.h
_TELLS_OF_ERRORS = (5, 8)
_SMALL = 1 << 20  # bytes; beside them a clone saves nothing
_NOT_HERE = frozenset({EINVAL, ENOSYS, EOPNOTSUPP, EXDEV})


def copy_in(source: int, target: Path) -> tuple[int, str]:
    """Copy an open file to a new ``target``: its size in bytes, and its SHA-256. Not durable yet.

    Shares the blocks where the file system can, and else has the kernel copy. Raises OSError, and leaves
    nothing then.
    """
    try:
        with target.open("xb+") as file:
            os.lseek(source, 0, os.SEEK_SET)
            first = os.read(source, _SMALL)
            if len(first) < _SMALL and not os.read(source, 1):
                file.write(first)
                return len(first), hashlib.sha256(first).hexdigest()
            if not _cloned(source, file.fileno()):
                _copy(source, file.fileno())
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return os.fstat(file.fileno()).st_size, digest
    except OSError:
        target.unlink(missing_ok=True)
        raise


def _cloned(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:  # most file systems cannot
        return False
    return True


def _copy(source: int, target: int) -> None:
    at = 0
    while True:
        try:
            count = os.copy_file_range(source, target, 1 << 30, at, at)
        except (OSError, AttributeError) as error:
            if isinstance(error, OSError) and error.errno not in _NOT_HERE:
                raise
            count = os.pwrite(target, os.pread(source, _SMALL, at), at)
        if count == 0:
            return
        at += count


class Syncer:
    """Syncs all of a file system in one call; held from before the files are written.

    Kept open, for a failed write is told to whoever had a descriptor when it happened.
    """

    def __init__(self, folder: Path) -> None:
        self._handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.close = weakref.finalize(self, os.close, self._handle)
        self._call = ctypes.CDLL(None, use_errno=True).syncfs if _can_sync_all() else None

    def sync_files(self, paths: Sequence[Path]) -> None:
        """Make what is in these files durable. Raises OSError."""
        if self._call is not None:
            self.sync()
            return
        for path in paths:
            sync_file(path)

    def sync_names(self, paths: Sequence[Path], top: Path) -> None:
        """Make the names of these files below ``top`` durable. Raises OSError."""
        if self._call is not None:
            self.sync()
            return
        for path in paths:
            sync_folders(path, top)

    def sync(self) -> None:
        """Make all that was written there durable, by whomever; where the kernel can tell. Raises OSError."""
        if self._call is None:
            os.sync()
        elif self._call(self._handle) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


def _can_sync_all() -> bool:
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    return (
        platform.system() == "Linux"
        and found is not None
        and tuple(map(int, found.groups())) >= _TELLS_OF_ERRORS
    )


def move_all_durably(pairs: Sequence[tuple[Path, Path]], top: Path, syncer: Syncer) -> None:
    """Let each source become its target, all on the file system of ``top``, once its content is durable.

    The sources are gone afterwards. Raises OSError, and then has removed the targets as well.
    """
    if not pairs:
        return
    moved: list[Path] = []
    try:
        syncer.sync_files([source for source, _ in pairs])
        for source, target in pairs:
            rename_into(source, target, top)
            moved.append(target)
        syncer.sync_names(moved, top)
    except OSError:
        for path in (*moved, *(source for source, _ in pairs)):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise
