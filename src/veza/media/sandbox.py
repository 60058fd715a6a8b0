"""Run a program that reads what strangers sent, so that it can do nothing else.

The child gets the upload as an open descriptor on stdin, an empty environment, and through
:mod:`veza.media.launcher` limits, no network, no other files and no way to make processes. It dies with us,
after its time, and when the caller is cancelled. See threats M4, M5, M16 and M17.
"""

import asyncio
import contextlib
import functools
import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, BinaryIO, Generic, TypeVar

import msgspec
import structlog

from veza.core.metrics import count_decoder_kill
from veza.core.tracing import Kind, part
from veza.media.errors import MediaUnavailable
from veza.media.launcher import NOT_STARTED, NOT_STARTED_SAYS

T = TypeVar("T")

_log = structlog.get_logger(__name__)
# As it was when we started: while another version is installed, the file is gone, or not made for us.
_LAUNCHER = Path(__file__).with_name("launcher.py").read_text("utf-8")
# Loads a program of ours, and only then begins it: what fails before that, of whatever it imports, cannot be
# the fault of a file of which nothing was read.
_LOADER = f"""
import sys
program = {{}}
try:
    exec(sys.argv.pop(1), program)
    begin = program["main"]
except Exception as error:
    sys.stderr.write(f"{NOT_STARTED_SAYS}: {{error!r}}\\n")
    sys.exit({NOT_STARTED})
sys.exit(begin())
"""
# The interpreter itself and not the venv's link to it: the child has no use for site-packages.
PYTHON = str(Path(sys.executable).resolve())
# Threads that read a child's output and wait for its end.
_readers = ThreadPoolExecutor(max_workers=64, thread_name_prefix="media")
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "MALLOC_ARENA_MAX": "2"}
_LIBRARIES = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store",
    "/etc/ld.so.cache", "/dev/null", "/dev/urandom",
)  # fmt: skip
_STDERR_KEPT = 64 << 10  # bytes kept of its beginning, and again of its end
_PIPE_BYTES = 1 << 20


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one child may use: bytes of memory and of a file it writes; seconds of the clock and of CPU."""

    memory: int
    seconds: float
    file_bytes: int = 0


class Result(msgspec.Struct, Generic[T]):
    """How a child ended; ``value`` is what the reader of its output returned."""

    returncode: int
    stderr: str
    value: T

    @property
    def cut_off(self) -> bool:
        """Whether somebody else ended it: the kernel in want of memory, or who stops the whole service.

        No limit of ours shows itself so, but for one of CPU that was ignored: time is up before that.
        """
        return self.returncode in {-signal.SIGKILL, -signal.SIGTERM}


class SandboxLevel(msgspec.Struct, frozen=True):
    """Which layers hold on this machine, beside limits (always): ``landlock`` is a version, 0 if none."""

    network: bool = False
    landlock: int = 0
    seccomp: bool = False

    @property
    def full(self) -> bool:
        """Whether no layer is missing."""
        return self.network and self.landlock > 0 and self.seccomp


def read_all(at_most: int) -> Callable[[BinaryIO], bytes]:
    """A reader that keeps the child's whole output; more than this raises ValueError (and ends the child)."""

    def read(stream: BinaryIO) -> bytes:
        data = stream.read(at_most + 1)
        if len(data) > at_most:
            raise ValueError("the child wrote more than it may")
        return data

    return read


async def run(
    argv: Sequence[str],
    *,
    stdin: int | None,
    limits: Limits,
    reader: Callable[[BinaryIO], T],
    workdir: Path | None = None,
    readable: Sequence[Path] = (),
    called: str = "",
) -> Result[T]:
    """Run ``argv`` (an absolute path first) in the sandbox and wait for it.

    ``reader`` runs in a thread over the child's stdout; what it raises ends the child and is raised here.
    Raises TimeoutError after ``limits.seconds``, and MediaUnavailable if the program cannot be started.
    ``workdir`` is the only folder that the child may write in, and its current one. Must be called on the
    thread that lives as long as the process (the event loop's): the child dies with the thread that made it.
    It is ``called`` something in traces, its program's name by default; nothing of them reaches the child.
    """
    # The wheel's ffmpeg has machine and version in its name.
    name = called or Path(argv[0]).name.partition("-")[0]
    with part(name, Kind.CLIENT, {"process.executable.name": name}) as span:
        result = await _run(argv, stdin, limits, reader, workdir, readable)
        span.set("process.exit.code", result.returncode)
        if result.returncode:
            span.fail(str(result.returncode))
        return result


async def _run(
    argv: Sequence[str],
    stdin: int | None,
    limits: Limits,
    reader: Callable[[BinaryIO], T],
    workdir: Path | None,
    readable: Sequence[Path],
) -> Result[T]:
    options = _options(limits, [*_LIBRARIES, argv[0], *map(str, readable)], workdir)
    read_end, write_end = os.pipe()
    try:
        child = _start([*options, "--", *argv], stdin, write_end, workdir)
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    reading = asyncio.get_running_loop().run_in_executor(_readers, _read, child, read_end, reader)
    assert child.stderr is not None
    errors = asyncio.ensure_future(_ends(child.stderr))
    try:
        async with asyncio.timeout(limits.seconds):
            await asyncio.shield(reading)
    except Exception as error:
        # Its time is up, or the reader has had more than enough of it.
        count_decoder_kill("time" if isinstance(error, TimeoutError) else "output")
        raise
    finally:
        # Also when cancelled: nothing of the child is left, and its descriptors are closed, when we return.
        if child.returncode is None:
            _kill(child.pid)
        await _finish(reading, errors)
    if (child.returncode or 0) < 0:
        count_decoder_kill("signal")
    if child.returncode == NOT_STARTED and errors.result().startswith(NOT_STARTED_SAYS):
        raise MediaUnavailable
    return Result(child.returncode or 0, errors.result(), reading.result())


