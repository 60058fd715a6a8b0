"""Files as one ZIP archive, made while it is sent."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any
from zipfile import ZIP64_LIMIT, ZIP_FILECOUNT_LIMIT, ZIP_STORED, ZipFile, ZipInfo

import msgspec

from veza.core.delivery import OnSend
from veza.core.exchange import Exchange
from veza.core.http import SentBytes
from veza.core.storage import Storage

_FLUSHED = 256 * 1024
_PRIVATE = {"cache-control": "private, no-store", "vary": "Authorization"}
# Bytes: the head of an entry with its sizes in 64 bits, these behind its data, a line of the directory, the
# end of it, and what stands before that in a large archive.
_HEAD, _SIZES, _LINE, _END, _WIDE_END = 30 + 20, 24, 46, 22, 56 + 20


class Entry(msgspec.Struct, frozen=True):
    """A stored file under the name that it is to have, and its ``tag``, for caches; ``size`` in bytes."""

    key: str
    filename: str
    mime: str
    size: int
    tag: str


class ZipAnswer(SentBytes):
    """Files as one ZIP archive, made while it is sent: nothing is copied, and no more than a piece in memory.

    All bear the time ``since``, so that the same archive is the same whenever it is fetched. They are stored
    as they are, for sound does not get smaller; sizes may pass 4 GiB (zip64).
    """

    def __init__(
        self,
        storage: Storage,
        entries: Sequence[Entry],
        since: datetime,
        headers: dict[str, str],
        on_send: OnSend,
    ) -> None:
        super().__init__(b"", media_type="application/zip")
        self.on_send = on_send
        self.since = since
        self.storage = storage
        self.entries = entries
        self.extra = headers

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        del receive
        exchange: Exchange = scope["veza"]
        # Whoever downloads for an hour holds no connection to the database meanwhile.
        await exchange.end_tx()
        sizes = [(name, entry.size) for name, entry in zip(_names(self.entries), self.entries, strict=True)]
        head = (
            self.extra | _PRIVATE | {"content-type": "application/zip", "content-length": str(length(sizes))}
        )
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in head.items()]
        begun = False
        if exchange.scope["method"] != "HEAD":  # the edge has made a GET of it
            async for piece in zipped(self.storage, self.entries, self.since):
                if not begun:  # with the first bytes, so that a storage that is away can still be an error
                    begun = True
                    await self.on_send()
                    await send({"type": "http.response.start", "status": 200, "headers": raw})
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        if not begun:
            await send({"type": "http.response.start", "status": 200, "headers": raw})
        await send({"type": "http.response.body", "body": b""})


class _Sink:
    """Takes what the archive writes, until it is fetched; it cannot seek, so sizes follow their data."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.size = 0

    def write(self, data: bytes) -> int:
        self.pieces.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        """What has been written since the last time."""
        taken, self.pieces, self.size = b"".join(self.pieces), [], 0
        return taken


def length(entries: Sequence[tuple[str, int]]) -> int:
    """How many bytes the archive of entries with these names and sizes has, before any is read.

    As :class:`zipfile.ZipFile` writes them to what cannot seek: a head, the data, its sizes behind it, and a
    line of the directory, which names in 64 bits what does not fit into 31. Source: APPNOTE 4.3, 4.5.3.
    """
    end = directory = 0
    for name, size in entries:
        long = len(name.encode())
        wide = 2 * (size > ZIP64_LIMIT) + (end > ZIP64_LIMIT)
        directory += _LINE + long + (4 + 8 * wide if wide else 0)
        end += _HEAD + long + size + _SIZES
    wide_end = len(entries) > ZIP_FILECOUNT_LIMIT or end > ZIP64_LIMIT or directory > ZIP64_LIMIT
    return end + directory + _END + (_WIDE_END if wide_end else 0)


async def zipped(storage: Storage, entries: Sequence[Entry], since: datetime) -> AsyncIterator[bytes]:
    """The bytes of a ZIP archive of these files, in pieces. Raises :class:`veza.core.storage.NoSuchFile`."""
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_STORED, allowZip64=True) as archive:  # type: ignore[call-overload]  # it needs no more
        for name, entry in zip(_names(entries), entries, strict=True):
            with archive.open(ZipInfo(name, since.timetuple()[:6]), "w", force_zip64=True) as inside:
                async for piece in storage.open_range(entry.key, 0, entry.size):
                    inside.write(piece)
                    if sink.size >= _FLUSHED:
                        yield sink.take()
                        await asyncio.sleep(0)
    yield sink.take()


def _names(entries: Sequence[Entry]) -> list[str]:
    """The entries' names: numbered, so that they keep their order and none stands twice."""
    width = len(str(len(entries)))
    return [f"{number:0{width}d} {_plain(entry.filename)}" for number, entry in enumerate(entries, 1)]


def _plain(filename: str) -> str:
    """A name without anything that a file system takes for a folder or a drive."""
    clean = "".join("_" if char in '/\\:*?"<>|' or not char.isprintable() else char for char in filename)
    return clean.strip(". ") or "file"
