"""Dashboards: true to the plays, in every time zone, for whom they concern; events of applications."""

import csv
import os
import random
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest

from tests.countries import write_countries
from tests.rooms.listening_house import play, song
from tests.rooms.tracks_house import NOBODY, code
from tests.world import JSON, PASSWORD, Person, World, open_world
from veza.access.actor import Member
from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.ids import new_id
from veza.core.json_file import JsonFile
from veza.rooms.analytics import jobs, store
from veza.rooms.analytics.holding import HOLDING
from veza.rooms.plays import sums, weeks
from veza.rooms.plays.packing import pack_all
from veza.rooms.plays.periods import Period
from veza.rooms.plays.schemas import PlayDraft
from veza.rooms.plays.service import record

SOURCES = ("search", "playlist", "feed", None)
DAYS = 31
# When, who, what, for how many seconds, found where, on what.
Heard = tuple[datetime, str, str, float, str | None, str]
DEVICES = {"iPhone 15": "phone", "Chrome Browser": "browser", "LG webOS TV": "tv", "Gramophone": "other"}


async def _add_up(world: World) -> None:
    while True:
        async with world.parts.database.write() as tx:
            if not await sums.add_up(tx, 7):
                return


async def _dashboard(person: Person, path: str, **asked: object) -> JSON:
    answer = await person.get(f"/analytics/{path}", params=asked)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"]["dashboard"])


