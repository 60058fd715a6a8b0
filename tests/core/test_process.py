"""What stops a start: one line that says what to do, and exit code 78 where to try again is no use."""

import asyncio
import errno
import io
import json
import os
import resource
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import apsw
import asyncpg
import pytest

from tests.conftest import create_database
from tests.media.corpus import BY_NAME, make
from veza import cli, opening, process
from veza.core import lock
from veza.core.db import UrlRefused, open_database
from veza.core.db.migrate import _scripts, head_revision, upgrade_sql
from veza.core.db.postgres_pool import connecting
from veza.core.errors import InsufficientStorage
from veza.core.lock import FolderLock, InUse
from veza.core.storage import LocalStorage
from veza.core.storage_base import translated
from veza.demo import world
from veza.parts import Parts
from veza.settings import Settings


@pytest.fixture
def command(monkeypatch, tmp_path, capfd):
    """Run the command line in this process; its exit code, and what it said on its two streams."""
    monkeypatch.setattr(process, "configure_logging", lambda *_, **__: None)
    monkeypatch.setenv("VEZA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("VEZA_PORT", "0")

    def run(*words: str, stdin: str = "", **variables: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["veza", *words])
        if stdin:
            monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capfd.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def folder(tmp_path, migrated_file) -> Path:
    """A data folder as a server leaves it."""
    data = tmp_path / "data"
    data.mkdir(0o700)
    shutil.copyfile(migrated_file, data / "veza.db")
    secret = data / "secret.key"
    secret.write_text("0123456789abcdefghijklmnopqrstuvwxyz-ABCDEFGH\n")
    secret.chmod(0o600)
    return data


def refused(outcome: tuple[int, str, str], said: str) -> None:
    code, out, err = outcome
    assert code == 78
    assert out == ""
    assert err.count("\n") == 1, err
    assert err.startswith("veza: ")
    assert said in err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VEZA_PORT", "http"),
        ("VEZA_PROT", "80"),
        ("VEZA_SMTP_URL", "http://mail"),
        ("VEZA_REDIS_URL", "redis://h:x"),
        ("VEZA_DATABASE_URL", "postgresql://veza:s3cr/et@127.0.0.1/veza"),
        ("VEZA_STORAGE_URL", "ftp://files"),
        ("VEZA_DATABASE_URL", "mysql://h/veza"),
        ("VEZA_DATA_DIR", "/dev/null/veza"),
        ("VEZA_SECRET_KEY", "short"),
    ],
)
def test_a_wrong_setting_stops_the_start(command, name, value):
    outcome = command("serve", **{name: value})
    refused(outcome, "secret key" if name == "VEZA_SECRET_KEY" else name)


def test_what_only_the_driver_can_judge_of_a_url_is_not_tried_again(command, folder):
    """D5: nor is it shown: some of its complaints are parts of what it was given."""
    url = "postgresql://veza:hush@127.0.0.1:1/veza?sslmode="
    for words in (("serve",), ("migrate",)):
        refused(command(*words, VEZA_DATABASE_URL=f"{url}hush"), "`sslmode` parameter must be one of")
    for to, said in ((f"{url}hush", "`sslmode` parameter"), ("postgresql://v:hush/1@h/v", "what --to names")):
        outcome = command("migrate", f"--to={to}", VEZA_DATABASE_URL="")
        refused(outcome, said)
        assert "hush" not in outcome[2]
    outcome = command("migrate", VEZA_DATABASE_URL=f"{url}allow", PGPORT="quiet")
    refused(outcome, "PGPORT")
    assert "quiet" not in outcome[2]


@pytest.mark.parametrize("words", [("serve",), ("migrate",)])
def test_a_second_process_on_a_data_folder_is_refused(command, folder, words):
    """X9: it would count jobs and limits by itself, and take over jobs that are being done."""
    with FolderLock(folder):
        refused(command(*words), "another Veza is running")
    with FolderLock(folder), pytest.raises(InUse):
        FolderLock(folder)


