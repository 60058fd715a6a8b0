import io
import socket
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.media.corpus import ffmpeg
from tests.media.hostile import id3, id3_frame, mp3_frames
from veza.media import FORMATS, EmptyFile, MediaLimits, Sniffed, UnsupportedAudio, process, sniff
from veza.media.decode import decode

Get = Callable[[str], Path]

FOREIGN = {
    "text": b"la la la\n" * 100,
    "exe": b"MZ\x90\x00" + b"\x00" * 500,
    "elf": b"\x7fELF\x02\x01\x01" + b"\x00" * 500,
    "html": b"<!DOCTYPE html><html><script>alert(1)</script></html>",
    "html behind a mark and white space": b"\xef\xbb\xbf \n<html></html>",
    "svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "pdf": b"%PDF-1.7\n" + b"0 0 obj" * 90,
    "png": b"\x89PNG\r\n\x1a\n" + b"\x00" * 100,
    "jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF" + b"\x00" * 100,
    "gif": b"GIF89a" + b"\x00" * 100,
    "gzip": b"\x1f\x8b\x08" + b"\x00" * 100,
    "avi": b"RIFF\x00\x01\x00\x00AVI LIST" + b"\x00" * 100,
    "matroska": b"\x1aE\xdf\xa3" + b"\x00" * 100,
    "midi": b"MThd\x00\x00\x00\x06\x00\x01" + b"\x00" * 100,
    "zeros": b"\x00" * 5000,
    "ones": b"\xff" * 5000,
    "one byte": b"\xff",
    "only a tag": id3([id3_frame("TIT2", b"\x03title")]),
    "a sync word": b"\xff\xfb\x90\x00" + b"\x00" * 100,
    "skeleton of Ogg": b"OggS\x00\x02" + b"\x00" * 20 + b"\x01\x08theora\x00\x00",
    "ftyp alone": b"\x00\x00\x00\x14ftypM4A \x00\x00\x00\x00M4A ",
}


def test_an_empty_file_is_told_so(tmp_path: Path) -> None:
    """M1: 0 bytes."""
    file = tmp_path / "a.mp3"
    file.touch()
    with pytest.raises(EmptyFile) as caught:
        sniff(file)
    assert (caught.value.code, caught.value.status) == ("EMPTY_FILE", 422)


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_not_audio_is_refused_by_content(kind: str, tmp_path: Path) -> None:
    """M2: exe, html, svg, zip, pdf and others named .mp3."""
    file = tmp_path / "song.mp3"
    file.write_bytes(FOREIGN[kind])
    with pytest.raises(UnsupportedAudio) as caught:
        sniff(file)
    assert (caught.value.code, caught.value.status) == ("UNSUPPORTED_AUDIO", 422)


def test_what_looks_like_frames_all_over_is_soon_given_up(tmp_path: Path) -> None:
    """M10, M14: it took seconds of the process that answers everybody, for each of 700,000 accidents."""
    file = tmp_path / "song.mp3"
    file.write_bytes(b"A" + (b"\xff\xfb\x90" * 973 + b"\x00" * 417) * 630)
    began = time.thread_time()
    with pytest.raises(UnsupportedAudio):
        sniff(file)
    assert time.thread_time() - began < 0.5


