"""Twenty people who log in at once, as a process of their own: `python -m bench.logins HOST PORT`.

They log in for every line that comes in, and answer with one. They are elsewhere in life, so here they run
only when nothing else wants the processor: else what they do with their answers would be measured too.
"""

import asyncio
import os
import sys

from bench.load import render
from bench.seed import PASSWORD, email

LOGINS = 20


async def log_in_all(host: str, port: int) -> None:
    """All at once, each on a connection of their own."""
    form = [b'{"email":"%s","password":"%s"}' % (email(n).encode(), PASSWORD.encode()) for n in range(LOGINS)]

    async def one(body: bytes) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        headers = {"Content-Type": "application/json", "Connection": "close"}
        writer.write(render("POST", "/api/v1/auth/login", headers, body))
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200"), answer
        writer.close()

    await asyncio.gather(*map(one, form))


if __name__ == "__main__":
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    print("ready", flush=True)
    for _ in sys.stdin:
        asyncio.run(log_in_all(sys.argv[1], int(sys.argv[2])))
        print("done", flush=True)