def test_what_a_killed_process_was_about_to_run_keeps_nobody_out(folder, monkeypatch):
    """X9, X14: between fork and exec a child has its parent's lock; a refusal then would end all restarts."""
    monkeypatch.setattr(lock, "_PATIENCE", 30.0)
    with FolderLock(folder) as killed:
        child = subprocess.Popen(["sleep", "0.3"], pass_fds=[killed._file])
    with FolderLock(folder):
        assert child.wait() == 0


@pytest.mark.parametrize("words", [("serve",), ("migrate",), ("users", "create", "--username", "ada",
                                   "--email", "ada@example.com", "--password-stdin")])  # fmt: skip
def test_a_damaged_database_is_refused(command, folder, words, monkeypatch):
    """X3: before anything is written to it."""
    damaged = b"This is no database. " * 5_000
    (folder / "veza.db").write_bytes(damaged)
    monkeypatch.setattr("sys.stdin.readline", lambda: "seven purple lanterns\n", raising=False)
    refused(command(*words), "damaged")
    assert (folder / "veza.db").read_bytes() == damaged


def test_a_damaged_schema_is_refused(command, folder):
    """X3: also where the first lines still look well."""
    whole = (folder / "veza.db").read_bytes()
    (folder / "veza.db").write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    refused(command("serve"), "damaged")


def test_a_newer_database_is_refused(command, folder):
    """X11: this program does not know what is in it."""
    database = apsw.Connection(str(folder / "veza.db"))
    database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    for words in (("serve",), ("migrate",)):
        refused(command(*words), "newer Veza (its schema is 9999)")


def test_a_secret_that_others_may_read_is_refused(command, folder):
    """X18: whoever has read it can sign in as anybody."""
    (folder / "secret.key").chmod(0o644)
    refused(command("serve"), "chmod 600")


def test_a_secret_that_is_gone_is_not_made_anew(command, folder):
    """X18: what was sealed with it could never be opened again."""
    (folder / "secret.key").unlink()
    refused(command("serve"), "secret.key is missing")
    assert not (folder / "secret.key").exists()


def test_a_secret_that_several_share_is_not_made_anew(command, postgres_url, tmp_path):
    """X18: only while nobody has an account; afterwards each process is given it, and nobody makes one."""
    url, key = asyncio.run(create_database(postgres_url)), tmp_path / "data" / "secret.key"
    assert command("migrate", VEZA_DATABASE_URL=url)[:2] == (0, "migrated\n")
    kept = key.read_text()
    key.unlink()
    words = ("users", "create", "--username", "ada", "--email", "ada@example.com", "--password-stdin")
    assert command(*words, stdin="seven purple lanterns\n")[0] == 0
    assert key.read_text() != kept, "the schema alone was made with none"
    kept = key.read_text().strip()
    key.unlink()
    for words in (("backup", str(tmp_path / "vault")), ("serve",)):
        outcome = command(*words)
        refused(outcome, "secret.key is missing, and VEZA_SECRET_KEY is not set")
        assert "from the other processes" in outcome[2]
    assert not key.exists()
    assert not (tmp_path / "vault").exists()
    away = {"VEZA_DATABASE_URL": "postgresql://veza@127.0.0.1:1/veza"}
    assert command("serve", **away)[2].startswith("veza: the database does not answer")
    assert not key.exists()
    code, out, _ = command("backup", str(tmp_path / "vault"), VEZA_DATABASE_URL=url, VEZA_SECRET_KEY=kept)
    assert (code, out.startswith("backup ")) == (0, True)


