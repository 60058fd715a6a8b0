"""Threads whose work can wait."""

import ctypes
import os
import platform
import re
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from veza.core.background import NICENESS, give_way_always

_SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}
_SINCE = (6, 12)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priority")


def release() -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", platform.release())[:2]))


def priority_of_this_thread() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def slice_of_this_thread() -> int:
    attributes = ctypes.create_string_buffer(48)
    assert ctypes.CDLL(None).syscall(_SCHED_GETATTR[platform.machine()], 0, attributes, 48, 0) == 0
    return int(struct.unpack_from("=Q", attributes, 24)[0])


def test_a_thread_gives_way_alone() -> None:
    """A7: whoever answers requests keeps the priority that it had."""
    mine = priority_of_this_thread()
    with ThreadPoolExecutor(1, initializer=give_way_always) as pool:
        assert pool.submit(priority_of_this_thread).result() == NICENESS
    assert priority_of_this_thread() == mine
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(priority_of_this_thread).result() == mine


@pytest.mark.skipif(
    platform.machine() not in _SCHED_GETATTR or release() < _SINCE, reason="Linux has slices since 6.12"
)
def test_whoever_wakes_up_interrupts_it() -> None:
    """A7: its slice is longer than anybody's who did not ask for one."""
    usual = slice_of_this_thread()
    with ThreadPoolExecutor(1, initializer=give_way_always) as pool:
        assert pool.submit(slice_of_this_thread).result() == 100_000_000 > usual
    assert slice_of_this_thread() == usual
