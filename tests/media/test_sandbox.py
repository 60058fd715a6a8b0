import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.media.needing import ALLOWED, need
from tests.slices import HAS_SLICES, slice_of
from veza.core.errors import InsufficientStorage
from veza.core.metrics import render
from veza.media import MediaInterrupted, MediaLimits, MediaUnavailable, failing, sandbox, sniff
from veza.media import decode as decode_module
from veza.media.decode import decode
from veza.media.errors import EncodingFailed
from veza.media.failing import failure_of
from veza.media.ffmpeg import find_ffmpeg
from veza.media.launcher import NICENESS, SLICE_NS
from veza.media.sandbox import Limits, Result, SandboxLevel, read_all, run, run_python, sandbox_level

Get = Callable[[str], Path]

LIMITS = Limits(memory=256 << 20, seconds=10.0)


async def _attempt(tmp_path: Path, code: str, limits: Limits = LIMITS) -> str:
    """What a line of Python gets for trying something in the sandbox: its value or its error's name."""
    script = tmp_path / "attempt.py"
    script.write_text(
        "import os, socket, sys, time\n"
        "def main():\n"
        f"    try:\n        value = {code}\n"
        "    except BaseException as error:\n        value = type(error).__name__\n"
        "    print(value)\n"
    )
    result = await run_python(script, stdin=None, limits=limits, at_most=10_000)
    return result.value.decode().strip() or f"ended with {result.returncode}"


@pytest.fixture
async def level() -> SandboxLevel:
    return await sandbox_level()


async def test_the_layers_of_this_machine_can_be_asked(level: SandboxLevel) -> None:
    """M17: what isolates decoders here is known, not hoped for."""
    assert level == await sandbox_level()
    assert level.full == (level.network and level.landlock > 0 and level.seccomp)


