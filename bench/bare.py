"""Bare applications on Veza's server, to compare with: they do one thing, and nothing beside it.

python -m bench.bare discard: read a body, and answer with its length
python -m bench.bare file PATH: answer with a file's bytes, sent by the kernel
"""

import argparse
import os
from pathlib import Path

from bench.hello import say
from veza.core.filebytes import SENDFILE
from veza.core.server import serve


def discard():
    """An application that reads and forgets."""

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        length, more = 0, True
        while more:
            message = await receive()
            length += len(message.get("body", b""))
            more = message.get("more_body", False)
        body = b'{"data":%d}' % length
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def send_file(path: Path):
    """An application that answers everything with this file."""
    descriptor, size = os.open(path, os.O_RDONLY), path.stat().st_size

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % size)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": SENDFILE, "fd": descriptor, "offset": 0, "count": size})

    return app


async def live(receive, send):
    """Start and stop."""
    while True:
        event = await receive()
        await send({"type": event["type"] + ".complete"})
        if event["type"] == "lifespan.shutdown":
            return


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("application", choices=["discard", "file"])
    parser.add_argument("path", type=Path, nargs="?")
    options = parser.parse_args()
    app = discard() if options.application == "discard" else send_file(options.path)
    raise SystemExit(serve(app, port=0, ready=say, drain_seconds=1))


if __name__ == "__main__":
    main()
