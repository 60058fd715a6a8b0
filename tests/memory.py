"""How much memory this process has had."""

import sys
from pathlib import Path

import pytest

measured = pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel as Linux answers")


def forget_peak() -> int:
    """Measure the most from here on; the bytes that are resident now."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> int:
    """The most bytes that were resident at once, since they were last forgotten."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
