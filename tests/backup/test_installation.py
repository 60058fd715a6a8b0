"""Which storage is whose: known before a process starts, and before a file is removed that no row names."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.backup.house import back_up, do, fsck, restore, settings_of
from tests.rooms.test_uploads_files import PDF, send
from tests.rooms.tracks_house import plant
from tests.world import open_world
from veza import naming, opening, reactions
from veza.access.secrets import new_secret
from veza.backup import making
from veza.backup.vault import Vault
from veza.core import clock, installation
from veza.core.db import Database, open_database
from veza.core.db.migrate import upgrade
from veza.core.ids import new_id
from veza.core.installation import STAMPS, Belonging, put_stamp, stamp_key
from veza.core.jobs import Job, NoPayload
from veza.core.storage import Entry, LocalStorage, Storage, StorageUnavailable
from veza.core.storage_hold import HOLDS
from veza.doctor.installation import look_at_installation
from veza.naming import ROOTS
from veza.rooms.recommendations.jobs import clear
from veza.settings import BadSetting, Settings

SWEEPS = {
    "tracks.sweep", "uploads.sweep", "playlists.sweep", "accounts.sweep_avatars", "marketplace.sweep_copies",
}  # fmt: skip


async def start(settings: Settings) -> Belonging:
    """Start as a server does, and end; what database and storage say then."""
    async with opening.settled(settings) as parts:
        return await installation.compare(parts.database, parts.storage)


async def migrated(settings: Settings) -> None:
    Path(settings.database.removeprefix("sqlite:///")).parent.mkdir(exist_ok=True)
    database = open_database(settings.database)
    await upgrade(database)
    await database.close()


def files_of(settings: Settings) -> Path:
    return Path(settings.storage.removeprefix("file://"))


@pytest.fixture
def mine(database: Database, tmp_path: Path) -> Settings:
    """A database at the newest schema, and a place for files."""
    return Settings(data_dir=tmp_path / "mine", database_url=database.url, secret_key=new_secret())


@pytest.fixture
def theirs(mine: Settings, tmp_path: Path) -> Settings:
    """A database that is not there yet, at the same place for files."""
    folder = tmp_path / "theirs"
    return Settings(data_dir=folder, database_url=f"sqlite:///{folder / 'veza.db'}", storage_url=mine.storage)


async def test_a_storage_is_one_database_s(mine: Settings, theirs: Settings) -> None:
    """X12: by mistake at another's files, a database that is new, or empty, would have them all swept."""
    found = await start(mine)
    assert found.sure
    assert await start(mine) == found
    stamped = files_of(mine) / stamp_key(found.id)
    assert "docs/backup.md" in stamped.read_text()
    said = rf"is nothing in the database .+theirs/veza.db, and .+ the installation {found.id}, though"
    with pytest.raises(BadSetting, match=said) as refused:
        await start(theirs)
    assert str(refused.value).endswith(f"for a new one remove {stamp_key(found.id)} there.")
    assert list(theirs.data_dir.iterdir()) == [], "neither a database nor a secret"
    (files_of(mine) / "tracks").mkdir()
    (files_of(mine) / "tracks/1").touch()
    with pytest.raises(BadSetting, match="holds files of another"):
        await opening.migrate(theirs)
    theirs = msgspec.structs.replace(theirs, secret_key=new_secret())
    await migrated(theirs)
    with pytest.raises(BadSetting, match=f"is that of the installation {found.id}") as refused:
        await start(theirs)
    # What is said is what helps.
    _, _, deed = str(refused.value).partition(f"rename {stamp_key(found.id)} there to ")
    stamped.rename(files_of(mine) / deed.removesuffix("."))
    assert (await start(theirs)).sure
    with pytest.raises(BadSetting, match="let VEZA_DATABASE_URL and VEZA_STORAGE_URL name two that belong"):
        await start(mine)


