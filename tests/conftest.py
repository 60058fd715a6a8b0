"""Databases to test on: each test that asks for `database` runs on SQLite and on PostgreSQL.

Both are at the newest schema and empty. SQLite is a copy of one migrated file; PostgreSQL is one server for a
process of tests, with one migrated database whose tables are emptied before each test.
"""

import asyncio
import gc
import os
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
import structlog
import uvloop

from tests.bucket import start_s3
from tests.cluster.choosing import choose
from tests.home import Home
from tests.postgres import start_postgres
from veza.core import clock
from veza.core.db import Database, open_database, postgres_pool, sqlite_writer
from veza.core.db.migrate import upgrade
from veza.core.errors import Unavailable
from veza.core.ids import new_id
from veza.core.storage import Storage, open_storage

if TYPE_CHECKING:
    from tests.cluster.nodes import Stand

DIALECTS = ("sqlite", "postgresql")
IN_MEMORY = Path("/dev/shm")
ROOM = 3 << 30  # bytes


def pytest_addoption(parser: pytest.Parser) -> None:
    """Tests that throw dice can be asked to throw them more often."""
    parser.addoption("--uploads", default="40", help="uploads in chunks to a server that is killed meanwhile")
    parser.addoption("--kills", default="200", help="SIGKILLs of a server while people upload and change")
    parser.addoption("--events", default="100", help="events told by a server that is killed meanwhile")
    parser.addoption(
        "--messages", default="240", help="messages in a chat whose servers and clients come and go"
    )
    parser.addoption("--cuts", default="6", help="places of 64 where a file of each format but MP3 is cut")
    parser.addoption("--flips", default="7", help="files of each format with bits turned over")
    parser.addoption("--sales", default="15", help="products bought while they are changed and archived")
    parser.addoption("--backups", default="2", help="backups that are made while everybody writes")
    parser.addoption(
        "--cluster",
        action="store_true",
        help="run what rooms do against several processes on several engines",
    )
    parser.addoption("--hls", help="the file of hls.js, to hear tracks by it in Chromium")
    parser.addoption("--playlists", default="4", help="lives of a playlist that is changed at random")


def pytest_configure() -> None:
    """Make what tests write cheap: programs compiled once, no idle threads, folders in memory, plain logs."""
    # Whoever forbids to keep what is compiled would have each process of a test compile all of Veza anew.
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # There are more workers than cores: threads that turn round while they wait take a share from others.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if _has_room(IN_MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))
    # A fault in colours and boxes, with the source around each line, took as long to write as a test takes.
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure([*structlog.get_config()["processors"][:-1], plain])


def _has_room(folder: Path) -> bool:
    """Whether a run of all tests, some hundred megabytes at a time, fits into this folder of memory."""
    if not os.access(folder, os.W_OK):
        return False
    found = os.statvfs(folder)
    free = int(re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())[1]) << 10
    return min(free, found.f_bavail * found.f_frsize) >= ROOM and not found.f_flag & os.ST_NOEXEC


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Twice the cores, and four at most more: many tests wait, for a disk, a child, a moment that comes."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    cores = len(os.sched_getaffinity(0))
    return cores + min(cores, 4)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Say of a run that failed how to have its order again, and all that its tests drew."""
    if exitstatus:
        terminalreporter.write_line(f"With the same dice: --randomly-seed={config.option.randomly_seed}")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What waits comes first, or one core would wait for the last of it: the workers begin with a piece each.

    So servers that are killed are forked from one nursery, and what is stored in a bucket shares one.
    """
    choose(config, items)
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    if item.path.parent.name == "faults" or item.path.stem == "test_readme":
        return 0
    return 1 if "s3_server" in getattr(item, "fixturenames", ()) or "[bucket" in item.name else 2


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported stays: to look for garbage in it took a fifth of the time, and more later."""
    gc.disable()
    collected = yield
    gc.freeze()
    gc.enable()
    return collected


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that serves people is the loop that is tested."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of the server's own database; others are made beside it."""
    # Little is kept of what was written: it may be in memory.
    url, stop = start_postgres(max_wal_size="96MB")
    yield url
    stop()


@pytest.fixture(scope="session")
async def s3_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, str]]:
    """The AWS_* settings of a real S3 with one bucket, `tests`, that takes files: each is slow to make."""
    folder = tmp_path_factory.mktemp("s3")
    options, stop = start_s3(folder)
    storage = open_storage("s3://tests", scratch=folder / "scratch", s3=options)
    async with asyncio.timeout(60):
        while not await _works(storage):
            pass
    yield options
    stop()


async def _works(storage: Storage) -> bool:
    try:
        await storage.check()
    except Unavailable:
        return False
    return True


