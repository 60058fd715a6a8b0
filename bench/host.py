"""What the host of a virtual machine takes from it, and from what is measured there."""

import os
from pathlib import Path

# Of all processors' time: beyond this the host had this machine do something else.
MOST = 0.02


def taken() -> float:
    """Seconds of processors that the host has given to others while this machine wanted them (Linux)."""
    return int(Path("/proc/stat").read_text().split(maxsplit=9)[8]) / os.sysconf("SC_CLK_TCK")


def is_ours(before: float, seconds: float) -> bool:
    """Whether the machine was left to us for so many seconds, since ``before`` was taken."""
    return taken() - before <= MOST * seconds * (os.cpu_count() or 1)
