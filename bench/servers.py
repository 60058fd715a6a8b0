"""Servers to measure: Veza as a whole, and bare applications on the same server, each a process."""

import asyncio
import http.client
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from bench.load import cpu_seconds
from bench.seed import CACHE, PASSWORD, email, user_id
from veza.core.db import open_database
from veza.core.installation import stamp
from veza.core.storage import open_storage

ROOT = Path(__file__).parents[1]
_PATIENCE = 30.0
# Seconds of CPU in a second.
_AT_REST = 0.05


class Server:
    """A process that says on its first line where it listens."""

    def __init__(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("VEZA_", "AWS_"))}
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=clean | {"PYTHONPATH": str(ROOT)} | (environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.pid = self.process.pid
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.start_seconds = time.perf_counter() - self.began
        if "http://" not in line:
            self.process.wait(_PATIENCE)
            raise RuntimeError(f"did not start: {' '.join(command)}; run it by hand to see why")
        self.host, _, port = line.split("http://")[1].strip().partition(":")
        self.port = int(port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_PATIENCE)
        self.process.kill()
        self.process.wait()

    def memory(self, field: str = "VmRSS") -> float:
        """Resident memory in MB; VmHWM is the most there was since `forget_peak`."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))

    def forget_peak(self) -> None:
        """Measure the most memory from here on."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def open_files(self) -> int:
        """How many files, sockets among them, the process has open."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    def cpu(self) -> float:
        """CPU seconds used so far."""
        return cpu_seconds(self.pid)

    def settle(self) -> None:
        """Wait until what a start begins is done: the process hardly works for a second."""
        while True:
            before = self.cpu()
            time.sleep(1)
            if self.cpu() - before < _AT_REST:
                return

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        """One request with JSON, on a connection of its own: status and the answer's data."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_PATIENCE)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text).get("data") if text else None

    def log_in(self, number: int = 0) -> str:
        """An access token of a seeded user."""
        form = {"email": email(number), "password": PASSWORD}
        status, data = self.call("POST", "/api/v1/auth/login", form)
        assert status == 200, (status, data)
        return str(data["token"]["access_token"])


def hello() -> Server:
    """The bare hello-world on Veza's server."""
    return Server([sys.executable, "-m", "bench.hello"])


def bare(application: str, *arguments: str) -> Server:
    """Another bare application of bench/bare.py."""
    return Server([sys.executable, "-m", "bench.bare", application, *arguments])


async def _stamped(address: str, files: str) -> None:
    """Let a storage be that of a database whose rows name files that nobody has made."""
    database, storage = open_database(address), open_storage(files, scratch=CACHE / "scratch", s3={})
    await stamp(database, storage)
    await storage.close()
    await database.close()


class Veza(Server):
    """The whole program on a copy of a seeded database, or on the database itself if it is not written to.

    A text is the address of a database that is not a file.

    Limits count, as for everybody, but are too high to be met; the access log is written, to /dev/null.
    """

    def __init__(self, database: Path | str, *, copy: bool = True, **settings: str) -> None:
        CACHE.mkdir(parents=True, exist_ok=True)
        self.token = self.track = ""
        self.folder = Path(tempfile.mkdtemp(prefix="data-", dir=CACHE))
        if copy:
            database = Path(shutil.copy(database, self.folder / "veza.db"))
            os.sync()  # to write gigabytes of a copy to the disk would go on for a minute of what is measured
        address = database if isinstance(database, str) else f"sqlite:///{database}"
        limits = {
            f"VEZA_RATE_LIMIT_{name}": "100000000/min"
            for name in ("GLOBAL", "LOGIN", "UPLOAD", "CHUNK", "VERIFICATION")
        }
        self.environment = environment = limits | {
            "VEZA_SECRET_KEY": secrets.token_hex(32),
            "VEZA_DATA_DIR": str(self.folder), "VEZA_DATABASE_URL": address, "VEZA_PORT": "0",
            "VEZA_QUOTA": str(1 << 40), **{f"VEZA_{name.upper()}": value for name, value in settings.items()},
        }  # fmt: skip
        files = settings.get("storage_url", f"file://{self.folder / 'files'}")
        with ThreadPoolExecutor(1) as apart:  # whoever measures may be in a loop already
            apart.submit(asyncio.run, _stamped(address, files)).result()
        try:
            super().__init__(
                [sys.executable, "-c", "from veza.cli import main; main()", "serve"], environment
            )
        except BaseException:
            shutil.rmtree(self.folder)
            raise

    def write_to_a_track(self) -> None:
        """Change the newest track of user 0: what the server kept of tracks and their lists, it forgets."""
        if not self.token:
            self.token = self.log_in()
            _, data = self.call("GET", f"/api/v1/tracks?user_id={user_id(0)}&limit=1")
            self.track = f"/api/v1/tracks/{data['tracks'][0]['id']}"
        status, data = self.call("PUT", self.track, {"album": f"measured {time.time_ns()}"}, self.token)
        assert status == 200, (status, data)

    def __exit__(self, *problem: object) -> None:
        super().__exit__(*problem)
        shutil.rmtree(self.folder)
