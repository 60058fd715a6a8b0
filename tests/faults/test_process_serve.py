"""`veza serve` and `veza worker` as an operator has them: real processes, from their start to their end."""

import asyncio
import email
import email.policy
import os
import re
import resource
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import httpx
import pytest

from tests.collector import Collector, collecting
from tests.conftest import create_database
from tests.deploy.watched import OF_SQLITE, asked, rules, shown
from tests.faults.nursery import Forked, fork
from tests.world import PASSWORD, open_world
from veza.app import LOOKS
from veza.core.db import open_database
from veza.core.db.migrate import upgrade

# Seconds; a start takes one or two where nobody else is at work.
WAIT = 60.0
# A machine without IPv4, whose locale nobody knows, and where it is tomorrow already.
ODD = {
    "VEZA_HOST": "::1", "LC_ALL": "xx_YY", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
    "TZ": "Pacific/Kiritimati",
}  # fmt: skip


class Served:
    """A running server: its process, what it said, and a client for it."""

    def __init__(self, process: Process | Forked, said: list[str]) -> None:
        self.process = process
        self.said = said
        self.url = re.search(r"http://\S+", said[0])[0]
        self.client = httpx.AsyncClient(base_url=f"{self.url}/api/v1", timeout=WAIT)

    async def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), WAIT)


