"""Locks on ranges of a file: between processes of a machine, and between openings of it within one.

They belong to an opening of the file (an open file description) and end with it, even when its process is
killed. Source: fcntl(2), "Open file description locks (non-POSIX)".
"""

import fcntl
import os
import struct

# struct flock; the process id is 0 for this kind of lock.
_FLOCK = "hhqqi4x"


def lock_range(file: int, start: int = 0, size: int = 0) -> bool:
    """Whether these bytes of an open file now belong to this opening of it alone; 0 is to its very end."""
    wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, size, 0)
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, wanted)
    except BlockingIOError:
        return False
    return True