async def run_python(
    script: Path,
    *arguments: str,
    stdin: int | None,
    limits: Limits,
    at_most: int,
    packages: Sequence[Path] = (),
) -> Result[bytes]:
    """Run the ``main`` of a script of ours with the interpreter, which may read these folders as well.

    And its own, where the packages of a venv lie too: to find one it must be able to list them.

    Raises what :func:`run` raises, MediaUnavailable also if the script, or what it imports, is not there: so
    it must import all that it needs before ``main``.
    """
    argv = [PYTHON, "-I", "-S", "-B", "-c", _LOADER, _source(script), *arguments]
    return await run(
        argv,
        stdin=stdin,
        limits=limits,
        reader=read_all(at_most),
        called=script.stem,
        readable=[*_standard_library(), *packages],
    )


def _source(script: Path) -> str:
    try:
        return script.read_text("utf-8")
    except OSError as error:  # another version is being installed
        raise MediaUnavailable from error


@functools.cache
def _standard_library() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    named = {paths["stdlib"], paths["platstdlib"], sysconfig.get_config_var("LIBDIR") or paths["stdlib"]}
    return tuple(Path(name) for name in sorted(named))


_level: SandboxLevel | None = None


async def sandbox_level() -> SandboxLevel:
    """Which layers hold on this machine, asked once; what is missing is logged as a warning."""
    global _level  # noqa: PLW0603 - a fact of the machine
    if _level is None:
        child = await asyncio.create_subprocess_exec(
            *(PYTHON, "-I", "-S", "-c", _LAUNCHER, f"parent={os.getpid()}", "--"),
            stdout=asyncio.subprocess.PIPE,
            env=_ENVIRONMENT,
            cwd="/",
        )
        output, _ = await child.communicate()
        _level = msgspec.json.decode(output, type=SandboxLevel, strict=False) if output else SandboxLevel()
        if not _level.full:
            _log.warning("media.sandbox_incomplete", **msgspec.structs.asdict(_level))
    return _level


def _options(limits: Limits, readable: list[str], workdir: Path | None) -> list[str]:
    """What the launcher is told."""
    return [
        f"parent={os.getpid()}",
        *(f"read={path}" for path in readable),
        *([f"write={workdir}"] if workdir else []),
        f"RLIMIT_AS={limits.memory}",
        f"RLIMIT_CPU={int(limits.seconds) + 1}",
        f"RLIMIT_FSIZE={limits.file_bytes}",
        "RLIMIT_NOFILE=64",
        "RLIMIT_CORE=0",
        f"RLIMIT_STACK={4 << 20}",
    ]


def _start(
    arguments: list[str], stdin: int | None, stdout: int, workdir: Path | None
) -> subprocess.Popen[bytes]:
    """Start the launcher by vfork, as `subprocess` does.

    The loop's own way is fork, which copies the tables of all our memory: 15 ms of CPU for each child of a
    process of 200 MB, and some of them nobody is served.
    """
    try:
        return subprocess.Popen(  # noqa: S603 - no shell, and the program is ours
            [PYTHON, "-I", "-S", "-c", _LAUNCHER, *arguments],
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            cwd=workdir or "/",
            env=_ENVIRONMENT,
            start_new_session=True,
        )
    except OSError as error:
        raise MediaUnavailable from error


def _read(child: subprocess.Popen[bytes], read_end: int, reader: Callable[[BinaryIO], T]) -> T:
    """What the reader makes of the output; nothing of the child is left when this returns or raises."""
    try:
        with os.fdopen(read_end, "rb", buffering=_PIPE_BYTES) as stream:
            return reader(stream)
    except BaseException:
        _kill(child.pid)
        raise
    finally:
        child.wait()


async def _ends(pipe: IO[bytes]) -> str:
    """The first and the last of what a child says; a decoder can be made to complain for hours.

    Not by `connect_read_pipe`: with uvloop that closes a descriptor twice, the second time perhaps another's.
    """
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    head = tail = b""

    def take() -> None:
        nonlocal head, tail
        with contextlib.suppress(BlockingIOError):
            chunk = os.read(pipe.fileno(), 1 << 16)
            if not chunk:
                loop.remove_reader(pipe.fileno())
                over.set()
            room = _STDERR_KEPT - len(head)
            head += chunk[:room]
            tail = (tail + chunk[max(room, 0) :])[-_STDERR_KEPT:]

    with pipe:
        os.set_blocking(pipe.fileno(), False)
        loop.add_reader(pipe.fileno(), take)
        try:
            await over.wait()
        finally:
            loop.remove_reader(pipe.fileno())
    return (head + tail).decode("utf-8", "replace")


def _kill(leader: int) -> None:
    """End the whole process group; it is the child's own, by ``start_new_session``."""
    # Gone already; the latter is how macOS says it of a zombie.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


async def _finish(reading: asyncio.Future[T], errors: asyncio.Future[str]) -> None:
    """Await the end of a killed child: quick, and not to be left half done by a second cancellation."""
    await asyncio.shield(asyncio.gather(reading, errors, return_exceptions=True))