@pytest.mark.usefixtures("still")
async def test_dashboards_are_what_the_plays_add_up_to(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Y5, Y6, T22: before, while and after they are added up and packed by weeks, by the days of any zone."""
    dice = random.Random(7)
    async with open_world(database, tmp_path) as world:
        olga, boss = await world.person("olga"), await world.person("boss", "admin")
        people = [await world.person(name) for name in ("stan", "cleo", "mona")]
        songs = [await song(world, olga), await song(world, olga)]
        told: list[Heard] = []

        async def hear(turn: int, hours: int) -> None:
            with clock.shifted(timedelta(hours=-hours, minutes=-15 * turn)):
                who, heard, seconds = dice.choice([*people, olga]), songs[turn % 3 == 0], dice.randrange(101)
                source, device = dice.choice(SOURCES), dice.choice(list(DEVICES))
                listener = Member(id=UUID(who.id), session_id=new_id())
                # The same play goes on: it is counted once, as long as it became.
                for so_far in (seconds / 2, seconds):
                    async with database.write() as tx:
                        await record(tx, listener, UUID(heard), PlayDraft(so_far, device, source))
                told.append((clock.now(), who.id, heard, seconds, source, device))

        for turn in range(40):
            await hear(turn, dice.randrange(24 * 27))
            if turn == 15:
                await _add_up(world)
        await _check_all(olga, songs[:1], told)
        await _add_up(world)
        await _check_all(olga, songs, told, boss)
        # Marked the first time, packed the second: the weeks that are over, of each song, of hers and of all.
        assert await pack_all(database, least=1, share=1) == 4
        assert await pack_all(database, least=1, share=1) == 0
        packed = await database.rows("SELECT scope, week FROM play_weeks")
        assert len({week for _, week in packed}) >= 3
        assert len({bytes(scope.bytes if isinstance(scope, UUID) else scope) for scope, _ in packed}) == 4
        await _check_all(olga, songs, told, boss)
        # One more of a packed week: true before it is added, while it is, and once the week is packed again.
        await hear(40, 24 * 13)
        await _check_all(olga, songs[:1], told)
        read_past = weeks.read_past

        async def read_late(tx: Tx, scope: UUID, period: Period) -> weeks.Past:
            await _add_up(world)
            return await read_past(tx, scope, period)

        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(weeks, "read_past", read_late)
            await _check_all(olga, songs[:1], told)
        await _check_all(olga, songs, told, boss)
        assert await database.rows("SELECT COUNT(DISTINCT through) FROM play_scopes") == [(2,)]
        await pack_all(database, least=1, share=1)
        assert await database.rows("SELECT COUNT(DISTINCT through) FROM play_scopes") == [(1,)]
        found = await _check_all(olga, songs, told, boss)
        top = [(one["track_id"], one["plays"]) for one in found["top_tracks"]]
        assert top == Counter(one[2] for one in told).most_common()
        fans = {one["username"]: one["plays"] for one in found["top_listeners"]}
        assert fans == Counter(p.username for one in told for p in people if p.id == one[1])
        assert [one["plays"] for one in found["top_listeners"]] == sorted(fans.values(), reverse=True)
        sheet = await olga.get(f"/analytics/tracks/{songs[0]}/export", params={"days": DAYS})
        assert sheet.headers["content-type"].startswith("text/csv")
        assert "attachment" in sheet.headers["content-disposition"]
        rows = list(csv.DictReader(sheet.text.splitlines()))
        assert sum(int(row["plays"]) for row in rows) == sum(one[2] == songs[0] for one in told)
        assert len(rows) == DAYS
        await _goes_with_the_track(world, olga, songs[0])
        # What there is is counted with whoever goes; what was heard of them stays.
        gone = await olga.client.request("DELETE", f"/users/{olga.id}", json={"password": PASSWORD})
        assert gone.status_code == 200, gone.text
        answer = (await boss.get("/admin/analytics", params={"days": DAYS})).json()["data"]["dashboard"]
        assert answer["totals"] == {"users": 4, "tracks": 0, "playlists": 0, "plays": len(told)}


async def _check_all(
    olga: Person, songs: Sequence[str], told: Sequence[Heard], boss: Person | None = None
) -> JSON:
    """Each song's dashboard and, where an admin asks as well, that of the artist and of all; the artist's."""
    found: JSON = {}
    for zone in ("UTC", "Asia/Kathmandu", "America/New_York"):
        for heard in songs:
            found = await _dashboard(olga, f"tracks/{heard}", days=DAYS, tz=zone)
            _check(found, [one for one in told if one[2] == heard], zone, DAYS)
        if boss is not None:
            found = await _dashboard(olga, f"artists/{olga.id}", days=DAYS, tz=zone)
            _check(found, told, zone, DAYS)
    if boss is not None:
        answer = (await boss.get("/admin/analytics", params={"days": DAYS})).json()["data"]["dashboard"]
        _check(answer, told, "UTC", DAYS)
        assert answer["totals"] == {"users": 5, "tracks": 2, "playlists": 0, "plays": len(told)}
    return found


def _check(found: JSON, told: Sequence[Heard], zone: str, days: int) -> None:
    by_day = Counter(one[0].astimezone(ZoneInfo(zone)).date() for one in told)
    points = {
        datetime.fromisoformat(point["date"]).astimezone(ZoneInfo(zone)).date(): point["count"]
        for point in found["plays_over_time"]
    }
    assert len(points) == days == found["period"]["days"]
    assert {day: count for day, count in points.items() if count} == by_day, zone
    assert found["stats"] == {
        "total_plays": len(told),
        "unique_listeners": len({one[1] for one in told}),
        "average_duration": pytest.approx(sum(one[3] for one in told) / len(told), abs=0.01),
        "completion_rate": pytest.approx(sum(min(one[3], 100) for one in told) / len(told), abs=0.01),
    }
    assert found["period"]["start_date"] == found["plays_over_time"][0]["date"]
    assert found["period"]["end_date"] == found["plays_over_time"][-1]["date"]
    assert {one["name"]: one["plays"] for one in found["sources"]} == Counter(
        one[4] or "unknown" for one in told
    )
    assert {one["name"]: one["plays"] for one in found["devices"]} == Counter(DEVICES[one[5]] for one in told)
    assert sum(one["share"] for one in found["devices"]) == pytest.approx(100, abs=0.1)
    if "completion_curve" in found:
        for step in found["completion_curve"]:
            there = sum(one[3] // 5 >= step["position"] // 5 for one in told)
            assert step["listening"] == pytest.approx(there / len(told) * 100, abs=0.01)


async def _goes_with_the_track(world: World, olga: Person, heard: str) -> None:
    """A track's sums go after it, and what was told of it and not yet added is left out."""
    from veza.rooms.plays import store as plays  # noqa: PLC0415 - one use

    stan = await world.person("stan")
    with clock.shifted(timedelta(minutes=5)):
        await play(stan, heard)
    assert (await olga.delete(f"/tracks/{heard}")).status_code == 200
    async with world.parts.database.write() as tx:
        assert not await plays.forget(tx, UUID(heard), 500)
    await _add_up(world)
    sums_of = ("play_quarters", "play_facets", "play_ends", "play_listeners", "play_weeks", "play_scopes")
    for table in sums_of:
        rows = await world.parts.database.rows(f"SELECT scope FROM {table}")
        assert UUID(heard) not in {UUID(bytes=one) if isinstance(one, bytes) else one for (one,) in rows}
    assert await world.parts.database.rows("SELECT id FROM fresh_plays") == []


@pytest.mark.usefixtures("still")
async def test_dashboards_are_for_owners_and_admins(database: Database, tmp_path: Path) -> None:
    """Y4, D2, T1: of a foreign track 403, of a private one 404; of all there is for admins alone."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        mona, boss = await world.person("mona", "moderator"), await world.person("boss", "admin")
        public, private = await song(world, olga), await song(world, olga, public=False)
        for path, outcomes in (
            (f"tracks/{public}", (401, 403, 200, 403, 200)),
            (f"tracks/{public}/export", (401, 403, 200, 403, 200)),
            (f"tracks/{private}", (401, 404, 200, 403, 200)),
            (f"tracks/{NOBODY}", (401, 404, 404, 404, 404)),
            ("tracks/nonsense", (401, 400, 400, 400, 400)),
            (f"artists/{olga.id}", (401, 403, 200, 403, 200)),
            (f"artists/{olga.id}/export", (401, 403, 200, 403, 200)),
            (f"artists/{NOBODY}", (401, 404, 404, 404, 404)),
            (f"tracks/{public}?days=0", (401, 400, 400, 400, 400)),
            (f"tracks/{public}?days=367", (401, 400, 400, 400, 400)),
            (f"tracks/{public}?tz=Nowhere", (401, 400, 400, 400, 400)),
        ):
            for person, status in zip((world.guest, stan, olga, mona, boss), outcomes, strict=True):
                answer = await person.get(f"/analytics/{path}")
                assert answer.status_code == status, (path, person.username, answer.text)
        for path in ("/admin/analytics", "/admin/analytics/events"):
            statuses = [(await who.get(path)).status_code for who in (world.guest, stan, mona, boss)]
            assert statuses == [401, 403, 403, 200], path
        empty = await _dashboard(olga, f"tracks/{public}")
        assert empty["stats"]["total_plays"] == 0
        assert [point["count"] for point in empty["plays_over_time"]] == [0] * 30
        last = date.fromisoformat(empty["plays_over_time"][-1]["date"][:10])
        assert last == clock.now().date()


async def test_a_play_comes_from_the_country_of_its_address(database: Database, tmp_path: Path) -> None:
    """T15, G16: as trusted proxies tell it, on both ways that plays come; the address is kept nowhere."""
    countries = write_countries(tmp_path / "countries.mmdb")
    async with open_world(database, tmp_path, geoip_database=countries, trusted_proxies="127.0.0.1") as world:
        with clock.shifted(timedelta(minutes=-9)):  # no play shall be of a day that is not told of yet
            olga, stan = await world.person("olga"), await world.person("stan")
            songs = [await song(world, olga) for _ in range(3)]
        for heard, address in zip(songs, ("81.2.69.142", "2001:218::1", "10.0.0.1"), strict=True):
            for way, ago in (({}, 8), ({"Idempotency-Key": heard}, 4)):
                with clock.shifted(timedelta(minutes=-ago)):
                    told = {"X-Forwarded-For": f"6.6.6.6, {address}", **way}
                    answer = await stan.post(f"/tracks/{heard}/play", json={"duration": 9}, headers=told)
                    assert answer.status_code == 200, answer.text
        for _ in range(2):
            found = await _dashboard(olga, f"tracks/{songs[0]}")
            assert found["countries"] == [{"name": "GB", "plays": 2, "share": 100.0}]
            await _add_up(world)
        found = await _dashboard(olga, f"artists/{olga.id}")
        assert [(one["name"], one["plays"]) for one in found["countries"]] == [
            ("GB", 2), ("JP", 2), ("unknown", 2),
        ]  # fmt: skip


LONG = {"event_name": "e" * 64, "payload": {"a": "b" * 8_000}}
EVENTS = [
    ({"event_name": "user_interaction", "payload": {"action": "button_click", "page": "home"}}, 200),
    ({"event_name": "a"}, 200), (LONG, 200), ({"event_name": "a.b:c-d_e", "payload": {}}, 200),
    ({"event_name": "e" * 65, "payload": {}}, 422), ({"event_name": "", "payload": {}}, 422),
    ({"event_name": "a b", "payload": {}}, 422), ({"event_name": "a\n", "payload": {}}, 422),
    ({"event_name": "a", "payload": {"a": "b" * 8_200}}, 422), ({"event_name": "a", "payload": []}, 422),
    ({"event_name": "a", "payload": "text"}, 422), ({"event_name": "a", "payload": None}, 422),
    ({"event_name": "a", "payload": {"a": [[[[1]]]]}}, 200),
    ({"event_name": "a", "payload": {"a": [[[[[1]]]]]}}, 422),
    ({"event_name": "a", "payload": {"a": "\0"}}, 422), ({"event_name": "a", "user_id": NOBODY}, 422),
    ({"event_name": "a", "payload": {"user_id": NOBODY}}, 200),
]  # fmt: skip


async def test_events_of_applications(database: Database, tmp_path: Path) -> None:
    """Y1, Y2, G29: what they may tell; it is given back to them, and gone after ninety days."""
    async with open_world(database, tmp_path) as world:
        stan, boss = await world.person("stan"), await world.person("boss", "admin")
        for body, status in EVENTS:
            answer = await stan.post("/analytics/events", json=body)
            assert answer.status_code == status, (body, answer.text)
        assert (await stan.post("/analytics/events", json=EVENTS[0][0])).json()["data"] == {
            "message": "event recorded", "event_name": "user_interaction",
        }  # fmt: skip
        key = {"Idempotency-Key": "once"}
        for _ in range(3):
            batch = {"events": [{"event_name": "batched", "payload": {"n": n}} for n in range(100)]}
            answer = await stan.post("/analytics/events/batch", json=batch, headers=key)
            assert answer.json()["data"] == {"message": "events recorded", "recorded": 100}
        for bad in ([], [{"event_name": "x"}] * 101, [{"event_name": "x"}, {"event_name": "?"}]):
            assert (await stan.post("/analytics/events/batch", json={"events": bad})).status_code == 422
        mixed = [{"event_name": "x"}, {"event_name": "x", "payload": {"a": "b" * 9_000}}]
        answer = await stan.post("/analytics/events/batch", json={"events": mixed})
        assert [detail["field"] for detail in answer.json()["error"]["details"]] == ["events.1.payload"]
        assert code(await world.guest.post("/analytics/events", json={"event_name": "a"}))[0] == 401
        counts = (await boss.get("/admin/analytics/events")).json()["data"]["events"]
        told = {one["event_name"]: (one["count"], one["users"]) for one in counts}
        assert told == {
            "batched": (100, 1), "user_interaction": (2, 1), "a": (3, 1), "a.b:c-d_e": (1, 1),
            "e" * 64: (1, 1),
        }  # fmt: skip
        export = (await stan.get(f"/users/{stan.id}/export")).json()["data"]
        assert len(export["analytics"]) == 107
        with clock.shifted(jobs.KEPT_FOR + timedelta(minutes=1)):
            async with database.write() as tx:
                assert await store.purge(tx, clock.now() - jobs.KEPT_FOR, 1_000) == 107


async def test_an_export_takes_no_memory(database: Database, tmp_path: Path) -> None:
    """U8, G25: of six megabytes of events a hundred rows are in memory at a time; whole, and as they were."""
    async with open_world(database, tmp_path) as world:
        stan, olga = await world.person("stan"), await world.person("olga")
        ids = [new_id() for _ in range(1_500)]
        for person in (stan, olga):
            events = [
                {"id": one if person is stan else new_id(), "user_id": UUID(person.id), "event_name": "x",
                 "payload": {"a": ["ü" * 2_000], "n": n}, "created_at": clock.now()}
                for n, one in enumerate(ids)
            ][: 1_500 if person is stan else 10]  # fmt: skip
            async with database.write() as tx:
                await store.add(tx, events)
        made = JsonFile(tmp_path)
        async with database.snapshot(apart=True) as view:
            told = await HOLDING.export(view, UUID(stan.id))
            tracemalloc.start()
            try:
                await made.put(told)
                await made.finish()
                _, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        file = made.take()
        found = msgspec.json.decode(os.pread(file, made.size, 0))
        os.close(file)
        assert made.size > 6_000_000 > 2 * most, most
        assert {one["id"] for one in found} == {str(one) for one in ids}
        assert {one["payload"]["n"] for one in found} == set(range(1_500))
        assert found[0]["payload"]["a"] == ["ü" * 2_000]


@pytest.mark.usefixtures("still")
async def test_a_flood_of_events_is_held_back(database: Database, tmp_path: Path) -> None:
    """Y3: by limits of their own, of requests and of what they take to keep, in bytes of any one user."""
    async with open_world(
        database, tmp_path, rate_limit_enabled=True, rate_limit_global="999/min",
        rate_limit_analytics="7/min", rate_limit_analytics_bytes="20000/day",
    ) as world:  # fmt: skip
        stan, olga = await world.person("stan"), await world.person("olga")
        large = {"events": [LONG, LONG]}
        assert (await stan.post("/analytics/events/batch", json={"events": [LONG] * 3})).status_code == 413
        answer = await stan.post("/analytics/events/batch", json=large)
        assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (200, "5")
        answer = await stan.post("/analytics/events/batch", json=large)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "RATE_LIMITED")
        assert "told as much" in answer.json()["error"]["message"]
        assert int(answer.headers["retry-after"]) in (86_400, 86_401), "rounded up"
        statuses = [
            (await stan.post("/analytics/events", json={"event_name": "a"})).status_code for _ in range(6)
        ]
        assert statuses == [200, 200, 200, 200, 429, 429]
        assert (await olga.post("/analytics/events/batch", json=large)).status_code == 200
        counts = await database.rows("SELECT COUNT(*) FROM analytics_events")
        assert counts == [(8,)]
        assert (await stan.get("/tracks")).status_code == 200
