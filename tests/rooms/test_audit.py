"""What people find in the log: their own part, and admins everybody's."""

import csv
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.rooms.audit_house import check, logs, seal, tell
from tests.rooms.listening_house import until
from tests.rooms.tracks_house import BYTES, code, plant
from tests.world import PASSWORD, open_world
from veza.access.policy import Action
from veza.core import clock
from veza.core.db import Database
from veza.core.ids import new_id
from veza.rooms.likes.events import TrackLiked
from veza.rooms.sessions.events import LoginFailed

ADMIN = "/admin/audit/logs"


async def test_what_somebody_did_is_there_at_once_and_stays(database: Database, tmp_path: Path) -> None:
    """D1, D8: their own alone, before and after it is sealed; counts are what there is to count."""
    async with open_world(database, tmp_path) as world:
        ada, bob = await world.person("ada"), await world.person("bob")
        boss = await world.person("boss", "admin")
        track = await plant(world, ada)
        await bob.post(f"/tracks/{track}/like")
        for sealed in (False, True):
            if sealed:
                await seal(world)
            (liked,) = await logs(bob, "action=track.liked")
            assert (liked["user_id"], liked["target_type"], liked["target_id"]) == (bob.id, "track", track)
            assert (liked["seq"] is not None, liked["severity"]) == (sealed, "info")
            assert liked["details"]["user_id"] == ada.id
            assert [row["action"] for row in await logs(bob)] == [
                "track.liked",
                "auth.login",
                "auth.registered",
            ]
            assert {row["user_id"] for row in await logs(boss, "limit=100", path=ADMIN)} >= {ada.id, bob.id}
            assert code(await bob.get(f"/audit/logs?user_id={ada.id}")) == (403, "FORBIDDEN")
            assert await logs(bob, f"user_id={bob.id}") == await logs(bob)
            assert await logs(boss, f"user_id={bob.id}") == await logs(bob)
            for person, path in ((bob, ""), (boss, "/admin")):
                stats = (await person.get(f"{path}/audit/stats")).json()["data"]
                page = (await person.get(f"{path}/audit/logs")).json()["data"]["pagination"]
                assert stats["total_logs"] == page["total"] == sum(stats["actions_count"].values())
                assert (stats["unsealed"] == 0) is sealed
        assert (await bob.get("/audit/stats")).json()["data"]["actions_count"] == {
            "auth.login": 1, "auth.registered": 1, "track.liked": 1,
        }  # fmt: skip
        assert Action.SEE_AUDIT


async def test_filters_and_pages(database: Database, tmp_path: Path) -> None:
    """D6, G9, G10: every filter and all of them together, sealed and not, over pages without a gap."""
    async with open_world(database, tmp_path) as world:
        ada, boss = await world.person("ada"), await world.person("boss", "admin")
        target, start = new_id(), clock.now()
        for number in range(30):
            # As a socket for both kinds of addresses says it, it was written by earlier versions.
            ip = f"{'::ffff:' if number % 2 else ''}192.0.2.{number % 3}"
            with clock.shifted(timedelta(minutes=number - 40)):
                await tell(
                    database,
                    TrackLiked(target if number % 2 else new_id(), new_id(), new_id()),
                    who=ada,
                    ip=ip,
                )
            if number == 20:
                await seal(world)
        await tell(database, LoginFailed(None, "password"), ip="2001:db8::1")
        found: list[str] = []
        for page in range(1, 5):
            found += [
                row["id"] for row in await logs(boss, f"action=track.liked&limit=8&page={page}", path=ADMIN)
            ]
        assert len(found) == len(set(found)) == 30
        since = (start - timedelta(minutes=30)).isoformat().replace("+00:00", "Z")
        until = (start - timedelta(minutes=20)).isoformat().replace("+00:00", "Z")
        cases = {
            f"user_id={ada.id}&action=track.liked": 30,
            f"target_id={target}": 15,
            "ip_address=192.0.2.1": 10,
            "ip_address=2001:db8::1&severity=warning": 1,
            "ip_address=2001:DB8:0:0::0001": 1,
            "ip_address=::ffff:192.0.2.1": 10,
            "ip_address=::FFFF:C000:201": 10,
            "target_type=track&severity=info": 30,
            f"start_date={since}&end_date={until}": 10,
            f"start_date={since}&action=track.liked": 20,
            f"start_date={since}&end_date={until}&target_id={target}&ip_address=192.0.2.1&user_id={ada.id}"
            "&action=track.liked&target_type=track&severity=info": 2,
            "action=no.such": 0,
        }
        for _ in range(2):
            for query, count in cases.items():
                answer = await boss.get(f"{ADMIN}?{query}&limit=100")
                data = answer.json()["data"]
                assert (len(data["logs"]), data["pagination"]["total"]) == (count, count), query
            await seal(world)
        for query in (
            "start_date=yesterday", "end_date=2025-01-01", f"start_date={until}&end_date={since}",
            "start_date=0001-01-01T00:00:00Z&end_date=2025-01-01T00:00:00Z", "ip_address=nowhere",
            "user_id=me", "severity=grave", "target_id=1",
        ):  # fmt: skip
            assert code(await boss.get(f"{ADMIN}?{query}")) == (400, "INVALID_REQUEST"), query
        for query in ("page=0", "limit=101", "page=101&limit=100"):
            assert code(await boss.get(f"{ADMIN}?{query}")) == (400, "INVALID_REQUEST"), query
        sheet = (await boss.get("/admin/audit/export?ip_address=192.0.2.1&action=track.liked")).text
        assert len(sheet.splitlines()) == 1 + 10
        past = (await boss.get(f"{ADMIN}?page=100&limit=100&action=track.liked")).json()["data"]
        assert (past["logs"], past["pagination"]["total"]) == ([], 30)


