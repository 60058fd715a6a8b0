"""Telling 100,000 followers of a new track, a list of 100,000 notifications, and many who listen."""

import asyncio
import contextlib
import http.client
import json
import shutil
import time
from pathlib import Path
from typing import Any

import apsw

from bench.load import load, render
from bench.seed import CACHE, seeded, user_id
from bench.servers import Veza
from bench.table import Figure

_FOLLOWERS = _TOLD = 100_000
_STREAMS_EACH, _LISTENERS = 8, 99
# Milliseconds that the p95 of a list may take, and the p99 of whoever asks while followers are told.
_LIST, _MEANWHILE = 10, 25

_PEOPLE = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :users)
INSERT INTO users (id, username, username_key, email, email_key, email_verified, password_hash, role,
                   storage_used, created_at, updated_at)
SELECT randomblob(16), 'f' || i, 'f' || i, 'f' || i, 'f' || i, 1, '', 'user', 0, 1, 1 FROM n
"""
_FOLLOWS = "INSERT INTO follows SELECT id, :artist, 1 + rowid FROM users WHERE email LIKE 'f%'"
# Ids and times that no cleaning takes for old: of the year 2096.
_LATER = 4_000_000_000_000_000
_TELL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :told)
INSERT INTO notifications (id, user_id, seq, type, actor_ids, actor_count, subject_id, read_at, created_at,
                           updated_at)
SELECT CAST(unhex(printf('%012x', :later / 1000 + i)) || randomblob(10) AS BLOB), :reader, i,
       'track_released', :actors, 1, :track, CASE WHEN i % 2 THEN :later END, 1, 1
FROM n
"""
_BOX = "INSERT INTO notification_boxes VALUES (:reader, :told, :told, :told / 2, 0, 0)"


def followed() -> Path:
    """The path of a database in which user 0 has so many followers, made if there is none yet."""
    small = seeded(10_000)
    path = CACHE / small.name.replace("tracks-10000", "followed-by-many")
    if not path.exists():
        for old in CACHE.glob("followed-*"):
            old.unlink(missing_ok=True)
        part = path.with_suffix(".part")
        shutil.copy(small, part)
        connection = apsw.Connection(str(part))
        (track,) = connection.execute(
            "SELECT id FROM tracks WHERE user_id = ? AND listed LIMIT 1", (user_id(0).bytes,)
        ).fetchone()
        connection.execute("BEGIN")
        connection.execute(_PEOPLE, {"users": _FOLLOWERS})
        connection.execute(_FOLLOWS, {"artist": user_id(0).bytes})
        told = {"reader": user_id(1).bytes, "told": _TOLD}
        tale = {"actors": json.dumps([str(user_id(0))]), "track": track, "later": _LATER}
        connection.execute(_TELL, told | tale)
        connection.execute(_BOX, told)
        connection.execute("COMMIT")
        connection.close()
        part.rename(path)
    return path


async def notifications() -> list[Figure]:
    """All of it, at one server."""
    with Veza(followed()) as veza:
        figures = await _fan_out(veza)
        figures += await _lists(veza)
        return [*figures, await _streams(veza)]


