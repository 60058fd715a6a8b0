"""A JSON text in pieces is the one that msgspec writes in one; whole, or nothing of it is sent."""

import errno
import os
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from veza.core import json_file
from veza.core.errors import InsufficientStorage
from veza.core.json_file import JsonFile


class Plain(msgspec.Struct, rename="camel", kw_only=True):
    some_name: Any
    id: UUID = UUID(int=7)
    at: datetime = datetime(2026, 1, 2, tzinfo=UTC)
    unset: int | msgspec.UnsetType = msgspec.UNSET


class Short(msgspec.Struct, omit_defaults=True):
    a: int = 1
    b: list[int] = []


class Flat(msgspec.Struct, array_like=True):
    a: int = 1


class Tagged(msgspec.Struct, tag="t"):
    a: int = 1


LONG = [{"n": n, "text": 'é"\\\n' * (n % 7)} for n in range(250)]
VALUES = [
    None, 1.5, "text", [], {}, [1], {"a": {}}, {"a": [], "b": {"c": [None]}}, {1: "not a text"}, LONG,
    tuple(LONG), Plain(some_name={"a": LONG}), [Plain(some_name=n) for n in range(101)], Short(),
    Short(2, [3]), Flat(), Tagged(),
    {"raw": msgspec.Raw(b'{"as":"it stands"}'), 'quo"te': Short(b=[1] * 300)},
]  # fmt: skip


async def in_pieces(values: Sequence[Any], size: int = 60) -> AsyncIterator[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
        yield []


async def written(folder: Path, value: Any) -> bytes:
    made = JsonFile(folder)
    await made.put(value)
    await made.finish()
    opened = made.take()
    try:
        assert os.fstat(opened).st_size == made.size
        return os.pread(opened, made.size, 0)
    finally:
        os.close(opened)


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
async def test_it_is_the_same_text(tmp_path: Path, value: Any) -> None:
    """U8: byte for byte; nothing lies in the folder."""

    async def later() -> Any:
        return value

    assert await written(tmp_path, value) == msgspec.json.encode(value)
    assert await written(tmp_path, {"x": later}) == msgspec.json.encode({"x": value})
    if isinstance(value, list):
        assert await written(tmp_path, in_pieces(value)) == msgspec.json.encode(value)
        assert await written(tmp_path, {"x": iter(value)}) == msgspec.json.encode({"x": value})
        kept = Plain(some_name=lambda: _given(in_pieces(value, 150)))
        assert await written(tmp_path, kept) == msgspec.json.encode(Plain(some_name=value))
    assert not any(os.scandir(tmp_path))


async def _given(value: Any) -> Any:
    return value


async def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """X5: as 507, before anything is answered; what cannot be written as JSON is an error as it is."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    made = JsonFile(tmp_path)
    with pytest.raises(TypeError):
        await made.put({"a": object()})
    monkeypatch.setattr(json_file.JsonFile, "_write_now", full)
    with pytest.raises(InsufficientStorage):
        await made.put("x" * 100_000)
    made.close()
