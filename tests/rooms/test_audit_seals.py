"""D3: the log is only added to, and whoever changes it past Veza is found out."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.rooms.audit_house import GUARDS, REFUSED, blob, check, literal, logs, seal, sealer_of, tamper, tell
from tests.world import World, open_world
from veza.access.secrets import Keyring, new_secret
from veza.core import clock
from veza.core.db import Database
from veza.core.ids import new_id
from veza.rooms.audit.retention import forget
from veza.rooms.audit.sealing import Sealer
from veza.rooms.audit.verifying import Head, verify
from veza.rooms.likes.events import TrackLiked

ROWS = 12


async def written(world: World, rows: int = ROWS) -> None:
    """So many likes, sealed."""
    for _ in range(rows):
        await tell(world.parts.database, TrackLiked(new_id(), new_id(), new_id()))
    await seal(world)


async def columns(database: Database, what: str, where: str = "1 = 1") -> list[Any]:
    return [row[0] for row in await database.rows(f"SELECT {what} FROM audit_log WHERE {where} ORDER BY seq")]


async def test_neither_changed_nor_removed(database: Database, tmp_path: Path) -> None:
    """D3: the database itself refuses it, of what is sealed and of what is not yet."""
    async with open_world(database, tmp_path) as world:
        await written(world)
        await tell(database, TrackLiked(new_id(), new_id(), new_id()))
        deeds = [
            "UPDATE audit_log SET ip = '10.0.0.1' WHERE seq = 3",
            "DELETE FROM audit_log WHERE seq = 3",
            "UPDATE events SET ip = '10.0.0.1'",
            "DELETE FROM events",
            "DELETE FROM audit_queue",
            "UPDATE audit_state SET head_seq = 3",
            "DELETE FROM audit_state",
        ]
        if database.dialect == "postgresql":
            deeds += [f"TRUNCATE {table}" for table in GUARDS]
        for deed in deeds:
            with pytest.raises(REFUSED):
                await tamper(database, deed, guarded=True)
        verdict = await check(world)
        assert (verdict.problem, verdict.rows, verdict.waiting) == ("", ROWS, 1)


# The columns of a row that is written over again, but for its number and its id.
_SAME = (
    "kind, user_id, actor_id, target_type, target_id, severity, ip, user_agent, request_id, data,"
    " created_at, mac"
)
_INSERT = (
    f"INSERT INTO audit_log (seq, id, {_SAME}) SELECT 13, {{other}}, {_SAME} FROM audit_log WHERE seq = 12"
)
_CUT_OFF = [
    "UPDATE audit_state SET purged_seq = 3, purged_mac = (SELECT mac FROM audit_log WHERE seq = 3)",
    "DELETE FROM events WHERE id IN (SELECT id FROM audit_log WHERE seq <= 3)",
    "DELETE FROM audit_log WHERE seq <= 3",
]
_TOLD = (
    "INSERT INTO audit_log (seq, id, kind, target_type, severity, ip, user_agent, request_id, data,"
    " created_at, mac)"
    " VALUES ({seq}, {{other}}, 'audit.purged', '', 'warning', '', '', '', {{unsealed}}, 0, {{older}})"
)
_PAST = (
    "INSERT INTO events (id, kind, data, ip, user_agent, request_id, created_at)"
    " VALUES ({other}, 'user.role_changed', '{{}}', '', '', '', 0)"
)
# What somebody does who can write to the database, and what is said of it; {other} is an id of theirs.
TAMPERED: dict[str, tuple[list[str], str]] = {
    "changed": (["UPDATE audit_log SET ip = '10.0.0.1' WHERE seq = 5"], "row 5 "),
    "another time": (["UPDATE audit_log SET created_at = created_at + 1 WHERE seq = 6"], "row 6 "),
    "whose": (["UPDATE audit_log SET actor_id = {other} WHERE seq = 7"], "row 7 "),
    "removed": (["DELETE FROM audit_log WHERE seq = 4"], "row 4 is missing"),
    "first removed": (["DELETE FROM audit_log WHERE seq = 1"], "row 1 is missing"),
    "last removed": (["DELETE FROM audit_log WHERE seq = 12"], "row 12 is missing"),
    "removed and closed up": (
        ["DELETE FROM audit_log WHERE seq = 4"]
        + [f"UPDATE audit_log SET seq = {n - 1} WHERE seq = {n}" for n in range(5, ROWS + 1)]
        + [f"UPDATE audit_state SET head_seq = {ROWS - 1}"],
        "row 4 ",
    ),
    "reordered": (
        [
            "UPDATE audit_log SET seq = 99 WHERE seq = 8",
            "UPDATE audit_log SET seq = 8 WHERE seq = 9",
            "UPDATE audit_log SET seq = 9 WHERE seq = 99",
        ],
        "row 8 ",
    ),
    "inserted at the end": ([_INSERT], "row 13 was inserted"),
    "the beginning cut off": (
        [
            "DELETE FROM audit_log WHERE seq <= 3",
            "UPDATE audit_state SET purged_seq = 3, purged_mac = (SELECT mac FROM audit_log WHERE seq = 4)",
        ],
        "rows up to 3 are gone",
    ),
    "a purge forged": (
        [
            "UPDATE audit_state SET purged_seq = 3, purged_mac = (SELECT mac FROM audit_log WHERE seq = 3)",
            "DELETE FROM events WHERE id IN (SELECT id FROM audit_log WHERE seq <= 3)",
            (
                "INSERT INTO events (id, kind, data, ip, user_agent, request_id, created_at) SELECT {other},"
                " 'audit.purged', {forged}, '', '', '', created_at FROM audit_log WHERE seq = 12"
            ),
            "INSERT INTO audit_queue (id) VALUES ({other})",
            "DELETE FROM audit_log WHERE seq <= 3",
        ],
        "no purge that this server sealed tells of it",
    ),
    "the end cut off": (
        [
            "DELETE FROM events WHERE id IN (SELECT id FROM audit_log WHERE seq > 9)",
            "DELETE FROM audit_log WHERE seq > 9",
            "UPDATE audit_state SET head_seq = 9, head_mac = (SELECT mac FROM audit_log WHERE seq = 9)",
        ],
        "row 9 is not where the log was sealed to end",
    ),
    **{
        f"a purge forged where no seal is checked, at {seq}": (
            [*_CUT_OFF, _TOLD.format(seq=seq)],
            "no purge that this server sealed tells of it",
        )
        for seq in (3, 0, -1, 99)
    },
    "inserted before the beginning": (
        [_INSERT.replace("SELECT 13", "SELECT -1")],
        "row -1 was inserted before",
    ),
    "never queued": ([_PAST], "was inserted past the log"),
}


async def test_whoever_tampers_is_found_out(database: Database, tmp_path: Path) -> None:
    """D3: what was changed, removed, inserted or reordered, and at which row, with the triggers away."""
    async with open_world(database, tmp_path) as world:
        await written(world)
        head = (await check(world)).head
        assert (await check(world, head)).problem == ""
        for name, (statements, said) in TAMPERED.items():
            await backup(database)
            other = literal(database, new_id())
            mac = bytes((await columns(database, "mac", "seq = 3"))[0])
            told = {"up_to": 3, "mac": mac.hex(), "rows": 3}
            words = {
                "other": other,
                "forged": f"'{json.dumps({**told, 'seal': mac.hex()})}'",
                "unsealed": f"'{json.dumps(told)}'",
                # The id of the older key can be told from any row.
                "older": blob(database, bytes(byte ^ 0xFF for byte in mac[:4]) + bytes(32)),
            }
            await tamper(database, *(line.format(**words) for line in statements))
            verdict = await check(world)
            assert said in verdict.problem, (name, verdict)
            await restore(database)
            assert (await check(world)).problem == "", name


async def test_what_is_sealed_later_covers_nothing_up(database: Database, tmp_path: Path) -> None:
    """D3: the end cut off by somebody without the secret, and more written after it; the log goes on."""
    async with open_world(database, tmp_path) as world:
        await written(world)
        await tamper(database, *TAMPERED["the end cut off"][0])
        await written(world, 2)
        assert (await columns(database, "seq"))[-1] == 11
        assert "row 10 " in (await check(world)).problem


async def backup(database: Database) -> None:
    """Set the log aside, to have it again after it was tampered with."""
    names = ("audit_log", "audit_state", "events")
    await tamper(database, *(f"CREATE TABLE saved_{name} AS SELECT * FROM {name}" for name in names))


async def restore(database: Database) -> None:
    names = ("audit_log", "audit_state", "events")
    lines = ["DELETE FROM audit_queue"] + [
        line
        for name in names
        for line in (
            f"DELETE FROM {name}",
            f"INSERT INTO {name} SELECT * FROM saved_{name}",
            f"DROP TABLE saved_{name}",
        )
    ]
    await tamper(database, *lines)


async def test_a_head_that_was_kept_elsewhere(database: Database, tmp_path: Path) -> None:
    """Whoever has the server's secret too can make a log anew, but not the one whose head somebody knows."""
    async with open_world(database, tmp_path) as world:
        await written(world)
        head = (await check(world)).head
        await tamper(
            database,
            "DELETE FROM events WHERE id = (SELECT id FROM audit_log WHERE seq = 12)",
            "DELETE FROM audit_log WHERE seq = 12",
            "UPDATE audit_state SET head_seq = 11",
        )
        mac = sealer_of(world).end(11, bytes((await columns(database, "mac", "seq = 11"))[0]))
        await tamper(database, f"UPDATE audit_state SET head_mac = {blob(database, mac)}")
        assert (await check(world)).problem == ""
        assert (await check(world, head)).problem == "row 12 is missing: the log ends at 11"
        await written(world, 3)
        assert "has another seal than was known" in (await check(world, head)).problem
        assert (await check(world, Head.parse(str(await head_of(world))))).problem == ""


