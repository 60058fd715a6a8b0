"""From an untrusted file to known audio. Knows files, not users, databases or storage.

The whole journey of an upload::

    from veza.media import process
    done = await process(source, workdir, on_progress=tell)      # Processed

``source`` is a local file (only its content counts, never its name), ``workdir`` an empty folder of the
caller's. ``Processed`` has

- format (name, mime …), codec, duration (s), sample_rate, channels, bit_depth, bitrate (bit/s), damaged;
- loudness: integrated (LUFS), range (LU), true_peak (dBTP), each or None;
- tags: title, artist, album, album_artist, genre, year, track_number, each or None;
- covers: {96 | 320 | 1000: Path of a JPEG}; peaks: Path of a ``.dat``;
- renditions: name, path, mime, codec, bitrate, size, layout of ``aac_160``, ``aac_96``, ``opus_128``, and of
  ``flac`` where the source is without loss.

While they are made, ``on_grown=`` hears of them as ``Growing``, so that the first seconds can be played.

By itself:

- ``sniff(path) -> Sniffed``: a few ms of file reading (in a thread), for an early answer to an upload; raises
  EmptyFile, UnsupportedAudio;
- ``await make_square_images(path_or_bytes, sizes) -> {size: JPEG bytes}`` for avatars; raises
  UnsupportedImage, ImageTooLarge; ``make_images`` the same, uncut;
- ``master_playlist``, ``media_playlist``: HLS of renditions, by their ``Layout``;
- ``await make_copy(source, workdir, COPY_FORMATS["mp3"], Labels(…), sound=, cover=) -> Path``: a whole track
  in a format to keep, with tags and cover;
- ``await read_headers(paths, limits) -> [Headers]``: tags and claimed length of many files;
- ``clean_text(str) -> str | None``: what tags go through;
- ``Peaks.from_dat(bytes).to_json(pixels)``: audiowaveform's JSON;
- ``await sandbox_level()``: which layers hold here; ``find_ffmpeg()``: path and version (in a thread);
  ``can_encode(path, "libvorbis")``: of what is not asked of every ffmpeg;
- ``MediaLimits``: what a file may cost; ``limits=`` of all the above.

All errors are VezaErrors: 422 EMPTY_FILE, UNSUPPORTED_AUDIO, AUDIO_TOO_LARGE, UNSUPPORTED_IMAGE,
IMAGE_TOO_LARGE; 500 PROCESSING_FAILED, 503 MEDIA_INTERRUPTED and 507 INSUFFICIENT_STORAGE where a child ran
and failed; 503 MEDIA_UNAVAILABLE where none could be started. Children die with the thread that runs the
event loop, so that must be one that stays.
"""

from veza.media.copies import COPY_FORMATS, CopyFormat, Labels, Sound, make_copy
from veza.media.cover import COVER_SIZES, make_images, make_mosaic, make_square_images
from veza.media.errors import (
    AudioTooLarge,
    EmptyFile,
    ImageTooLarge,
    MediaInterrupted,
    MediaUnavailable,
    UndecodableAudio,
    UnsupportedAudio,
    UnsupportedImage,
)
from veza.media.ffmpeg import Ffmpeg, can_encode, find_ffmpeg
from veza.media.fragments import Fragments, Layout, Timing
from veza.media.headers import Headers, read_headers
from veza.media.hls import MIME as PLAYLIST_MIME
from veza.media.hls import Variant, master_playlist, media_playlist, peak_and_average
from veza.media.limits import MediaLimits
from veza.media.loudness import Loudness
from veza.media.peaks import Peaks
from veza.media.pipeline import Processed, process
from veza.media.profiles import FRAGMENT_SECONDS
from veza.media.renditions import Growing, Rendition
from veza.media.sandbox import SandboxLevel, sandbox_level
from veza.media.sniff import FORMATS, AudioFormat, Sniffed, sniff
from veza.media.tags import Tags, clean_text

__all__ = [
    "COPY_FORMATS",
    "COVER_SIZES",
    "FORMATS",
    "FRAGMENT_SECONDS",
    "PLAYLIST_MIME",
    "AudioFormat",
    "AudioTooLarge",
    "CopyFormat",
    "EmptyFile",
    "Ffmpeg",
    "Fragments",
    "Growing",
    "Headers",
    "ImageTooLarge",
    "Labels",
    "Layout",
    "Loudness",
    "MediaInterrupted",
    "MediaLimits",
    "MediaUnavailable",
    "Peaks",
    "Processed",
    "Rendition",
    "SandboxLevel",
    "Sniffed",
    "Sound",
    "Tags",
    "Timing",
    "UndecodableAudio",
    "UnsupportedAudio",
    "UnsupportedImage",
    "Variant",
    "can_encode",
    "clean_text",
    "find_ffmpeg",
    "make_copy",
    "make_images",
    "make_mosaic",
    "make_square_images",
    "master_playlist",
    "media_playlist",
    "peak_and_average",
    "process",
    "read_headers",
    "sandbox_level",
    "sniff",
]
