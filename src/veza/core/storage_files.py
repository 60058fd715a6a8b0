"""Files written so that they survive a power cut: whole under their name, or not there at all.

What is written is durable only once the file is fsync'd, and its name only once the folder is. After a failed
fsync the kernel may have dropped the unwritten pages and marked them clean, so that a second fsync reports
success for a file with holes: a file whose fsync failed is removed and never tried again. Source: fsync(2);
Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.
"""

import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path

from veza.core.ids import new_id

# Making a folder for a file and removing an empty one exclude each other: here by the lock; processes, which
# meet rarely, try again.
_names = threading.Lock()
_ATTEMPTS = 20


def write_durably(data: bytes, target: Path, top: Path, scratch: Path) -> int:
    """Let ``target`` hold ``data``; return its size in bytes. Raises OSError, and leaves nothing then."""
    source = scratch / new_id().hex
    try:
        source.write_bytes(data)
    except OSError:
        source.unlink(missing_ok=True)
        raise
    return move_durably(source, target, top, scratch)


def make_durably(target: Path, top: Path, size: int) -> None:
    """Let ``target``, somewhere below ``top``, be a file of ``size`` zeros that take no room yet.

    Raises OSError, and FileExistsError for one that is there.
    """
    for folder in reversed(_folders(target, top)):
        folder.mkdir(exist_ok=True, mode=0o700)
    file = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(file, size)
        os.fsync(file)
    finally:
        os.close(file)
    for folder in _folders(target, top):
        _sync_folder(folder)


def move_durably(source: Path, target: Path, top: Path, scratch: Path) -> int:
    """Let ``source`` become ``target``, somewhere below ``top``; return its size in bytes.

    ``source`` is gone afterwards, also when this fails. Raises OSError.
    """
    try:
        if source.stat().st_dev != scratch.stat().st_dev:
            source = _bring_over(source, scratch)
        size = sync_file(source)
        rename_into(source, target, top)
    except OSError:
        source.unlink(missing_ok=True)
        raise
    sync_folders(target, top)
    return size


def remove(target: Path, top: Path) -> None:
    """Remove a file, if it is there, and the folders that it leaves empty. Raises OSError."""
    target.unlink(missing_ok=True)
    with _names, suppress(OSError):  # something else lies there
        for folder in _folders(target, top)[:-1]:
            folder.rmdir()


def _bring_over(source: Path, scratch: Path) -> Path:
    """Copy a file of another file system, since names cannot move between them."""
    copy = scratch / new_id().hex
    try:
        shutil.copyfile(source, copy)
    except OSError:
        copy.unlink(missing_ok=True)
        raise
    source.unlink()
    return copy


def sync_file(path: Path) -> int:
    """Sync a file's content; its size in bytes. Raises OSError."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fsync(file)
        return os.fstat(file).st_size
    finally:
        os.close(file)


def rename_into(source: Path, target: Path, top: Path) -> None:
    """Give ``source`` the name ``target``, and make the folders for it; neither is synced. Raises OSError."""
    for attempt in range(_ATTEMPTS):
        try:
            with _names:
                for folder in reversed(_folders(target, top)):
                    folder.mkdir(exist_ok=True, mode=0o700)
                source.rename(target)
        except FileNotFoundError:  # whoever removed the last file of the folder took the folder along
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            return


def sync_folders(target: Path, top: Path) -> None:
    """Sync the folders that hold ``target``. Raises OSError."""
    # All the way up, whoever made the folders: another thread may have made one and not synced it yet.
    for folder in _folders(target, top):
        _sync_folder(folder)


def _folders(target: Path, top: Path) -> list[Path]:
    """The folders that hold ``target``, from the nearest up to ``top``."""
    return [folder for folder in target.parents if folder.is_relative_to(top)]


def _sync_folder(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # emptied and removed meanwhile: what was put there has been deleted since
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
