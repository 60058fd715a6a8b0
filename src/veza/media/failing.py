"""Whose fault it is that an encoder failed: the file's, the machine's, or nobody's."""

import shutil
from pathlib import Path
from typing import Any

from veza.core.errors import InsufficientStorage, VezaError
from veza.media.errors import EncodingFailed, MediaInterrupted
from veza.media.sandbox import Result

_NO_ROOM = 1 << 20  # bytes: no encoder writes so much at once


def failure_of(result: Result[Any], workdir: Path) -> VezaError:
    """What to raise for a child that ran and failed.

    Never MediaUnavailable, which is for what could not even be begun: a job waits for that for a day, and a
    file that no encoder can do with would be tried all that time (threat C33).
    """
    if result.cut_off:
        return MediaInterrupted()
    if shutil.disk_usage(workdir).free < _NO_ROOM:
        return InsufficientStorage(headers={"Retry-After": "60"})
    return EncodingFailed()
