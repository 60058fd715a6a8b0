"""What songs and pictures are decoded and encoded with, and how well it is locked in."""

import asyncio
import shutil
from collections.abc import Sequence

from veza.core.errors import VezaError
from veza.doctor.findings import Finding, ok, warning, wrong
from veza.media.cover import make_square_images
from veza.media.errors import MediaUnavailable
from veza.media.ffmpeg import find_ffmpeg, lacking
from veza.media.sandbox import sandbox_level
from veza.settings import Settings

# A WebP of one pixel, the kind of picture that not every Pillow can read.
_PICTURE = bytes.fromhex("52494646 1a000000 57454250 5650384c 0d000000 2f000000 10071011 118888fe 0700")
_LAYERS = {
    "network": "a network namespace (is unprivileged user namespaces' creation forbidden?)",
    "landlock": "Landlock (Linux 5.13 and newer, if built in)",
    "seccomp": "a filter of system calls (x86-64 and ARM64 alone)",
}


async def look_at_ffmpeg(settings: Settings) -> Sequence[Finding]:
    """Whether there is an ffmpeg that has all that is needed."""
    del settings
    about = "ffmpeg"
    try:
        found = await asyncio.to_thread(find_ffmpeg)
    except MediaUnavailable:
        return [
            wrong(
                about,
                await asyncio.to_thread(_why_not),
                "No song can be processed: uploads fail.",
                "Install ffmpeg 6.0 or newer with libopus and libmp3lame.",
            )
        ]
    return [ok(about, f"{found.path} ({found.version}) has every encoder that is needed.")]


def _why_not() -> str:
    system = shutil.which("ffmpeg")
    if system is None:
        return "There is none on this machine, and none came with the package."
    return f"{system} lacks {', '.join(lacking(system)) or 'nothing, but does not say its version'}."


async def look_at_pictures(settings: Settings) -> Sequence[Finding]:
    """Whether a picture can be made of one, in the sandbox, by the Pillow that is installed."""
    del settings
    about = "pictures"
    try:
        await make_square_images(_PICTURE, (1,))
    except (VezaError, OSError):
        return [
            wrong(
                about,
                "No JPEG can be made of a WebP.",
                "Covers and avatars are refused, and songs are left without theirs.",
                "Install Veza's packages anew. A Pillow that was built here needs libwebp and libjpeg.",
            )
        ]
    return [ok(about, "Covers and avatars are made of what people upload.")]


async def look_at_sandbox(settings: Settings) -> Sequence[Finding]:
    """M17: which layers there are between decoders and everything else."""
    del settings
    about, level = "sandbox", await sandbox_level()
    if level.full:
        return [ok(about, "Decoders have no network, no files and no dangerous system calls.")]
    missing = [text for name, text in _LAYERS.items() if not getattr(level, name)]
    return [
        warning(
            about,
            f"This machine lacks {'; '.join(missing)}.",
            "A hole in a decoder would be less well contained; the other layers and all limits hold.",
            "Allow it to the service, or to the container; docs/operations.md says how.",
        )
    ]