async def test_what_strangers_write_does_no_harm(database: Database, tmp_path: Path) -> None:
    """D4, D5: no line feeds, no escapes, no more than is kept; no formula in a spreadsheet, and no secret."""
    async with open_world(database, tmp_path) as world:
        ada = await world.person("ada")
        boss = await world.person("boss", "admin")
        agent = "=cmd|'/C calc'!A0\x1b[31m" + "A" * 900_000
        secret, wrong = "correct horse battery", "a wrong password that nobody has"
        address = "canary@example.com"
        new = {"username": "canary", "email": address, "password": secret, "password_confirm": secret}
        await world.guest.post("/auth/register", json=new, headers={"user-agent": agent})
        login = await world.guest.post("/auth/login", json={"email": address, "password": secret})
        await world.guest.post("/auth/login", json={"email": address, "password": wrong})
        await world.guest.post("/auth/login", json={"email": "nobody@example.com", "password": wrong})
        await world.guest.post("/auth/password/forgot", json={"email": address})
        await seal(world)
        (made,) = await logs(boss, "action=auth.registered&limit=1", path=ADMIN)
        assert len(made["user_agent"]) == 512
        assert made["user_agent"].isprintable()
        rows = repr(
            [*await database.rows("SELECT * FROM events"), *await database.rows("SELECT * FROM audit_log")]
        )
        tokens = login.json()["data"]["token"]
        for canary in (secret, wrong, address, "nobody@", *map(str, tokens.values())):
            if canary != "86400":
                assert canary not in rows
        answer = await boss.get("/admin/audit/export?action=auth.registered")
        assert answer.headers["content-type"].startswith("text/csv")
        assert answer.headers["content-disposition"].startswith("attachment")
        table = list(csv.DictReader(io.StringIO(answer.text)))
        assert len(table) == 3
        assert table[0]["user_agent"].startswith("'=cmd")
        assert all(not cell.startswith(("=", "+", "-", "@")) for row in table for cell in row.values())
        mine = list(csv.DictReader(io.StringIO((await ada.get("/audit/export")).text)))
        assert {row["user_id"] for row in mine} == {ada.id}
        told = await logs(boss, "action=audit.exported", path=ADMIN)
        assert [row["user_id"] for row in told] == [boss.id]


