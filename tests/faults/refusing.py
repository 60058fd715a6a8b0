"""A kernel that refuses: what takes room on the disk is counted in another process, and fails when told to.

The other process has a filter of system calls, which its threads and children inherit: each call that writes,
makes or names a file waits for an answer from here. Nothing of the program itself is changed, and SQLite,
which no Python reaches into, is refused like everything else. Sources: seccomp(2), seccomp_unotify(2).

Both sides are in this file: :func:`be_watched` runs in the process that is watched.
"""

import ctypes
import fcntl
import os
import platform
import selectors
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

# linux/audit.h, linux/seccomp.h, linux/filter.h
_SET_MODE_FILTER, _NEW_LISTENER, _NO_NEW_PRIVS = 1, 8, 38
_ALLOW, _ASK = 0x7FFF0000, 0x7FC00000
_RECEIVE, _ANSWER, _GO_ON = 0xC0502100, 0xC0182101, 1
_CREATE = 0o100
# What a call is, by its number: of a descriptor, of the flags of an open, or of names alone.
_BY_FILE, _BY_FLAGS, _BY_NAME = "file", "flags", "name"
_CALLS = {
    "x86_64": (
        317,
        {1: _BY_FILE, 18: _BY_FILE, 20: _BY_FILE, 74: _BY_FILE, 75: _BY_FILE, 77: _BY_FILE, 285: _BY_FILE,
         296: _BY_FILE, 257: _BY_FLAGS, 82: _BY_NAME, 83: _BY_NAME, 86: _BY_NAME, 258: _BY_NAME,
         264: _BY_NAME, 265: _BY_NAME, 316: _BY_NAME},
    ),
    "aarch64": (
        277,
        {64: _BY_FILE, 66: _BY_FILE, 68: _BY_FILE, 70: _BY_FILE, 82: _BY_FILE, 83: _BY_FILE, 46: _BY_FILE,
         47: _BY_FILE, 56: _BY_FLAGS, 34: _BY_NAME, 37: _BY_NAME, 38: _BY_NAME, 276: _BY_NAME},
    ),
}  # fmt: skip


def be_watched(address: str) -> None:
    """From now on ask whoever listens at this Unix socket before anything takes room. Before any thread."""
    seccomp, calls = _CALLS[platform.machine()]
    lines = [(0x20, 0, 0, 0)]  # load the number of the call
    lines += [(0x15, len(calls) - turn, 0, number) for turn, number in enumerate(calls)]
    lines += [(0x06, 0, 0, _ALLOW), (0x06, 0, 0, _ASK)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(lines), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    with socket.socket(socket.AF_UNIX) as wire:
        wire.connect(address)
        libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
        listener = libc.syscall(seccomp, _SET_MODE_FILTER, _NEW_LISTENER, program)
        if listener < 0:
            raise OSError(ctypes.get_errno(), "no filter that asks")
        socket.send_fds(wire, [b"x"], [listener])
    os.close(listener)


class Refusing:
    """The kernel as one process below ``folder`` sees it: it answers each call there, and counts them."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.address = str(folder / "refusing.socket")
        self.count = 0
        self.refused: list[str] = []
        self._first = self._last = 0
        self._error = 0
        self._lock = threading.Lock()
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(self.address)
        self._door.listen()
        self._listener = -1
        self._wake, self._woken = os.pipe()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def refuse(self, error: int, *, first: int, last: int = 1 << 60) -> None:
        """Let the calls from the ``first`` to the ``last``, counted from now on, fail with ``error``."""
        with self._lock:
            self.count, self._error, self._first, self._last, self.refused = 0, error, first, last, []

    def allow(self) -> bool:
        """Let all go on again; whether one was refused since."""
        with self._lock:
            refused = self._error and self.count >= self._first
            self._error = 0
            return bool(refused)

    def close(self) -> None:
        """Let go; calls of a process that is still there fail from now on."""
        os.close(self._woken)
        self._thread.join()
        self._door.close()
        os.close(self._wake)
        if self._listener >= 0:
            os.close(self._listener)

    def _serve(self) -> None:
        with selectors.DefaultSelector() as events:
            events.register(self._wake, selectors.EVENT_READ)
            events.register(self._door, selectors.EVENT_READ)
            while True:
                for key, _ in events.select():
                    if key.fileobj == self._wake:
                        return
                    if key.fileobj is self._door:
                        wire, _ = self._door.accept()
                        with wire:
                            _, (self._listener,), _, _ = socket.recv_fds(wire, 1, 1)
                        events.register(self._listener, selectors.EVENT_READ)
                        continue
                    try:
                        self._answer()
                    except FileNotFoundError:  # it was killed meanwhile
                        continue
                    except OSError:  # nobody is there any more
                        events.unregister(self._listener)

    def _answer(self) -> None:
        told = bytearray(80)
        fcntl.ioctl(self._listener, _RECEIVE, told)
        asked, process = struct.unpack_from("=QI", told)
        (number,) = struct.unpack_from("=i", told, 16)
        arguments = struct.unpack_from("=6Q", told, 32)
        error = self._judge(process, number, arguments)
        answer = struct.pack("=QqiI", asked, 0, -error, 0 if error else _GO_ON)
        with suppress(FileNotFoundError):
            fcntl.ioctl(self._listener, _ANSWER, answer)

    def _judge(self, process: int, number: int, arguments: tuple[int, ...]) -> int:
        kind = _CALLS[platform.machine()][1][number]
        if kind is _BY_FLAGS and not arguments[2] & _CREATE:
            return 0
        if kind is _BY_FILE:
            # What goes to sockets, pipes and the log takes no room here.
            with suppress(OSError):
                path = str(Path(f"/proc/{process}/fd/{arguments[0]}").readlink())
                if path.startswith(self.folder):
                    return self._next(f"{number} {path.removeprefix(self.folder)}")
            return 0
        return self._next(str(number))

    def _next(self, call: str) -> int:
        with self._lock:
            self.count += 1
            if not self._error or not self._first <= self.count <= self._last:
                return 0
            self.refused.append(call)
            return self._error


@contextmanager
def refusing(folder: Path):
    """A kernel for one process below this folder."""
    made = Refusing(folder)
    try:
        yield made
    finally:
        made.close()
