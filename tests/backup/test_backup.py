"""Backups: what is in them, what they share, and that they are whole or none."""

import asyncio
import errno
import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tests.backup.house import back_up, do, fsck, opened, restore, settings_of, sums
from tests.ports import free_ports
from tests.rooms.test_uploads_files import PDF, picture, send
from tests.rooms.tracks_house import plant, short
from tests.rooms.uploads_house import Sender, wave
from tests.world import Person, World, open_world
from veza.access.secrets import new_secret, secret_file
from veza.backup import checking, commands, making, restoring, tables
from veza.backup import pieces as pieces_of_rows
from veza.backup.manifest import Manifest
from veza.backup.pieces import Cutter, unpack
from veza.backup.vault import Vault, content_key
from veza.core import clock
from veza.core.db import Database, metadata
from veza.core.db.rows import Sum
from veza.core.ids import new_id
from veza.core.storage import LocalStorage, holding
from veza.moved import Moved, find_mark, mark_of
from veza.naming import ROOTS, see_all
from veza.rooms.audit.sealing import Sealer
from veza.rooms.audit.verifying import verify
from veza.rooms.tracks.jobs import original_key
from veza.settings import BadSetting, Settings

__all__ = ["short"]

Short = Callable[[str], Path]


async def some_life(world: World, song: Path | None) -> Person:
    """Something in most rooms, and a file of most kinds; of a song that is processed, or one that was."""
    ada, bob = await world.person("ada"), await world.person("bob")
    if song is None:
        track = {"id": await plant(world, ada, title="Öffnung ✓")}
    else:
        track = await ada.upload(song, title="Öffnung ✓", genre="Ambient")
        assert (await world.ready(ada, track["id"]))["status"] == "ready"
    await bob.post(f"/tracks/{track['id']}/like")
    await bob.post(f"/tracks/{track['id']}/play", json={"duration": 0.2})
    await bob.post(f"/tracks/{track['id']}/comments", json={"content": "Hört, hört.", "timestamp": 0.1})
    made = await ada.post("/playlists", json={"title": "Evenings"})
    playlist = made.json()["data"]["playlist"]["id"]
    await ada.post(f"/playlists/{playlist}/tracks", json={"track_id": track["id"]})
    image = {"file": ("a.png", picture())}
    for path in (f"/users/{ada.id}/avatar", f"/playlists/{playlist}/cover", f"/tracks/{track['id']}/cover"):
        answer = await ada.put(path, files=image)
        assert answer.status_code == 200, answer.text
    product = {"title": "It", "price": 1, "product_type": "track", "track_id": track["id"]}
    answer = await ada.post("/marketplace/products", json=product)
    assert answer.status_code == 201, answer.text
    bought = [{"product_id": answer.json()["data"]["id"]}]
    assert (await bob.post("/marketplace/orders", json={"items": bought})).status_code == 201
    assert (await send(bob, PDF, "a.pdf")).status_code == 201
    sender = Sender(bob, wave(30_000), 10_000)
    await sender.start()
    await sender.send_all([1, 3])
    return ada


def elsewhere(settings: Settings, url: str, folder: Path) -> Settings:
    """Settings of a place where nothing is yet."""
    return Settings(data_dir=folder, database_url=url, rate_limit_enabled=False)


