"""What was bought, in the format that its buyer chose: made once, whole or not there, and there for long."""

import asyncio
import io
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
import tinytag

from tests.media.test_cover import _picture
from tests.rooms.listening_house import rows_of, until
from tests.rooms.market_house import ORDERS, PRODUCTS, bought, offer, offer_track
from tests.rooms.tracks_house import (
    code,
    files,
    plant,
    settled,
    short,  # noqa: F401 - a fixture
    used,
)
from tests.world import PASSWORD, Person, World, open_world
from veza.core import clock
from veza.core.db import Database, Statement
from veza.core.jobs import Job, jobs
from veza.core.storage import StorageUnavailable
from veza.media import MediaLimits, make_copy, sniff
from veza.media.decode import decode
from veza.rooms.marketplace import archive, copies, copying
from veza.rooms.marketplace.copying import CopyJobs, sweep_copies
from veza.rooms.marketplace.downloads import LASTS
from veza.rooms.marketplace.kinds import MAKE_COPY, MakeCopy
from veza.rooms.tracks.jobs import sweep_files

# ruff: noqa: F811 - a fixture is asked for by its name

ONE_JOB = Statement(
    sa.select(*(jobs.c[name] for name in Job.__struct_fields__)).where(jobs.c.kind == MAKE_COPY.name), Job
)
Short = Callable[[str], Path]


class Cut(Exception):
    """What goes wrong."""


async def song(world: World, person: Person, file: Path, **fields: Any) -> str:
    """A track that is ready."""
    track = (await person.upload(file, **fields))["id"]
    assert (await world.ready(person, track))["status"] == "ready"
    return str(track)


async def fetch(world: World, person: Person, product: str, form: str) -> httpx.Response:
    """What somebody downloads in a format, once it is there."""
    async with asyncio.timeout(30):
        while (
            answer := await person.get(f"/marketplace/download/{product}?format={form}")
        ).status_code == 202:
            assert answer.headers["retry-after"] == "2"
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["format"] == form
    whole = await world.guest.get(answer.json()["data"]["url"].partition("/api/v1")[2])
    assert whole.status_code == 200, whole.text
    return whole


def tags(answer: httpx.Response) -> tinytag.TinyTag:
    name = answer.headers["content-disposition"].partition('filename="')[2].partition('"')[0]
    return tinytag.TinyTag.get(name, file_obj=io.BytesIO(answer.content), image=True)


