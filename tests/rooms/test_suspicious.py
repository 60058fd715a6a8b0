"""What looks like an attack is found, and what does not is left alone."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from tests.rooms.audit_house import seal, tell
from tests.rooms.tracks_house import NOBODY, code
from tests.rooms.traffic import START, Traffic
from tests.world import World, open_world
from veza.core import clock
from veza.core.db import Database
from veza.core.ids import new_id
from veza.rooms.audit.detectors import KINDS, detectors
from veza.rooms.audit.rows import Happened, entry_of
from veza.rooms.audit.suspicions import Kind
from veza.rooms.audit.watching import signs_of, watch
from veza.rooms.sessions.events import LoggedIn, LoginFailed, RefreshReused
from veza.rooms.tracks.events import TrackDeleted

ADMIN = "/admin/audit/suspicious"
SESSIONS = 10_000


def found_in(traffic: Traffic) -> set[tuple[str, str]]:
    """What the detectors say of all of it: kinds and keys."""
    every = detectors({})
    entries = [entry_of(happened, seq) for seq, happened in traffic.entries()]
    signs = signs_of(every, entries, START)
    return {(one.kind, key) for one in every for kind, key in signs if kind == one.kind
            if one.burst(signs[kind, key])}  # fmt: skip


def test_every_attack_is_found_and_ordinary_people_are_left_alone() -> None:
    """Of 10,000 ordinary sessions one at most may be taken for an attack; of the attacks none is missed."""
    traffic = Traffic(seed=3, people=3_000)
    traffic.days(SESSIONS, days=7)
    planted = traffic.attacks(START + timedelta(days=3, hours=20))
    assert {kind for kind, _ in planted} == set(KINDS)
    found = found_in(traffic)
    assert planted <= found
    assert len(found - planted) <= SESSIONS // 10_000


def test_a_network_of_ipv6_is_one_address() -> None:
    """Whoever guesses from another address of their own each time is found; who just has many is not."""
    kinds = {one.kind: one for one in detectors({})}
    for event, kind, found in (
        (LoginFailed(None, "password"), "account_guessing", True),
        (LoggedIn(new_id(), new_id()), "many_addresses", False),
    ):
        entries = [
            entry_of(Happened(new_id(), event.kind, msgspec.json.encode(event).decode(), None,
                              f"2001:db8:1:2::{seq:x}", "", "", START), seq)
            for seq in range(1, 31)
        ]  # fmt: skip
        signs = signs_of([kinds[kind]], entries, START)
        assert [bool(kinds[kind].burst(one)) for one in signs.values()] == [found]


def test_every_kind_can_be_asked_for() -> None:
    assert set(Kind.__args__) == set(KINDS)  # type: ignore[attr-defined]  # of a Literal


async def look(world: World) -> None:
    """Seal and look, as the jobs do."""
    await seal(world)
    await watch(world.parts.database, detectors(world.parts.settings.suspicions))


async def findings(person: Any, query: str = "", path: str = ADMIN) -> list[Any]:
    answer = await person.get(f"{path}?{query}")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"]["findings"])


async def test_a_finding_grows_is_read_and_acknowledged(database: Database, tmp_path: Path) -> None:
    """D7, A16: once for an attack, for whom it concerns and for admins; and anew once it was seen to."""
    async with open_world(database, tmp_path, suspicious_password_guessing="5/15min") as world:
        ada, bob = await world.person("ada"), await world.person("bob")
        boss = await world.person("boss", "admin")
        assert await findings(boss) == await findings(ada, path="/audit/suspicious") == []
        for turn, count in enumerate((4, 5, 9)):
            for number in range(1 if turn == 1 else 4):
                await tell(database, LoginFailed(UUID(ada.id), "password"), ip=f"192.0.2.{number}")
            await look(world)
            now = await findings(boss)
            assert [one["count"] for one in now] == ([count] if turn else [])
        (one,) = await findings(ada, path="/audit/suspicious")
        assert (one["kind"], one["severity"], one["user_id"]) == ("password_guessing", "warning", ada.id)
        assert (one["ip_address"], one["acknowledged_at"]) == (None, None)
        assert set(one["evidence"]["addresses"]) == {f"192.0.2.{number}" for number in range(4)}
        assert one["first_seen"] < one["last_seen"]
        assert await findings(bob, path="/audit/suspicious") == []
        told = (await boss.get("/admin/audit/logs?action=audit.suspicious_found")).json()["data"]["logs"]
        assert [(row["user_id"], row["details"]["what"]) for row in told] == [(ada.id, "password_guessing")]

        at = f"{ADMIN}/{one['id']}/acknowledge"
        assert code(await ada.post(at, json={})) == (403, "FORBIDDEN")
        assert code(await boss.post(f"{ADMIN}/{NOBODY}/acknowledge", json={})) == (404, "FINDING_NOT_FOUND")
        seen = (await boss.post(at, json={"note": "Told her."})).json()["data"]["finding"]
        assert (seen["acknowledged_by"], seen["note"]) == (boss.id, "Told her.")
        assert code(await boss.post(at, json={})) == (409, "ALREADY_ACKNOWLEDGED")
        (hers,) = await findings(ada, path="/audit/suspicious")
        assert hers["acknowledged_at"] == seen["acknowledged_at"]
        assert hers["acknowledged_by"] is hers["note"] is None, "what admins say among themselves"
        for query, count in (
            ("acknowledged=true", 1), ("acknowledged=false", 0), ("kind=password_guessing", 1),
            ("kind=mass_deletions", 0), ("severity=critical", 0), (f"user_id={ada.id}&severity=warning", 1),
        ):  # fmt: skip
            assert len(await findings(boss, query)) == count, query
        assert code(await boss.get(f"{ADMIN}?kind=theft")) == (400, "INVALID_REQUEST")
        for number in (4, 5):
            for _ in range(number - 3 if number == 5 else 4):
                await tell(database, LoginFailed(UUID(ada.id), "password"))
            await look(world)
            assert len(await findings(boss, "acknowledged=false")) == (number == 5)


async def test_who_leaves_deletes_all_that_is_theirs(database: Database, tmp_path: Path) -> None:
    """And is not taken for somebody who wrecks; old rows say nothing of what happens now."""
    async with open_world(database, tmp_path) as world:
        ada, bob = await world.person("ada"), await world.person("bob")
        boss = await world.person("boss", "admin")
        with clock.shifted(timedelta(days=-3)):
            await tell(database, RefreshReused(UUID(bob.id), new_id()))
        for person in (ada, bob):
            for _ in range(160):
                await tell(database, TrackDeleted(new_id(), UUID(person.id)), who=person)
        await ada.client.request("DELETE", f"/users/{ada.id}", json={"password": "seven purple lanterns"})
        await look(world)
        assert [(one["kind"], one["user_id"]) for one in await findings(boss)] == [("mass_deletions", bob.id)]
        await look(world)
        assert len(await findings(boss)) == 1