async def head_of(world: World) -> Head:
    return (await check(world)).head


async def test_a_secret_that_is_new(database: Database, tmp_path: Path) -> None:
    """After another secret was put first the log goes on; without the first one it cannot be checked."""
    async with open_world(database, tmp_path) as world:
        await written(world)
        old, new = (new_secret().encode() for _ in range(2))
        first, both = Sealer(database, Keyring([old])), Sealer(database, Keyring([new, old]))
        for sealer in (both, first):
            await tell(database, TrackLiked(new_id(), new_id(), new_id()))
            await sealer.seal_all()
        assert "secret that is not here" in (await verify(database, both)).problem
        alone = Sealer(database, Keyring([new]))
        with clock.shifted(timedelta(days=400)):
            await forget(database, alone, 365)
        # Of an empty log nobody can say without the secret whether it ended there.
        assert (await verify(database, alone)).problem == (
            f"that the log ends at {ROWS + 2} was sealed with a secret that is not here"
        )
        with capture_logs() as lines:
            await alone.seal_all()
        assert [one["event"] for one in lines] == ["audit.sealed_with_another_secret"]
        verdict = await verify(database, alone)
        assert (verdict.problem, verdict.first, verdict.rows) == ("", ROWS + 3, 1)


async def test_what_is_old_goes_from_the_beginning_and_leaves_a_trace(
    database: Database, tmp_path: Path
) -> None:
    """D9: the purge is itself in the log, which is right afterwards, and counts what is left."""
    async with open_world(database, tmp_path) as world:
        with clock.shifted(timedelta(days=-400)):
            await written(world, 4)
        old = (await check(world)).head
        boss = await world.person("boss", "admin")
        await written(world, 3)
        assert (await check(world)).problem == ""
        await forget(database, sealer_of(world), 0)
        assert await database.rows("SELECT COUNT(*) FROM audit_log WHERE kind = 'track.liked'") == [(7,)]
        await forget(database, sealer_of(world), 365)
        assert "was purged" in (await check(world, Head(2, old.mac))).problem
        assert (await check(world, old)).problem == (await check(world, Head(0, ""))).problem == ""
        before = await columns(database, "seq")
        await forget(database, sealer_of(world), 365)
        assert await columns(database, "seq") == before
        await seal(world)
        verdict = await check(world)
        assert (verdict.problem, verdict.first) == ("", before[0])
        told = await columns(database, "data", "kind = 'audit.purged'")
        assert len(told) == 1
        found = (await boss.get("/admin/audit/stats")).json()["data"]
        rows = await database.rows("SELECT kind, COUNT(*) FROM audit_log GROUP BY kind")
        assert found["actions_count"] == dict(rows)
        assert found["total_logs"] == sum(count for _, count in rows)
        assert await database.rows("SELECT COUNT(*) FROM events WHERE kind = 'track.liked'") == [(3,)]
        # All that came after the purge is gone, and the purge waits for its seal once more.
        await tamper(
            database,
            "DELETE FROM audit_log",
            "DELETE FROM events WHERE kind <> 'audit.purged'",
            "INSERT INTO audit_queue (id) SELECT id FROM events",
            "UPDATE audit_state SET head_seq = 3",
        )
        assert (await check(world)).problem == "the log ends at 3, but rows up to 4 were purged from it"


