"""What lies in a folder of music: every file that may be audio, at any depth."""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

# What music is named; a file with another name is looked at all the same.
SUFFIXES = {
    ".mp3",
    ".wav",
    ".flac",
    ".ogg",
    ".oga",
    ".opus",
    ".aif",
    ".aiff",
    ".aifc",
    ".m4a",
    ".mp4",
    ".aac",
}

# What the picture of an album is named that lies beside its songs, the likeliest first.
_PICTURES = [
    f"{stem}{suffix}" for stem in ("cover", "folder", "front") for suffix in (".jpg", ".jpeg", ".png")
]


class Found(msgspec.Struct, frozen=True):
    """A file: its size in bytes, and when it was last changed, in nanoseconds since 1970."""

    path: Path
    size: int
    changed: int

    @property
    def mark(self) -> str:
        """What it is known by without being read: the digest of where it is, how large, and how old."""
        words = b"%s\0%d\0%d" % (os.fsencode(self.path), self.size, self.changed)
        return hashlib.blake2b(words, digest_size=16).hexdigest()

    @property
    def should_be_music(self) -> bool:
        """Whether its name says that it is."""
        return self.path.suffix.lower() in SUFFIXES


class Walk:
    """Goes through a folder, in the order of names; afterwards knows what it ``passed`` over, and why.

    Links are followed, but no folder is entered twice. Hidden files and folders are passed over, and so are
    the folders ``without``.
    """

    def __init__(self, top: Path, without: Iterable[Path] = ()) -> None:
        self._top = top
        self._entered = {_identity(path) for path in without}
        self.passed: Counter[str] = Counter()
        self.unreadable: list[tuple[Path, str]] = []

    def files(self) -> Iterator[Found]:
        """Every file, as it is reached. Raises OSError when the folder itself cannot be read."""
        # Not by Path.resolve: before Python 3.13 a link to itself is none of the system's errors to that.
        top = Path(os.path.realpath(self._top, strict=True))
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            if (identity := _identity(folder)) in self._entered:
                continue
            self._entered.add(identity)
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError as error:
                if folder == top:
                    raise
                self.unreadable.append((folder, error.strerror or str(error)))
                continue
            folders = []
            for entry in entries:
                found = self._look_at(entry)
                if isinstance(found, Found):
                    yield found
                elif found is not None:
                    folders.append(found)
            waiting += reversed(folders)

    def _look_at(self, entry: "os.DirEntry[str]") -> Found | Path | None:
        path = Path(entry.path)
        if entry.name.startswith("."):
            self.passed["hidden"] += 1
            return None
        try:
            told = entry.stat()
        except OSError as error:
            self.unreadable.append((path, error.strerror or str(error)))
            return None
        if stat.S_ISDIR(told.st_mode):
            return path
        if not stat.S_ISREG(told.st_mode):
            self.passed["no file"] += 1
            return None
        return Found(path, told.st_size, told.st_mtime_ns)


def picture_in(folder: Path) -> Path | None:
    """Where the picture of what lies in this folder is, as collections have it; if its path is text."""
    try:
        str(folder).encode()
        names = {entry.name.lower(): entry.path for entry in os.scandir(folder)}
    except (OSError, UnicodeEncodeError):
        return None
    return next((Path(names[name]) for name in _PICTURES if name in names), None)


def read_picture(path: Path, most: int) -> bytes | None:
    """What is in such a file, if it is still there and has at most so many bytes; whatever that is."""
    try:
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(source, "rb") as file:
            told = os.fstat(source)
            return file.read(most) if stat.S_ISREG(told.st_mode) and told.st_size <= most else None
    except OSError:
        return None


def _identity(path: Path) -> tuple[int, int]:
    try:
        told = path.stat()
    except OSError:
        return (0, 0)
    return told.st_dev, told.st_ino
