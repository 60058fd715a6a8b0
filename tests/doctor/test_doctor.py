"""`veza doctor`: what can be wrong is found, said in words with what to do, and nothing is changed."""

# ruff: noqa: ASYNC240 - folders in memory

import asyncio
import contextlib
import json
import os
import resource
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from aiosmtpd.smtp import SMTP

from tests.clamd import fake_clamd
from tests.collector import collecting
from tests.conftest import create_database
from tests.ports import free_ports
from tests.rooms.audit_house import seal
from tests.rooms.test_admin import FRAGILE, Told, work
from tests.store import Store
from tests.world import World, open_world
from veza import cli
from veza.core import clock, storage_base, valkey
from veza.core.db import Database, open_database
from veza.core.db.migrate import upgrade_sql
from veza.core.db.sqlite_looked_at import LookedAt
from veza.core.errors import Unavailable
from veza.core.jobs import JobKind, enqueue
from veza.core.lock import FolderLock
from veza.core.mail import MailDelayed, SmtpMailer
from veza.doctor import media, services
from veza.doctor.database import _clock, look_at_database
from veza.doctor.examination import LOOKS, examine
from veza.doctor.findings import Finding, Level
from veza.doctor.work import look_at_work
from veza.media import cover
from veza.media.sandbox import SandboxLevel
from veza.moved import mark_of, write_mark
from veza.rooms.audit.sealing import Sealer
from veza.settings import BadSetting, Settings

GOOD_KEY = "0123456789abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there has the time that it takes to answer, on a busy machine as well."""
    for module in ("database", "installation", "machine", "replica", "secret"):
        monkeypatch.setattr(f"veza.doctor.{module}._SECONDS", 60.0)
    for name in ("services._COLLECTOR_SECONDS", "services._SLOW", "examination._PATIENCE"):
        monkeypatch.setattr(f"veza.doctor.{name}", 120.0)
    monkeypatch.setattr(storage_base, "_CHECK_SECONDS", 60.0)
    monkeypatch.setattr(valkey, "_SECONDS", 60.0)


@pytest.fixture
def folder(tmp_path: Path, migrated_file: Path) -> Path:
    """A data folder as a server leaves it."""
    data = tmp_path / "data"
    data.mkdir(0o700)
    shutil.copyfile(migrated_file, data / "veza.db")
    (data / "files").mkdir()
    secret = data / "secret.key"
    secret.write_text(f"{GOOD_KEY}-ABCDEFGH\n")
    secret.chmod(0o600)
    return data


@pytest.fixture
def asked(folder: Path) -> Settings:
    """The settings of a server that is in order and on the internet, with nobody running."""
    return Settings(
        data_dir=folder,
        port=free_ports(1)[0],
        public_url="https://music.example",
        trusted_proxies="127.0.0.1",
    )


def changed(settings: Settings, **choices: Any) -> Settings:
    return Settings(**{**{n: getattr(settings, n) for n in Settings.__struct_fields__}, **choices})


async def found(settings: Settings, about: str) -> list[tuple[Level, str]]:
    """What is found about one thing."""
    findings = await LOOKS[about](settings)
    assert all(one.found for one in findings)
    assert all(one.level == "ok" or (one.meaning and one.advice) for one in findings)
    return [
        (one.level, one.found) for one in findings if one.about in {about, "disk", "jobs", "clock", "schema"}
    ]


def says(findings: list[tuple[Level, str]], level: Level, words: str) -> bool:
    assert any(one == level and words in said for one, said in findings), findings
    return True


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file, but for what SQLite needs to share memory."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


async def test_a_server_in_order_is_well_and_left_as_it_was(asked: Settings, folder: Path) -> None:
    """All is looked at, and nothing is changed: it may be run at any time, beside a server as well."""
    before = contents(folder)
    with FolderLock(folder):
        report = await examine(lambda: changed(asked, port=0))
    assert [one for one in report.findings if one.level == "wrong"] == []
    assert report.well
    # Mails are files here.
    assert [
        one.about
        for one in report.findings
        if one.level == "warning" and one.about not in {"sandbox", "disk", "open files"}
    ] == ["mail"]
    unset = {"countries", "malware scanner", "traces", "read copy"}
    assert {one.about for one in report.findings} >= LOOKS.keys() - unset
    after = contents(folder)
    assert {path: after[path] for path in before} == before
    assert set(after) - set(before) == {str(folder / "veza.lock")}