async def test_a_purge_of_a_version_that_sealed_none(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D3, D9, X10: its log is right after the upgrade; who forges a purge in its words is found out."""
    async with open_world(database, tmp_path) as world:
        older = sealer_of(world)
        older._first = next(iter(older._before_purges))
        monkeypatch.setattr(older, "purge", lambda *_: "")
        with clock.shifted(timedelta(days=-400)):
            for _ in range(4):
                await tell(database, TrackLiked(new_id(), new_id(), new_id()))
            await older.seal_all()
        await forget(database, older, 365)
        await older.seal_all()
        await written(world, 2)
        verdict = await check(world)
        assert (verdict.problem, verdict.first) == ("", 5)
        mac = bytes((await columns(database, "mac", "seq = 6"))[0]).hex()
        deep = '{"a":' * 2000 + "1" + "}" * 2000
        told = ["[]", "{}", deep, '{"up_to": 6}', json.dumps({"up_to": 6, "mac": mac, "rows": 6})]
        for purge in told:
            other = literal(database, new_id())
            await tamper(
                database,
                "INSERT INTO events (id, kind, data, ip, user_agent, request_id, created_at)"
                f" VALUES ({other}, 'audit.purged', '{purge}', '', '', '', 0)",
                f"INSERT INTO audit_queue (id) VALUES ({other})",
            )
        await tamper(
            database,
            "UPDATE audit_state SET purged_seq = 6, purged_mac = (SELECT mac FROM audit_log WHERE seq = 6)",
            "DELETE FROM events WHERE id IN (SELECT id FROM audit_log WHERE seq <= 6)",
            "DELETE FROM audit_log WHERE seq <= 6",
        )
        for waiting in (len(told), 0):
            verdict = await check(world)
            assert "no purge that this server sealed tells of it" in verdict.problem
            assert verdict.waiting == waiting
            await seal(world)


async def test_a_clock_set_back_holds_up_nothing(database: Database, tmp_path: Path) -> None:
    """X8, D9: what was written later than now goes with what comes after it, and nothing new goes early."""
    async with open_world(database, tmp_path) as world:
        for days, rows in ((-400, 2), (90, 2), (-399, 1), (90, 1)):
            with clock.shifted(timedelta(days=days)):
                await written(world, rows)
        await forget(database, sealer_of(world), 365)
        await seal(world)
        left = await columns(database, "seq")
        assert left[0] == 6, "what comes after the last of them may be new"
        await written(world, 1)
        with clock.shifted(timedelta(days=-1000)):
            await written(world, 1)
        await forget(database, sealer_of(world), 365)
        await seal(world)
        assert (await columns(database, "seq"))[0] == 6, "nor does a clock that was wrong the other way"
        assert (await check(world)).problem == ""


async def test_a_time_that_there_is_not_holds_up_nothing(database: Database, tmp_path: Path) -> None:
    """D3: of an event that somebody planted; it is shown, sealed and named, and covers up nothing else."""
    times = [str(2**62), str(-(2**62)), *(["'soon'"] if database.dialect == "sqlite" else [])]
    async with open_world(database, tmp_path) as world:
        boss = await world.person("boss", "admin")
        await seal(world)
        last = (await check(world)).head.seq
        planted = [
            _PAST.replace(", 0)", f", {at})").format(other=literal(database, new_id())) for at in times
        ]
        await tamper(database, *planted, guarded=True)
        for sealed in (False, True):
            if sealed:
                await written(world, 2)
            shown = await logs(boss, "action=user.role_changed", path="/admin/audit/logs")
            assert sum(row["seq"] is None for row in shown) == (0 if sealed else len(times))
        verdict = await check(world)
        assert f"row {last + 1} (user.role_changed, " in verdict.problem
        assert "there is no such time" in verdict.problem
        assert (verdict.rows, verdict.waiting) == (last + len(times) + 2, 0)
        with clock.shifted(timedelta(days=400)):
            await written(world, 1)
        await tamper(database, f"UPDATE audit_log SET created_at = {2**62} WHERE seq = {last + 4}")
        assert "is not what was sealed" in (await check(world)).problem
        with clock.shifted(timedelta(days=500)):
            await forget(database, sealer_of(world), 365)
        assert (await columns(database, "seq"))[0] > last + len(times)


async def test_many_seal_at_once(database: Database, tmp_path: Path) -> None:
    """Whoever works beside others: each event is sealed once, in one row of numbers."""
    async with open_world(database, tmp_path) as world:
        for _ in range(300):
            await tell(database, TrackLiked(new_id(), new_id(), new_id()))
        await asyncio.gather(*(sealer_of(world).seal_all() for _ in range(4)))
        verdict = await check(world)
        assert (verdict.problem, verdict.rows, verdict.waiting) == ("", 300, 0)
