"""Threads whose work can wait."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.slices import HAS_SLICES, slice_of
from veza.core.background import NICENESS, NICEST, SLICE_NS, give_way_always

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priority")


def priority_of_this_thread() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_a_thread_gives_way_alone() -> None:
    """A7: whoever answers requests keeps the priority that it had."""
    mine = priority_of_this_thread()
    with ThreadPoolExecutor(1, initializer=give_way_always) as pool:
        assert pool.submit(priority_of_this_thread).result() == min(mine + NICENESS, NICEST)
    assert priority_of_this_thread() == mine
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(priority_of_this_thread).result() == mine


@pytest.mark.skipif(not HAS_SLICES, reason="Linux has slices since 6.12")
def test_whoever_wakes_up_interrupts_it() -> None:
    """A7: its slice is longer than anybody's who did not ask for one."""
    usual = slice_of(0)
    with ThreadPoolExecutor(1, initializer=give_way_always) as pool:
        assert pool.submit(slice_of, 0).result() == SLICE_NS > usual
    assert slice_of(0) == usual
