"""A bare ASGI hello-world, on this server or on plain uvicorn: the ceiling for every other figure.

python bench/hello.py [--plain] [--port N] [--headers N]
"""

import argparse
import asyncio

import uvicorn

from veza.core.server import serve

HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"27")]
BODY = b'{"message":"Hello, world!"}'


def make_app(extra_headers: int = 0):
    """An ASGI application that says hello, with so many headers more than it needs."""
    headers = HEADERS + [(b"x-header-%d" % n, b"some value or other") for n in range(extra_headers)]

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                event = await receive()
                await send({"type": event["type"] + ".complete"})
                if event["type"] == "lifespan.shutdown":
                    return
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": BODY})

    return app


def say(host, port):
    """Tell where, for whoever started us."""
    print(f"http://{host}:{port}", flush=True)


class Plain(uvicorn.Server):
    """uvicorn as it comes, telling where it listens."""

    async def startup(self, sockets=None):
        await super().startup(sockets)
        say(*self.servers[0].sockets[0].getsockname()[:2])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--headers", type=int, default=0)
    options = parser.parse_args()
    app = make_app(options.headers)
    if not options.plain:
        raise SystemExit(serve(app, port=options.port, ready=say, drain_seconds=1))
    config = uvicorn.Config(
        app,
        port=options.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="error",
        proxy_headers=False,
    )
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(Plain(config).serve())


if __name__ == "__main__":
    main()
