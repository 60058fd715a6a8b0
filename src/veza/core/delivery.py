"""Answers that are files: whole or in part, from the disk by the kernel or from the bucket in pieces."""

import asyncio
import os
import re
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from veza.core.errors import PreconditionFailed, RangeNotSatisfiable
from veza.core.exchange import Exchange
from veza.core.filebytes import Part, Unsatisfiable, parse_range, send_file
from veza.core.http import SentBytes
from veza.core.storage import NoSuchFile, Storage

# Awaited just before an answer that sends a file, or an archive of some, from its first byte; of no other.
OnSend = Callable[[], Awaitable[None]]
_MOST_BYTES = 250
_UNSAFE = re.compile(r'[\x00-\x1f\x7f"\\/:*?<>|;%]')


def disposition(kind: str, filename: str) -> str:
    """A Content-Disposition that saves under ``filename`` and holds no traps (RFC 6266, RFC 8187)."""
    clean = _cut(_UNSAFE.sub("_", filename).strip(". ")) or "file"
    plain = unicodedata.normalize("NFKD", clean).encode("ascii", "ignore").decode().lstrip()
    if not plain or plain.startswith("."):  # nothing but its ending is left
        plain = f"file{plain}"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(clean, safe='')}"


def _cut(filename: str) -> str:
    """No longer than file systems take (255 bytes), its ending kept."""
    stem, dot, ending = filename.rpartition(".")
    if not dot:
        return _fit(filename, _MOST_BYTES)
    return _fit(stem, _MOST_BYTES - len(dot + ending)) + dot + ending


def _fit(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore").rstrip()


class FileAnswer(SentBytes):
    """A stored file as an answer: Range, If-Range, ETag, If-Match and If-None-Match (RFC 9110).

    ``public`` lets shared caches keep it, if they ask each time whether they still may. With an ``offset``,
    only the ``size`` bytes from there are the file that is meant. ``on_send`` hears of what is sent: of no
    304, 412 or 416, of no head alone and of no later part.
    """

    def __init__(
        self,
        storage: Storage,
        key: str,
        *,
        size: int,
        mime: str,
        etag: str,
        public: bool,
        headers: Mapping[str, str] | None = None,
        offset: int = 0,
        on_send: OnSend | None = None,
    ) -> None:
        super().__init__(b"", media_type=mime)
        self.offset = offset
        self.on_send = on_send
        self.storage = storage
        self.key = key
        self.size = size
        self.mime = mime
        self.tag = f'"{etag}"'
        self.public = public
        self.extra = dict(headers or {})

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        del receive
        exchange: Exchange = scope["veza"]
        # Whoever listens for an hour holds no connection to the database meanwhile.
        await exchange.end_tx()
        head = self.extra | {
            "etag": self.tag,
            "accept-ranges": "bytes",
            "cache-control": "public, no-cache" if self.public else "private, no-store",
            "vary": "Authorization",
        }
        wanted = exchange.headers.get(b"if-match")
        if wanted is not None and wanted.strip() != b"*" and self.tag.encode() not in _listed(wanted):
            raise PreconditionFailed
        known = exchange.headers.get(b"if-none-match")
        if known is not None and (known == b"*" or self.tag.encode() in _tags(known)):
            await _start(send, 304, head)
            await send({"type": "http.response.body", "body": b""})
            return
        head["content-type"] = self.mime
        if exchange.scope["method"] == "HEAD":  # for which there are no ranges (RFC 9110, 14.2)
            await _start(send, 200, head | {"content-length": str(self.size)})
            await send({"type": "http.response.body", "body": b""})
            return
        part = parse_range(
            _text(exchange, b"range"), self.size, etag=self.tag, if_range=_text(exchange, b"if-range")
        )
        if isinstance(part, Unsatisfiable):
            raise RangeNotSatisfiable(headers={"Content-Range": f"bytes */{self.size}"})
        status, start, length = 200, 0, self.size
        if isinstance(part, Part):
            status, start, length = 206, part.start, part.length
            head["content-range"] = part.content_range(self.size)
        head["content-length"] = str(length)
        begin = partial(self._begin, send, status, head, start)
        start += self.offset
        name = self.storage.local_name(self.key)
        if name is None:
            await self._pass_on(send, begin, start, length)
            return
        # Opened before the first byte: it can then be read to its end, even if it is removed meanwhile.
        try:
            opened = await asyncio.to_thread(os.open, name, os.O_RDONLY)
        except FileNotFoundError:
            raise NoSuchFile from None
        try:
            await begin()
        except BaseException:
            os.close(opened)
            raise
        await send_file(scope, send, opened, start, length)

    async def _begin(self, send: Any, status: int, head: Mapping[str, str], first: int) -> None:
        if self.on_send is not None and first == 0:
            await self.on_send()
        await _start(send, status, head)

    async def _pass_on(self, send: Any, begin: OnSend, start: int, length: int) -> None:
        """From the bucket; the answer begins with the first piece, so that one without it can be an error."""
        begun = False
        async for piece in self.storage.open_range(self.key, start, length):
            if not begun:
                await begin()
                begun = True
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if not begun:
            await begin()
        await send({"type": "http.response.body", "body": b""})


async def _start(send: Any, status: int, headers: Mapping[str, str]) -> None:
    raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


def _text(exchange: Exchange, name: bytes) -> str | None:
    value = exchange.headers.get(name)
    return None if value is None else value.decode("latin-1")


def _tags(known: bytes) -> list[bytes]:
    """Without what says that they are weak."""
    return [part.removeprefix(b"W/") for part in _listed(known)]


def _listed(tags: bytes) -> list[bytes]:
    return [part.strip() for part in tags.split(b",")]