async def test_a_buyer_chooses_the_format(database: Database, tmp_path: Path, short: Short) -> None:
    """K15, T19, M19: tagged, with the cover, made once for all who ask at once; for the buyer alone."""
    async with open_world(database, tmp_path, work=True) as world:
        olga, bob, eve = [await world.person(name) for name in ("olga", "bob", "eve")]
        track = await song(world, olga, short("s16.flac"), title="Ein Lied", artist="Øl & Ga", genre="Jazz")
        picture = {"file": ("c.png", _picture("PNG", (600, 600)))}
        assert (await olga.put(f"/tracks/{track}/cover", files=picture)).status_code == 200
        lossy = await song(world, olga, short("a.mp3"))
        one, two = [await offer_track(world, olga, each) for each in (track, lossy)]
        before = await used(world, olga)
        order = await bought(bob, one["id"], two["id"])
        full = ["original", "flac", "mp3", "aac"]
        assert [item["formats"] for item in order["items"]] == [full, ["original", "mp3", "aac"]]
        assert (await bob.get(ORDERS)).json()["data"][0]["items"] == order["items"]
        path = f"/marketplace/download/{one['id']}"
        assert code(await eve.get(f"{path}?format=mp3")) == (403, "NOT_PURCHASED")
        assert code(await bob.get(f"{path}?format=wav")) == (400, "INVALID_REQUEST")
        answer = await bob.get(f"/marketplace/download/{two['id']}?format=flac")
        assert code(answer) == (409, "FORMAT_NOT_AVAILABLE")
        whole = await decode(short("s16.flac"), sniff(short("s16.flac")), MediaLimits())
        for form, mime in (("flac", "audio/flac"), ("mp3", "audio/mpeg"), ("aac", "audio/mp4")):
            made = await asyncio.gather(*(fetch(world, bob, one["id"], form) for _ in range(10)))
            assert len({each.content for each in made}) == 1
            assert made[0].headers["content-type"] == mime
            tag = tags(made[0])
            assert (tag.title, tag.artist, tag.genre) == ("Ein Lied", "Øl & Ga", "Jazz")
            assert (tag.album, tag.track) == ("Nights", None)
            assert tag.comment == f"standard licence, order {order['id']}"
            assert tag.images.front_cover is not None
            (tmp_path / form).write_bytes(made[0].content)
            heard = await decode(tmp_path / form, sniff(tmp_path / form), MediaLimits())
            assert heard.frames == whole.frames
            part = await world.guest.get(str(made[0].request.url), headers={"Range": "bytes=10-19"})
            assert (part.status_code, part.content) == (206, made[0].content[10:20])
        assert len(files(world, "bought/")) == (await rows_of(world, "copies"))["copies"] == 3
        assert await used(world, olga) == before
        await settled(world, lambda: not list(world.parts.storage.scratch.iterdir()))
        # A signature is for one format.
        url = str(made[0].request.url)
        for wrong in (url.replace("aac", "mp3"), url.replace("format=aac&", "")):
            assert code(await world.guest.get(wrong)) == (403, "SIGNATURE_INVALID")
        with clock.shifted(timedelta(minutes=15, seconds=1)):
            assert code(await world.guest.get(url)) == (403, "URL_EXPIRED")
        # What its owner mends is mended in the next download.
        assert (await olga.put(f"/tracks/{track}", json={"title": "Kein Lied"})).status_code == 200
        assert tags(await fetch(world, bob, one["id"], "mp3")).title == "Kein Lied"
        mails = world.parts.settings.mail_folder
        receipt = b"as uploaded, FLAC, MP3, AAC"
        await settled(world, lambda: any(receipt in mail.read_bytes() for mail in mails.glob("*.eml")))
        assert (await olga.post(f"{ORDERS}/{order['id']}/refund")).status_code == 200
        assert code(await world.guest.get(url)) == (403, "NOT_PURCHASED")
        assert code(await bob.get(f"{path}?format=aac")) == (403, "NOT_PURCHASED")


async def test_every_format_outlives_track_and_seller(
    database: Database, tmp_path: Path, short: Short
) -> None:
    """K16: also those asked for when track and seller are gone, with the title and the cover of its sale."""
    async with open_world(database, tmp_path, work=True) as world:
        olga, bob = await world.person("olga"), await world.person("bob")
        track = await song(world, olga, short("s16.flac"), title="Ein Lied")
        picture = {"file": ("c.png", _picture("PNG", (600, 600)))}
        await olga.put(f"/tracks/{track}/cover", files=picture)
        one = await offer_track(world, olga, track)
        order = await bought(bob, one["id"])
        await olga.put(f"/tracks/{track}/cover", files={"file": ("c.png", _picture("PNG", (300, 300)))})
        await olga.put(f"{PRODUCTS}/{one['id']}", json={"status": "archived"})
        assert tags(await fetch(world, bob, one["id"], "flac")).images.front_cover is not None
        await olga.delete(f"/tracks/{track}")
        assert (await olga.delete(f"/users/{olga.id}", json={"password": PASSWORD})).status_code == 200

        async def removed() -> bool:
            return len(files(world, track)) == 2  # the original, and the cover as it was sold

        await until(removed)
        await sweep_files(database, world.parts.storage, timedelta(0))
        assert len(files(world, track)) == 2
        assert (await bob.get(f"{ORDERS}/{order['id']}")).json()["data"]["items"] == order["items"]
        for form in ("flac", "aac"):
            tag = tags(await fetch(world, bob, one["id"], form))
            assert (tag.title, tag.album) == ("Ein Lied", "Nights")
            assert tag.images.front_cover is not None, form
        # Whoever goes leaves nothing behind.
        assert (await bob.delete(f"/users/{bob.id}", json={"password": PASSWORD})).status_code == 200
        assert await rows_of(world, "copies") == {"copies": 0}
        await sweep_copies(database, world.parts.storage, timedelta(0))
        assert files(world, "bought/") == []