async def test_a_new_database_begins_without_files(bare_url: str, tmp_path: Path) -> None:
    """X12: also where they were there before anything was stamped."""
    settings = Settings(data_dir=tmp_path / "data", database_url=bare_url)
    original = files_of(settings) / "tracks" / str(new_id()) / "original"
    original.parent.mkdir(parents=True)
    original.write_bytes(b"of somebody")
    with pytest.raises(BadSetting, match="is VEZA_DATABASE_URL, or VEZA_DATA_DIR, the right one"):
        await start(settings)
    assert not (settings.data_dir / "veza.db").exists()
    elsewhere = Settings(
        data_dir=settings.data_dir, database_url=bare_url, storage_url=f"file://{tmp_path}/new"
    )
    assert (await start(elsewhere)).sure
    with pytest.raises(opening.OutOfReach, match="as the storage of this database had"):
        await start(settings)


async def test_of_files_that_nobody_stamped_some_must_have_a_name(mine: Settings) -> None:
    """X12: a storage in which something is of nobody is not taken for that of rows that name nothing."""
    stray = files_of(mine) / "tracks" / str(new_id()) / "original"
    stray.parent.mkdir(parents=True)
    stray.touch()
    with pytest.raises(BadSetting, match=r"there are files in .+, and the database names none") as refused:
        await start(mine)
    _, _, deed = str(refused.value).partition("To make the storage this database's, put there an empty file ")
    # What lies beside the stamps by another name is none.
    for name in (deed.removesuffix("."), f"{STAMPS}/desktop.ini", f"{STAMPS}/{new_id()}/1"):
        (files_of(mine) / name).parent.mkdir(exist_ok=True)
        (files_of(mine) / name).touch()
    assert (await start(mine)).sure


