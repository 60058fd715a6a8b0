"""Uploads in chunks, as a client sends them."""

import asyncio
import random
import struct
from collections.abc import Iterable
from typing import Any

import httpx
import obstore

from tests.world import JSON, Person, World
from veza.core.storage import LocalStorage


class Sender:
    """One file on its way in chunks of ``size`` bytes."""

    def __init__(self, person: Person, content: bytes, size: int, filename: str = "song.mp3") -> None:
        self.person = person
        self.content = content
        self.size = size
        self.filename = filename
        self.total = max(-(-len(content) // size), 1)
        self.id = ""

    async def start(self, **fields: Any) -> httpx.Response:
        body = {"filename": self.filename, "total_chunks": self.total, "total_size": len(self.content)}
        answer = await self.person.post("/tracks/initiate", json=body | fields)
        if answer.status_code == 200:
            self.id = answer.json()["data"]["upload_id"]
        return answer

    def chunk(self, number: int) -> bytes:
        return self.content[(number - 1) * self.size : number * self.size]

    def fields(self, number: int) -> dict[str, str]:
        return {
            "upload_id": self.id, "chunk_number": str(number), "total_chunks": str(self.total),
            "total_size": str(len(self.content)), "filename": self.filename,
        }  # fmt: skip

    async def send(self, number: int, data: bytes | None = None, **fields: str) -> httpx.Response:
        """A chunk, with its fields before it, as browsers send them."""
        given = self.fields(number) | fields
        content = self.chunk(number) if data is None else data
        return await self.person.post(
            "/tracks/chunk", data=given, files={"chunk": ("blob", content, "application/octet-stream")}
        )

    async def send_all(self, numbers: Iterable[int] | None = None) -> None:
        wanted = range(1, self.total + 1) if numbers is None else numbers
        for answer in await asyncio.gather(*(self.send(number) for number in wanted)):
            assert answer.status_code == 200, answer.text

    async def complete(self) -> httpx.Response:
        return await self.person.post("/tracks/complete", json={"upload_id": self.id})

    async def state(self) -> JSON:
        answer = await self.person.get(f"/tracks/resume/{self.id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["data"])


def form(
    parts: Iterable[tuple[str, str | bytes]], boundary: str = "cut-here"
) -> tuple[bytes, dict[str, str]]:
    """A form whose parts stand in this order; what is bytes is a file."""
    body = b""
    for name, value in parts:
        is_file = isinstance(value, bytes)
        named = f'form-data; name="{name}"' + ('; filename="blob"' if is_file else "")
        head = f"--{boundary}\r\nContent-Disposition: {named}\r\n\r\n"
        body += head.encode() + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), {
        "content-type": f"multipart/form-data; boundary={boundary}"
    }


def wave(size: int, seed: int = 1) -> bytes:
    """Noise that can be heard, of this many bytes: a WAV of one channel at 8 kHz."""
    sound = size - 44
    head = struct.pack(
        "<4sI8sIHHIIHH4sI", b"RIFF", size - 8, b"WAVEfmt ", 16, 1, 1, 8_000, 8_000, 1, 8, b"data", sound
    )
    return head + random.Random(seed).randbytes(sound)


def chunks_left(world: World) -> list[str]:
    """The uploads that have chunks in the storage."""
    storage = world.parts.storage
    if not isinstance(storage, LocalStorage):
        pages = obstore.list(storage._store, prefix="chunks")
        return sorted({meta["path"].split("/")[1] for page in pages for meta in page})
    folder = world.parts.chunks.folder  # type: ignore[attr-defined]  # of the local one
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