def test_a_zip_of_a_song_is_a_zip(sample: Get, tmp_path: Path) -> None:
    """M2: frames of MPEG inside another file do not make it audio."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.write(sample("a.mp3"), "a.mp3")
    file = tmp_path / "song.mp3"
    file.write_bytes(packed.getvalue())
    with pytest.raises(UnsupportedAudio):
        sniff(file)


def test_video_is_refused(tmp_path: Path) -> None:
    """M2: a film is not a song, though it has sound."""
    for name, codec in (("a.mp4", "mpeg4"), ("a.ogv", "libtheora")):
        file = tmp_path / name
        sources = ("-f", "lavfi", "-i", "color=s=64x64:d=0.2", "-f", "lavfi", "-i", "sine=d=0.2")
        ffmpeg(*sources, "-c:v", codec, file)
        with pytest.raises(UnsupportedAudio):
            sniff(file)


@pytest.mark.parametrize("codec", ["mjpeg", "png"])
async def test_pictures_for_chapters_are_no_video(codec: str, tmp_path: Path) -> None:
    """M2: a book shows one for each chapter, in a track that calls itself video; a film is still refused."""
    book, film = tmp_path / "book.m4b", tmp_path / "film.m4b"
    sources = ("-f", "lavfi", "-i", "sine=d=1", "-f", "lavfi", "-i", "color=s=64x64:d=1:r=2", "-c:a", "aac")
    ffmpeg(*sources, "-c:v", codec, "-f", "mov", book)
    assert sniff(book).format.name == "m4a"
    done = await process(book, tmp_path)
    assert (done.codec, done.damaged) == ("aac", False)
    data, entry = book.read_bytes(), {"mjpeg": b"jpeg", "png": b"png "}[codec]
    count = data.index(b"stsz", data.index(entry)) + 12
    assert data[count : count + 4] == (2).to_bytes(4)
    for other in (data.replace(entry, b"avc1"), data[:count] + (750).to_bytes(4) + data[count + 4 :]):
        film.write_bytes(other)
        with pytest.raises(UnsupportedAudio):
            sniff(film)


async def test_a_polyglot_becomes_nothing_but_audio(sample: Get, tmp_path: Path) -> None:
    """M3: what hides in front of, inside and behind the audio does not reach what we serve."""
    frames = b"".join(mp3_frames(sample("a.mp3").read_bytes()))
    hidden = b"<script>alert('hidden')</script>"
    tails = {"zip": b"PK\x03\x04" + hidden, "html": b"<html>" + hidden, "gif": b"GIF89a" + hidden}
    for name, tail in tails.items():
        file = tmp_path / name
        file.write_bytes(id3([id3_frame("TIT2", b"\x03MZ" + hidden)]) + frames + tail)
        folder = tmp_path / f"{name}-out"
        folder.mkdir()
        done = await process(file, folder)
        assert done.duration == pytest.approx(2.0, abs=0.1)
        for made in done.renditions:
            assert made.mime.startswith("audio/")
            assert b"hidden" not in made.path.read_bytes()


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXTINF:10,\nfile://{path}\n#EXT-X-ENDLIST\n",
    "m3u": "#EXTM3U\n{url}\n{path}\n",
    "pls": "[playlist]\nFile1={url}\nFile2={path}\nNumberOfEntries=2\n",
    "dash": '<?xml version="1.0"?><MPD><Period><BaseURL>{url}</BaseURL></Period></MPD>',
    "ffconcat": "ffconcat version 1.0\nfile '{path}'\nfile '{url}'\n",
    "lrc": "[00:01.00]{url}\n[00:02.00]file:{path}\n",
    "cue": 'FILE "{path}" MP3\n  TRACK 01 AUDIO\n',
    "url": "{url}",
    "ffmetadata": ";FFMETADATA1\ntitle={url}\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 1 RTP/AVP 0\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
async def test_a_playlist_fetches_and_reads_nothing(kind: str, sample: Get, tmp_path: Path) -> None:
    """M4: named as a song or hidden behind one's tag, a playlist is refused and nobody is called."""
    canary = sample("a.mp3")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        text = PLAYLISTS[kind].format(url=f"http://127.0.0.1:{server.getsockname()[1]}/x.mp3", path=canary)
        for index, content in enumerate((text.encode(), id3([]) + text.encode())):
            file = tmp_path / f"song{index}.mp3"
            file.write_bytes(content)
            with pytest.raises(UnsupportedAudio):
                await process(file, tmp_path)
        with pytest.raises(TimeoutError):
            server.accept()


async def test_a_playlist_taken_for_audio_fetches_nothing_either(sample: Get, tmp_path: Path) -> None:
    """M4: behind the sniffing stands ffmpeg with one demuxer, one protocol, and no network."""
    file = tmp_path / "song.mp3"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x.mp3"
        file.write_text(PLAYLISTS["hls"].format(url=url, path=sample("a.mp3")))
        for kind in FORMATS.values():
            with pytest.raises(UnsupportedAudio):
                await decode(file, Sniffed(kind), MediaLimits())
        with pytest.raises(TimeoutError):
            server.accept()


async def test_a_reference_inside_a_real_container_is_not_followed(sample: Get, tmp_path: Path) -> None:
    """M4: an MP4 may say that its samples are in another file."""
    data = sample("aac.m4a").read_bytes()
    url = b"\x00\x00\x00\x0curl \x00\x00\x00\x01"  # "in this file"
    assert url in data
    file = tmp_path / "song.m4a"
    file.write_bytes(
        data.replace(url, b"\x00\x00\x00\x0curl \x00\x00\x00\x00")
    )  # "elsewhere", and no address
    done = await process(file, tmp_path)  # the flag is not believed: its own bytes are decoded
    assert done.duration == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(
    "name",
    ["-i", "-f lavfi -i sine.mp3", "concat:a|b.mp3", "%03d.mp3", "http:a.mp3", "a\nb.mp3", "$(id).mp3"],
)
async def test_a_name_is_never_an_option(name: str, sample: Get, tmp_path: Path) -> None:
    """M16: the file is a descriptor; its name goes nowhere."""
    file = tmp_path / name.replace("/", "_")
    file.write_bytes(sample("opus.ogg").read_bytes())
    folder = tmp_path / "out"
    folder.mkdir()
    assert (await process(file, folder)).codec == "opus"
