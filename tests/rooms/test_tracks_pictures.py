"""Covers and waveforms of tracks, and the loudness that players go by."""

from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.rooms.tracks_house import (
    JPEG,
    PEAKS,
    code,
    files,
    plant,
    settled,
    short,  # noqa: F401 - a fixture
)
from tests.world import Person, open_world
from veza.app import working
from veza.core import clock
from veza.core.db import Database
from veza.media import Peaks
from veza.rooms.accounts.pictures import MAX_BYTES
from veza.rooms.tracks import waveform
from veza.rooms.tracks.jobs import sweep_files
from veza.rooms.tracks.schemas import Audio

# ruff: noqa: F811 - a fixture is asked for by its name


def picture(colour: str = "red", size: tuple[int, int] = (400, 300), **options: Any) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG", **options)
    return out.getvalue()


async def put(person: Person, track: str, data: bytes, name: str = "file") -> httpx.Response:
    return await person.put(f"/tracks/{track}/cover", files={name: ("c.png", data)})


async def test_a_cover_comes_and_goes(database: Database, tmp_path: Path) -> None:
    """U10: re-encoded by us in three sizes, whole; the last one's files go; a private track's is private."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        track = await plant(world, olga, public=False)
        at = f"/tracks/{track}/cover"
        assert (await olga.get(at)).content == JPEG
        assert code(await put(olga, track, b"<svg/>")) == (422, "UNSUPPORTED_IMAGE")
        assert code(await put(olga, track, picture(), "image")) == (422, "VALIDATION_ERROR")
        assert code(await put(olga, track, bytes(MAX_BYTES + 1))) == (413, "FILE_TOO_LARGE")
        tags = set()
        for colour in ("red", "blue"):
            answer = await put(olga, track, picture(colour))
            assert answer.json()["data"]["track"]["has_cover"]
            for size, shape in (("96", (96, 72)), ("320", (320, 240)), ("1000", (400, 300))):
                sent = await olga.get(f"{at}?size={size}")
                image = Image.open(BytesIO(sent.content))
                assert (image.format, image.size) == ("JPEG", shape)
                assert image.getpixel((5, 5))[0 if colour == "red" else 2] > 200  # type: ignore[index] # RGB
            tags.add(sent.headers["etag"])
            assert sent.headers["cache-control"] == "private, no-store"
            same = await olga.get(f"{at}?size=1000", headers={"If-None-Match": sent.headers["etag"]})
            assert same.status_code == 304
        assert len(tags) == 2
        assert code(await world.guest.get(at)) == (404, "TRACK_NOT_FOUND")
        assert code(await olga.get(f"{at}?size=97")) == (400, "INVALID_REQUEST")
        async with working(world.parts):
            await settled(world, lambda: len([name for name in files(world) if "/cover/" in name]) == 3)
            with clock.shifted(timedelta(days=2)):
                await sweep_files(database, world.parts.storage, timedelta(hours=24))
            assert (await olga.get(at)).status_code == 200
            for _ in range(2):
                assert (await olga.delete(at)).status_code == 200
            await settled(world, lambda: not [name for name in files(world) if "cover" in name])
        assert code(await olga.get(at)) == (404, "COVER_NOT_FOUND")
        assert not (await olga.get(f"/tracks/{track}")).json()["data"]["track"]["has_cover"]


async def test_a_cover_that_comes_early_stays(
    database: Database, tmp_path: Path, short: Callable[[str], Path]
) -> None:
    """It was chosen, so what the file brings along does not replace it."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        track = (await olga.upload(short("a.mp3")))["id"]
        assert (await put(olga, track, picture("blue"))).status_code == 200
        async with working(world.parts):
            assert (await world.ready(olga, track))["playable"]
        assert (await world.guest.get(f"/tracks/{track}/cover")).headers[
            "cache-control"
        ] == "public, no-cache"
        whole = (await world.guest.get(f"/tracks/{track}/waveform")).json()
        assert whole["length"] * whole["samples_per_pixel"] / whole["sample_rate"] == pytest.approx(
            0.36, abs=0.06
        )


async def test_the_waveform_is_audiowaveforms(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T1: JSON of version 2 as players' libraries read it, as coarse as is asked for; or the binary form."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        track = await plant(world, olga)
        at = f"/tracks/{track}/waveform"
        answer = await world.guest.get(at)
        assert answer.json() == {
            "version": 2, "channels": 1, "sample_rate": 44_100, "samples_per_pixel": 882, "bits": 8,
            "length": 50, "data": list(range(100)),
        }  # fmt: skip
        tag = answer.headers["etag"]
        assert (await world.guest.get(at, headers={"If-None-Match": tag})).status_code == 304
        coarse = (await world.guest.get(f"{at}?points=7")).json()
        assert (coarse["length"], coarse["samples_per_pixel"]) == (7, 8 * 882)
        assert coarse["data"] == [0, 15, 16, 31, 32, 47, 48, 63, 64, 79, 80, 95, 96, 99]
        binary = await world.guest.get(f"{at}?format=dat")
        assert (binary.content, binary.headers["content-type"]) == (
            PEAKS.to_dat(),
            "application/octet-stream",
        )
        few = Peaks.from_dat((await world.guest.get(f"{at}?format=dat&points=1")).content)
        assert (few.length, few.data) == (1, bytes([0, 99]))
        for query in ("points=0", "points=-1", "points=200001", "points=x", "format=xml"):
            assert code(await world.guest.get(f"{at}?{query}")) == (400, "INVALID_REQUEST")
        monkeypatch.setattr(waveform, "MOST_POINTS", 10)
        assert (await world.guest.get(at)).json()["length"] == 10


@pytest.mark.parametrize(
    ("loudness", "true_peak", "gain", "peak"),
    [
        (-23.0, -1.0, 5.0, 0.891251),
        (-9.1, 0.5, -8.9, 1.059254),
        (-18.0, 0.0, 0.0, 1.0),
        (None, None, None, None),
    ],
)
def test_replaygain(
    loudness: float | None, true_peak: float | None, gain: float | None, peak: float | None
) -> None:
    """ReplayGain 2.0: the gain up to -18 LUFS, the peak as a part of full scale; none of silence."""
    audio = Audio(loudness=loudness, true_peak=true_peak)
    assert (audio.replaygain_track_gain, audio.replaygain_track_peak) == (gain, peak)


async def test_a_failed_track_takes_no_cover(database: Database, tmp_path: Path) -> None:
    """It keeps no files; and nothing of a picture that came stays behind."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        track = await plant(world, olga, "failed")
        before = files(world)
        assert code(await put(olga, track, picture())) == (409, "TRACK_NOT_READY")
        assert files(world) == before
