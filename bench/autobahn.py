"""python -m bench.autobahn FOLDER: our WebSocket server before Autobahn's judges.

FOLDER is where ``autobahntestsuite`` was installed (see README.md). Its client talks to an application that
says everything back, on the same server, with the same settings, that the chat has. The sections are those of
framing, pings, reserved bits, opcodes, fragments, UTF-8 and closing. 9, 10, 12, 13 are about large messages,
speed and compression: here a message has 64 KiB at most, and none is compressed.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from veza.core.server import serve_async

SECTIONS = [f"{section}.*" for section in range(1, 8)]
_PASSED = {"OK", "NON-STRICT", "INFORMATIONAL"}
_SUITE = "import site, sys; site.addsitedir(sys.argv.pop(1)); from autobahntestsuite.wstest import run; run()"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Say back whatever is said."""
    event = await receive()
    if scope["type"] == "lifespan":
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        text = event.get("text")
        said = {"text": text} if text is not None else {"bytes": bytes(event["bytes"])}
        await send({"type": "websocket.send", **said})


async def judge(python: str, folder: Path) -> dict[str, Any]:
    """What each case found."""
    stop = asyncio.Event()
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def ready(host: str, port: int) -> None:
        address.set_result(f"ws://{host}:{port}")

    serving = asyncio.create_task(serve_async(echo, port=0, ready=ready, stop=stop, signals=False))
    with tempfile.TemporaryDirectory() as reports:
        server = {"agent": "veza", "url": await address}
        wanted = {"outdir": reports, "servers": [server], "cases": SECTIONS, "exclude-cases": []}
        spec = Path(reports) / "spec.json"
        spec.write_text(json.dumps(wanted | {"exclude-agent-cases": {}}), "utf-8")
        suite = await asyncio.create_subprocess_exec(
            python, "-c", _SUITE, str(folder), "-m", "fuzzingclient", "-s", str(spec),
            stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await suite.wait()
        stop.set()
        await serving
        found = json.loads((Path(reports) / "index.json").read_text("utf-8"))
    return dict(found["veza"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.autobahn", description="Cases of RFC 6455.")
    parser.add_argument("folder", type=Path, help="where autobahntestsuite was installed")
    parser.add_argument("--python", default="python2.7", help="a Python that it runs on")
    asked = parser.parse_args()
    found = asyncio.run(judge(asked.python, asked.folder.resolve()))
    for name, case in found.items():
        if not {case["behavior"], case["behaviorClose"]} <= _PASSED:
            print(f"{name}: {case['behavior']}, {case['behaviorClose']}, closed {case['remoteCloseCode']}")
    print(f"{len(found)} cases: {dict(Counter(case['behavior'] for case in found.values()))}")
    failed = [case for case in found.values() if case["behavior"] not in _PASSED]
    sys.exit(bool(failed) or not found)


if __name__ == "__main__":
    main()
