"""Bytes of tracks on their way out: ranges, names to save under, and what happens meanwhile."""

import asyncio
from pathlib import Path

import pytest

from tests.rooms.tracks_house import BYTES, RENDITION, Slow, code, files, plant
from tests.world import open_world
from veza.core.db import Database
from veza.core.delivery import disposition

SIZE = len(BYTES)
# Range, and what is answered: the status and which bytes.
RANGES = [
    ("bytes=0-", 206, BYTES), ("bytes=0-0", 206, BYTES[:1]), ("bytes=5-9", 206, BYTES[5:10]),
    ("bytes=-1", 206, BYTES[-1:]), (f"bytes=-{SIZE * 2}", 206, BYTES),
    (f"bytes={SIZE - 1}-", 206, BYTES[-1:]),
    (f"bytes=0-{10**30}", 206, BYTES), (f"bytes={SIZE}-", 416, b""), ("bytes=-0", 416, b""),
    (f"bytes={10**30}-", 416, b""), ("bytes=5-2", 200, BYTES), ("bytes=a-b", 200, BYTES),
    ("bytes=-", 200, BYTES),
    ("seconds=0-1", 200, BYTES), ("bytes=" + ",".join(["0-0"] * 1000), 200, BYTES), ("", 200, BYTES),
]  # fmt: skip


async def test_parts_of_a_file(database: Database, tmp_path: Path) -> None:
    """T18: one range is answered exactly, several count as none, one beyond the end is 416."""
    async with open_world(database, tmp_path) as world:
        track = await plant(world, await world.person("olga"))
        path = f"/tracks/{track}/download"
        for header, status, body in RANGES:
            answer = await world.guest.get(path, headers={"Range": header})
            assert answer.status_code == status, header
            if status == 416:
                assert code(answer) == (416, "RANGE_NOT_SATISFIABLE")
                assert answer.headers["content-range"] == f"bytes */{SIZE}"
                continue
            assert answer.content == body, header
            assert answer.headers["content-length"] == str(len(body))
            assert answer.headers["accept-ranges"] == "bytes"
            assert ("content-range" in answer.headers) == (status == 206)
        part = await world.guest.get(path, headers={"Range": "bytes=5-9"})
        assert part.headers["content-range"] == f"bytes 5-9/{SIZE}"
        tag = part.headers["etag"]
        for condition, status in (
            (tag, 206),
            ('"other"', 200),
            (f"W/{tag}", 200),
            ("Sat, 29 Oct 1994 19:43:31 GMT", 200),
        ):
            answer = await world.guest.get(path, headers={"Range": "bytes=5-9", "If-Range": condition})
            assert answer.status_code == status, condition
        for condition, status in (
            ('"other"', 412),
            (f"W/{tag}", 412),  # the comparison is the strong one (RFC 9110, 13.1.1)
            (f'"other", {tag}', 206),
            ("*", 206),
        ):
            answer = await world.guest.get(path, headers={"Range": "bytes=5-9", "If-Match": condition})
            assert answer.status_code == status, condition
        assert (await world.guest.get(path, headers={"If-Match": '"other"', "If-None-Match": tag})).json()[
            "error"
        ]["code"] == "PRECONDITION_FAILED"
        both = {"Range": "bytes=5-9", "If-None-Match": tag}
        assert (await world.guest.get(path, headers=both)).status_code == 304
        for headers in ({}, {"Range": "bytes=5-9"}):
            head = await world.guest.client.head(path, headers=headers)
            assert (head.status_code, head.content) == (200, b"")
            assert (head.headers["content-length"], head.headers["etag"]) == (str(SIZE), tag)


async def test_what_a_file_is_called(database: Database, tmp_path: Path) -> None:
    """T19: the type is the one that was found, the name is harmless, and nothing is guessed or run."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        track = await plant(world, olga, form="flac", title='../"x";\\%0d%0a: é.exe', artist="<b>Zoë</b>")
        answer = await world.guest.get(f"/tracks/{track}/download")
        said = answer.headers["content-disposition"]
        assert said == (
            'attachment; filename="_b_Zoe__b_ - ..__x____0d_0a_ e.exe.flac"; '
            "filename*=UTF-8''_b_Zo%C3%AB__b_%20-%20..__x____0d_0a_%20%C3%A9.exe.flac"
        )
        assert answer.headers["content-type"] == "audio/flac"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        stream = await world.guest.get(f"/tracks/{track}/stream?quality=opus")
        assert (stream.content, stream.headers["content-disposition"]) == (RENDITION, "inline")


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("a.mp3", "a.mp3"), ("", "file"), ("...", "file"), ("日本.mp3", "file.mp3"),
        ("a\r\nSet-Cookie: x.mp3", "a__Set-Cookie_ x.mp3"),
        ("x" * 400 + ".mp3", "x" * 246 + ".mp3"), ("noending" * 60, ("noending" * 60)[:250]),
        ('q"uo.ogg', "q_uo.ogg"),
    ],
)  # fmt: skip
def test_names_to_save_under(name: str, saved: str) -> None:
    """T19."""
    said = disposition("attachment", name)
    assert said.startswith(f"attachment; filename=\"{saved}\"; filename*=UTF-8''")
    assert said.isascii()
    assert said.isprintable()


async def test_listeners_hold_nothing_up(database: Database, tmp_path: Path) -> None:
    """T10: many slow listeners hold no connection to the database, and hear a deleted track to its end."""
    async with open_world(database, tmp_path, work=True) as world:
        olga = await world.person("olga")
        track = await plant(world, olga)
        slow = [
            Slow(world.app, f"/tracks/{track}/{what}") for what in ("stream", "download") for _ in range(24)
        ]
        # They all come at once, and a download is written down; who had no connection has no bytes then.
        async with asyncio.timeout(30):
            await asyncio.gather(*(listener.begun.wait() for listener in slow))
        async with asyncio.timeout(30):
            assert (await olga.get(f"/tracks/{track}")).status_code == 200
            assert (await olga.delete(f"/tracks/{track}")).status_code == 200
            while files(world, track):  # noqa: ASYNC110 - the job that removes them tells nobody
                await asyncio.sleep(0.02)
            for listener in slow:
                listener.go.set()
            await asyncio.gather(*(listener.task for listener in slow))
        assert [listener.body for listener in slow] == [RENDITION] * 24 + [BYTES] * 24
        assert (await world.guest.get(f"/tracks/{track}/stream")).status_code == 404


async def test_a_file_that_is_not_there_is_an_error_and_no_crash(database: Database, tmp_path: Path) -> None:
    """G35: somebody removed it behind our back: 404 before the first byte."""
    async with open_world(database, tmp_path) as world:
        track = await plant(world, await world.person("olga"))
        await world.parts.storage.delete_prefix(f"tracks/{track}")
        for what in ("stream", "download"):
            assert code(await world.guest.get(f"/tracks/{track}/{what}")) == (404, "NOT_FOUND")
