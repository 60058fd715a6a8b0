"""Read the headers of many files with tinytag; a program for the sandbox, see :mod:`veza.media.headers`.

Its arguments are SITE_PACKAGES READABLE, the latter where ``readable.py`` is. Its stdin
is a socket over which open files come, one with each byte; it sees nothing of them but these. Writes a part
of JSON for each, an empty object where the file cannot be read.
"""

import json
import os
import runpy
import signal
import socket
import struct
import sys

sys.path.insert(0, sys.argv[1])

from tinytag import TinyTag  # behind the line that says where it is

readable = runpy.run_path(sys.argv[2])["readable"]
_TEXTS = ("title", "artist", "album", "albumartist", "genre", "year", "track")
_NUMBERS = ("duration", "samplerate", "channels", "bitdepth")
_LONGEST = 1024  # characters; cleaned and cut in the parent
_SECONDS = 5  # for one file; those in good faith take a millisecond


class _TooLong(BaseException):
    """Not an Exception, so that nothing on the way takes it for its own."""


def _stop(_signal: int, _frame: object) -> None:
    raise _TooLong


def main() -> None:
    """One file after the other, until there are no more."""
    signal.signal(signal.SIGALRM, _stop)
    files = socket.socket(fileno=0)
    while True:
        _, handles, _, _ = socket.recv_fds(files, 1, 1)
        if not handles:
            return
        part = json.dumps(_read(handles[0])).encode()
        sys.stdout.buffer.write(struct.pack(">I", len(part)) + part)
        # At once: whatever the next file does to this process, what is known of the others is safe.
        sys.stdout.buffer.flush()


def _read(handle: int) -> dict[str, object]:
    try:
        signal.alarm(_SECONDS)
        try:
            with os.fdopen(handle, "rb") as stream:
                tag = TinyTag.get(file_obj=readable(stream))
                found: dict[str, object] = {name: getattr(tag, name) for name in _NUMBERS}
                found |= {name: str(value)[:_LONGEST] for name in _TEXTS if (value := getattr(tag, name))}
                return found
        finally:
            signal.alarm(0)
    except (Exception, _TooLong):  # noqa: BLE001 - whatever a stranger's file leads to
        return {}