@pytest.fixture
async def other_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of nothing yet, on the other kind of database."""
    if dialect == "postgresql":
        return f"sqlite:///{tmp_path / 'other' / 'veza.db'}"
    from tests.conftest import create_database  # noqa: PLC0415 - a server only where one is wanted

    return await create_database(request.getfixturevalue("postgres_url"))


async def test_a_backup_is_restored_into_either_database(
    database: Database,
    tmp_path: Path,
    short: Short,
    other_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """X12: every row and every file, from the one kind of database into the other."""
    vault, other = tmp_path / "vault", elsewhere(Settings(), other_url, tmp_path / "other")
    async with open_world(database, tmp_path, work=True) as world:
        ada = await some_life(world, short("s16.flac") if database.dialect == "sqlite" else None)
        await settled_down(world)
        await Sealer(database, world.parts.keyring).seal_all()
        settings = settings_of(world)
        another = msgspec.structs.replace(settings, secret_key=new_secret())
        with pytest.raises(BadSetting, match="VEZA_SECRET_KEY is not the secret of whoever serves"):
            await back_up(another, vault, with_secret=False)  # X18: nothing would restore it
        assert not vault.exists()
        assert await back_up(settings, vault) == 0
        monkeypatch.setattr(checking, "ORPHANS_AFTER", timedelta(days=-1))
        assert await fsck(settings) == 0, "each file there is is named by a room"
        roots = {entry.key.split("/")[0] async for entry in world.parts.storage.list()}
        assert roots <= set(ROOTS)
        track = (await ada.get("/tracks")).json()["data"]["tracks"][0]["id"]
        heard = (await ada.get(f"/tracks/{track}/download")).content
    assert "the server's secret is in it" in capsys.readouterr().out
    assert {path.stat().st_mode & 0o077 for path in vault.rglob("*")} == {0}
    assert await do(other, "list_backups", target=str(vault), at=None, verify=True) == 0
    assert await restore(other, vault) == 0, capsys.readouterr().err
    before = {part.name: (part.rows, part.digest) for part in (await newest(vault)).tables}
    assert "all read again" in capsys.readouterr().out
    assert await fsck(other) == 0, capsys.readouterr().err
    async with opened(other_url) as restored:
        after = await sums(restored)
        # What had come of an upload in chunks is not backed up, and so is not counted any more.
        differ = {name for name in before if before[name] != after[name]}
        assert differ == {"transfers", "transfer_chunks"}
        async with open_world(restored, tmp_path / "other-world", **chosen(other)) as world:
            verdict = await verify(restored, Sealer(restored, world.parts.keyring), None)
            assert (verdict.problem, verdict.rows > 0) == ("", True)
            answer = await world.guest.post(
                "/auth/login", json={"email": "ada@example.com", "password": "seven purple lanterns"}
            )
            assert answer.status_code == 200, answer.text
            found = (await world.guest.get("/tracks/search?q=offnung")).json()
            assert [one["id"] for one in found["tracks"]] == [track]
            token = answer.json()["data"]["token"]["access_token"]
            again = world.client({"Authorization": f"Bearer {token}"})
            assert (await again.get(f"/tracks/{track}/download")).content == heard
            # A row that comes after is no clash with one that was restored.
            await again.post(f"/tracks/{track}/play", json={"duration": 0.2})


def chosen(settings: Settings) -> dict[str, Any]:
    return {"data_dir": settings.data_dir, "storage_url": settings.storage}


async def settled_down(world: World) -> None:
    """Wait until no job of a change is due, nor is at work: then it is due when its lease ends."""
    soon = (clock.now() + timedelta(seconds=1)).timestamp() * 1_000_000
    left = f"dead_at IS NULL AND unique_key IS NULL AND (attempt > 0 OR run_at < {soon:.0f})"
    async with asyncio.timeout(60):
        while await world.parts.database.rows(f"SELECT 1 FROM jobs WHERE {left}"):  # noqa: ASYNC110 - jobs tell nobody
            await asyncio.sleep(0.05)


async def newest(vault: Path) -> Manifest:
    return await Vault(LocalStorage(vault)).get(None)


class CutShort(Exception):
    pass


async def _cut_short(*given: Any) -> None:
    raise CutShort


def _asleep_for_long(vault: Path) -> Callable[..., Any]:
    async def wake_up(*given: Any) -> None:
        (hold,) = (vault / "holds").iterdir()
        os.utime(hold, (0, 0))
        await see_all(*given)

    return wake_up


async def test_a_second_backup_copies_only_what_is_new(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are shared, also with one that was cut short; `--keep` removes what only older ones needed."""
    vault = tmp_path / "vault"
    async with open_world(database, tmp_path, work=True) as world:
        ada, settings = await world.person("ada"), settings_of(world)
        first = (await send(ada, PDF + b"1", "a.pdf")).json()["data"]["upload_id"]
        assert await back_up(settings, vault) == 0
        assert ", 1 files (0.0 MB), of which 1 " in capsys.readouterr().out
        await send(ada, PDF + b"2", "b.pdf")
        with monkeypatch.context() as patched:
            patched.setattr(Vault, "put_manifest", _cut_short)
            with pytest.raises(CutShort):
                await back_up(settings, vault)
        assert len(await Vault(LocalStorage(vault)).list_ids()) == 1
        async with holding(LocalStorage(vault)):
            assert await back_up(settings, vault) == 1
        assert "another backup is being made there" in capsys.readouterr().err
        with monkeypatch.context() as patched:
            patched.setattr(making, "see_all", _asleep_for_long(vault))
            assert await back_up(settings, vault) == 1
        assert "another backup may have begun meanwhile" in capsys.readouterr().err
        assert len(await Vault(LocalStorage(vault)).list_ids()) == 1
        assert await back_up(settings, vault) == 0
        assert ", 2 files (0.0 MB), of which 0 " in capsys.readouterr().out
        await ada.delete(f"/uploads/{first}")
        contents = len(list((vault / "files").rglob("*")))
        assert await back_up(settings, vault, keep=1) == 0
        out = capsys.readouterr().out
        assert ", 1 files (0.0 MB), of which 0 (0.0 MB) are new" in out
        assert "removed 2 older backups" in out
        assert len(list((vault / "files").rglob("*"))) < contents
        assert len(list((vault / "backups").iterdir())) == len(list((vault / "secrets").iterdir())) == 1
        assert await do(settings, "list_backups", target=str(vault), at=None, verify=True) == 0


