"""A storage that nobody stamped and that is away at a start: what tells whose it is, once it is back."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.backup.house import settings_of
from tests.rooms.tracks_house import plant
from tests.world import open_world
from veza import opening
from veza.core import clock, installation
from veza.core.db import Database
from veza.core.ids import made_at, new_id
from veza.core.storage import Entry, Storage, StorageUnavailable
from veza.settings import BadSetting, Settings


def files_of(settings: Settings) -> Path:
    return Path(settings.storage.removeprefix("file://"))


def age(settings: Settings) -> None:
    """Have all that is there have been there for two days."""
    then = (clock.now() - timedelta(days=2)).timestamp()
    for path in files_of(settings).rglob("*"):
        os.utime(path, (then, then))


@pytest.mark.parametrize("before", ["nothing", "its own", "another's"])
async def test_what_came_since_tells_nothing_of_what_was_there_before(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """X12: one upload into the storage of a database that was lost does not make its files the new one's."""
    is_away, look = [True], Storage.list

    async def away(storage: Storage, prefix: str = "") -> AsyncIterator[Entry]:
        raise StorageUnavailable(f"{storage.place}/{prefix}")
        yield

    def listed(storage: Storage, prefix: str = "") -> AsyncIterator[Entry]:
        return (away if is_away else look)(storage, prefix)

    monkeypatch.setattr(Storage, "list", listed)
    monkeypatch.setattr(opening, "_STORAGE_SECONDS", 0.1)
    monkeypatch.setattr(opening, "_LATER_SECONDS", 0.01)
    async with open_world(database, tmp_path) as world:
        ada, settings = await world.person("ada"), settings_of(world)
        original = files_of(settings) / "tracks" / str(new_id()) / "original"
        if before == "its own":
            await plant(world, ada)
        if before == "another's":
            original.parent.mkdir(parents=True)
            original.touch()
        age(settings)
        async with opening.settled(settings) as parts:
            await plant(world, ada)
            with capture_logs() as said:
                is_away.clear()
                async with asyncio.timeout(30):
                    while not refused(said) and not await installation.list_stamps(parts.storage):  # noqa: ASYNC110 - told in the log alone
                        await asyncio.sleep(0.01)
            if before == "another's":
                assert "are not those that the database names" in refused(said)[0]
                assert not await installation.may_sweep(parts.database, parts.storage)
        monkeypatch.setattr(opening, "_STORAGE_SECONDS", 30.0)
        if before != "another's":
            async with opening.settled(settings) as parts:
                assert (await installation.compare(parts.database, parts.storage)).sure
            return
        with pytest.raises(BadSetting, match="are not those that the database names"):
            async with opening.settled(settings):
                pass
        assert original.exists()


def refused(said: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why what was to be settled later could not be; other lines are of looks that found the storage away."""
    return [line["error"] for line in said if line["event"] == "storage.not_settled"]


def test_an_id_says_when_it_was_made() -> None:
    assert abs(made_at(new_id()) - clock.now()) < timedelta(minutes=1)
