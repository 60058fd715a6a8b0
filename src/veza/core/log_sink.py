"""Where log lines go: into memory at once, and to the stream by a thread of its own.

A stream that is full, broken or stuck costs lines, never a request: what the stream does not take is counted.
"""

import atexit
import os
from collections import deque
from threading import Event, Lock, Thread

_MOST_LINES = 20_000
_SOON_LINES = 256
_SECONDS = 0.2
_PIECE = 64 * 1024
_LAST_SECONDS = 1.0


class Sink:
    """Lines on their way to a file descriptor: every 0.2 seconds, sooner when they are many or matter.

    ``dropped`` counts the lines that were lost.
    """

    def __init__(self, file: int) -> None:
        self.dropped = 0
        self._file = file
        self._lines: deque[bytes] = deque()
        self._wake, self._hurry = Event(), Event()
        self._idle = True
        self._closed = False
        self._writer: Thread | None = None
        self._start = Lock()

    def write(self, line: bytes, *, urgent: bool = False) -> None:
        """Take a line, with its line break; never waits, never raises."""
        lines = self._lines
        if len(lines) >= _MOST_LINES:
            self.dropped += 1
            return
        lines.append(line)
        if self._idle:
            self._idle = False
            self._rouse()
        if urgent or len(lines) == _SOON_LINES:
            self._hurry.set()

    def close(self) -> None:
        """Write what there is, for at most a second."""
        self._closed = True
        self._hurry.set()
        self._wake.set()
        if self._writer is not None:
            self._writer.join(_LAST_SECONDS)

    def _rouse(self) -> None:
        if self._writer is None:
            with self._start:
                if self._writer is None:
                    # A daemon: a stream that is stuck cannot keep the process from ending.
                    self._writer = Thread(target=self._run, name="veza-log", daemon=True)
                    self._writer.start()
                    atexit.register(self.close)
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            self._hurry.wait(_SECONDS)
            self._hurry.clear()
            # Before the lines are taken: whoever comes after that rouses again.
            self._idle = True
            self._drain()
            if self._closed and not self._lines:
                return

    def _drain(self) -> None:
        lines = self._lines
        while lines:
            batch, size = [], 0
            while lines and size < _PIECE:
                line = lines.popleft()
                batch.append(line)
                size += len(line)
            try:
                _write_all(self._file, b"".join(batch))
            except (OSError, ValueError):
                self.dropped += len(batch)


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