async def test_of_two_who_begin_at_once_both_begin(
    bare_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds no database, and then the stamp of the one that was made meanwhile, looks again."""
    settings = Settings(data_dir=tmp_path / "data", database_url=bare_url, secret_key=new_secret())
    look, begun = installation.list_stamps, list[Belonging]()

    async def listed(storage: Storage) -> frozenset[str]:
        monkeypatch.setattr(installation, "list_stamps", look)
        begun.append(await start(settings))
        return await look(storage)

    monkeypatch.setattr(installation, "list_stamps", listed)
    monkeypatch.setattr(opening, "_STORAGE_SECONDS", 60.0)
    assert [await start(settings)] == begun
    assert begun[0].sure


async def test_who_looks_for_files_looks_no_further_than_for_the_first(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look at S3 may take a tenth of a second, and a start waits for five."""
    async with open_world(database, tmp_path) as world:
        await plant(world, await world.person("ada"))
        asked, find = list[str](), naming._find

        async def looked(storage: Storage, key: str) -> Entry | None:
            asked.append(key)
            return await find(storage, key)

        monkeypatch.setattr(naming, "_find", looked)
        assert len(await naming.name_some(database)) > 1
        assert await naming.seem_one(database, world.parts.storage)
        assert len(asked) == 1


async def test_what_was_there_before_is_tied_by_what_it_holds(database: Database, tmp_path: Path) -> None:
    """X12: one file that a row names is enough, of those of an older Veza; an unmounted disk has none."""
    async with open_world(database, tmp_path) as world:
        await plant(world, await world.person("ada"))
        settings = settings_of(world)
        shutil.move(files_of(settings), tmp_path / "elsewhere")
        # Which may be there at the next start.
        with pytest.raises(opening.OutOfReach, match=r"has no file.+: is its disk mounted") as refused:
            await start(settings)
        stray = files_of(settings) / "tracks" / str(new_id()) / "original"
        stray.parent.mkdir(parents=True)
        stray.touch()
        with pytest.raises(BadSetting, match="are not those that the database names"):
            await start(settings)
        shutil.rmtree(files_of(settings))
        shutil.move(tmp_path / "elsewhere", files_of(settings))
        found = await start(settings)
        assert found.sure
        shutil.move(files_of(settings), tmp_path / "elsewhere")
        with pytest.raises(opening.OutOfReach, match="is its disk mounted"):
            await start(settings)
        # For good and on purpose, as both say.
        assert str(refused.value).endswith(f"put an empty file {stamp_key(found.id)} there.")
        (files_of(settings) / STAMPS).mkdir()
        (files_of(settings) / stamp_key(found.id)).touch()
        assert await start(settings) == found


async def test_a_storage_that_is_away_keeps_nobody_from_starting(
    mine: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X15: it is seen later whose it is, without another start; until then nothing there is removed."""
    is_away, look = [True], Storage.list

    def listed(storage: Storage, prefix: str = "") -> AsyncIterator[Entry]:
        return (_away if is_away else look)(storage, prefix)

    monkeypatch.setattr(Storage, "list", listed)
    monkeypatch.setattr(opening, "_STORAGE_SECONDS", 0.1)
    monkeypatch.setattr(opening, "_LATER_SECONDS", 0.01)
    async with opening.settled(mine) as parts:
        with pytest.raises(StorageUnavailable):
            await installation.may_sweep(parts.database, parts.storage)
        other = files_of(mine) / stamp_key(new_id())
        other.parent.mkdir(parents=True)
        other.touch()
        is_away.clear()
        with capture_logs() as said:
            async with asyncio.timeout(30):
                while not said:  # noqa: ASYNC110 - it is told in the log alone
                    await asyncio.sleep(0.01)
        assert f"that of the installation {other.name}" in said[0]["error"]
        assert [one.level for one in await look_at_installation(mine)] == ["wrong"]
        other.unlink()
        async with asyncio.timeout(30):
            while not await installation.may_sweep(parts.database, parts.storage):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
    assert [one.level for one in await look_at_installation(mine)] == ["ok"]


async def test_a_storage_without_its_stamp_is_told_of(mine: Settings) -> None:
    """Nothing is swept there meanwhile, and nobody would know."""
    async with opening.prepared(mine) as parts:
        assert [one.level for one in await look_at_installation(mine)] == ["ok"], "it never began"
        await installation.identify(parts.database)
        assert not await installation.may_sweep(parts.database, parts.storage)
        (finding,) = await look_at_installation(mine)
        assert (finding.level, "no sweep removes" in finding.meaning) == ("warning", True)


async def _away(storage: Storage, prefix: str = "") -> AsyncIterator[Entry]:
    raise StorageUnavailable(f"{storage.place}/{prefix}")
    yield


async def test_of_two_who_come_at_once_not_both_get_it(
    mine: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks after the other leaves it to them."""
    theirs = new_id()

    async def both(storage: Storage, own: UUID) -> None:
        for one in (theirs, own):
            await put_stamp(storage, one)

    monkeypatch.setattr(installation, "put_stamp", both)
    with pytest.raises(BadSetting, match=f"installation {theirs}"):
        await start(mine)
    assert [path.name for path in (files_of(mine) / STAMPS).iterdir()] == [str(theirs)]


async def test_sweeps_remove_nothing_of_a_storage_that_may_be_another_s(
    database: Database, tmp_path: Path
) -> None:
    """X12: no stamp, another's, one of each: files that no row names go only where there is its own alone."""
    async with open_world(database, tmp_path) as world:
        parts, storage = world.parts, world.parts.storage
        strays = [f"{root}/{new_id()}/{new_id()}/1" for root in ROOTS]
        for key in strays:
            await storage.put_bytes(key, b"x")
            os.utime(files_of(parts.settings) / key, (0, 0))
        sweeps = [task for task in reactions.tasks(parts) if task.kind.name in SWEEPS]
        assert {task.kind.name for task in sweeps} == SWEEPS

        async def sweep() -> set[str]:
            for task in sweeps:
                await task.run(Job(new_id(), task.kind.name, "{}", 1, clock.now()), NoPayload())
            await clear(database, storage)
            return {
                entry.key async for entry in storage.list() if entry.key.split("/")[0] not in {STAMPS, HOLDS}
            }

        own, other = (await installation.identify(database)).id, new_id()
        with capture_logs() as said:
            assert await sweep() == set(strays)
        assert [line["event"] for line in said] == ["storage.not_swept"] * 6
        for stamps in ([other], [other, own]):
            for one in stamps:
                await put_stamp(storage, one)
            assert await sweep() == set(strays)
        await storage.remove_now([stamp_key(other)])
        assert await sweep() == set()


async def test_a_backup_says_whose_it_is(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """X12: what is restored is that installation again, in a place that is nobody else's."""
    vault = tmp_path / "vault"
    async with open_world(database, tmp_path, work=True) as world:
        settings = settings_of(world)
        await send(await world.person("ada"), PDF, "a.pdf")
        found = await start(settings)
        assert await back_up(settings, vault) == 0
        assert (await Vault(LocalStorage(vault)).get(None)).installation == str(found.id)
        other = Settings(data_dir=tmp_path / "other", database_url=f"sqlite:///{tmp_path}/other/veza.db")
        stranger = files_of(other) / stamp_key(new_id())
        stranger.parent.mkdir(parents=True)
        stranger.touch()
        assert await restore(other, vault) == 1
        said = capsys.readouterr().err
        assert f"is that of another installation: {stranger.name}." in said
        assert said.endswith(f"remove {stamp_key(stranger.name)} there.\n")
        stranger.unlink()
        stray = files_of(other) / "tracks" / str(new_id()) / "original"
        stray.parent.mkdir(parents=True)
        stray.touch()
        assert await restore(other, vault) == 1
        assert "the storage is not empty" in capsys.readouterr().err
        assert list(stranger.parent.iterdir()) == [], "who is refused leaves no stamp"
        stray.unlink()
        assert await restore(other, vault) == 0, capsys.readouterr().err
        assert (await start(other)).id == found.id
        assert [one.level for one in await look_at_installation(settings)] == ["ok"]
        assert await fsck(settings) == 0
        (files_of(settings) / stamp_key(found.id)).unlink()
        capsys.readouterr()
        assert await fsck(settings) == 1
        assert f"{files_of(settings)} has no file {stamp_key(found.id)}" in capsys.readouterr().err
        assert await back_up(settings, vault) == 1
        assert f"installation does not match: {files_of(settings)} has no file" in capsys.readouterr().err
        (finding,) = await look_at_installation(settings)
        assert (finding.level, str(found.id) in finding.found) == ("wrong", True)


async def test_a_backup_is_whose_its_rows_are(
    mine: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where they got their id between its beginning and the cut."""
    found = await start(mine)
    monkeypatch.setattr(making, "compare", _nobody_s)
    assert await back_up(mine, tmp_path / "vault", with_secret=False) == 0
    assert (await Vault(LocalStorage(tmp_path / "vault")).get(None)).installation == str(found.id)


async def _nobody_s(*_: object) -> Belonging:
    return Belonging(None, None, frozenset())


async def _none(*_: object) -> None:
    return None


async def test_who_shares_a_place_for_backups_removes_only_their_own(
    mine: Settings, theirs: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X12: nor any of which nobody knows whose it is; one of an older Veza is known by its secret."""
    vault, there = tmp_path / "vault", Vault(LocalStorage(tmp_path / "vault"))
    theirs = msgspec.structs.replace(
        theirs, storage_url=f"file://{theirs.data_dir}/files", secret_key=new_secret()
    )
    await start(mine)
    await start(theirs)

    async def back_up_both(keep: int) -> list[str]:
        for one in (mine, theirs):
            assert await back_up(one, vault, keep=keep, with_secret=False) == 0
        return await there.list_ids()

    with monkeypatch.context() as patched:  # as it was before there were any
        patched.setattr(making, "find_own", _none)
        await back_up_both(keep=9)
    await back_up_both(keep=9)
    assert len(await back_up_both(keep=9)) == 6
    ids = [(await there.get(one)).installation for one in await back_up_both(keep=1)]
    assert len(ids) == len(set(ids)) == 2
    assert "" not in ids
    for one in await there.list_ids():
        assert await do(mine, "list_backups", target=str(vault), at=one, verify=True) == 0
    monkeypatch.setattr(making, "find_own", _none)
    assert len(await back_up_both(keep=1)) == 4, "which has no id removes none that has one"


async def test_a_bucket_is_stamped(
    mine: Settings, s3_server: dict[str, str], bucket_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is made by the first who writes cannot be listed before."""
    made, look, check = [False], Storage.list, Storage.check

    def listed(storage: Storage, prefix: str = "") -> AsyncIterator[Entry]:
        return look(storage, prefix) if made[0] else _away(storage, prefix)

    async def checked(storage: Storage) -> None:
        await check(storage)
        made[0] = True

    monkeypatch.setattr(Storage, "list", listed)
    monkeypatch.setattr(Storage, "check", checked)
    settings = msgspec.structs.replace(mine, storage_url=f"{bucket_url}/files", s3=s3_server)
    found = await start(settings)
    assert found.sure
    assert await start(settings) == found
