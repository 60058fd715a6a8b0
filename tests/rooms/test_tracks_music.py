"""Music as people have it, all the way: sent in, processed, heard by pieces, and given back."""

from pathlib import Path
from typing import Any

import pytest

from tests.media.band import ALBUM, ARTIST, GENRE, SECONDS, SHAPES, TITLE, YEAR, Shape, make
from tests.media.real import PIECES, Piece, real_folder
from tests.world import Person, open_world
from veza.core.db import Database

# The bytes are what is tested here; that both databases say the same of a track is tested elsewhere.
pytestmark = pytest.mark.parametrize("dialect", ["sqlite"])
SUFFIXES = {"opus": "ogg", "aifc": "aiff"}


async def all_the_way(database: Database, folder: Path, song: Path) -> dict[str, Any]:
    """What the track says in the end; its bytes have been looked at."""
    async with open_world(database, folder / "data", work=True) as world:
        ada = await world.person("ada")
        track_id = (await ada.upload(song))["id"]
        status = await world.ready(ada, track_id, seconds=60)
        assert (status["status"], status["error"]) == ("ready", None)
        sizes = [await heard(world.guest, track_id, quality) for quality in ("high", "low", "opus")]
        assert len(set(sizes)) == 3
        answer = await world.guest.get(f"/tracks/{track_id}/download")
        assert answer.content == song.read_bytes()  # noqa: ASYNC240 - a small file
        return dict((await world.guest.get(f"/tracks/{track_id}")).json()["data"]["track"])


async def heard(listener: Person, track_id: str, quality: str) -> int:
    """The size of a rendition that comes whole in three pieces."""
    path = f"/tracks/{track_id}/stream?quality={quality}"
    whole = (await listener.get(path)).content
    pieces = b""
    for start, end in ((0, 99), (100, len(whole) // 2), (len(whole) // 2 + 1, len(whole) - 1)):
        answer = await listener.get(path, headers={"Range": f"bytes={start}-{end}"})
        assert answer.status_code == 206
        assert answer.headers["content-range"] == f"bytes {start}-{end}/{len(whole)}"
        pieces += answer.content
    assert pieces == whole
    return len(whole)


@pytest.mark.parametrize("shape", SHAPES, ids=[shape.file for shape in SHAPES])
async def test_every_format_and_shape_of_tags(database: Database, tmp_path: Path, shape: Shape) -> None:
    track = await all_the_way(database, tmp_path, make(shape, tmp_path))
    audio = track["audio"]
    suffix = shape.file.rpartition(".")[2]
    assert track["format"] == SUFFIXES.get(suffix, suffix)
    assert (audio["codec"], audio["bit_depth"]) == (shape.codec, shape.bit_depth)
    assert (audio["sample_rate"], audio["channels"]) == (shape.rate, shape.channels)
    assert track["duration"] == pytest.approx(SECONDS, abs=shape.slack)
    assert audio["damaged"] is False
    assert -40 < audio["loudness"] < 0
    assert track["has_cover"] is (shape.cover is not None)
    told = [track[name] for name in ("title", "artist", "album", "genre", "year")]
    if shape.tagged:
        assert told == [TITLE, ARTIST, ALBUM, GENRE, YEAR]
    elif shape.file == "id3v1.mp3":
        assert told == ["Etude", "Asgeir", "Night", "Jazz", 2019]


@pytest.mark.parametrize("piece", PIECES, ids=[piece.name for piece in PIECES])
async def test_real_music(database: Database, tmp_path: Path, piece: Piece) -> None:
    track = await all_the_way(database, tmp_path, real_folder() / piece.name)
    assert (track["format"], track["audio"]["sample_rate"]) == (piece.format, piece.sample_rate)
    assert track["duration"] == pytest.approx(piece.duration, abs=0.05)
    assert track["title"] == (piece.title or piece.name.rpartition(".")[0])
    assert track["year"] == piece.year


async def test_songs_one_behind_the_other_in_one_ogg_file(database: Database, tmp_path: Path) -> None:
    """RFC 3533, 4: streams may be chained, and what is heard is all of them."""
    files = []
    for number, name in enumerate(("vorbis.ogg", "vorbis.ogg")):
        folder = tmp_path / str(number)
        folder.mkdir()
        shape = next(shape for shape in SHAPES if shape.file == name)
        serial = ("-serial_offset", str(number * 7))
        files.append(make(shape._replace(arguments=(*shape.arguments, *serial)), folder))
    chained = tmp_path / "chained.ogg"
    chained.write_bytes(b"".join(file.read_bytes() for file in files))
    track = await all_the_way(database, tmp_path, chained)
    assert track["duration"] == pytest.approx(SECONDS * 2, abs=0.1)
