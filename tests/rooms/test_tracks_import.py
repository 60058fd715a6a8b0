"""A folder of music taken into somebody's library by the operator."""

import asyncio
import os
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from PIL import Image

from tests.media.hostile import wav
from tests.rooms.tracks_house import check_counts, code, files, short, used
from tests.world import Person, World, open_world
from veza.core.db import Database, Tx
from veza.core.errors import DatabaseBusy, InsufficientStorage
from veza.core.jobs import waiting
from veza.rooms.tracks import library as module
from veza.rooms.tracks.folder import Walk
from veza.rooms.tracks.imported import Owner
from veza.rooms.tracks.jobs import PROCESS_IMPORTED
from veza.rooms.tracks.library import Library, Report, Rules

__all__ = ["short"]

Short = Callable[[str], Path]
GIB = 1 << 30


def tagged(folder: Path, name: str, source: Path, number: int) -> Path:
    """A copy that differs from all others: by bytes behind the end, where no player looks."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(source.read_bytes() + b"\0" * number)
    return path


async def take(world: World, person: Person, folder: Path, **rules: Any) -> tuple[Report, Walk]:
    parts = world.parts
    owner = Owner(UUID(person.id), person.username)
    library = Library(parts.database, parts.storage, owner, Rules(**{"max_file_size": GIB, **rules}))
    walk = Walk(folder, without=[parts.settings.data_dir])
    return await library.take(list(walk.files())), walk


async def titles(person: Person, owner: Person) -> list[str]:
    answer = await person.get(f"/tracks?user_id={owner.id}&sort_by=title&sort_order=asc&limit=100")
    return [track["title"] for track in answer.json()["data"]["tracks"]]


async def events(world: World) -> list[str]:
    rows = await world.parts.database.rows("SELECT kind FROM events WHERE kind LIKE 'track.%' ORDER BY id")
    return [kind for (kind,) in rows]


def no_scratch(world: World) -> bool:
    return not list(world.parts.storage.scratch.iterdir())


@pytest.fixture
def folder(tmp_path: Path, short: Short) -> Path:
    """Music at several depths, and what else lies in such folders."""
    made = tmp_path / "music"
    tagged(made, "one.mp3", short("a.mp3"), 0)
    tagged(made, "Album/CD 1/two.bin", short("s16.flac"), 0)
    tagged(made, "Album/three.wav", short("s16.wav"), 0)
    tagged(made, "four.aac", short("adts.aac"), 0)
    for name in ("cover.jpg", "list.m3u", "Album/disc.cue", ".hidden.mp3", ".git/x.mp3"):
        path = made / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"one.mp3\n")
    (made / "fake.mp3").write_bytes(b"this is no music at all" * 50)
    (made / "empty.flac").touch()
    (made / "again").symlink_to(made)
    (made / "broken.mp3").symlink_to(made / "nowhere")
    os.mkfifo(made / "pipe.mp3")
    return made


async def test_everybody_sees_at_once_what_was_imported(
    database: Database, tmp_path: Path, folder: Path
) -> None:
    """Before anything is processed: listed, with the tags and the length of the headers."""
    async with open_world(database, tmp_path / "data") as world:
        ada = await world.person("ada")
        assert await titles(world.guest, ada) == []
        report, walk = await take(world, ada, folder)
        assert (report.added, report.looked_at, report.skipped["no music"]) == (4, 9, 3)
        assert walk.passed == {"hidden": 2, "no file": 1}
        assert [path.name for path, _ in walk.unreadable] == ["broken.mp3"]
        refused = {path.name: reason for path, reason in report.refused}
        assert refused.keys() == {"fake.mp3", "empty.flac"}
        assert "not audio" in refused["fake.mp3"]
        assert refused["empty.flac"] == "The file is empty."

        # That of the headerless one has to be decoded first.
        found = (await world.guest.get(f"/tracks?user_id={ada.id}&limit=100")).json()["data"]
        assert found["pagination"]["total"] == 3
        assert {track["format"] for track in found["tracks"]} == {"mp3", "flac", "wav"}
        for track in found["tracks"]:
            assert track["duration"] == pytest.approx(0.35, abs=0.1)
            assert (track["title"], track["artist"], track["album"]) == ("Étude", "Ana", "Nights")
            assert (track["genre"], track["year"], track["status"]) == ("Jazz", 2021, "ready")
        assert sorted(await events(world)) == ["track.processed"] * 3 + ["track.uploaded"] * 4
        assert await used(world, ada) == report.added_bytes
        await check_counts(world)
        assert no_scratch(world)


async def test_the_original_is_heard_until_there_are_renditions(
    database: Database, tmp_path: Path, folder: Path, short: Short
) -> None:
    """T18, G22: by range, and by who may have the original; then, in the backlog, all that lacks is made.

    The cover is the one in the song, or the picture that lies beside it.
    """
    tagged(folder, "five.aiff", short("s16.aiff"), 0)
    Image.new("RGB", (200, 100), "red").save(folder / "Album" / "Folder.JPG", "JPEG")
    async with open_world(database, tmp_path / "data", work=False) as world:
        ada, bob = await world.person("ada"), await world.person("bob")
        await take(world, ada, folder)
        found = (await ada.get(f"/tracks?user_id={ada.id}&limit=100")).json()["data"]["tracks"]
        by_format = {track["format"]: track for track in found}
        song = f"/tracks/{by_format['flac']['id']}"
        answer = await bob.get(f"{song}/stream?quality=low", headers={"Range": "bytes=0-3"})
        assert (answer.status_code, answer.content) == (206, b"fLaC")
        assert answer.headers["content-type"] == "audio/flac"
        # Browsers play no AIFF.
        answer = await bob.get(f"/tracks/{by_format['aiff']['id']}/stream")
        assert code(answer) == (409, "TRACK_NOT_READY")
        assert answer.headers["retry-after"] == "60"
        # What is still to be made is worth asking for again, and no secret of the storage.
        for path in ("waveform", "hls/master.m3u8", "hls/aac_96/index.m3u8", "hls/aac_96/1.m4s"):
            answer = await bob.get(f"{song}/{path}")
            assert (*code(answer), answer.headers["retry-after"]) == (409, "TRACK_NOT_READY", "60")
        status = (await bob.get(f"{song}/status")).json()["data"]
        assert (status["status"], status["playable"]) == ("ready", False)
        # Whoever does not offer the original does not give it away like this.
        await ada.put(song, json={"downloadable": False, "title": "Mine"})
        assert code(await bob.get(f"{song}/stream")) == (409, "TRACK_NOT_READY")
        assert (await ada.get(f"{song}/stream")).status_code == 200
        before = await events(world)

    async with open_world(database, tmp_path / "data", work=True) as world:
        async with asyncio.timeout(60):
            while len(await events(world)) < len(before) + 5:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.05)
        assert sorted((await events(world))[len(before) :]) == ["track.processed"] + ["track.updated"] * 4
        track = (await world.guest.get(song)).json()["data"]["track"]
        # What the owner wrote meanwhile stays.
        assert (track["title"], track["audio"]["codec"], track["status"]) == ("Mine", "flac", "ready")
        assert track["duration"] == pytest.approx(0.35, abs=0.01)
        answer = await world.guest.get(f"{song}/stream?quality=low")
        assert answer.headers["content-type"] == "audio/mp4"
        assert (await ada.get(f"{song}/status")).json()["data"]["playable"]
        for path in ("waveform", "hls/master.m3u8"):
            assert (await world.guest.get(f"{song}/{path}")).status_code == 200
        # In its folder lies one; in that of the others what is named so is no picture.
        wav = f"/tracks/{by_format['wav']['id']}/cover"
        cover = Image.open(BytesIO((await world.guest.get(f"{wav}?size=96")).content))
        assert cover.getpixel((9, 9))[0] > 200
        assert code(await world.guest.get(f"/tracks/{by_format['mp3']['id']}/cover")) == (
            404,
            "COVER_NOT_FOUND",
        )
        found = (await world.guest.get(f"/tracks?user_id={ada.id}")).json()["data"]
        assert found["pagination"]["total"] == 5
        await check_counts(world)


async def test_a_second_time_it_goes_on_and_nothing_comes_twice(
    database: Database, tmp_path: Path, folder: Path, short: Short
) -> None:
    async with open_world(database, tmp_path / "data") as world:
        ada, bob = await world.person("ada"), await world.person("bob")
        await take(world, ada, folder)
        taken = files(world)
        # The same again, under another name, and something new.
        shutil.copyfile(folder / "one.mp3", folder / "same as one.mp3")
        tagged(folder, "new.mp3", short("a.mp3"), 1)
        tagged(folder, "new, twice.mp3", short("a.mp3"), 1)
        report, _ = await take(world, ada, folder)
        assert (report.added, report.skipped["imported before"], report.skipped["same content"]) == (1, 4, 2)
        assert len(files(world)) == len(taken) + 1
        report, _ = await take(world, ada, folder)
        assert (report.added, report.skipped["imported before"]) == (0, 7)
        # A file that was changed is another one; what was deleted is taken again.
        await ada.delete(f"/tracks/{(await find(ada, ada, 'mp3'))['id']}")
        tagged(folder, "new.mp3", short("a.mp3"), 7)
        report, _ = await take(world, ada, folder)
        assert report.added == 2
        # Somebody else's library is another matter.
        report, _ = await take(world, bob, folder, public=False)
        assert report.added == 6
        assert await titles(world.guest, bob) == []
        assert len(await titles(bob, bob)) == 6
        await check_counts(world)
        assert no_scratch(world)


async def find(person: Person, owner: Person, form: str) -> dict[str, Any]:
    answer = await person.get(f"/tracks?user_id={owner.id}&format={form}&limit=1&sort_order=asc")
    return dict(answer.json()["data"]["tracks"][0])


async def test_a_dry_run_changes_nothing(database: Database, tmp_path: Path, folder: Path) -> None:
    async with open_world(database, tmp_path / "data") as world:
        ada = await world.person("ada")
        report, _ = await take(world, ada, folder, dry=True)
        assert (report.added, len(report.refused)) == (4, 2)
        assert files(world) == []
        assert (await events(world), await used(world, ada)) == ([], 0)


async def test_the_quota_does_not_stop_an_operator_but_is_used_up(
    database: Database, tmp_path: Path, folder: Path, short: Short
) -> None:
    """C2: and what is too large for anybody is too large here."""
    largest = short("s16.wav").stat().st_size
    async with open_world(database, tmp_path / "data", quota=1000) as world:
        ada = await world.person("ada")
        report, _ = await take(world, ada, folder, max_file_size=largest - 1)
        assert report.added == 3
        assert {path.name for path, _ in report.refused} == {"fake.mp3", "empty.flac", "three.wav"}
        assert await used(world, ada) == report.added_bytes > 1000
        answer = await ada.post("/tracks", files={"file": ("x.mp3", (folder / "one.mp3").read_bytes())})
        assert code(answer) == (413, "QUOTA_EXCEEDED")


async def test_a_file_that_cannot_be_decoded_fails_as_ever(
    database: Database, tmp_path: Path, short: Short
) -> None:
    """C33: listed for what its header says, and taken back when it turns out to be a lie."""
    music = tmp_path / "music"
    music.mkdir()
    whole = short("s16.wav").read_bytes()
    (music / "cut.wav").write_bytes(whole[: whole.index(b"data") + 8])
    async with open_world(database, tmp_path / "data", work=True) as world:
        ada = await world.person("ada")
        report, _ = await take(world, ada, music)
        assert report.added == 1
        async with asyncio.timeout(30):
            while (await find(ada, ada, "wav"))["status"] != "failed":  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.05)
        assert await titles(world.guest, ada) == []
        assert await used(world, ada) == 0
        assert (await events(world))[-1] == "track.failed"
        await check_counts(world)
        # It is known now, and not tried again and again.
        report, _ = await take(world, ada, music)
        assert (report.added, report.skipped["imported before"]) == (0, 1)


async def test_the_shortest_files_end_one_way_or_the_other(database: Database, tmp_path: Path) -> None:
    """C33: nothing of a library stays in the backlog for a day."""
    music = tmp_path / "music"
    music.mkdir()
    for rate, count in ((8000, 1), (192_000, 1), (1, 100)):
        (music / f"{rate}.wav").write_bytes(wav(b"\1\2" * count, rate=rate))
    async with open_world(database, tmp_path / "data", work=True) as world:
        ada = await world.person("ada")
        report, _ = await take(world, ada, music)
        assert report.added == 3
        async with asyncio.timeout(30):
            while await backlog(world):  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.05)
        rows = await database.rows("SELECT title, status FROM tracks ORDER BY title")
        assert [tuple(row) for row in rows] == [("1", "failed"), ("192000", "ready"), ("8000", "ready")]


async def backlog(world: World) -> int:
    async with world.parts.database.read() as view:
        return await waiting(view, PROCESS_IMPORTED.lane)


async def test_a_name_need_not_be_text(
    database: Database, tmp_path: Path, short: Short, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C17: names are bytes to a disk; and what can certainly not be written down leaves no file behind."""
    music = tmp_path / "music"
    names = (b"caf\xe9.mp3", b"\xff.mp3", b"a\nb\\c.mp3", b"\xfe\xff/plain.mp3")
    try:
        for number, name in enumerate(names):
            tagged(music, os.fsdecode(name), short("a.mp3"), number)
    except OSError:
        pytest.skip("This disk takes nothing but UTF-8.")
    (music / os.fsdecode(b"\xfe\xff/cover.jpg")).write_bytes(b"a picture that cannot be named")
    add = module.add_imported

    async def broken(*_: object, **__: object) -> list[Any]:
        raise RuntimeError

    async with open_world(database, tmp_path / "data") as world:
        ada = await world.person("ada")
        monkeypatch.setattr(module, "add_imported", broken)
        with pytest.raises(RuntimeError):
            await take(world, ada, music)
        assert files(world) == []
        monkeypatch.setattr(module, "add_imported", add)
        for dry in (True, False):
            report, _ = await take(world, ada, music, dry=dry)
            assert (report.added, report.refused) == (4, [])
        rows = await database.rows("SELECT filename FROM tracks")
        assert {name for (name,) in rows} == {"caf\ufffd.mp3", "\ufffd.mp3", "c.mp3", "plain.mp3"}
        assert len(files(world)) == 4
        assert no_scratch(world)
        report, _ = await take(world, ada, music)
        assert (report.added, report.skipped["imported before"]) == (0, 4)


