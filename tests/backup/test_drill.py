"""The drill: a backup while everybody writes, restored elsewhere, and every row and file of it looked at."""

import asyncio
import hashlib
import random
from pathlib import Path
from typing import Any

import pytest

from tests.backup.house import back_up, fsck, opened, restore, settings_of, sums
from tests.rooms.test_uploads_files import PDF, picture, send
from tests.world import Person, World, open_world
from veza.backup import making
from veza.backup.manifest import Manifest
from veza.backup.reading import files_of
from veza.backup.vault import Vault
from veza.core.db import Database
from veza.core.storage import LocalStorage
from veza.naming import see_all
from veza.settings import Settings

WRITERS, DEEDS = 4, 30


class Writer:
    """Somebody who makes, changes and deletes as fast as they are answered."""

    def __init__(self, person: Person, seed: int) -> None:
        self._person = person
        self._dice = random.Random(seed)
        self._uploads: list[str] = []
        self._lists: list[str] = []
        self.done = 0

    async def run(self, stop: asyncio.Event) -> None:
        deeds = [self._upload, self._delete, self._list, self._avatar, self._cover]
        while not stop.is_set():
            # A picture takes a child, and as long as a dozen of the others.
            await self._dice.choices(deeds, [12, 9, 9, 1, 1])[0]()
            self.done += 1

    async def _upload(self) -> None:
        answer = await send(self._person, PDF + self._dice.randbytes(200).hex().encode(), "a.pdf")
        assert answer.status_code == 201, answer.text
        self._uploads.append(answer.json()["data"]["upload_id"])

    async def _delete(self) -> None:
        if self._uploads:
            gone = self._uploads.pop(self._dice.randrange(len(self._uploads)))
            assert (await self._person.delete(f"/uploads/{gone}")).status_code == 200

    async def _avatar(self) -> None:
        answer = await self._person.put(f"/users/{self._person.id}/avatar", files={"file": ("a", picture())})
        assert answer.status_code == 200, answer.text

    async def _list(self) -> None:
        if len(self._lists) > 3:
            answer = await self._person.delete(f"/playlists/{self._lists.pop(0)}")
            assert answer.status_code == 200, answer.text
        answer = await self._person.post("/playlists", json={"title": f"No. {self.done}"})
        assert answer.status_code == 201, answer.text
        self._lists.append(answer.json()["data"]["playlist"]["id"])

    async def _cover(self) -> None:
        if self._lists:
            answer = await self._person.put(
                f"/playlists/{self._lists[-1]}/cover", files={"file": ("a", picture())}
            )
            assert answer.status_code == 200, answer.text


async def test_backups_under_full_load_are_restored_whole(
    database: Database,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """X12: what is restored is one moment, between what was done before and after, with each file of it."""
    rounds, vault = int(request.config.getoption("--backups")), tmp_path / "vault"
    async with open_world(database, tmp_path, work=True) as world:
        writers = [Writer(await world.person(f"person{n}"), n) for n in range(WRITERS)]
        stop, settings = asyncio.Event(), settings_of(world)
        made: list[tuple[int, int]] = []
        before = 0

        async def written_meanwhile(*given: Any) -> None:
            async with asyncio.timeout(60):
                while await _events(world) <= before:  # noqa: ASYNC110 - by others
                    await asyncio.sleep(0.01)
            await see_all(*given)

        monkeypatch.setattr(making, "see_all", written_meanwhile)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(writer.run(stop)) for writer in writers]
            for number in range(1, rounds + 1):
                async with asyncio.timeout(60):
                    while sum(one.done for one in writers) < number * DEEDS:  # noqa: ASYNC110 - of many
                        await asyncio.sleep(0.02)
                before = await _events(world)
                assert await back_up(settings, vault) == 0, capsys.readouterr().err
                made.append((before, await _events(world)))
            stop.set()
            await asyncio.gather(*tasks)
        assert await fsck(settings) == 0, capsys.readouterr().err
    there = Vault(LocalStorage(vault))
    for (before, after), backup_id in zip(made, await there.list_ids(), strict=True):
        manifest = await there.get(backup_id)
        events = next(part.rows for part in manifest.tables if part.name == "events")
        assert before <= events <= after
        await _look_at(there, manifest, tmp_path / backup_id, capsys)


async def _events(world: World) -> int:
    return int((await world.parts.database.rows("SELECT count(*) FROM events"))[0][0])


async def _look_at(
    vault: Vault, manifest: Manifest, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Settings(data_dir=folder, database_url=f"sqlite:///{folder / 'veza.db'}")
    folder_of_vault = vault.storage.local_path("backups/x")
    assert folder_of_vault is not None
    assert await restore(other, folder_of_vault.parents[1], at=manifest.id) == 0, capsys.readouterr().err
    async with opened(other.database) as restored:
        assert await sums(restored) == {part.name: (part.rows, part.digest) for part in manifest.tables}
    count = 0
    async for held in files_of(vault, manifest):
        for file in held:
            data = await asyncio.to_thread((folder / "files" / file.key).read_bytes)
            assert hashlib.sha256(data).hexdigest() == file.sha256
            count += 1
    assert count == manifest.files.count > 0
    # And none that a row names is lacking, by the rows that were restored.
    assert await fsck(other) == 0, capsys.readouterr().err