async def test_an_export_is_whole(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Piece by piece, with every row once, in the order of the log."""
    monkeypatch.setattr("veza.rooms.audit.export.PIECE", 7)
    async with open_world(database, tmp_path) as world:
        ada = await world.person("ada")
        for number in range(40):
            await tell(database, TrackLiked(new_id(), new_id(), new_id()), who=ada)
            if number == 30:
                await seal(world)
        table = list(csv.DictReader(io.StringIO((await ada.get("/audit/export?action=track.liked")).text)))
        assert len({row["id"] for row in table}) == len(table) == 40
        assert [row["created_at"] for row in table] == sorted(
            (row["created_at"] for row in table), reverse=True
        )


async def test_after_the_end_of_an_account_a_pseudonym_stays(database: Database, tmp_path: Path) -> None:
    """D10: what they did stays true of an id; names and address are nowhere in it. They take it along."""
    async with open_world(database, tmp_path) as world:
        ada, boss = await world.person("ada_lovelace"), await world.person("boss", "admin")
        await ada.put(f"/users/{ada.id}", json={"username": "ada_byron", "first_name": "Augusta"})
        taken = (await ada.get(f"/users/{ada.id}/export")).json()["data"]
        assert [row["action"] for row in taken["audit"]][:2] == ["user.updated", "user.username_changed"]
        gone = await ada.client.request("DELETE", f"/users/{ada.id}", json={"password": PASSWORD})
        assert gone.status_code == 200
        await seal(world)
        actions = [row["action"] for row in await logs(boss, f"user_id={ada.id}", path=ADMIN)]
        assert actions[0] == "user.deleted"
        rows = repr(
            [*await database.rows("SELECT * FROM events"), *await database.rows("SELECT * FROM audit_log")]
        )
        for canary in ("lovelace", "byron", "Augusta", "example.com"):
            assert canary not in rows
        assert (await check(world)).problem == ""


async def test_downloads_are_known(database: Database, tmp_path: Path) -> None:
    """T18: what goes out from its first byte: no head alone, no later part, and nothing that is not sent."""
    async with open_world(database, tmp_path) as world:
        ada, bob, boss = (
            await world.person("ada"),
            await world.person("bob"),
            await world.person("boss", "admin"),
        )
        track = await plant(world, ada)
        at = f"/tracks/{track}/download"
        tag = (await bob.client.head(at)).headers["etag"]
        size, shift, found = len(BYTES), timedelta(), list[Any]()
        # A download manager's: one of its parts is the first.
        parts = [{"range": f"bytes={size * n // 20}-{size * (n + 1) // 20 - 1}"} for n in range(20)]
        for noted, headers, status in (
            (1, {}, 200),
            *((n == 0, headers, 206) for n, headers in enumerate(parts)),
            (1, {"range": f"bytes=-{size}"}, 206),
            (1, {"range": "bytes=5-9,20-29"}, 200),
            (1, {"range": "bytes=5-9", "if-range": '"other"'}, 200),
            (0, {"range": "bytes=5-9", "if-range": tag}, 206),
            *((0, {"if-none-match": tag}, 304) for _ in range(3)),
            (0, {"if-none-match": tag, "range": "bytes=0-"}, 304),
            (0, {"if-match": '"x"'}, 412),
            (0, {"range": f"bytes={size}-"}, 416),
            (1, {"if-match": tag}, 200),
        ):
            before = found
            with clock.shifted(shift):
                assert (await bob.get(at, headers=headers)).status_code == status, headers
            found = await logs(boss, "action=track.downloaded", path=ADMIN)
            assert len(found) - len(before) == noted, headers
            shift += timedelta(minutes=11)
        assert [row["user_id"] for row in found] == [bob.id] * 6
        # The same again within ten minutes is the same; another's, or of another track, is not.
        other = f"/tracks/{await plant(world, ada)}/download"
        for minutes, person, path, noted in (
            (0, bob, at, 1), (9, bob, at, 0), (9, world.guest, at, 1), (9, world.guest, at, 0),
            (9, bob, other, 1), (11, bob, at, 1), (20, bob, at, 0), (20, world.guest, at, 1),
        ):  # fmt: skip
            before = found
            with clock.shifted(shift + timedelta(minutes=minutes)):
                assert (await person.get(path)).is_success
            found = await logs(boss, "action=track.downloaded", path=ADMIN)
            assert len(found) - len(before) == noted, (minutes, person, path)
        assert {row["user_id"] for row in found} == {None, bob.id}
        await world.parts.storage.delete_prefix(f"tracks/{track}")
        with clock.shifted(shift + timedelta(hours=1)):
            assert (await bob.get(at)).status_code == 404
        assert len(await logs(boss, "action=track.downloaded", path=ADMIN)) == len(found)


async def test_whoever_works_seals(database: Database, tmp_path: Path) -> None:
    """Within a second or so, by itself."""
    async with open_world(database, tmp_path, work=True) as world:
        ada = await world.person("ada")

        async def sealed() -> bool:
            return all(row["seq"] for row in await logs(ada))

        await until(sealed)
        assert (await check(world)).problem == ""