@pytest.mark.parametrize(
    ("deed", "given"),
    [
        ("back_up", {"target": "backups", "keep": None, "with_secret": False}),
        ("check_files", {"deep": False, "as_json": False}),
        ("move_rows", {"to": "postgresql://127.0.0.1:1/veza"}),
    ],
)
async def test_in_a_wrong_folder_all_is_not_well(deed: str, given: dict[str, Any], tmp_path: Path) -> None:
    """Nor is a database made there, or a secret, which would be in the way of a restore."""
    wrong = Settings(data_dir=tmp_path / "wrong")
    with pytest.raises(BadSetting, match="is VEZA_DATA_DIR the server's"):
        await do(wrong, deed, **given)
    assert not wrong.data_dir.exists()


async def test_a_new_backup_stays_and_is_told_of_whatever_the_older_ones_are(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """X8: one of a clock that went before does not make it an old one; a damaged one keeps all."""
    vault = tmp_path / "vault"
    async with open_world(database, tmp_path) as world:
        settings = settings_of(world)
        with clock.shifted(timedelta(days=3650)):
            assert await back_up(settings, vault) == 0
        (future,) = await Vault(LocalStorage(vault)).list_ids()
        for _ in range(2):
            assert await back_up(settings, vault, keep=1) == 0
            made = capsys.readouterr().out.rpartition("backup ")[2].partition(":")[0]
            assert await Vault(LocalStorage(vault)).list_ids() == [made, future]
        (vault / "backups" / f"{future}.json").write_bytes(b"rot")
        assert await back_up(settings, vault, keep=1) == 1
    said = capsys.readouterr()
    assert said.out.startswith("backup ")
    assert f"remove backups/{future}.json" in said.err
    assert len(await Vault(LocalStorage(vault)).list_ids()) == 3


async def test_what_is_deleted_while_a_backup_is_made_is_in_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X12: between the cut and the copy of its files they are held; afterwards they go as ever."""
    vault = tmp_path / "vault"
    async with open_world(database, tmp_path, work=True) as world:
        ada, settings, storage = await world.person("ada"), settings_of(world), world.parts.storage
        upload = (await send(ada, PDF, "a.pdf")).json()["data"]["upload_id"]

        async def deleted_meanwhile(*given: Any) -> None:
            assert await storage.is_held()
            # Not in /tmp, which is memory in containers.
            assert list(storage.scratch.glob("inventory-*"))
            assert (await ada.delete(f"/uploads/{upload}")).status_code == 200
            await settled_down(world)
            await see_all(*given)

        monkeypatch.setattr(making, "see_all", deleted_meanwhile)
        assert await back_up(settings, vault) == 0
        assert not await storage.is_held()
        assert not list(storage.scratch.iterdir())
        assert [entry.key async for entry in storage.list("uploads")] == [f"uploads/{upload}/original"]
    other = elsewhere(settings, f"sqlite:///{tmp_path / 'other' / 'veza.db'}", tmp_path / "other")
    assert await restore(other, vault) == 0
    assert (tmp_path / "other" / "files" / "uploads" / upload / "original").read_bytes() == PDF


async def test_a_backup_with_faults_removes_no_older_one(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """X12: on nights without its disk all files are missing, and the last good backup would be removed."""
    vault = tmp_path / "vault"
    async with open_world(database, tmp_path) as world:
        settings, storage = settings_of(world), world.parts.storage
        upload = (await send(await world.person("ada"), PDF, "a.pdf")).json()["data"]["upload_id"]
        assert await back_up(settings, vault, keep=1) == 0
        (good,) = await Vault(LocalStorage(vault)).list_ids()
        original = storage.local_path(f"uploads/{upload}/original")
        original.unlink()
        for count in (2, 3):
            assert await back_up(settings, vault, keep=1) == 1
            assert "no older backup is removed" in capsys.readouterr().err
            ids = await Vault(LocalStorage(vault)).list_ids()
            assert (ids[0], len(ids)) == (good, count)
        assert await do(settings, "list_backups", target=str(vault), at=good, verify=True) == 0
        original.parent.mkdir(exist_ok=True)
        original.write_bytes(PDF)
        assert await back_up(settings, vault, keep=1) == 0
        assert len(await Vault(LocalStorage(vault)).list_ids()) == 1


async def test_what_is_missing_or_damaged_is_told(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vault = tmp_path / "vault"
    async with open_world(database, tmp_path) as world:
        ada, settings, storage = await world.person("ada"), settings_of(world), world.parts.storage
        ids = [(await send(ada, PDF, "a.pdf")).json()["data"]["upload_id"] for _ in range(3)]
        lost, cut, kept = (storage.local_path(f"uploads/{one}/original") for one in ids)
        lost.unlink()
        cut.write_bytes(PDF[:-1])
        stray = storage.local_path("tracks/stray/original")
        stray.parent.mkdir(parents=True)
        stray.write_bytes(b"1")
        os.utime(stray, (0, 0))
        assert await fsck(settings) == 1
        said = capsys.readouterr()
        assert f"uploads/{ids[0]}/original is missing" in said.err
        assert f"has {len(PDF) - 1} bytes, and its row says {len(PDF)}" in said.err
        assert "tracks/stray/original is named by no row (1 bytes)" in said.err
        assert await fsck(settings, as_json=True) == 1
        found = json.loads(capsys.readouterr().out)
        assert found["missing"] == [f"uploads/{ids[0]}/original"]
        assert (len(found["wrong_size"]), len(found["orphans"]), found["database"]) == (1, 1, [])
        assert await back_up(settings, vault) == 1
        assert "2 files are not as their rows say" in capsys.readouterr().err
        damaged = next(
            path
            for path in (vault / "files").rglob("*")
            if path.is_file() and path.stat().st_size == len(PDF)
        )
        damaged.write_bytes(PDF[::-1])
        assert await do(settings, "list_backups", target=str(vault), at=None, verify=True) == 1
        assert f"{damaged.relative_to(vault)}, the content of " in capsys.readouterr().err
        assert kept.exists()
        # What is damaged in the vault and removed there is brought anew, and its list is looked at by itself;
        # so is what has another size than it had, as a power cut may leave it: a file, and rows.
        damaged.unlink()
        made = await newest(vault)
        listed, rows = (
            vault / content_key(pieces[0])
            for pieces in (made.files.pieces, next(part.pieces for part in made.tables if part.rows))
        )
        for spoiled in ({listed: None}, {listed: b"rot"}, {damaged: b"", rows: b""}):
            for path, content in spoiled.items():
                path.unlink()
                if content is not None:
                    path.write_bytes(content)
            assert await back_up(settings, vault) == 1
            assert "2 files are not as their rows say" in capsys.readouterr().err
            assert await do(settings, "list_backups", target=str(vault), at=None, verify=True) == 1
            told = capsys.readouterr()  # of what is in the vault all is well
            assert " is whole: " in told.out
            assert "2 files are not as their rows say" in told.err


async def test_what_is_not_what_its_row_says_is_told_by_every_backup(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """X12: also where the backup before holds the same bytes; and no more once they are mended."""
    vault = tmp_path / "vault"
    async with open_world(database, tmp_path) as world:
        track = await plant(world, await world.person("ada"), "processing")
        original, settings = original_key(UUID(track)), settings_of(world)
        path = world.parts.storage.local_path(original)
        right = hashlib.sha256(path.read_bytes()).hexdigest()
        for digest, code in ((right, 0), ("0" * 64, 1), ("0" * 64, 1), (right, 0)):
            await database.script(f"UPDATE tracks SET sha256 = '{digest}'")
            assert await back_up(settings, vault) == code
            told = f"{original} is not what it was: its SHA-256 is another" in capsys.readouterr().err
            assert told == bool(code)
            assert await do(settings, "list_backups", target=str(vault), at=None, verify=True) == code
            assert (original in capsys.readouterr().err) == bool(code)


async def test_a_secret_that_is_damaged_in_a_backup_is_told_and_not_restored(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """X18: what cannot be the secret of these rows is not put where the right one is to be."""
    vault = tmp_path / "vault"
    async with open_world(database, tmp_path) as world:
        settings = settings_of(world)
        assert await back_up(settings, vault) == 0
    (kept,) = (vault / "secrets").iterdir()
    right = kept.read_bytes()
    other = elsewhere(settings, f"sqlite:///{tmp_path / 'other' / 'veza.db'}", tmp_path / "other")
    for content, said in (
        (None, "is missing"),
        (right[:20], "is damaged"),
        (b"\xff" * 40, "is damaged"),
        (b"1" * 100_000, "is damaged"),
        (new_secret().encode(), "is another than it was"),
    ):
        kept.unlink()
        if content is not None:
            kept.write_bytes(content)
        for deed in ("list_backups", "restore"):
            assert await do(other, deed, target=str(vault), at=None, verify=True) == 1
            assert f"veza: secrets/{kept.name}, the server's secret, {said}." in capsys.readouterr().err
        assert not secret_file(other.data_dir).exists()
        kept.touch()
    kept.write_bytes(right)
    assert await restore(other, vault) == 0
    assert secret_file(other.data_dir).read_bytes() == right
    assert not secret_file(other.data_dir).stat().st_mode & 0o077


def _is_full(*given: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_a_restore_is_refused_where_there_is_something(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """X5: rows and files that are there stay as they are; what an earlier attempt brought is no hindrance."""
    vault = tmp_path / "vault"
    async with open_world(database, tmp_path, work=True) as world:
        ada, settings = await world.person("ada"), settings_of(world)
        await send(ada, PDF, "a.pdf")
        assert await back_up(settings, vault, with_secret=False) == 0
        assert "the server's secret is not in it" in capsys.readouterr().out
        assert await restore(settings, vault) == 1
    said = capsys.readouterr().err
    assert "there is a database at" in said or "there are tables in that database already" in said
    other = elsewhere(settings, f"sqlite:///{tmp_path / 'other' / 'veza.db'}", tmp_path / "other")
    assert await restore(other, vault) == 1
    assert "secret.key is missing, and not in this backup" in capsys.readouterr().err
    key = other.data_dir / "secret.key"
    key.write_text("an0therSecret-of-at-least-32-bytes.!x\n")
    key.chmod(0o600)
    assert await restore(other, vault) == 1
    assert "made with another secret" in capsys.readouterr().err
    key.write_bytes((settings.data_dir / "secret.key").read_bytes())
    strange = other.data_dir / "files" / "mine.txt"
    strange.parent.mkdir(exist_ok=True)
    strange.write_bytes(b"1")
    assert await restore(other, vault) == 1
    assert "the storage is not empty: mine.txt is not of this backup" in capsys.readouterr().err
    strange.unlink()
    damaged = next(
        path for path in (vault / "files").rglob("*") if path.is_file() and path.stat().st_size != len(PDF)
    )
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1])
    assert await restore(other, vault) == 1
    assert not (other.data_dir / "veza.db").exists()
    damaged.write_bytes(content)
    # The piece that was damaged may be one that is read when the files are there already.
    shutil.rmtree(other.data_dir / "files")
    with monkeypatch.context() as patched:
        patched.setattr(restoring, "_copy", _is_full)
        assert await restore(other, vault) == 1
    assert "it cannot go on: [Errno 28] No space left on device" in capsys.readouterr().err
    assert await restore(other, vault) == 0
    assert await fsck(other) == 0


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_rows_move_to_postgresql(
    database: Database, tmp_path: Path, other_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """All tables, each compared; into an empty database alone; the old one stays as it was, and unused."""
    other_url = other_url.replace("postgres@", "postgres:hush@")
    async with open_world(database, tmp_path, work=True) as world:
        await some_life(world, None)
        await settled_down(world)
        settings = settings_of(world)
    before = await sums(database)
    mark = mark_of(settings)
    nobody = other_url.replace("postgres:hush@", "nobody:hush@")
    assert await do(settings, "move_rows", to=nobody) == 1
    assert not mark.exists(), "what was not moved is not marked"
    capsys.readouterr()
    assert await do(settings, "move_rows", to=other_url) == 0, capsys.readouterr().err
    assert f"rows of {len(before)} tables" in capsys.readouterr().out
    assert (find_mark(settings) or Moved()).to.startswith("this machine/")
    assert ("hush" in mark.read_text(), mark.stat().st_mode & 0o077) == (False, 0)
    for refused in (
        back_up(settings, tmp_path / "vault"), fsck(settings), do(settings, "move_rows", to=other_url),
    ):  # fmt: skip
        with pytest.raises(BadSetting, match=r"were moved to this machine/.+: set VEZA_DATABASE_URL"):
            await refused
    assert not (tmp_path / "vault").exists()
    mark.unlink()
    async with opened(other_url) as moved:
        assert await sums(moved) == before == await sums(database)
        assert await moved.rows("SELECT count(*) FROM search_tracks") == [(1,)]
    assert await do(settings, "move_rows", to=other_url) == 1
    assert "there are tables in that database already" in capsys.readouterr().err


def test_a_mark_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """X4: the rows are in the other database all the same, and only the operator keeps the old one unused."""
    monkeypatch.setattr("veza.moved.write_durably", _is_full)
    said = commands._mark(Settings(data_dir=tmp_path), "postgresql://veza:hush@db.example/veza")
    assert "veza.db.moved cannot be written" in said
    assert "put the old file away" in said
    assert "hush" not in said


async def test_every_table_is_kept_or_left_out_for_a_reason(database: Database) -> None:
    """A new table is backed up by itself; one that SQLAlchemy does not know would not be."""
    ask = {
        "sqlite": "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
        " AND name NOT LIKE 'sqlite_%'",
        "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
    }[database.dialect]
    there = {name for (name,) in await database.rows(ask)} - {"alembic_version"}
    assert set(tables.kept_tables()) | set(tables.LEFT_OUT) == there == set(metadata.tables)
    assert not set(tables.kept_tables()) & set(tables.LEFT_OUT)
    assert all(len(reason) > 20 for reason in tables.LEFT_OUT.values())
    for name in tables.kept_tables():
        assert tables.columns(name)


def test_a_row_that_changes_leaves_other_pieces_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a piece ends is told by its last row, so that an incremental backup of rows is one."""

    def cut(rows: list[tuple[Any, ...]]) -> list[bytes]:
        cutter, total = Cutter(), Sum()
        found = [cutter.add(total.add(row)) for row in rows]
        return [piece for piece in (*found, cutter.rest()) if piece is not None]

    monkeypatch.setattr(pieces_of_rows, "PIECE_BYTES", 10_000)
    dice = random.Random(4)
    rows: list[tuple[Any, ...]] = [(number.to_bytes(16), dice.randbytes(100)) for number in range(2_000)]
    pieces = cut(rows)
    assert [row for piece in pieces for row in unpack(piece)] == rows
    assert 5 < len(pieces) < 60
    rows[900] = (rows[900][0], b"changed")
    del rows[300]
    rows.append((b"x" * 16, b"new"))
    assert len(set(cut(rows)) - set(pieces)) <= 5


async def test_a_backup_in_a_bucket(
    database: Database,
    tmp_path: Path,
    s3_server: dict[str, str],
    bucket_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From a bucket into a bucket, a folder, a bucket that is not there yet; what cannot be used is named."""
    async with open_world(
        database, tmp_path, work=True, storage_url=f"{bucket_url}/live", s3=s3_server
    ) as world:
        ada, settings = await world.person("ada"), settings_of(world)
        upload = (await send(ada, PDF, "a.pdf")).json()["data"]["upload_id"]
        for _ in range(2):
            assert await back_up(settings, f"{bucket_url}/vault", keep=1) == 0
        for within in (bucket_url, f"{bucket_url}/live", f"{bucket_url}/live/vault/"):
            assert await back_up(settings, within) == 1
        capsys.readouterr()
        dead = f"http://127.0.0.1:{free_ports(1)[0]}"
        key, gone = {"AWS_SECRET_ACCESS_KEY": "hush"}, {"AWS_ENDPOINT_URL": dead}
        for wrong, target, codes, place, said in (
            (key, f"{bucket_url}/vault", (1, 1), "/vault", "SignatureDoesNotMatch: "),
            ({}, "s3://not-there/vault", (1, None), "s3://not-there/vault", "NoSuchBucket: "),
            (gone, str(tmp_path / "vault"), (1, 1), f"{bucket_url}/live", "Connection refused"),
        ):
            changed = msgspec.structs.replace(settings, s3=s3_server | wrong)
            listed = await do(changed, "list_backups", target=target, at=None, verify=False)
            made = await back_up(changed, target) if wrong else None
            err = capsys.readouterr().err
            assert (listed, made) == codes, err
            assert f"{place} cannot be used: " in err
            assert said in err
            assert "hush" not in err
    folder = tmp_path / "other"
    other = Settings(data_dir=folder, database_url=f"sqlite:///{folder / 'veza.db'}", s3=s3_server)
    assert await restore(other, f"{bucket_url}/vault") == 0
    assert (folder / "files" / "uploads" / upload / "original").read_bytes() == PDF
    new = msgspec.structs.replace(
        other, data_dir=tmp_path / "new", database_url="", storage_url=f"s3://{new_id().hex}/files"
    )
    assert await restore(new, f"{bucket_url}/vault") == 0