@pytest.fixture(scope="session")
def stand(s3_server: dict[str, str]) -> Iterator["Stand"]:
    """What nodes of a cluster stand on, beside a database."""
    from tests.cluster.nodes import standing  # noqa: PLC0415 - few runs of tests have use for it

    # A short path, for a socket's may have about a hundred characters.
    with tempfile.TemporaryDirectory() as folder, standing(Path(folder), s3_server) as made:
        yield made


@pytest.fixture(scope="session", autouse=True)
def _spread(request: pytest.FixtureRequest) -> Iterator[None]:
    """With `--cluster` every world is one of many nodes."""
    if not request.config.getoption("--cluster"):
        yield
        return
    from tests import world  # noqa: PLC0415 - as above
    from tests.cluster.moved import moving  # noqa: PLC0415 - as above
    from tests.cluster.spread import open_spread_world  # noqa: PLC0415 - as above
    from tests.cluster.spread_house import open_spread_house  # noqa: PLC0415 - as above
    from tests.rooms import sessions_house  # noqa: PLC0415 - as above

    made: Stand = request.getfixturevalue("stand")
    world.elsewhere.append(partial(open_spread_world, made))
    sessions_house.elsewhere.append(partial(open_spread_house, made))
    with moving(made.shift):
        yield
    sessions_house.elsewhere.pop()
    world.elsewhere.pop()


@pytest.fixture
def bucket_url() -> str:
    """The address of a place there that nobody else uses."""
    return f"s3://tests/{new_id().hex}"


@pytest.fixture(scope="session")
async def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file at the newest schema. Never open it: copy it."""
    path = tmp_path_factory.mktemp("migrated") / "veza.db"
    await _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
async def migrated_url(postgres_url: str) -> str:
    """A PostgreSQL database at the newest schema."""
    url = await create_database(postgres_url)
    await _migrate(url)
    return url


async def _migrate(url: str) -> None:
    database = open_database(url)
    await upgrade(database)
    await database.close()


async def create_database(postgres_url: str) -> str:
    """Make an empty database on the server; return its address."""
    name = f"test_{new_id().hex}"
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return postgres_url.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="session")
async def home(migrated_url: str) -> AsyncIterator[Home]:
    """What is shared by tests on PostgreSQL."""
    made = Home(migrated_url)
    yield made
    await made.close()


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    """Each in turn; a test for one of them alone parametrises `dialect` itself."""
    return str(request.param)


@pytest.fixture
def database_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database at the newest schema; empty, once `database` was asked for too."""
    if dialect == "postgresql":
        return str(request.getfixturevalue("migrated_url"))
    path = tmp_path / "veza.db"
    shutil.copyfile(request.getfixturevalue("migrated_file"), path)
    return f"sqlite:///{path}"


@pytest.fixture
def home_here(dialect: str, request: pytest.FixtureRequest) -> Home | None:
    """The same where it is wanted: who tests SQLite starts no server."""
    found: Home | None = request.getfixturevalue("home") if dialect == "postgresql" else None
    return found


@pytest.fixture
async def database(
    database_url: str, home_here: Home | None, request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    """An empty database at the newest schema, open."""
    opened = open_database(database_url)
    # The core's own tests see the whole life of a connection.
    lender = home_here if request.path.parent.name != "core" else None
    if home_here is not None:
        await home_here.empty()
    if lender is not None:
        lender.lend(opened)
    yield opened
    if lender is not None:
        lender.take_back(opened)
    await opened.close()


@pytest.fixture
async def bare_url(dialect: str, postgres_url: str, tmp_path: Path) -> str:
    """The address of a database without a single table."""
    if dialect == "sqlite":
        return f"sqlite:///{tmp_path / 'bare.db'}"
    return await create_database(postgres_url)


@pytest.fixture(autouse=True)
def _patience(request: pytest.FixtureRequest) -> Iterator[None]:
    """A slow machine may take the five seconds after which whoever waits for others is refused.

    The core's own tests see that.
    """
    if request.path.parent.name == "core":
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(postgres_pool.SESSION, "lock_timeout", "25s")
        patch.setattr(sqlite_writer, "PATIENCE", 25.0)
        yield


@pytest.fixture
def still(request: pytest.FixtureRequest) -> None:
    """Both clocks stand, and go by `clock.shifted` alone: however long the machine takes, no time passes.

    Those of a cluster's nodes, which are other processes, go on.
    """
    if request.config.getoption("--cluster"):
        return
    # Not asked for by its name, for who is to be left out with `--cluster` is told by that.
    monkeypatch = request.getfixturevalue("monkeypatch")
    now, monotonic = clock.now(), clock.monotonic()
    monkeypatch.setattr(clock, "now", lambda: now + clock._shift)
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic + clock._shift.total_seconds())


@pytest.fixture(autouse=True)
def _unmoved_clock() -> Iterator[None]:
    """Whoever moves the clock puts it back, or the next test would pay for it."""
    yield
    moved, clock._shift = clock._shift, timedelta()
    assert not moved