def environment(folder: Path, variables: dict[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VEZA_")}
    return inherited | {
        "VEZA_DATA_DIR": str(folder),
        "VEZA_PORT": "0",
        "VEZA_LOG_FORMAT": "json",
        **variables,
    }


async def start_anew(folder: Path, *words: str, **variables: str) -> Process:
    """As an operator does, with all that a start takes."""
    chosen = environment(folder, variables)
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "veza", *words, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=chosen
    )


async def start(folder: Path, *words: str, **variables: str) -> Forked:
    return await fork(*words, folder=Path.cwd(), environment=environment(folder, variables))


async def run(folder: Path, *words: str, typed: str = "", **variables: str) -> tuple[int, str, str]:
    process = await start(folder, *words, **variables)
    out, err = await asyncio.wait_for(process.communicate(typed.encode()), WAIT)
    return int(process.returncode or 0), out.decode(), err.decode()


@asynccontextmanager
async def serving(folder: Path, *, anew: bool = False, **variables: str) -> AsyncIterator[Served]:
    process = await (start_anew if anew else start)(folder, "serve", **variables)
    try:
        async with asyncio.timeout(WAIT):
            said = [(await process.stdout.readline()).decode() for _ in range(6)]
        assert said[0], (await process.stderr.read()).decode()
        served = Served(process, said)
        async with served.client:
            yield served
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def loaded(process: Process, *names: str) -> list[str]:
    """Those of these libraries that a process has in its memory."""
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    return [name for name in names if name in maps]


def person(name: str) -> dict[str, str]:
    return {"username": name, "email": f"{name}@example.com", "password": PASSWORD,
            "password_confirm": PASSWORD}  # fmt: skip


def mails(folder: Path) -> list[Path]:
    return list(folder.glob("mail/*.eml"))


@pytest.fixture
def supervisor() -> Iterator[socket.socket]:
    """Who waits for a process to be ready, at an abstract address that nobody else has."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waiting:
        waiting.bind("")
        waiting.settimeout(0)
        yield waiting


async def test_a_server_from_its_start_to_its_end(tmp_path: Path, supervisor: socket.socket) -> None:
    """X9, X13, X20, A30, K19: one block says where it is and who pays, a second is refused, it ends well."""
    told = {"NOTIFY_SOCKET": supervisor.getsockname().decode().replace("\0", "@")}
    async with serving(tmp_path / "data", anew=True, **ODD, **told) as served:
        assert supervisor.recv(64) == b"READY=1"
        assert served.said[0].startswith("Veza is ready at http://[::1]:")
        assert str(tmp_path / "data") in "".join(served.said)
        assert any("instant" in line and "no money is taken" in line for line in served.said)
        assert (await served.client.get(f"{served.url}/readyz")).json()["status"] == "ready"
        # What has to be small and start quickly loads nothing large that it has no use for.
        assert loaded(served.process, "apsw", "asyncpg", "numpy", "pydantic_core") == ["apsw"]
        for page in ("/swagger/index.html", "/redoc", "/swagger/doc.json"):
            assert (await served.client.get(f"{served.url}{page}")).status_code == 200
        words = ("--username", "boss", "--email", "boss@example.com", "--password-stdin")
        second, made = await asyncio.gather(
            run(tmp_path / "data", "serve"),
            run(tmp_path / "data", "users", "create", "--admin", *words, typed=f"{PASSWORD}\n"),
        )
        assert (second[0], second[1], second[2].count("\n")) == (78, "", 1)
        assert (made[0], made[2]) == (0, "")
        login = {"email": "boss@example.com", "password": PASSWORD}
        answer = await served.client.post("/auth/login", json=login)
        token = answer.json()["data"]["token"]["access_token"]
        served.client.headers["Authorization"] = f"Bearer {token}"
        me = (await served.client.get("/auth/me")).json()["data"]
        assert me["role"] == "admin"
        since = datetime.now(UTC) - datetime.fromisoformat(me["created_at"])
        assert timedelta(0) < since < timedelta(seconds=2 * WAIT)
        words = {"bio": "Příliš žluťoučký kůň 🎵"}
        assert (await served.client.put(f"/users/{me['id']}", json=words)).status_code == 200
        found = (await served.client.get(f"/users/{me['id']}")).json()["data"]["profile"]
        assert found["bio"] == words["bio"]
        assert await served.end() == 0
        assert await served.process.stdout.read() == b""
        logged = (await served.process.stderr.read()).decode()
        assert PASSWORD not in logged
        assert token not in logged


async def test_the_link_in_a_mail_leads_back_to_the_server_that_sent_it(tmp_path: Path) -> None:
    """A24, A26: on whatever free port it listens; the mail is a private file in text and HTML."""
    async with serving(tmp_path / "data") as served:
        assert (await served.client.post("/auth/register", json=person("ada"))).status_code == 201
        async with asyncio.timeout(WAIT):
            while not mails(tmp_path / "data"):  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.05)
        [file] = mails(tmp_path / "data")
        assert file.stat().st_mode & 0o077 == 0
        mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        texts = [mail.get_body([kind]).get_content() for kind in ("plain", "html")]
        [link] = {found for text in texts for found in re.findall(r'http://[^\s"<]+\?token=[\w-]+', text)}
        assert link.startswith(f"{served.url}/verify-email?token=")
        assert (await served.client.get(link)).status_code == 200
        token = link.partition("=")[2]
        answer = await served.client.post("/auth/verify-email", params={"token": token})
        assert answer.json()["data"] == {"message": "Email verified successfully"}
        assert await served.end() == 0


async def test_a_disk_that_takes_nothing_more(tmp_path: Path) -> None:
    """X4, X5: the kernel refuses every write for a while: reads go on, writes are told no, and all heals."""
    async with serving(tmp_path / "data", VEZA_RATE_LIMIT_ENABLED="false") as served:
        client, pid = served.client, served.process.pid
        assert (await client.post("/auth/register", json=person("ada"))).status_code == 201
        login = {"email": "ada@example.com", "password": PASSWORD}
        data = (await client.post("/auth/login", json=login)).json()["data"]
        client.headers["Authorization"] = f"Bearer {data['token']['access_token']}"
        me = f"/users/{data['user']['id']}"
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, most))
        for _ in range(2):
            no = await client.put(me, json={"bio": "lost"})
            assert (no.status_code, no.headers["retry-after"]) == (503, "5")
            assert (await client.post("/auth/login", json=login)).status_code == 503
            song = {"file": ("song.wav", b"RIFF" + bytes(100_000))}
            no = await client.post("/tracks", files=song)
            assert (no.status_code, no.json()["error"]["code"]) == (507, "INSUFFICIENT_STORAGE")
            assert (await client.get(me)).json()["data"]["profile"]["bio"] is None
            assert (await client.get(f"{served.url}/readyz")).status_code == 503
            assert (await client.get(f"{served.url}/healthz")).status_code == 200
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
        assert (await client.put(me, json={"bio": "kept"})).status_code == 200
        assert (await client.get(f"{served.url}/readyz")).status_code == 200
        assert not list((tmp_path / "data" / "files" / ".scratch").iterdir())
        assert await served.end() == 0


async def at_work(served: Served) -> int:
    """How many requests are being answered, but for this one."""
    figures = (await served.client.get(f"{served.url}/metrics")).text
    return int(float(re.search(r"^veza_requests_in_flight (\S+)$", figures, re.MULTILINE)[1])) - 1


async def test_what_is_under_way_is_finished(tmp_path: Path) -> None:
    """X13, G28: requests that came before the signal are answered, and then the process ends by itself."""
    async with serving(tmp_path / "data", VEZA_RATE_LIMIT_ENABLED="false") as served:
        asked = [
            asyncio.create_task(served.client.post("/auth/register", json=person(f"one-{n}")))
            for n in range(8)
        ]
        async with asyncio.timeout(WAIT):
            while await at_work(served) < 4 and not asked[0].done():  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        ended = asyncio.create_task(served.end())
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert await ended == 0
    met = [answer.status_code for answer in answers if isinstance(answer, httpx.Response)]
    assert met
    assert set(met) <= {201, 503}
    with closing(apsw.Connection(str(tmp_path / "data" / "veza.db"))) as database:
        kept = database.execute("SELECT count(*) FROM users").get
    assert kept == met.count(201)


async def test_two_processes_share_a_postgres(tmp_path: Path, postgres_url: str) -> None:
    """One answers requests, the other does the work behind them, as one trace; each ends with 0."""
    with collecting() as collector:
        await share_a_postgres(tmp_path, postgres_url, collector)
    asked = collector.one("POST /api/v1/auth/register")
    done = collector.one("process accounts.send_verification")
    assert (done.trace, done.parent) == (asked.trace, asked.id)
    assert [one.resource["veza.role"] for one in (asked, done)] == ["serve", "worker"]


async def share_a_postgres(tmp_path: Path, postgres_url: str, collector: Collector) -> None:
    url = await create_database(postgres_url)
    database = open_database(url)
    await upgrade(database)
    await database.close()
    shared = {"VEZA_DATABASE_URL": url, "VEZA_SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz",
              "VEZA_STORAGE_URL": f"file://{tmp_path / 'files'}", "VEZA_MAIL_DIR": str(tmp_path / "mail"),
              "VEZA_OTLP_URL": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}  # fmt: skip
    async with serving(tmp_path / "one", VEZA_SERVE_JOBS="false", **shared) as served:
        answer = await served.client.post("/auth/register", json=person("ada"))
        assert answer.status_code == 201
        await asyncio.sleep(0.5)
        assert not mails(tmp_path), "whoever serves does no work"
        for seen in ({"VEZA_WORKER_PORT": "0"}, {}):
            worker = await start(tmp_path / "two", "worker", **shared, **seen)
            try:
                said = (await asyncio.wait_for(worker.stdout.readline(), WAIT)).decode()
                assert re.fullmatch(r"Veza is working(, and says how at http://\S+)?\n", said)
                async with asyncio.timeout(WAIT):
                    while not mails(tmp_path):  # noqa: ASYNC110 - another process writes it
                        await asyncio.sleep(0.05)
                    if seen:
                        await watch(said.split()[-1])
                        await collected(collector, "process accounts.send_verification")
                worker.send_signal(signal.SIGTERM)
                assert await asyncio.wait_for(worker.wait(), WAIT) == 0
            finally:
                if worker.returncode is None:
                    worker.kill()
                await worker.communicate()
        await collected(collector, "POST /api/v1/auth/register")
        assert await served.end() == 0


async def collected(collector: Collector, name: str) -> None:
    """Wait for a span: at its end a process sends the last ones for some seconds only."""
    async with asyncio.timeout(WAIT):
        while not collector.named(name):  # noqa: ASYNC110 - another process sends it
            await asyncio.sleep(0.05)


async def watch(url: str) -> None:
    """A process that only works says how it goes, and answers nothing else."""
    async with httpx.AsyncClient(base_url=url, timeout=WAIT) as client:
        assert (await client.get("/healthz")).json()["status"] == "ok"
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["database"]) == (200, "ok")
        done = 'veza_job_tries_total{kind="accounts.send_verification",outcome="done"}'
        while done not in (await client.get("/metrics")).text:  # noqa: ASYNC110 - a moment after the mail
            await asyncio.sleep(0.05)
        # What is looked for is the same for all, and shown by those that serve.
        elsewhere = {figure.name for look in LOOKS for figure in look.figures} | {"veza_figures_known"}
        for_it = {name for rule in rules() for name in asked(rule["expr"])[0]} - elsewhere - OF_SQLITE
        assert {"veza_log_lines_dropped", "veza_data_free_bytes"} <= for_it
        assert for_it <= shown((await client.get("/metrics")).text).keys(), "what alerts ask for"
        assert (await client.get("/api/v1/tracks")).status_code == 404


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_locked_database_is_busy_and_then_well_again(database, tmp_path, monkeypatch) -> None:
    """X1: a write that cannot begin in time is 503 with Retry-After, reads go on, and nothing is lost."""
    monkeypatch.setattr("veza.core.db.sqlite_writer.PATIENCE", 0.2)
    async with open_world(database, tmp_path / "data") as world:
        with closing(apsw.Connection(str(database.path))) as other:
            other.execute("BEGIN IMMEDIATE")
            busy = await world.guest.post("/auth/register", json=person("ada"))
            assert (busy.status_code, busy.json()["error"]["code"]) == (503, "DB_BUSY")
            assert busy.headers["retry-after"] == "1"
            assert (await world.guest.get("/tracks")).status_code == 200
            other.execute("ROLLBACK")
        assert (await world.guest.post("/auth/register", json=person("ada"))).status_code == 201