def test_it_is_told_to_a_person_and_to_a_program(
    asked: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 1 where anything is wrong, and 0 where something is only to be looked at."""
    monkeypatch.setattr("veza.process.configure_logging", lambda *_, **__: None)
    for name in ("port", "data_dir", "public_url", "trusted_proxies"):
        monkeypatch.setenv(f"VEZA_{name.upper()}", str(getattr(asked, name)))

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["veza", "doctor", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return int(end.value.code or 0), capfd.readouterr().out

    code, said = run()
    assert code == 0
    assert "\nwarning  mail: No mail is sent" in said
    assert "\n         → Set VEZA_SMTP_URL and VEZA_MAIL_FROM.\n" in said
    assert said.rstrip().splitlines()[-1].endswith("0 wrong (Veza 0.1.0).")
    (asked.data_dir / "secret.key").chmod(0o644)
    code, said = run("--json")
    report = json.loads(said)
    assert (code, report["well"]) == (1, False)
    (finding,) = [one for one in report["findings"] if one["level"] == "wrong"]
    assert finding.keys() == {"about", "level", "found", "meaning", "advice"}
    assert "chmod 600" in finding["found"]
    monkeypatch.setenv("VEZA_PROT", "80")
    code, said = run()
    assert code == 1
    assert said.startswith("wrong    settings: VEZA_PROT is not a setting of Veza.")


async def test_what_cannot_be_looked_at_is_said_too(asked: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look that breaks keeps nobody from the others."""

    async def broken(_: Settings) -> list[Finding]:
        raise RuntimeError("a surprise")

    monkeypatch.setattr(
        "veza.doctor.examination.LOOKS", {"server": broken, "data folder": LOOKS["data folder"]}
    )
    report = await examine(lambda: asked)
    assert [one.level for one in report.findings] == ["ok", "wrong", "ok", "ok"]
    assert "RuntimeError: a surprise" in report.findings[1].found


async def test_the_data_folder(asked: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C21: there, ours alone, and with room; a folder that is not there yet is none of these."""
    assert says(await found(asked, "data folder"), "ok", "alone")
    folder.chmod(0o755)
    assert says(await found(asked, "data folder"), "warning", "mode 0755")
    folder.chmod(0o700)
    gone = changed(asked, data_dir=folder / "gone")
    assert says(await found(gone, "data folder"), "warning", "is not there")
    assert not (folder / "gone").exists()
    for about in ("secret key", "database", "storage"):
        assert [level for level, _ in await found(gone, about)] in (["ok"], ["warning"]), about
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    assert says(await found(asked, "data folder"), "warning", "user 12345")
    monkeypatch.undo()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert says(await found(asked, "data folder"), "wrong", "cannot be written to")
    monkeypatch.undo()
    for free, level in ((100, "wrong"), (2 << 30, "warning"), (9 << 30, "ok")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: shutil._ntuple_diskusage(0, 0, free))
        assert says(await found(asked, "data folder"), level, "GiB are free")


async def test_the_secret(asked: Settings, folder: Path) -> None:
    """X18: it may be missing only where there is no data, and be read by nobody else."""
    assert says(await found(asked, "secret key"), "ok", "secret.key is right.")
    (folder / "secret.key").chmod(0o640)
    assert says(await found(asked, "secret key"), "wrong", "mode 0640")
    (folder / "secret.key").unlink()
    assert says(await found(asked, "secret key"), "wrong", "is missing")
    away = f"postgresql://veza:hush@127.0.0.1:{free_ports(1)[0]}/veza"
    shared = changed(asked, database_url=away)
    seen = await found(shared, "secret key")
    assert says(seen, "wrong", "whether there is data already cannot be found out")
    assert "hush" not in str(seen)
    both = changed(shared, secret_key=f"{GOOD_KEY},{GOOD_KEY}2")
    assert says(await found(both, "secret key"), "ok", "with 1 older behind it")
    assert says(await found(changed(asked, secret_key="short"), "secret key"), "wrong", "32 random bytes")
    assert not (folder / "secret.key").exists()


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_the_secret_of_several_processes(asked: Settings, folder: Path, database: Database) -> None:
    """X18: where anybody has an account, to have none is wrong, and none is made."""
    (folder / "secret.key").unlink()
    shared = changed(asked, database_url=database.url)
    assert says(await found(shared, "secret key"), "warning", "VEZA_SECRET_KEY is not set")
    async with open_world(database, folder / "world") as world:
        await world.person("ada")
    assert says(await found(shared, "secret key"), "wrong", "VEZA_SECRET_KEY is not set, but the data was")
    assert not (folder / "secret.key").exists()


async def test_a_secret_of_somebody_else(asked: Settings, database: Database, tmp_path: Path) -> None:
    """X18: one that is not what the log was last sealed with, on either database; and one put before it."""
    async with open_world(database, tmp_path, secret_key=f"{GOOD_KEY}-1") as world:
        here = changed(asked, database_url=database.url)
        assert says(await found(here, "secret key"), "ok", "is right")
        await world.person("ada")
        await Sealer(database, world.parts.keyring).seal_all()
    assert says(await found(here, "secret key"), "wrong", "not what the audit log was last sealed with")
    for key, older in ((f"{GOOD_KEY}-1", "right."), (f"{GOOD_KEY}-2,{GOOD_KEY}-1", "1 older behind it")):
        assert says(await found(changed(here, secret_key=key), "secret key"), "ok", older)


async def test_the_limit_of_files(asked: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """X7: listeners need some each."""
    for hard, level in ((512, "wrong"), (2_048, "warning"), (65_536, "ok"), (resource.RLIM_INFINITY, "ok")):
        monkeypatch.setattr(resource, "getrlimit", lambda _, hard=hard: (256, hard))
        assert says(await found(asked, "open files"), level, "may have")


@contextlib.asynccontextmanager
async def answering(port: int, answer: bytes) -> AsyncIterator[None]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield


async def test_the_server(asked: Settings, folder: Path) -> None:
    """X9: whether one runs, and what it says of itself; something else at its port is told from it."""
    assert says(await found(asked, "server"), "ok", "None runs here")
    with FolderLock(folder):
        assert says(await found(asked, "server"), "wrong", "nobody answers")
    head = b"HTTP/1.1 %s\r\nconnection: close\r\n\r\n%s"
    for answer, level, words in (
        (head % (b"200 OK", b'{"status":"ready","checks":{"database":"ok"}}'), "ok", "ready at"),
        (head % (b"503 No", b'{"status":"-","checks":{"database":"unavailable","queue":"ok"}}'), "wrong",
         "database is unavailable."),
        (head % (b"200 OK", b"<html>"), "wrong", "not Veza"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "wrong", "not Veza"),
    ):  # fmt: skip
        async with answering(asked.port, answer):
            assert says(await found(asked, "server"), level, words)


async def test_a_sqlite_database(asked: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """X3, X11: damaged, locked, older, newer; and beside a server that writes."""
    file = folder / "veza.db"
    write_mark(asked, "db.example/veza")
    assert says(await found(asked, "database"), "wrong", "were moved to db.example/veza on 20")
    mark_of(asked).unlink()
    with contextlib.closing(apsw.Connection(str(file))) as server:
        server.execute("BEGIN IMMEDIATE")
        assert says(await found(asked, "database"), "ok", "is readable")
        server.execute("ROLLBACK")
        for revision, level, words in (("9999", "wrong", "newer Veza"), ("0003", "warning", "older than")):
            server.execute("UPDATE alembic_version SET version_num = ?", (revision,))
            assert says(await found(asked, "database"), level, words)
    monkeypatch.setattr("veza.core.db.sqlite_looked_at._PATIENCE_MS", 10)
    with contextlib.closing(apsw.Connection(str(file))) as alone:
        alone.execute("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; ROLLBACK").fetchall()
        assert says(await found(asked, "database"), "wrong", "locked by another")
    file.write_bytes(b"This is no database. " * 5_000)
    assert says(await found(asked, "database"), "wrong", "damaged")
    file.unlink()
    for left in folder.glob("veza.db-*"):
        left.unlink()
    assert says(await found(asked, "database"), "warning", "is not there")
    assert not file.exists()
    file.mkdir()
    assert says(await found(asked, "database"), "wrong", "cannot be opened")


async def test_who_only_looks_cannot_write(folder: Path) -> None:
    database = LookedAt(folder / "veza.db")
    for refused in (database.write, database.read().run):
        with pytest.raises(TypeError):
            await refused(None)
    with pytest.raises(TypeError):
        await database.script("DELETE FROM users")
    with pytest.raises(apsw.ReadOnlyError):
        await database.rows("DELETE FROM users")
    await database.close()


async def test_a_postgres_database(asked: Settings, postgres_url: str) -> None:
    """X1, X2: out of reach, absent, empty, older; and a server that says to keep what it has not kept."""
    url = await create_database(postgres_url)
    seen = await found(changed(asked, database_url=url), "database")
    assert says(seen, "ok", "database is empty")
    assert says(seen, "warning", "before the disk has it")
    assert says(seen, "ok", "agree")
    database = open_database(url)
    await database.script(upgrade_sql("postgresql", None))
    assert says(await found(changed(asked, database_url=url), "database"), "ok", "none of them late")
    await database.script("UPDATE alembic_version SET version_num = '0001'")
    await database.close()
    assert says(await found(changed(asked, database_url=url), "database"), "wrong", "older than")
    absent = postgres_url.replace("/postgres?", "/no_such?")
    assert says(await found(changed(asked, database_url=absent), "database"), "wrong", "no such database")
    away = f"postgresql://veza:hush@127.0.0.1:{free_ports(1)[0]}/veza"
    (finding,) = await look_at_database(changed(asked, database_url=away))
    assert (finding.level, "does not answer" in finding.found) == ("wrong", True)
    assert "hush" not in str(finding)
    both = away.replace("@127.0.0.1", "@127.0.0.1:1,127.0.0.1") + "?target_session_attrs=read-write"
    (finding,) = await look_at_database(changed(asked, database_url=both))
    assert finding.found.startswith("127.0.0.1:1,127.0.0.1:")
    assert "does not answer" in finding.found
    assert "hush" not in str(finding)


async def test_a_copy_that_is_read_from(asked: Settings, postgres_url: str) -> None:
    """X2: one that is out of reach, or follows nobody; of real ones tells tests/cluster/test_replica.py."""
    assert await found(asked, "read copy") == []
    settings = changed(asked, database_url=postgres_url, database_read_url=postgres_url)
    assert says(await found(settings, "read copy"), "warning", "follows nobody")
    away = f"postgresql://veza:hush@127.0.0.1:{free_ports(1)[0]}/veza"
    seen = await found(changed(settings, database_read_url=away), "read copy")
    assert says(seen, "wrong", "does not answer")
    assert "hush" not in str(seen)


@pytest.mark.parametrize(("apart", "level"), [(0, "ok"), (3, "warning"), (-3, "warning"), (90, "wrong")])
def test_the_clocks(apart: int, level: Level) -> None:
    """X8: by how far the database's is away from ours."""
    now = clock.now()
    assert _clock(now + timedelta(seconds=apart), now, now).level == level


async def test_work_that_waits_or_was_given_up(database: Database, tmp_path: Path) -> None:
    """X15: seen beside a server, on both databases; what came in bulk may wait."""
    async with open_world(database, tmp_path) as world:
        async with database.write() as tx:
            for number in range(3):
                await enqueue(tx, FRAGILE, Told(number))
        looked = await look(world)
        assert ("ok", "3 are to be done, none of them late.") in looked
        for waited, level in ((timedelta(minutes=10), "warning"), (timedelta(hours=3), "wrong")):
            with clock.shifted(waited):
                assert says(await look(world), level, "In the lane default 3 jobs are due, the first for")
        await work(world, well=False)
        why = "One with ValueError: it is broken"
        assert ("warning", f"3 of the kind test.fragile were given up. {why}") in await look(world)
        assert ("ok", "None is late.") in await look(world)
        patient = JobKind("test.patient", Told, outlasts=True)
        async with database.write() as tx:
            await enqueue(tx, patient, Told(4))
        await work(world, well=False, kind=patient, error=Unavailable("No scanner at tcp://a:hush@b/"))
        seen = await look(world)
        assert says(seen, "warning", "1 of the kind test.patient failed and are tried again. One with U")
        assert "hush" not in str(seen)


async def test_a_log_that_is_not_sealed(database: Database, tmp_path: Path) -> None:
    """D3: as long as nobody seals what happened, it can be changed unnoticed."""
    async with open_world(database, tmp_path) as world:
        await world.person("ada")
        ((waiting,),) = await database.rows("SELECT count(*) FROM audit_queue")
        assert ("ok", f"{waiting} events wait to be sealed, none of them for long.") in await look(world)
        for waited, level in ((timedelta(minutes=10), "warning"), (timedelta(hours=3), "wrong")):
            with clock.shifted(waited):
                assert says(await look(world), level, f"{waiting} events wait to be sealed, the first for")
        await seal(world)
        assert ("ok", "0 events wait to be sealed, none of them for long.") in await look(world)


async def look(world: World) -> list[tuple[Level, str]]:
    """As a process beside it sees it."""
    database = world.parts.database
    if database.dialect == "postgresql":
        return [(one.level, one.found) for one in await look_at_work(database)]
    beside = LookedAt(Path(database.url.removeprefix("sqlite:///")))
    try:
        return [(one.level, one.found) for one in await look_at_work(beside)]
    finally:
        await beside.close()


async def test_the_storage(asked: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C21, X4: it takes a file, gives it back and forgets it; full, or not to be written to, it does not."""
    assert says(await found(asked, "storage"), "ok", "takes, gives back and removes")
    assert [path for path in (folder / "files").rglob("*") if path.is_file()] == []
    bucket = changed(asked, storage_url="s3://veza", s3={
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_ports(1)[0]}", "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "hush"})  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(storage_base, "_CHECK_SECONDS", 0.3)
        (finding,) = await LOOKS["storage"](bucket)
    assert (finding.level, "hush" in str(finding)) == ("wrong", False)
    monkeypatch.setattr("veza.core.storage_local.write_durably", _full)
    assert says(await found(asked, "storage"), "wrong", "is full")


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    with Store(tmp_path) as made:
        yield made.url


async def test_valkey(asked: Settings, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """G19: there, quick enough, or away; needed only where several processes serve."""
    assert says(await found(asked, "Valkey"), "ok", "None is needed")
    shared = changed(asked, database_url="postgresql://h/veza")
    assert says(await found(shared, "Valkey"), "warning", "not set")
    assert says(await found(changed(asked, redis_url=store), "Valkey"), "ok", "answers in")
    monkeypatch.setattr(services, "_SLOW", 0.0)
    assert says(await found(changed(asked, redis_url=store), "Valkey"), "warning", "to answer")
    away = changed(asked, redis_url=f"redis://:hush@127.0.0.1:{free_ports(1)[0]}/0")
    (finding,) = await LOOKS["Valkey"](away)
    assert (finding.level, "hush" in str(finding)) == ("wrong", False)


async def test_mail(asked: Settings) -> None:
    """X15: the server lets us in, or says why not; nothing is sent."""

    class Inbox:
        async def handle_DATA(self, *_: object) -> str:  # noqa: N802 - aiosmtpd's name
            raise AssertionError("a mail was sent")

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Inbox(), hostname="mx", loop=loop), "127.0.0.1", 0)
    async with server:
        url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        known = changed(asked, smtp_url=url, mail_from="Veza <veza@music.example>")
        assert says(await found(known, "mail"), "ok", "answers")
        assert says(await found(changed(asked, smtp_url=url), "mail"), "warning", "noreply@localhost")
        with pytest.raises(MailDelayed):
            await SmtpMailer(url.replace("smtp://", "smtp://ada:hush@"), known.mail_from).check()
    (finding,) = await LOOKS["mail"](known)
    assert (finding.level, "does not let us in" in finding.found) == ("wrong", True)


async def test_scanner_and_countries(asked: Settings, folder: Path) -> None:
    """M20: where they are set, they work, or say why not."""
    async with fake_clamd() as clamd:
        scanned = changed(asked, clamd_url=clamd.url)
        assert says(await found(scanned, "malware scanner"), "ok", "scans")
    assert says(await found(scanned, "malware scanner"), "wrong", "does not answer")
    broken = folder / "countries.mmdb"
    broken.write_bytes(b"none")
    assert says(await found(changed(asked, geoip_database=broken), "countries"), "wrong", "damaged")
    assert await found(asked, "malware scanner") == await found(asked, "countries") == []


async def test_a_collector_of_traces(asked: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked where none is set; and one that is away keeps nobody from anything else."""
    assert await found(asked, "traces") == []
    with collecting() as collector:
        traced = changed(asked, otlp_url=collector.url)
        assert says(await found(traced, "traces"), "ok", "takes them")
        collector.status = 401
        assert says(await found(traced, "traces"), "wrong", "code: 401")
        assert {path for path, _ in collector.asked} == {"/v1/traces"}
    monkeypatch.setattr(services, "can_trace", lambda: False)
    assert says(await found(traced, "traces"), "wrong", "not installed")


async def test_decoders(asked: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """M17: ffmpeg and Pillow with all that they need, and what locks them in."""
    assert says(await found(asked, "ffmpeg"), "ok", "every encoder")
    assert says(await found(asked, "pictures"), "ok", "Covers and avatars")
    small = tmp_path / "ffmpeg"
    small.write_text("#!/bin/sh\necho ffmpeg version 5.1\n")
    small.chmod(0o755)
    monkeypatch.setattr(media, "find_ffmpeg", _raise_unavailable)
    monkeypatch.setattr(shutil, "which", lambda _: str(small))
    assert says(await found(asked, "ffmpeg"), "wrong", "lacks protocol fd, protocol pipe, encoder aac")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert says(await found(asked, "ffmpeg"), "wrong", "none on this machine")
    for level, words in (
        (SandboxLevel(network=True, landlock=3, seccomp=True), ""),
        (SandboxLevel(), "Landlock"),
    ):
        monkeypatch.setattr(media, "sandbox_level", _giving(level))
        assert says(await found(asked, "sandbox"), "warning" if words else "ok", words)
    half = tmp_path / "image_child.py"
    half.write_text("import PIL_that_reads_no_webp\ndef main():\n    return 0\n")
    monkeypatch.setattr(cover, "_SCRIPT", half)
    assert says(await found(asked, "pictures"), "wrong", "No JPEG")


def _raise_unavailable() -> None:
    raise media.MediaUnavailable


def _giving(value: SandboxLevel) -> Callable[[], Any]:
    async def give() -> SandboxLevel:
        return value

    return give


STRIPE = {
    "payment_provider": "stripe",
    "stripe_secret_key": "sk_live_4242",
    "stripe_webhook_secrets": "whsec_a,whsec_b",
}
LIVE_ON_HTTP = STRIPE | {"public_url": "http://a.example"}


@pytest.mark.parametrize(
    ("about", "choices", "level", "words"),
    [
        ("public URL", {}, "ok", "is encrypted"),
        ("public URL", {"public_url": "http://a.example"}, "warning", "not encrypted"),
        ("public URL", {"public_url": ""}, "warning", "this very machine"),
        ("public URL", {"public_url": "https://localhost"}, "warning", "this very machine"),
        ("trusted proxies", {}, "ok", "may say who asks"),
        ("trusted proxies", {"trusted_proxies": ""}, "warning", "is not set"),
        ("trusted proxies", {"trusted_proxies": "", "public_url": ""}, "ok", "Nobody"),
        ("trusted proxies", {"trusted_proxies": "10.0.0.1,0.0.0.0/0"}, "wrong", "almost everybody"),
        ("payments", {}, "ok", "no money is taken"),
        ("payments", {"stripe_secret_key": "sk_live_4242"}, "warning", "no money is taken"),
        ("payments", STRIPE, "ok", "with 2 secrets"),
        ("payments", STRIPE | {"stripe_secret_key": "rk_test_4242"}, "warning", "for tests"),
        ("payments", LIVE_ON_HTTP, "wrong", "not encrypted"),
        ("payments", STRIPE | {"stripe_api_url": "http://127.0.0.1:1"}, "wrong", "is asked at"),
    ],
)
async def test_addresses_and_money(
    asked: Settings, about: str, choices: dict[str, str], level: Level, words: str
) -> None:
    """G16, K19: nobody chooses their address, links lead somewhere, and whether money moves is known."""
    assert says(await found(changed(asked, **choices), about), level, words)


async def test_settings_that_make_no_sense_are_all_that_is_said() -> None:
    def refuse() -> Settings:
        raise BadSetting("VEZA_PORT must be between 0 and 65535.")

    report = await examine(refuse)
    assert [(one.about, one.level) for one in report.findings] == [("settings", "wrong")]
    assert not report.well
