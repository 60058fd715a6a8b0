"""What the host of a virtual machine takes from it, and from what is measured there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Of all processors' time: beyond this the host had this machine do something else.
MOST = 0.02
_AWAKE = Path("/dev/cpu_dma_latency")


def taken() -> float:
    """Seconds of processors that the host has given to others while this machine wanted them (Linux)."""
    return int(Path("/proc/stat").read_text().split(maxsplit=9)[8]) / os.sysconf("SC_CLK_TCK")


def is_ours(before: float, seconds: float) -> bool:
    """Whether the machine was left to us for so many seconds, since ``before`` was taken."""
    return taken() - before <= MOST * seconds * (os.cpu_count() or 1)


@contextmanager
def awake() -> Iterator[None]:
    """Let no processor sleep meanwhile, where we may say so (Linux, as root).

    One that sleeps between two requests is slowed down by whoever has it, and is quick again after seconds of
    work only: at 70 % of the load the same work then takes up to twice as long as at all of it.
    Source: Linux, PM Quality Of Service Interface.
    """
    try:
        # Not to be made where there is none, as in a container.
        file = os.fdopen(os.open(_AWAKE, os.O_WRONLY), "wb", buffering=0)
    except OSError as error:
        print(f"{error}: the processors may sleep, and be slower after it", flush=True)
        yield
        return
    with file:
        file.write(bytes(4))  # µs that waking up may take; as long as the file is open
        yield
