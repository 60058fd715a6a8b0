"""A share of a core for a process and no more, by the control groups of Linux: version 1, or version 2.

So a process is its own bottleneck, on a machine that has to do everything else as well.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
# Short: whoever waits for a process that has had its share waits for a moment, not for a tenth of a second.
_PERIOD_US = 10_000


@contextmanager
def quota(pid: int, share: float) -> Iterator[bool]:
    """Hold a process to this share of one core within this; False where the system does not let us."""
    old = (_ROOT / "cpu").is_dir()
    top = _ROOT / "cpu" if old else _ROOT
    home = top / _home(pid, "cpu" if old else "").lstrip("/")
    group = top / f"veza-bench-{pid}"
    most = int(share * _PERIOD_US)
    limits = {"cpu.cfs_period_us": _PERIOD_US, "cpu.cfs_quota_us": most}
    try:
        group.mkdir()
        try:
            for name, value in (limits if old else {"cpu.max": f"{most} {_PERIOD_US}"}).items():
                (group / name).write_text(str(value))
            (group / "cgroup.procs").write_text(str(pid))
        except OSError:
            group.rmdir()
            raise
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        for one in (group / "cgroup.procs").read_text().split():
            (home / "cgroup.procs").write_text(one)
        group.rmdir()


def _home(pid: int, controller: str) -> str:
    """The group that a process is in."""
    lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    return next(path for _, names, path in lines if controller in names.split(","))