async def test_a_pack_in_a_format(database: Database, tmp_path: Path, short: Short) -> None:
    """T18: tracks with their numbers, other files as they are; the archive's length is said beforehand."""
    async with open_world(database, tmp_path, work=True) as world:
        olga, bob = await world.person("olga"), await world.person("bob")
        tracks = [await song(world, olga, short(name)) for name in ("s16.flac", "a.mp3")]
        upload = (await olga.post("/uploads", files={"file": ("notes.txt", b"hello")})).json()["data"]

        async def checked() -> bool:
            status = await olga.get(f"/uploads/{upload['upload_id']}/status")
            return bool(status.json()["data"]["status"] == "completed")

        await until(checked)
        pack = await offer(
            olga, title="All", product_type="pack", track_ids=tracks, upload_ids=[upload["upload_id"]]
        )
        order = await bought(bob, pack["id"])
        assert order["items"][0]["formats"] == ["original", "mp3", "aac"]  # not all of it is without loss
        for form, ending in (("original", None), ("aac", "m4a")):
            answer = await fetch(world, bob, pack["id"], form)
            assert int(answer.headers["content-length"]) == len(answer.content)
            head = await world.guest.client.request("HEAD", str(answer.request.url))
            assert head.headers["content-length"] == answer.headers["content-length"]
            with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
                assert packed.testzip() is None
                names = packed.namelist()
                assert packed.read(names[2]) == b"hello"
                if ending is None:
                    continue
                assert [name.rpartition(".")[2] for name in names] == [ending, ending, "txt"]
                read = [
                    tinytag.TinyTag.get(name, file_obj=io.BytesIO(packed.read(name))) for name in names[:2]
                ]
                assert [(tag.track, tag.track_total) for tag in read] == [(1, 2), (2, 2)]
        assert (await rows_of(world, "copies"))["copies"] == 2