def test_a_database_that_was_moved_is_left_alone(command, folder, tmp_path):
    """X12: who serves or backs up what was left behind loses what was changed since; so nobody does."""
    mark = folder / "veza.db.moved"
    mark.write_text('{"to": "db.example/veza", "at": "2026-11-26T20:00:00Z"}')
    before = (folder / "veza.db").read_bytes()
    user = ("--username", "ada", "--email", "ada@example.com", "--password-stdin")
    for words in (
        ("serve",), ("worker",), ("migrate",), ("backup", str(tmp_path / "vault")), ("fsck",),
        ("restore", str(tmp_path)),
        ("admin", "storage"), ("audit", "verify"), ("users", "create", *user), ("reindex",), ("demo",),
        ("import", str(tmp_path), "--user", "ada"), ("migrate", "--to", "postgresql://h/veza"),
    ):  # fmt: skip
        outcome = command(*words, stdin="seven purple lanterns\n")
        refused(outcome, "moved to db.example/veza on 2026-11-26 at 20:00 UTC: set VEZA_DATABASE_URL")
    assert (folder / "veza.db").read_bytes() == before
    mark.write_bytes(b"")
    (folder / "veza.db").unlink()
    refused(command("serve"), "moved to another database")
    assert not (folder / "veza.db").exists()


def test_files_whose_database_is_lost_are_left_alone(command, folder):
    """X12: to no row that a new one has would any of them belong, and a sweep would remove them all."""
    original = folder / "files" / "tracks" / "019a0000-0000-7000-8000-000000000000" / "original"
    original.parent.mkdir(parents=True)
    original.write_bytes(b"x")
    (folder / "veza.db").unlink()
    user = ("--username", "ada", "--email", "ada@example.com", "--password-stdin")
    for words in (("serve",), ("migrate",), ("users", "create", *user), ("demo",)):
        refused(command(*words, stdin="seven purple lanterns\n"), "comes back by `veza restore`")
    assert not (folder / "veza.db").exists(), "a restore would not find it empty"
    asyncio.run(_make(folder))
    refused(command("serve"), "and the database names none")
    assert original.exists()


async def _make(folder: Path) -> None:
    database = open_database(f"sqlite:///{folder / 'veza.db'}")
    await database.script(upgrade_sql("sqlite", None))
    await database.close()


def test_a_worker_needs_a_database_that_can_be_shared(command):
    refused(command("worker"), "PostgreSQL")


def test_a_database_out_of_reach_is_worth_another_try(command):
    code, out, err = command("serve", VEZA_DATABASE_URL="postgresql://veza@127.0.0.1:1/veza")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("veza: the database does not answer")