class _Caller:
    """Somebody signed in, on one connection."""

    def __init__(self, veza: Veza, token: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._connection = http.client.HTTPConnection(veza.host, veza.port, timeout=30)

    def call(self, method: str, path: str, body: Any = None) -> tuple[float, Any]:
        """Milliseconds until the whole answer, and its data."""
        began = time.perf_counter()
        self._connection.request(method, f"/api/v1{path}", body and json.dumps(body), self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        took = (time.perf_counter() - began) * 1000
        assert answer.status < 300, (method, path, answer.status, text)
        return took, json.loads(text)["data"]


async def _fan_out(veza: Veza) -> list[Figure]:
    artist, other = _Caller(veza, veza.log_in(0)), _Caller(veza, veza.log_in(2))
    _, found = artist.call("GET", f"/tracks?user_id={user_id(0)}&limit=4")
    tracks = [track["id"] for track in found["tracks"]]
    for track in tracks[1:]:
        artist.call("PUT", f"/tracks/{track}", {"is_public": False})
    await asyncio.sleep(3)  # what is done at a start is over
    idle = [_visit(other, tracks[0], n) for n in range(300)]
    began = time.perf_counter()
    caused, visits, writes = [], [], []
    with contextlib.closing(_open(veza)) as there:
        waiting = "SELECT COUNT(*) FROM jobs WHERE kind IN ('notifications.fan_out', 'notifications.release')"
        number = 0
        for track in tracks[1:]:
            caused.append(artist.call("PUT", f"/tracks/{track}", {"is_public": True})[0])
            if len(caused) == 1:
                while there.execute(waiting).fetchone()[0]:
                    read, write = _visit(other, tracks[0], number)
                    visits.append(read)
                    writes.append(write)
                    number += 1
                    await asyncio.sleep(0.002)
                seconds = time.perf_counter() - began
                counted = there.execute(
                    "SELECT COUNT(*) FROM notifications WHERE created_at > 1 AND type = 'track_released'"
                ).fetchone()[0]
                assert counted == _FOLLOWERS, counted
        while there.execute(waiting).fetchone()[0]:
            time.sleep(0.1)  # noqa: ASYNC251 - nobody else is here
    reads, changes = [one for one, _ in idle], [one for _, one in idle]
    return [
        Figure(
            f"{_FOLLOWERS:,} followers told of a track", f"{seconds:.1f} s", "-", "-", None
        ),
        Figure(
            "the request that publishes it, three times, one amid the telling of others",
            f"worst {max(caused):.1f} ms", "-", f"≤ {_MEANWHILE} ms", max(caused) <= _MEANWHILE,
        ),
        *(
            Figure(
                f"p99 of {what} while they are told",
                f"{_p99(meanwhile):.1f} ms of {len(meanwhile)}", f"idle {_p99(before):.1f} ms",
                f"≤ {_MEANWHILE} ms", _p99(meanwhile) <= _MEANWHILE,
            )
            for what, meanwhile, before in (
                ("GET /tracks/{id}", visits, reads), ("liking a track, and taking it back,", writes, changes)
            )
        ),
    ]  # fmt: skip


def _visit(caller: _Caller, track: str, number: int) -> tuple[float, float]:
    read = caller.call("GET", f"/tracks/{track}")[0]
    return read, caller.call(("POST", "DELETE")[number % 2], f"/tracks/{track}/like")[0]


def _open(veza: Veza) -> apsw.Connection:
    return apsw.Connection(str(veza.folder / "veza.db"), flags=apsw.SQLITE_OPEN_READONLY)


def _p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


async def _lists(veza: Veza) -> list[Figure]:
    headers = {"Authorization": f"Bearer {veza.log_in(1)}"}
    kinds = {
        "the first 20": "",
        "the first 100, unread": "?limit=100&unread_only=true",
        "the 2,500th page": "?page=2500",
        "the last page, unread": "?page=2500&unread_only=true",
        "the last page": "?page=5000",
    }
    figures = []
    for what, query in kinds.items():
        _, shown = _Caller(veza, veza.log_in(1)).call("GET", f"/notifications{query}")
        assert shown["notifications"], f"{what}: an empty page is no measurement"
        request = render("GET", f"/api/v1/notifications{query}", headers)
        report = await load(veza.host, veza.port, [request], 1, 2.0)
        assert set(report.statuses) == {"200"}, report
        measured = f"p50 {report.p50:.1f} p95 {report.p95:.1f} ms"
        name = f"GET /notifications of {_TOLD:,}: {what}"
        figures.append(Figure(name, measured, "-", f"p95 ≤ {_LIST} ms", report.p95 <= _LIST))
    return figures


async def _streams(veza: Veza) -> Figure:
    tokens = [veza.log_in(number) for number in range(1, 1 + _LISTENERS)]
    before = veza.memory()
    opened = []
    for token in tokens:
        for _ in range(_STREAMS_EACH):
            reader, writer = await asyncio.open_connection(veza.host, veza.port)
            writer.write(render("GET", "/api/v1/events", {"Authorization": f"Bearer {token}"}))
            opened.append((reader, writer))
    for reader, _ in opened:
        await reader.readuntil(b"unread_count")
    await asyncio.sleep(2)
    each = (veza.memory() - before) * 1024 / len(opened)
    used = veza.cpu()
    await asyncio.sleep(10)
    used = (veza.cpu() - used) / 10
    for _, writer in opened:
        writer.close()
    return Figure(
        f"{len(opened)} idle streams of events", f"{each:.0f} KiB each, {used:.1%} of a core", "-", "-", None
    )