async def test_cut_off_at_any_step(
    database: Database, tmp_path: Path, short: Short, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K15, X14: nothing half is ever there, and the job comes again; what cannot be made is said to be so."""
    monkeypatch.setattr(copies, "WAIT", 0.0)
    async with open_world(database, tmp_path) as world:
        olga, bob = await world.person("olga"), await world.person("bob")
        track = await plant(world, olga, form="flac")
        storage = world.parts.storage
        await storage.put_bytes(f"tracks/{track}/original", short("s16.flac").read_bytes())
        await storage.delete(f"tracks/{track}/cover-320.jpg")
        one = await offer_track(world, olga, track)
        order = await bought(bob, one["id"])
        path = f"/marketplace/download/{one['id']}?format=mp3"
        told = (await bob.get(path)).json()["data"]
        assert told == {"format": "mp3", "status": "preparing", "ready": 0, "files": 1}
        assert (await bob.get(path)).status_code == 202
        waiting = await database.rows(f"SELECT COUNT(*) FROM jobs WHERE kind = '{MAKE_COPY.name}'")
        assert waiting == [(1,)]
        works = CopyJobs(database, storage, MediaLimits())
        what = MakeCopy(UUID(order["id"]), UUID(one["id"]), 0, "mp3")

        async def run() -> None:
            async with database.read() as view:
                job = await view.first(ONE_JOB)
            assert job is not None
            await works.make(job, what)

        async def broken(*_: Any, **__: Any) -> None:
            raise Cut

        for where, name in ((storage, "fetch_to"), (copying, "make_copy"), (storage, "put_file"),
                            (copying.copies_store, "put")):  # fmt: skip
            with monkeypatch.context() as patched:
                patched.setattr(where, name, broken)
                with pytest.raises(Cut):
                    await run()
            assert (await bob.get(path)).status_code == 202
            assert not list(storage.scratch.iterdir())
        # Cancelled behind the encoder: what it has written is gone.
        encoded = asyncio.Event()

        async def lasting(*things: Any, **more: Any) -> None:
            await make_copy(*things, **more)
            encoded.set()
            await asyncio.sleep(60)

        with monkeypatch.context() as patched:
            patched.setattr(copying, "make_copy", lasting)
            running = asyncio.create_task(run())
            await encoded.wait()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert not list(storage.scratch.iterdir())
        assert len(files(world, "bought/")) == 1  # stored, and named by no row: the attempt before
        await run()
        assert (await bob.get(path)).status_code == 200
        await sweep_copies(database, storage, timedelta(0))
        assert len(files(world, "bought/")) == 1
        # Used now and then, it stays; else it is made again for whoever asks again.
        for days in (29, 29):
            await age(database, days)
            await sweep_copies(database, storage, timedelta(0))
            assert (await bob.get(path)).status_code == 200
        await age(database, 31)
        await sweep_copies(database, storage, timedelta(0))
        assert files(world, "bought/") == []
        # What was sold and is not here is somewhere else, as with a disk that is not mounted.
        await storage.delete(f"tracks/{track}/original")
        assert (await bob.get(path)).status_code == 202
        with pytest.raises(StorageUnavailable):
            await run()
        assert (await bob.get(path)).status_code == 202
        await storage.put_bytes(f"tracks/{track}/original", b"no music")
        await run()
        for _ in range(2):
            assert code(await bob.get(path)) == (409, "COPY_FAILED")
        await age(database, 2)
        await sweep_copies(database, storage, timedelta(0))
        assert (await bob.get(path)).status_code == 202


async def age(database: Database, days: int) -> None:
    """Let so many days pass for all copies."""
    await database.script(f"UPDATE copies SET used_at = used_at - {days * 86_400_000_000}")


async def test_a_bucket_sends_it_itself(
    database: Database, tmp_path: Path, s3_server: dict[str, str], bucket_url: str, short: Short
) -> None:
    """K15, T19: by an address of the bucket's own, for 15 minutes as ours; nobody changes or lengthens it."""
    settings = {"storage_url": bucket_url, "s3": s3_server}
    async with open_world(database, tmp_path, work=True, **settings) as world:
        olga, bob = await world.person("olga"), await world.person("bob")
        track = await song(world, olga, short("s16.flac"), title='A "b" ü')
        one = await offer_track(world, olga, track)
        await bought(bob, one["id"])
        path = f"/marketplace/download/{one['id']}"
        async with httpx.AsyncClient() as anybody:
            for form, mime in (("original", "audio/flac"), ("mp3", "audio/mpeg")):
                async with asyncio.timeout(30):
                    while (answer := await bob.get(f"{path}?format={form}")).status_code == 202:
                        pass
                data = answer.json()["data"]
                assert data["url"].startswith(s3_server["AWS_ENDPOINT_URL"])
                left = datetime.fromisoformat(data["expires_at"]) - clock.now()
                assert timedelta(minutes=14) < left <= timedelta(minutes=15)
                whole = await anybody.get(data["url"])
                assert (whole.status_code, whole.headers["content-type"]) == (200, mime)
                said = whole.headers["content-disposition"]
                assert said.startswith("attachment; filename=")
                assert "filename*=UTF-8''" in said
                assert "%C3%BC" in said
                later = data["url"].replace("X-Amz-Expires=900", "X-Amz-Expires=9000")
                other = data["url"].replace("tracks/" if form == "original" else "bought/", "x/")
                for wrong in (later, other, data["url"].replace("audio", "text")):
                    assert wrong != data["url"]
                    assert (await anybody.get(wrong)).status_code == 403
            assert whole.content[:3] == b"ID3"
            with clock.shifted(-LASTS - timedelta(seconds=1)):
                key = f"tracks/{track}/original"
                old = await world.parts.storage.presigned_url(key, LASTS, {})
            assert (await anybody.get(old or "")).status_code == 403
        pack = await offer(olga, product_type="pack", track_ids=[track])
        await bought(bob, pack["id"])
        assert zipfile.is_zipfile(io.BytesIO((await fetch(world, bob, pack["id"], "mp3")).content))
    async with open_world(database, tmp_path, presigned_downloads=False, **settings) as world:
        bob = Person(world.client({"Authorization": bob.client.headers["Authorization"]}), {})
        assert (await fetch(world, bob, one["id"], "mp3")).content[:3] == b"ID3"


def test_the_length_of_an_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    """T18: as it will be written; numbers are small here, and so is the limit beyond which they are wide."""
    shapes = [
        [("a.mp3", 10)],
        [("ü", 0), ("b", 700)],
        [(f"{n}", 90 * n) for n in range(12)],
        [("x", 900), ("y", 1)],
    ]
    for limit in (archive.ZIP64_LIMIT, 600, 0):
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", limit)
        monkeypatch.setattr(archive, "ZIP64_LIMIT", limit)
        for count in (archive.ZIP_FILECOUNT_LIMIT, 5):
            monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", count)
            monkeypatch.setattr(archive, "ZIP_FILECOUNT_LIMIT", count)
            for shape in shapes:
                sink = archive._Sink()
                with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as packed:
                    for name, size in shape:
                        with packed.open(zipfile.ZipInfo(name), "w", force_zip64=True) as entry:
                            entry.write(bytes(size))
                assert len(sink.take()) == archive.length(shape), (limit, count, shape)
