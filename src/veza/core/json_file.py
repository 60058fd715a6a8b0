"""A JSON text that may be very long: written piece by piece into a file that nobody else sees, then sent.

It is whole before its first byte is sent: what fails while it is made is an ordinary error, and what breaks
off later is shorter than its Content-Length says. The file has no name, and so goes with its last user, even
if that is killed; a slow reader holds it open, and nothing else.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from veza.core.exchange import Exchange
from veza.core.filebytes import send_file
from veza.core.http import SentBytes
from veza.core.storage_base import translated

# So many values are encoded at a time, and so many bytes collected, before the file takes them.
_SLICE = 100
_FULL = 64 * 1024

_encode = msgspec.json.encode


class JsonFile:
    """Writes values one after the other; then it is finished and sent, or closed.

    Its methods raise :class:`veza.core.errors.InsufficientStorage` and :class:`veza.core.errors.Unavailable`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: BinaryIO | None = None
        self._waiting = bytearray()
        self.size = 0

    async def put(self, value: Any) -> None:
        """Write a value as msgspec does, a long one in pieces.

        In it, at any depth of objects, a list may be an iterator, or an asynchronous one of its pieces, and
        any value something to call and await for it, which is done in its turn.
        """
        if callable(value):
            value = await value()
        if isinstance(value, AsyncIterable):
            await self._put_list(value)
        elif isinstance(value, dict) and all(type(name) is str for name in value):
            await self._put_object(list(value.items()))
        elif isinstance(value, msgspec.Struct) and _is_plain(type(value)):
            await self._put_object(_members(value))
        elif isinstance(value, Iterator):
            await self._put_list(_sliced(value))
        elif isinstance(value, list | tuple) and len(value) > _SLICE:
            await self._put_list(_sliced(iter(value)))
        else:
            await self._add(_encode(value))

    async def _put_object(self, members: Sequence[tuple[str, Any]]) -> None:
        before = b"{"
        for name, value in members:
            await self._add(before + _encode(name) + b":")
            await self.put(value)
            before = b","
        await self._add(b"}" if members else b"{}")

    async def _put_list(self, pieces: AsyncIterable[Sequence[Any]]) -> None:
        before = b"["
        async for piece in pieces:
            if piece:
                await self._add(before + await asyncio.to_thread(_encode_bare, piece))
                before = b","
        await self._add(b"[]" if before == b"[" else b"]")

    async def _add(self, text: bytes) -> None:
        self._waiting += text
        if len(self._waiting) > _FULL:
            await self._write()

    async def _write(self) -> None:
        text, self._waiting = self._waiting, bytearray()
        self.size += len(text)
        with translated():
            await asyncio.to_thread(self._write_now, text)

    def _write_now(self, text: bytearray) -> None:
        if self._file is None:
            self._file = cast("BinaryIO", tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115 - see close
        self._file.write(text)
        self._file.flush()

    async def finish(self) -> None:
        """Write what waits; nothing comes after it."""
        await self._write()

    def take(self) -> int:
        """The file, to be read and closed by whoever takes it."""
        assert self._file is not None
        try:
            with translated():
                return os.dup(self._file.fileno())
        finally:
            self._file.close()

    def close(self) -> None:
        """Let go of it."""
        if self._file is not None:
            self._file.close()


class JsonFileAnswer(SentBytes):
    """A finished file as an answer that is saved under ``filename``, of letters, digits, - and full stops."""

    whole = True

    def __init__(self, made: JsonFile, filename: str) -> None:
        super().__init__(b"", media_type="application/json")
        self.made = made
        self.filename = filename

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        del receive
        exchange: Exchange = scope["veza"]
        opened = self.made.take()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % self.made.size),
            (b"content-disposition", f'attachment; filename="{self.filename}"'.encode()),
        ]
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        except BaseException:
            os.close(opened)
            raise
        # For HEAD the server leaves the body out.
        await send_file(scope, send, opened, 0, 0 if exchange.scope["method"] == "HEAD" else self.made.size)


def _members(value: msgspec.Struct) -> list[tuple[str, Any]]:
    names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
    found = [(name, getattr(value, field)) for name, field in names]
    return [(name, member) for name, member in found if member is not msgspec.UNSET]


def _is_plain(kind: type[msgspec.Struct]) -> bool:
    """Whether a struct is written as all of its fields by their names, and nothing else."""
    config = kind.__struct_config__
    return not (config.array_like or config.omit_defaults or config.tag)


async def _sliced(values: Iterator[Any]) -> AsyncIterator[Sequence[Any]]:
    while piece := list(islice(values, _SLICE)):
        yield piece


def _encode_bare(values: Sequence[Any]) -> bytes:
    """A list's text without its brackets."""
    return _encode(values)[1:-1]
