"""Threads whose work can wait: they give way to those whose cannot."""

import contextlib
import ctypes
import os
import platform
import struct
import sys
import threading

NICENESS, NICEST = 10, 19
# The longest slice that there is.
SLICE_NS = 100_000_000
# struct sched_attr of sched_setattr(2): size, policy, flags, niceness, priority, and three times in ns.
_ATTRIBUTES = "=IIQiIQQQ"
_ORDINARY = 0
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}


def give_way_always() -> None:
    """Let other threads of this session or container have the processor before this one; for good.

    By niceness it gets a tenth of what another always wants. When it lets go, its slice says: from Linux 6.12
    on, whoever wakes up takes the processor at once from one with a longer slice than its own, and waits
    beside others for the next tick of the clock, some milliseconds. Where the system has no such thing, or
    does not let us, there is less of it. Sources: sched(7), sched_setattr(2).
    """
    if sys.platform != "linux":  # elsewhere a process has a niceness, and a thread none
        return
    thread = threading.get_native_id()
    niceness = min(os.getpriority(os.PRIO_PROCESS, thread) + NICENESS, NICEST)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, niceness)
    number = _SCHED_SETATTR.get(platform.machine())
    if number is not None:
        size = struct.calcsize(_ATTRIBUTES)
        wanted = struct.pack(_ATTRIBUTES, size, _ORDINARY, 0, niceness, 0, SLICE_NS, 0, 0)
        ctypes.CDLL(None).syscall(number, 0, wanted, 0)
