"""Notifications: told once, to whom they concern, in words that hold nothing a reader may not see."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from msgspec import to_builtins

from tests.rooms.listening_house import song, until
from tests.rooms.test_lock_order import waiting
from tests.world import PASSWORD, Person, World, open_world
from veza.core import clock
from veza.core.db import Database
from veza.core.events import EventJob
from veza.core.ids import new_id
from veza.core.jobs import enqueue
from veza.rooms.comments.events import TrackCommented
from veza.rooms.notifications import boxes_store, fanning
from veza.rooms.notifications.jobs import NotificationJobs
from veza.rooms.notifications.kinds import TELL
from veza.rooms.notifications.tellers import hear
from veza.rooms.notifications.wording import TYPES
from veza.rooms.sessions.events import TwoFactorReset
from veza.rooms.webhooks.events import WebhookDisabled


async def told(person: Person, query: str = "") -> list[dict[str, Any]]:
    """What somebody is told, the latest first."""
    return list((await person.get(f"/notifications{query}")).json()["data"]["notifications"])


async def messages(person: Person, query: str = "") -> list[str]:
    """The same, as sentences."""
    return [one["message"] for one in await told(person, query)]


async def unread(person: Person) -> int:
    """How much of it they have not read."""
    return int((await person.get("/notifications?limit=1")).json()["data"]["unread_count"])


async def settled(world: World) -> None:
    """Wait until no job is left but those that recur."""

    async def done() -> bool:
        query = (
            "SELECT (SELECT COUNT(*) FROM jobs WHERE dead_at IS NULL AND COALESCE(unique_key, '') NOT LIKE"
            " 'every:%' AND kind <> 'plays.pack_marked') + (SELECT COUNT(*) FROM event_queue)"
        )
        return (await world.parts.database.rows(query))[0][0] == 0

    await until(done)
    await check_boxes(world)


async def check_boxes(world: World) -> None:
    """What is kept of a box is what its rows add up to, and of a group what its acts do."""
    of_box = "FROM notifications n WHERE n.user_id = b.user_id"
    wrong = await world.parts.database.rows(
        f"SELECT b.total, b.unread, (SELECT COUNT(*) {of_box}) AS rows_there, (SELECT COUNT(*) {of_box}"
        " AND n.read_at IS NULL AND n.seq > b.read_seq) AS rows_unread FROM notification_boxes b"
    )
    assert [row for row in wrong if row[:2] != row[2:]] == []
    groups = await world.parts.database.rows(
        "SELECT n.actor_count, (SELECT COUNT(DISTINCT a.actor_id) FROM notification_acts a"
        " WHERE a.notification_id = n.id) FROM notifications n WHERE n.group_key IS NOT NULL"
    )
    assert [row for row in groups if row[0] != row[1]] == []


async def test_what_people_do_is_told_once_and_together(database: Database, tmp_path: Path) -> None:
    """N1, N2, N4: likes of a track are one notification until it is read; an event counts once."""
    async with open_world(database, tmp_path, work=True) as world:
        olga = await world.person("olga")
        people = [await world.person(name) for name in ("ann", "bob", "cleo", "dora")]
        track_id = await song(world, olga)
        assert (await world.guest.get("/notifications")).status_code == 401
        await olga.post(f"/tracks/{track_id}/like")
        for person in people[:3]:
            await person.post(f"/tracks/{track_id}/like")
        await settled(world)
        (one,) = await told(olga)
        assert one["type"] == "track_liked"
        assert one["count"] == 3
        name = await title(olga, track_id)
        assert one["message"] == f"{one['actors'][0]['username']} and 2 others liked “{name}”"
        assert {actor["username"] for actor in one["actors"]} == {"ann", "bob", "cleo"}
        assert one["subject"] == {"type": "track", "id": track_id}
        assert one["read"] is False
        # The same event heard again, and a like taken back and made again, tell nothing new.
        async with database.write() as tx:
            for _ in range(2):
                data = {"track_id": track_id, "user_id": olga.id, "liked_by": people[0].id}
                await enqueue(tx, TELL, EventJob(new_id(), "track.liked", data))
        await people[1].delete(f"/tracks/{track_id}/like")
        await settled(world)
        assert [(one["count"], len(one["actors"])) for one in await told(olga)] == [(2, 2)]
        path = f"/notifications/{one['id']}"
        assert (await people[0].post(f"{path}/read")).json()["error"]["code"] == "NOTIFICATION_NOT_FOUND"
        assert (await olga.post("/notifications/nobody/read")).status_code == 400
        for _ in range(2):
            answer = await olga.post(f"{path}/read")
            assert answer.json()["data"] == {"message": "Notification marked as read"}
            assert await unread(olga) == 0
        # Once it is read it is history: what comes now is another one, and what was told is not told again.
        for person in people[:2]:
            await person.delete(f"/tracks/{track_id}/like")
            await person.post(f"/tracks/{track_id}/like")
        await people[3].post(f"/tracks/{track_id}/like")
        await settled(world)
        assert [(one["count"], one["read"]) for one in await told(olga)] == [(2, False), (2, True)]
        assert len(await told(olga, "?unread_only=true")) == 1
        # Of what nobody likes any more nothing is told.
        for person in people:
            await person.delete(f"/tracks/{track_id}/like")
        await settled(world)
        assert [(one["count"], one["read"]) for one in await told(olga)] == [(2, True)]
        assert (await people[0].delete(path)).status_code == 404
        assert (await olga.delete(path)).status_code == 200
        assert (await olga.delete(path)).status_code == 404
        answer = await olga.get("/notifications?unread_only=maybe")  # N4
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_REQUEST")
        await check_boxes(world)


async def title(person: Person, track_id: str) -> str:
    """How a track is called."""
    return str((await person.get(f"/tracks/{track_id}")).json()["data"]["track"]["title"])


async def test_each_type_is_raised_by_what_happens(database: Database, tmp_path: Path) -> None:
    """N6: titles are those that the reader may see when they read; nobody is told of their own act."""
    async with open_world(database, tmp_path, work=True) as world:
        olga, stan, ruth = [await world.person(name) for name in ("olga", "stan", "ruth")]
        track_id = await song(world, olga)
        name = await title(olga, track_id)
        said = (await stan.post(f"/tracks/{track_id}/comments", json={"content": "Fine"})).json()["data"]
        comment_id = said["comment"]["id"]
        answer = {"content": "Very fine", "parent_id": comment_id}
        replied = (await ruth.post(f"/tracks/{track_id}/comments", json=answer)).json()["data"]
        reply_id = replied["comment"]["id"]
        await stan.post(f"/users/{olga.id}/follow")
        made = (await olga.post("/playlists", json={"title": "Mix", "is_public": False})).json()["data"]
        playlist = f"/playlists/{made['playlist']['id']}"
        await olga.post(f"{playlist}/collaborators", json={"user_id": stan.id, "permission": "write"})
        public = (await olga.post("/playlists", json={"title": "Open", "is_public": True})).json()["data"]
        await ruth.post(f"/playlists/{public['playlist']['id']}/follow")
        hidden = await song(world, olga, public=False)
        await olga.put(f"/tracks/{hidden}", json={"is_public": True, "title": "New one"})
        new = "nine yellow umbrellas"
        change = {"current_password": PASSWORD, "password": new, "password_confirm": new}
        await ruth.post("/auth/password/change", json=change)
        await settled(world)
        assert set(await messages(olga)) in (
            {f"{who} commented on “{name}”", "ruth started following “Open”", "stan started following you"}
            for who in ("ruth and stan", "stan and ruth")
        )
        assert set(await messages(stan)) == {
            f"ruth replied to your comment on “{name}”",
            "olga invited you to the playlist “Mix”",
            "olga released “New one”",
        }
        alert = await told(ruth)
        assert [(one["type"], one["message"]) for one in alert] == [
            ("security_alert", "Your password was changed")
        ]
        async with database.write() as tx:
            tx.emit(TwoFactorReset(UUID(ruth.id)))
            tx.emit(WebhookDisabled(new_id(), UUID(ruth.id), "failing"))
        await settled(world)
        assert (await messages(ruth))[:2] == [
            "A webhook of yours was turned off, since its receiver took nothing",
            "An operator turned two-factor login off and ended all your sessions",
        ]
        # What becomes private, or is gone, is not named any more; what is undone is not told.
        for one in (track_id, hidden):
            await olga.put(f"/tracks/{one}", json={"is_public": False})
        await olga.delete(f"{playlist}/collaborators/{stan.id}")
        await settled(world)
        assert set(await messages(stan)) == {"ruth replied to a comment of yours", "olga released a track"}
        assert [one["subject"] for one in await told(stan)] == [None, None]
        await olga.put(f"/tracks/{hidden}", json={"is_public": True})
        await olga.delete(f"/comments/{reply_id}")
        await settled(world)
        assert await messages(stan) == ["olga released “New one”"]
        # A block is as if nothing had been; an account that ends leaves nothing of it with others.
        await olga.post(f"/users/{stan.id}/block")
        await settled(world)
        assert await messages(stan) == ["Somebody released a track"]
        assert [one["actors"] for one in await told(stan)] == [[]]
        assert sorted(await messages(olga)) == ["ruth started following “Open”"]
        await stan.post(f"/tracks/{track_id}/like")
        export = (await stan.get(f"/users/{stan.id}/export")).json()["data"]["notifications"]
        assert [one["type"] for one in export["notifications"]] == ["track_released"]
        await ruth.delete(f"/users/{ruth.id}", json={"password": new})
        await stan.delete(f"/users/{stan.id}", json={"password": PASSWORD})
        await settled(world)
        assert await told(olga) == []
        left = await database.rows("SELECT user_id FROM notification_boxes")
        assert len(left) == 1


async def test_reading_all_leaves_what_comes_meanwhile(database: Database, tmp_path: Path) -> None:
    """N3: all at the moment of asking, or up to the one that was seen; what was read goes, the rest stays."""
    async with open_world(database, tmp_path, work=True) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        tracks = [await song(world, olga) for _ in range(6)]
        for track_id in tracks[:3]:
            await stan.post(f"/tracks/{track_id}/like")
            await settled(world)
        seen = (await told(olga))[1]["id"]
        await olga.post(f"/notifications/read-all?up_to={seen}")
        assert [one["read"] for one in await told(olga)] == [False, True, True]
        assert await unread(olga) == 1
        answers = await asyncio.gather(
            *(stan.post(f"/tracks/{one}/like") for one in tracks[3:]), olga.post("/notifications/read-all")
        )
        assert answers[-1].json()["data"] == {"message": "All notifications marked as read"}
        await settled(world)
        found = (await olga.get("/notifications?limit=2&page=2")).json()["data"]
        assert found["pagination"] == {"page": 2, "limit": 2, "total": 6, "total_pages": 3}
        assert 0 <= found["unread_count"] == len(await told(olga, "?unread_only=true")) <= 3
        await stan.delete(f"/tracks/{tracks[0]}/like")
        await olga.post("/notifications/read-all")
        await stan.delete(f"/tracks/{tracks[5]}/like")
        await stan.post(f"/playlists/{await playlist(olga)}/follow")
        await settled(world)
        deleted = (await olga.delete("/notifications/read")).json()["data"]
        assert deleted == {"message": "Read notifications deleted", "deleted": 6}
        assert await messages(olga) == ["stan started following “Open”"]
        assert (await olga.post(f"/notifications/read-all?up_to={new_id()}")).status_code == 404
        await check_boxes(world)
        # Half a year later what was read is gone, and a year later all.
        await olga.post(f"/notifications/{(await told(olga))[0]['id']}/read")
        await stan.post(f"/tracks/{tracks[0]}/like")
        await settled(world)
        jobs = NotificationJobs(database, world.parts.live)
        for days, left in ((100, 1), (400, 0)):
            with clock.shifted(timedelta(days=days)):
                await jobs.purge(None, None)  # type: ignore[arg-type]  # told nothing
            assert (await database.rows("SELECT total FROM notification_boxes"))[0][0] == left


async def playlist(person: Person) -> str:
    """A public playlist; its id."""
    made = await person.post("/playlists", json={"title": "Open", "is_public": True})
    return str(made.json()["data"]["playlist"]["id"])


async def test_followers_are_told_in_pieces_and_each_once(
    database: Database, tmp_path: Path, monkeypatch: Any
) -> None:
    """N5: whoever publishes waits for nobody; however often it is cut off, each follower is told once."""
    monkeypatch.setattr(fanning, "PIECE", 2)
    monkeypatch.setattr(fanning, "MOST_RELEASES", 2)
    async with open_world(database, tmp_path, work=True) as world:
        olga = await world.person("olga")
        fans = [await world.person(f"fan{n}") for n in range(5)]
        for fan in fans:
            await fan.post(f"/users/{olga.id}/follow")
        deaf = {"preferences": {"track_released": {"in_app": False}}}
        await fans[0].put("/notifications/preferences", json=deaf)
        tracks = [await song(world, olga, public=False) for _ in range(3)]
        for one in tracks:
            await olga.put(f"/tracks/{one}", json={"is_public": True})
            await olga.put(f"/tracks/{one}", json={"is_public": False})
            await olga.put(f"/tracks/{one}", json={"is_public": True})
            await settled(world)
        await (await world.person("late")).post(f"/users/{olga.id}/follow")
        assert [len(await told(fan)) for fan in fans] == [0, 2, 2, 2, 2]
        assert {one["type"] for one in await told(fans[1])} == {"track_released"}
        assert await told(await world.person("late")) == []
        # What leads nowhere goes: with its track, and with the account of whoever released it.
        await olga.delete(f"/tracks/{tracks[0]}")
        await settled(world)
        assert [len(await told(fan)) for fan in fans] == [0, 1, 1, 1, 1]
        await olga.delete(f"/users/{olga.id}", json={"password": PASSWORD})
        await settled(world)
        assert [len(await told(fan)) for fan in fans] == [0] * 5


async def test_preferences_are_kept_by_type_and_channel(database: Database, tmp_path: Path) -> None:
    """What is always told cannot be turned off, and what there is not is named."""
    async with open_world(database, tmp_path, work=True) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        path = "/notifications/preferences"
        found = (await olga.get(path)).json()["data"]["preferences"]
        assert tuple(found) == TYPES
        assert found["track_liked"] == {"in_app": True, "email": False}
        assert found["sale_made"] == found["security_alert"] == {"in_app": True, "email": True}
        wrong = {"nothing": {"email": True}, "security_alert": {"email": False}}
        answer = await olga.put(path, json={"preferences": wrong})
        assert answer.status_code == 422
        fields = [detail["field"] for detail in answer.json()["error"]["details"]]
        assert fields == ["preferences.nothing", "preferences.security_alert"]
        for body in ({"preferences": {"track_liked": {"fax": True}}}, {"preferences": {"track_liked": 1}}):
            assert (await olga.put(path, json=body)).status_code == 422
        change = {"track_liked": {"in_app": False}, "user_followed": {"email": True}, "security_alert": {}}
        found = (await olga.put(path, json={"preferences": change})).json()["data"]["preferences"]
        assert found["track_liked"] == {"in_app": False, "email": False}
        assert found["user_followed"] == {"in_app": True, "email": True}
        assert found == (await olga.get(path)).json()["data"]["preferences"]
        await stan.post(f"/tracks/{await song(world, olga)}/like")
        await stan.post(f"/users/{olga.id}/follow")
        await settled(world)
        assert await messages(olga) == ["stan started following you"]


async def test_one_who_answers_two_people_waits_for_nobody_who_waits(
    database: Database, tmp_path: Path
) -> None:
    """X1: boxes are held in one order, whatever the event says first."""
    async with open_world(database, tmp_path) as world:
        people = [await world.person(name) for name in ("ann", "bob", "carl")]
        first, last = sorted(UUID(one.id) for one in people[:2])
        said = {"comment_id": new_id(), "track_id": new_id(), "author_id": UUID(people[2].id)}
        event = TrackCommented(**said, user_id=first, replied_to=last)
        job = EventJob(new_id(), event.kind, to_builtins(event))

        async def tell() -> None:
            async with database.write() as tx:
                await hear(tx, world.parts.live, job)

        async with database.write() as tx:
            await boxes_store.open_some(tx, [first])
            telling = asyncio.create_task(tell())
            await waiting(database, 1)
            await boxes_store.open_some(tx, [last])
        await telling


async def test_two_may_be_the_first_to_tell_somebody(database: Database, tmp_path: Path) -> None:
    """N4: neither fails, and each has a place of its own."""
    async with open_world(database, tmp_path) as world:
        people = [UUID((await world.person(name)).id) for name in ("ann", "bob")]

        async def place(ids: list[UUID]) -> list[int]:
            async with database.write() as tx:
                return [one.seq for one in await boxes_store.place_each(tx, ids)]

        async with database.write() as tx:
            assert len(await boxes_store.place_each(tx, people)) == 2
            placing = asyncio.create_task(place(people[::-1]))
            await waiting(database, 1)
        assert await placing == [2, 2]
        assert sorted(await database.rows("SELECT total, unread FROM notification_boxes")) == [(2, 2)] * 2


async def test_much_is_told_at_once_as_if_one_by_one(database: Database, tmp_path: Path) -> None:
    """N1, N2, N4: what was undone meanwhile, what is hidden and what is not wanted are in one piece, too."""
    async with open_world(database, tmp_path) as world:
        olga, deaf = await world.person("olga"), await world.person("deaf")
        people = [await world.person(name) for name in ("ann", "bob", "cleo", "dora")]
        mine, other, theirs = await song(world, olga), await song(world, olga), await song(world, deaf)
        wish = {"preferences": {"track_liked": {"in_app": False}}}
        await deaf.put("/notifications/preferences", json=wish)
        hearer = NotificationJobs(database, world.parts.live).hearer()
        while await hearer.hear() is not None:
            pass
        for person in (olga, *people):
            for track_id in (mine, theirs):
                await person.post(f"/tracks/{track_id}/like")
        await people[0].post(f"/tracks/{other}/like")
        await people[0].delete(f"/tracks/{mine}/like")
        await people[1].delete(f"/tracks/{mine}/like")
        await people[1].post(f"/tracks/{mine}/like")
        said = [
            (await people[2].post(f"/tracks/{mine}/comments", json={"content": words})).json()
            for words in ("Fine", "Finer")
        ]
        await people[2].delete(f"/comments/{said[1]['data']['comment']['id']}")
        await olga.post(f"/users/{people[3].id}/block")
        assert await hearer.hear() is not None
        assert await hearer.hear() is None
        await check_boxes(world)
        name, rest = await title(olga, mine), await title(olga, other)
        assert sorted(await messages(olga)) == [
            f"ann liked “{rest}”",
            f"cleo and bob liked “{name}”",
            f"cleo commented on “{name}”",
        ]
        assert await told(deaf) == []
        assert await unread(olga) == 3