@pytest.mark.parametrize("words", [("serve",), ("migrate",)])
def test_a_full_disk_at_the_migration_is_said_in_words(command, words):
    """X5: with room again, the same command goes on from where it was."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100 * 1024, limits[1]))
    try:
        code, out, err = command(*words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (code, out, err.count("\n")) == (1, "", 1), err
    assert err.startswith("veza: there is no room left for ")
    assert command("migrate")[:2] == (0, "migrated\n")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (apsw.ReadOnlyError("attempt to write a readonly database"), 78, "not be written to"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "veza.db"), 78, "not be written to"),
        (apsw.FullError("database or disk is full"), 1, "no room left"),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), 1, "no room left"),
        (apsw.IOError("disk I/O error"), 1, "does not answer: disk I/O error"),
        (PermissionError(errno.EACCES, "denied", "veza.lock"), 1, "veza.lock cannot be used"),
    ],
)
def test_what_a_disk_refuses_at_the_start_is_said_in_words(command, folder, monkeypatch, error, code, said):
    """X4, X5: full, it may be otherwise later; read only, somebody must mend it first."""

    async def refuse(_: object) -> None:
        raise error

    monkeypatch.setattr(opening, "upgrade", refuse)
    found, out, err = command("serve")
    assert (found, out, err.count("\n"), said in err) == (code, "", 1, True), err


def _because(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (asyncpg.DiskFullError("no space left"), "the disk of the database is full"),
        (asyncpg.ReadOnlySQLTransactionError("it only reads"), "a copy of another"),
        (asyncpg.InterfaceError("connection is closed"), "does not answer: connection is closed"),
        (InsufficientStorage(), "no room left"),
        (
            _because(InsufficientStorage(), asyncpg.DiskFullError("no space left")),
            "disk of the database is full",
        ),
        (TimeoutError(), "does not answer: TimeoutError"),
    ],
)
def test_what_a_postgres_refuses_at_the_start_is_said_in_words(error, said):
    settings = Settings(database_url="postgresql://veza@127.0.0.1/veza")
    with pytest.raises(opening.OutOfReach, match=said), opening.saying_what_is_wrong(settings):
        raise error


def test_a_certificate_that_is_not_believed_is_no_url_to_be_mended():
    """It may be renewed, and then whoever tries again comes through; but it is of both kinds of error."""
    for error, raised in (
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), ssl.SSLCertVerificationError),
        (ValueError("port"), UrlRefused),
    ):
        with pytest.raises(raised), connecting():
            raise error


def test_nothing_is_made_of_an_empty_postgres(command, postgres_url, tmp_path):
    """Of a wrong one it would be said that all is well, and a restore into it be refused from then on."""
    url = asyncio.run(create_database(postgres_url))
    for words in (
        ("fsck",),
        ("audit", "verify"),
        ("admin", "storage"),
        ("reindex",),
        ("backup", str(tmp_path / "vault")),
        ("import", str(tmp_path), "--user", "ada"),
    ):
        refused(command(*words, VEZA_DATABASE_URL=url), "is it the server's")

    async def tables() -> int:
        database = open_database(url)
        found = await database.rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        await database.close()
        return int(found[0][0])

    assert asyncio.run(tables()) == 0
    # Nor a secret, by which what is restored could not be opened.
    assert not (tmp_path / "data").exists()


def test_an_older_postgres_waits_for_its_operator(command, postgres_url):
    """Others may be using it: to serve does not migrate it, to migrate does."""

    async def grow_old() -> str:
        url = await create_database(postgres_url)
        database = open_database(url)
        await database.script(upgrade_sql("postgresql", None))
        await database.script("UPDATE alembic_version SET version_num = '0001'")
        await database.close()
        return url

    refused(command("serve", VEZA_DATABASE_URL=asyncio.run(grow_old())), "veza migrate")


def test_a_port_in_use_ends_the_start(command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = command("serve", VEZA_PORT=str(port))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"127.0.0.1:{port} is already in use" in err


def test_to_migrate_says_whether_there_was_anything_to_do(command, monkeypatch, capfd):
    for said in ("migrated\n", "nothing to do\n"):
        monkeypatch.setattr(sys, "argv", ["veza", "migrate"])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert (end.value.code, capfd.readouterr().out) == (0, said)


def test_the_document_is_printed(command):
    code, out, err = command("openapi")
    assert (code, err) == (0, "")
    assert json.loads(out)["openapi"] == "3.0.3"


def test_accounts_are_made_by_hand(command, monkeypatch):
    """A30: there is no account but those that somebody has made."""
    words = ("users", "create", "--admin", "--username", "boss", "--email", "boss@example.com",
             "--password-stdin")  # fmt: skip

    def type_in(password: str) -> None:
        monkeypatch.setattr("sys.stdin.readline", lambda: f"{password}\n", raising=False)

    type_in("short")
    code, out, err = command(*words)
    assert (code, out, err.count("\n")) == (1, "", 1)
    type_in("seven purple lanterns")
    code, out, err = command(*words)
    assert (code, err) == (0, "")
    assert out.startswith("created boss (")
    code, _, err = command(*words)
    assert code == 1
    assert "taken" in err.lower()


def test_the_newest_revision_is_known_without_alembic():
    assert head_revision() == _scripts().get_current_head()


def test_an_operator_sees_to_users_and_checks_the_log(command, tmp_path, monkeypatch):
    """What admins do over HTTP, from the shell; and each of it is in a log that is right until it is not.

    What cannot be done is said in one line.
    """
    for words in (("audit", "verify"), ("admin", "storage"), ("reindex",)):  # as in a wrong folder
        code, _, said = command(*words)
        assert (code, "is VEZA_DATA_DIR the server's" in said) == (78, True)
    assert not (tmp_path / "data").exists()
    account = ("users", "create", "--username", "ada", "--email", "ada@example.com", "--password-stdin")
    assert command(*account, stdin="seven purple lanterns\n")[0] == 0
    code, said, _ = command("admin", "users", "list", "AD")
    assert (code, "ada  ada@example.com  user" in said, "1 of 1 users" in said) == (0, True, True)
    assert command("admin", "users", "suspend", "ada", "--reason", "Spam")[0] == 0
    assert "suspended 20" in command("admin", "users", "list", "--status", "suspended")[1]
    for word in ("--status", "--role"):
        assert command("admin", "users", "list", word, "nonsense")[0] == 2
    for reason in ("", "\x1b[31mred"):
        assert command("admin", "users", "suspend", "ada", "--reason", reason)[0] == 1
    assert command("admin", "users", "restore", "ada")[0] == 0
    assert command("admin", "users", "suspend", "nobody", "--reason", "Spam")[::2] == (
        1, "veza: There is no such user.\n",
    )  # fmt: skip
    assert "has no second factor" in command("admin", "users", "reset-2fa", "ada")[1]
    assert "0 of 0 reports wait" in command("admin", "reports")[1]
    assert "0 bytes of 1 users" in command("admin", "storage")[1]
    assert "to be done" in command("admin", "jobs")[1]
    assert command("admin", "jobs", "--retry", "no.such")[:2] == (0, "0 jobs are tried again\n")

    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    code, said, complaint = command("import", str(loop), "--user", "ada")
    assert (code, said, complaint) == (
        1, "", f"veza: {loop} cannot be read: Too many levels of symbolic links.\n",
    )  # fmt: skip
    full = Mock(side_effect=OSError(28, "No space left on device"))
    monkeypatch.setattr("veza.demo.files.draw_cover", full)
    code, said, complaint = command("demo")
    assert (code, said.count("\n"), complaint.count("\n")) == (1, 1, 1)
    assert complaint.endswith(": No space left on device.\n")
    assert "1 of 1 users" in command("admin", "users", "list")[1]

    code, said, _ = command("audit", "verify")
    assert (code, "0 rows are right" in said, "3 wait" in said) == (0, True, True)
    for head in ("nonsense", "-5:00"):
        assert command("audit", "verify", f"--head={head}")[0] == 78
    with apsw.Connection(str(tmp_path / "data" / "veza.db")) as connection:
        connection.execute("DROP TRIGGER events_queued")
        connection.execute(
            "INSERT INTO events VALUES"
            " (x'00112233445566778899aabbccddeeff', 'user.role_changed', '{}', NULL, '', '', '', 0)"
        )
    code, _, said = command("audit", "verify")
    assert (code, "inserted past the log" in said) == (1, True)


@pytest.mark.parametrize("words", [("import", "{music}", "--user", "ada"), ("demo",)])
@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "there is no room left in {files}: make some."),
        (errno.EIO, "{files} cannot be used: OSError: [Errno 5] Input/output error. Is its disk mounted,"),
    ],
)
def test_which_storage_it_is_that_takes_no_music_is_said(
    command, folder, tmp_path, monkeypatch, words, code, said
):
    """X4, X5: as other commands say it, with what to do next."""
    named = ("--username=ada", "--email=ada@example.com", "--password-stdin")
    assert command("users", "create", *named, stdin="seven purple lanterns\n")[0] == 0
    music = tmp_path / "music"
    music.mkdir()
    make(BY_NAME["a.mp3"], music)

    async def refuse(storage: LocalStorage, *_: object) -> None:
        with translated(place=storage.place):
            raise OSError(code, os.strerror(code))

    async def play(*_: object) -> None:
        pass

    async def take(parts: Parts, *_: object) -> None:
        await parts.storage.put_files([])

    monkeypatch.setattr(LocalStorage, "put_files", refuse)
    monkeypatch.setattr(world, "_play", play)
    monkeypatch.setattr(world, "_take", take)
    found, _, err = command(*(word.format(music=music) for word in words))
    assert (found, err.count("\n")) == (1, 1), err
    assert err.startswith(f"veza: {said.format(files=folder / 'files')}")
    assert err.endswith("the same command goes on from here.\n")