@pytest.mark.parametrize(
    ("chosen", "outcome"),
    [
        ({}, "skipped"),
        ({"CI": "false"}, "skipped"),
        ({"CI": "true"}, "failed"),
        ({"CI": "true", ALLOWED: "1"}, "skipped"),
    ],
)
def test_a_layer_is_missed_where_all_is_checked(
    chosen: dict[str, str], outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M17: a run in CI that tries no sandbox is not green, unless somebody has said that it may be."""
    for name in ("CI", ALLOWED):
        monkeypatch.delenv(name, raising=False)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    need(1, "sandbox")
    expected = {"skipped": pytest.skip.Exception, "failed": pytest.fail.Exception}[outcome]
    with pytest.raises(expected, match="no sandbox here"):
        need(0, "sandbox")


async def test_no_secret_is_in_the_environment(
    tmp_path: Path, level: SandboxLevel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M17: what the server was given in its environment stays there."""
    monkeypatch.setenv("VEZA_SECRET", "the-secret")
    assert "the-secret" not in await _attempt(tmp_path, "dict(os.environ)")


async def test_no_socket_and_no_process(tmp_path: Path, level: SandboxLevel) -> None:
    """M17: no network, no other program, no look at or signal to another process."""
    need(level.seccomp, "seccomp")
    for code in (
        "socket.socket()",
        "socket.socketpair()",
        "os.fork()",
        "os.kill(os.getppid(), 0)",
        "os.posix_spawn('/bin/true', ['true'], {})",
    ):
        assert await _attempt(tmp_path, code) in {"PermissionError", "BlockingIOError"}, code


async def test_no_other_file_can_be_read_or_written(tmp_path: Path, level: SandboxLevel) -> None:
    """M17: the disk is its libraries and its own script."""
    need(level.landlock, "Landlock")
    canary = tmp_path / "canary"
    canary.write_text("canary")
    for code in (
        "open('/etc/passwd').read()",
        f"open({str(canary)!r}).read()",
        "os.listdir('/')",
        "open('/proc/self/environ').read()",
        f"open({str(tmp_path / 'new')!r}, 'w')",
        f"os.unlink({str(canary)!r})",
        f"os.rename({str(canary)!r}, {str(tmp_path / 'elsewhere')!r})",
    ):
        assert await _attempt(tmp_path, code) == "PermissionError", code
    assert canary.read_text() == "canary"


async def test_no_file_can_be_changed_from_outside(tmp_path: Path, level: SandboxLevel) -> None:
    """M17: nor the mode, times or attributes of what the server owns, its key or the upload itself."""
    need(level.seccomp, "seccomp")
    canary = tmp_path / "canary"
    canary.write_text("canary")
    canary.chmod(0o600)
    before = canary.stat()
    for code in (
        "os.chmod({!r}, 0o777)",
        "os.chmod({!r}, 0o777, follow_symlinks=False)",
        "os.chown({!r}, -1, -1)",
        "os.lchown({!r}, -1, -1)",
        "os.utime({!r}, (1, 1))",
        "os.setxattr({!r}, 'user.a', b'b')",
        "os.removexattr({!r}, 'user.a')",
        "os.truncate({!r}, 0)",
        "os.link({0!r}, {0!r} + '.2')",
    ):
        said = await _attempt(tmp_path, code.format(str(canary)))
        assert said in {"PermissionError", "NotImplementedError"}, code
    with canary.open("rb") as file:
        script = tmp_path / "own.py"
        for code in (
            "os.fchmod(0, 0o777)",
            "os.utime(0, (1, 1))",
            "os.fchown(0, -1, -1)",
            "os.ftruncate(0, 0)",
        ):
            script.write_text(
                "import os\ndef main():\n"
                f"    try:\n        {code}\n        print('done')\n"
                "    except OSError:\n        print('refused')\n"
            )
            result = await run_python(script, stdin=file.fileno(), limits=LIMITS, at_most=100)
            assert result.value == b"refused\n", code
    assert canary.stat() == before


async def test_a_work_folder_can_be_written_up_to_a_size(tmp_path: Path, level: SandboxLevel) -> None:
    """M17: outputs land in the work folder only, and no file grows without end."""
    folder = tmp_path / "work"
    folder.mkdir()
    pcm = ("-f", "lavfi", "-i", "anullsrc=r=48000", "-t", "60")
    for target, size, ended_well in (("a.wav", 100 << 20, True), ("b.wav", 1 << 20, False)):
        result = await run(
            [find_ffmpeg().path, "-v", "error", *pcm, target],
            stdin=None,
            limits=Limits(memory=1 << 30, seconds=20.0, file_bytes=size),
            reader=read_all(1000),
            workdir=folder,
        )
        assert (result.returncode == 0) is ended_well
        assert (folder / target).stat().st_size <= size


async def test_memory_is_limited(tmp_path: Path) -> None:
    """M6, M17: 256 MB are 256 MB."""
    assert await _attempt(tmp_path, "len(bytearray(300 << 20))") == "MemoryError"
    assert await _attempt(tmp_path, "len(bytearray(100 << 20))") == str(100 << 20)


async def test_time_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """M14, M17: what runs for ever is ended, whether it works or sleeps, and counted."""
    before = _kills("time"), _kills("signal")
    started, options = time.monotonic(), sandbox._options

    def by_the_clock(*given: Any) -> list[str]:
        """Without the limit of the CPU's time, which would come first where we are held up."""
        return [option for option in options(*given) if "RLIMIT_CPU" not in option]

    monkeypatch.setattr(sandbox, "_options", by_the_clock)
    for code in ("time.sleep(60)", "sum(iter(int, 1))"):
        with pytest.raises(TimeoutError):
            await _attempt(tmp_path, code, Limits(memory=256 << 20, seconds=0.5))
    assert time.monotonic() - started < 30
    assert await _attempt(tmp_path, "os.kill(os.getpid(), 11)") == "ended with -11"
    assert (_kills("time"), _kills("signal")) == (before[0] + 2, before[1] + 1)


async def test_who_was_at_fault(tmp_path: Path, sample: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    """C33, X6: what could not be started is away; what was killed from outside or failed by itself is not."""
    with pytest.raises(MediaUnavailable):
        await run([str(tmp_path / "gone")], stdin=None, limits=LIMITS, reader=read_all(10))
    with pytest.raises(MediaUnavailable):  # another version is being installed
        await run_python(tmp_path / "gone.py", stdin=None, limits=LIMITS, at_most=10)
    with monkeypatch.context() as patch:  # whatever the launcher fails by
        patch.setattr(sandbox, "_options", lambda *_: ["RLIMIT_UNHEARD_OF=1"])
        with pytest.raises(MediaUnavailable):
            await run([sys.executable, "-c", ""], stdin=None, limits=LIMITS, reader=read_all(10))
    ended = {}
    for code in ("os.kill(os.getpid(), 9)", "sys.exit(126)", "sys.exit(1)", "os.kill(os.getpid(), 25)"):
        script = tmp_path / "end.py"
        script.write_text(f"import os, sys\ndef main():\n    {code}\n")
        ended[code] = await run_python(script, stdin=None, limits=LIMITS, at_most=10)
    assert [result.cut_off for result in ended.values()] == [True, False, False, False]
    raised = [type(failure_of(result, tmp_path)) for result in ended.values()]
    assert raised == [MediaInterrupted, EncodingFailed, EncodingFailed, EncodingFailed]
    monkeypatch.setattr(failing, "_NO_ROOM", 1 << 62)
    assert isinstance(failure_of(ended["sys.exit(1)"], tmp_path), InsufficientStorage)

    # Half of a song that a killed decoder left is not taken for the whole of it.
    async def killed(*_: object, **__: object) -> Result[None]:
        return Result(-9, "", None)

    monkeypatch.setattr(decode_module, "run", killed)
    with pytest.raises(MediaInterrupted):
        await decode(sample("a.mp3"), sniff(sample("a.mp3")), MediaLimits())


async def test_output_is_limited(tmp_path: Path) -> None:
    """M17: a child that talks without end is cut off, and counted."""
    before = _kills("output"), _kills("signal")
    with pytest.raises(ValueError, match="more than it may"):
        await _attempt(tmp_path, "[sys.stdout.write('x' * 65536) for _ in range(1000)] and ''")
    assert (_kills("output"), _kills("signal")) == (before[0] + 1, before[1])


async def test_errors_are_kept_at_both_ends(tmp_path: Path) -> None:
    """M14: a decoder can be made to complain for hours; we keep 128 KiB of it."""
    script = tmp_path / "loud.py"
    script.write_text(
        "import sys\n"
        "def main():\n"
        "    for text in 'first', 'x' * 3000000, 'last':\n        sys.stderr.write(text)\n"
    )
    result = await run_python(script, stdin=None, limits=LIMITS, at_most=10)
    assert result.stderr.startswith("first")
    assert result.stderr.endswith("last")
    assert len(result.stderr) <= 128 << 10


async def test_a_decoder_that_is_taken_over_reaches_nothing(tmp_path: Path, level: SandboxLevel) -> None:
    """M17: even told to, ffmpeg neither fetches nor reads: the sandbox holds, not its options."""
    need(level.full, "complete sandbox")
    canary = tmp_path / "canary.wav"
    canary.write_bytes(b"RIFF")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        for target in (f"http://127.0.0.1:{port}/a.mp3", f"tcp://127.0.0.1:{port}", str(canary)):
            result = await run(
                [find_ffmpeg().path, "-v", "error", "-i", target, "-f", "null", "-"],
                stdin=None,
                limits=Limits(memory=1 << 30, seconds=20.0),
                reader=read_all(1000),
            )
            assert result.returncode != 0
            assert "ermi" in result.stderr  # "Permission denied", "Operation not permitted"
        with pytest.raises(TimeoutError):
            server.accept()


async def test_cancelling_leaves_no_process_and_no_descriptor(tmp_path: Path) -> None:
    """M14: the caller may give up at any moment; once that is heard of, nothing of the child is left."""
    sleeper = tmp_path / "sleeper.py"
    sleeper.write_text("import time\ndef main():\n    time.sleep(60)\n")

    async def start_and_cancel(after: float) -> None:
        task = asyncio.create_task(run_python(sleeper, stdin=None, limits=LIMITS, at_most=10))
        await asyncio.sleep(after)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    await start_and_cancel(0.1)
    before = _open_descriptors()
    for after in (0.0, 0.001, 0.01, 0.1):
        await start_and_cancel(after)
        assert _open_descriptors() <= before


async def test_decoders_leave_the_processors_to_the_server(tmp_path: Path) -> None:
    """Each by itself, and as a session, where the kernel shares the processors out among these."""
    if sys.platform != "linux":
        pytest.skip("only Linux says of others how nice they are")
    sleeper = tmp_path / "sleeper.py"
    sleeper.write_text("import time\ndef main():\n    time.sleep(60)\n")
    before = {*_children(os.getpid())}
    task = asyncio.create_task(run_python(sleeper, stdin=None, limits=LIMITS, at_most=10))
    async with asyncio.timeout(30):
        while not any(map(_gives_way, {*_children(os.getpid())} - before)):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def _gives_way(pid: int) -> bool:
    if os.getpriority(os.PRIO_PROCESS, pid) < NICENESS or (HAS_SLICES and slice_of(pid) != SLICE_NS):
        return False
    shared_out = Path("/proc/sys/kernel/sched_autogroup_enabled")
    if os.geteuid() != 0 or not shared_out.exists() or shared_out.read_text() != "1\n":
        return True
    return Path(f"/proc/{pid}/autogroup").read_text().endswith(f" nice {NICENESS}\n")


def test_children_die_with_the_server(tmp_path: Path) -> None:
    """M17: kill -9 of the server leaves no decoder behind."""
    if sys.platform != "linux":
        pytest.skip("only Linux tells children that their parent died")
    sleeper = tmp_path / "sleeper.py"
    sleeper.write_text("import time\ndef main():\n    time.sleep(60)\n")
    server_code = tmp_path / "server.py"
    server_code.write_text(
        "import asyncio\n"
        "from pathlib import Path\n"
        "from veza.media.sandbox import Limits, run_python\n"
        "limits = Limits(memory=1 << 28, seconds=60)\n"
        f"asyncio.run(run_python(Path({str(sleeper)!r}), stdin=0, limits=limits, at_most=10))\n"
    )
    with subprocess.Popen([sys.executable, server_code], stdin=subprocess.DEVNULL) as server:
        try:
            assert _until(lambda: bool(_children(server.pid)))
            time.sleep(0.3)  # past the launcher, into the program itself
            children = _children(server.pid)
        finally:
            server.kill()
    assert children
    assert _until(lambda: not any(map(_lives, children)))


def _kills(reason: str) -> float:
    found = re.search(
        rf'^veza_decoder_kills_total{{reason="{reason}"}} (\S+)$', render().decode(), re.MULTILINE
    )
    return float(found.group(1)) if found else 0.0


def _open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def _until(holds: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return False


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
