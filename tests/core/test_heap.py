import platform
import subprocess
import sys

import pytest

# What six threads need one after the other, as hashing does, and how much of it the process then has.
_GIVEN_BACK = """
import ctypes, os, sys, threading
from veza.core.heap import share_heaps

if sys.argv[1] == "shared":
    share_heaps()

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

libc = ctypes.CDLL(None)
libc.malloc.restype = libc.memset.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

all_there, turn = threading.Barrier(6), threading.Lock()

def borrow():
    all_there.wait()
    for _ in range(3):
        with turn:
            block = libc.malloc(19 << 20)
            libc.memset(block, 1, 19 << 20)
            libc.free(block)

before = resident()
threads = [threading.Thread(target=borrow) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print((resident() - before) >> 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others keep memory in another way")
def test_threads_share_what_one_of_them_gave_back() -> None:
    """X19: left alone, each thread's heap keeps what a hash needed."""
    kept = {}
    for how in ("shared", "apart"):
        command = [sys.executable, "-c", _GIVEN_BACK, how]
        kept[how] = int(subprocess.run(command, capture_output=True, check=True).stdout)
    assert kept["shared"] < 45
    assert kept["apart"] > 60, "the C library does it by itself: heap.py is not needed"
