"""Read the tags of the file on stdin with tinytag; a program for the sandbox, see :mod:`veza.media.tags`.

Its arguments are SITE_PACKAGES READABLE MAX_COVER, the second where ``readable.py`` is.
Writes a part of JSON and, if there is one, a part with the cover's bytes.
"""

import json
import runpy
import struct
import sys

sys.path.insert(0, sys.argv[1])

from tinytag import TinyTag  # behind the line that says where it is

readable = runpy.run_path(sys.argv[2])["readable"]
_FIELDS = ("title", "artist", "album", "albumartist", "genre", "year", "track")
_LONGEST = 4096  # characters; cleaned and cut in the parent


def main() -> None:
    """Tags first: they are safe in the pipe even if the cover is too much for this process."""
    tag = TinyTag.get(file_obj=readable(sys.stdin.buffer), duration=False, image=True)
    found = {}
    for name in _FIELDS:
        value = getattr(tag, name)
        if value is not None:
            found[name] = str(value)[:_LONGEST]
    _write(json.dumps(found).encode("utf-8", "surrogatepass"))
    image = tag.images.front_cover or tag.images.any
    if image is not None and len(image.data) <= int(sys.argv[3]):
        _write(image.data)


def _write(part: bytes) -> None:
    sys.stdout.buffer.write(struct.pack(">I", len(part)) + part)
    sys.stdout.buffer.flush()
