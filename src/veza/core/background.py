"""Threads whose work can wait: on the processors, everybody else goes first."""

import ctypes
import os
import platform
import struct
import sys
import threading

NICENESS = 19
# struct sched_attr of sched_setattr(2): size, policy, flags, niceness, priority, and three times in ns.
_ATTRIBUTES = "=IIQiIQQQ"
_ORDINARY = 0
# The longest that there is.
_SLICE_NS = 100_000_000
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}


def give_way_always() -> None:
    """Let this thread run when nobody else wants its processor; for good: only root can take that back.

    By niceness: of a processor that others want all of the time it gets a seventieth. And by a long slice.
    From Linux 6.12 on a slice says how soon one wants to be interrupted: whoever wakes up takes the processor
    at once from one with a longer slice than its own, and waits for others until the next tick of the clock,
    some milliseconds. Where the system has no such thing, or does not let us, only niceness counts.
    """
    if sys.platform != "linux":  # elsewhere a process has a niceness, and a thread none
        return
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    number = _SCHED_SETATTR.get(platform.machine())
    if number is not None:
        size = struct.calcsize(_ATTRIBUTES)
        wanted = struct.pack(_ATTRIBUTES, size, _ORDINARY, 0, NICENESS, 0, _SLICE_NS, 0, 0)
        ctypes.CDLL(None).syscall(number, 0, wanted, 0)
