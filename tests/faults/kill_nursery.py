"""Servers that can be killed several times a second: forked from one process that has loaded everything.

Run as a program, with the environment of `veza serve`. For each line on its standard input it forks a server,
says its process id, and says it once more when that process has ended.
"""

import asyncio
import os
import sys
import tempfile
import threading
from pathlib import Path

from veza.app import make_app
from veza.core.db.migrate import upgrade
from veza.parts import make_parts
from veza.process import serve_all
from veza.settings import Settings


async def warm() -> None:
    """Build an application and throw it away: what is imported late is then imported."""
    with tempfile.TemporaryDirectory() as folder:
        parts = make_parts(Settings(data_dir=Path(folder)))
        await upgrade(parts.database)
        make_app(parts)
        await parts.database.close()
        await parts.storage.close()


def main() -> None:
    asyncio.run(warm())
    assert threading.active_count() == 1, "a fork copies only the thread that forks"
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)
            sys.exit(serve_all())
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        os.waitpid(child, 0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