async def test_two_imports_of_one_folder_at_once_take_each_file_once(
    database: Database, tmp_path: Path, folder: Path, short: Short
) -> None:
    """C29: whoever is later finds what the other has written, in the very transaction."""
    for number in range(1, 30):
        tagged(folder, f"Many/{number}.mp3", short("a.mp3"), number)
    async with open_world(database, tmp_path / "data") as world:
        ada = await world.person("ada")
        reports = await asyncio.gather(*(take(world, ada, folder) for _ in range(3)))
        assert sum(report.added for report, _ in reports) == 33
        total = (await ada.get(f"/tracks?user_id={ada.id}")).json()["data"]["pagination"]["total"]
        assert (total, len(files(world))) == (33, 33)
        assert await used(world, ada) == sum(report.added_bytes for report, _ in reports)
        await check_counts(world)


async def test_what_is_cut_short_leaves_whole_batches(
    database: Database, tmp_path: Path, folder: Path, short: Short, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C19, C21, X1: at a full disk nothing is half there, and the next run does the rest."""
    monkeypatch.setattr(module, "BATCH_FILES", 5)
    for number in range(1, 18):
        tagged(folder, f"Many/{number:02}.mp3", short("a.mp3"), number)
    async with open_world(database, tmp_path / "data") as world:
        ada, storage = await world.person("ada"), world.parts.storage
        put, calls = storage.put_files, []

        async def full(files: Any) -> None:
            calls.append(len(files))
            if len(calls) == 3:
                for _, path in files:
                    path.unlink()
                raise InsufficientStorage
            await put(files)

        monkeypatch.setattr(storage, "put_files", full)
        with pytest.raises(InsufficientStorage):
            await take(world, ada, folder)
        assert no_scratch(world)
        there = (await ada.get(f"/tracks?user_id={ada.id}")).json()["data"]["pagination"]["total"]
        assert there == len(files(world)) == calls[0] + calls[1]
        report, _ = await take(world, ada, folder)
        assert report.added + there == 21
        await check_counts(world)


async def test_told_to_stop_it_finishes_what_it_has_begun(
    database: Database, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_FILES", 2)
    async with open_world(database, tmp_path / "data") as world:
        ada, parts = await world.person("ada"), world.parts
        library = Library(parts.database, parts.storage, Owner(UUID(ada.id), "ada"), Rules(GIB))
        stop = asyncio.Event()
        report = await library.take(Walk(folder).files(), stop=stop, tell=stop.set)
        assert 2 <= report.looked_at < 9
        assert len(files(world)) == report.added
        assert no_scratch(world)


async def test_a_busy_database_is_waited_for(
    database: Database, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X1: a server beside it may hold the turn for a while."""
    add, tries = module.add_imported, []

    async def busy(tx: Tx, *things: Any, **more: Any) -> Any:
        tries.append(1)
        if len(tries) < 3:
            raise DatabaseBusy
        return await add(tx, *things, **more)

    monkeypatch.setattr(module, "add_imported", busy)
    async with open_world(database, tmp_path / "data") as world:
        report, _ = await take(world, await world.person("ada"), folder)
        assert (report.added, len(tries)) == (4, 3)


def test_a_folder_of_veza_s_own_is_not_entered(tmp_path: Path, folder: Path) -> None:
    inner = folder / "data"
    inner.mkdir()
    (inner / "x.mp3").write_bytes(b"x")
    assert not [found for found in Walk(folder, without=[inner]).files() if found.path.name == "x.mp3"]
    with pytest.raises(FileNotFoundError):
        list(Walk(tmp_path / "nowhere").files())
