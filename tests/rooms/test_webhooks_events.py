"""Every event that is promised really happens, and is told to whom it concerns and to nobody else."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import apsw
import msgspec
import pytest

from tests.receiver import OK, Receiver, receiving, status
from tests.rooms.listening_house import song
from tests.rooms.market_house import bought, offer
from tests.rooms.tracks_house import plant, short
from tests.rooms.webhooks_house import (
    ended,
    hook,
    later,
    log_of,
    open_house,
    playlist,
    rename,
    tried,
    verified,
)
from veza.core.db import Database
from veza.core.db.sqlite import SqliteDatabase
from veza.core.errors import InsufficientStorage
from veza.rooms.playlists.events import PlaylistUpdated
from veza.rooms.webhooks import patience, store
from veza.rooms.webhooks.catalogue import CATALOGUE, TYPES
from veza.rooms.webhooks.schemas import Attempt

__all__ = ["short"]

PROMISE = (
    "track.uploaded, track.processed, track.failed, track.updated, track.deleted, track.liked, "
    "track.commented, playlist.created, playlist.updated, playlist.deleted, playlist.followed, "
    "product.created, product.updated, "
    "order.completed, order.refunded, user.followed, message.created"
)


def told(receiver: Receiver) -> dict[str, Any]:
    """The last thing that was told of each type; each as its shape has it, and nothing else."""
    found: dict[str, Any] = {}
    for got in receiver.got:
        body = got.body
        assert list(body) == ["type", "timestamp", "data"]
        shape = CATALOGUE[body["type"]].shape
        msgspec.convert(body["data"], shape)
        assert set(body["data"]) == set(shape.__struct_fields__)
        found[body["type"]] = body["data"]
    return found


async def test_every_event_is_told_to_whom_it_concerns(
    database: Database, tmp_path: Path, short: Callable[[str], Path]
) -> None:
    """W12, W19: all that the catalogue names, signed; sellers and buyers each hear of their part alone."""
    assert set(TYPES) == set(PROMISE.split(", "))
    async with (
        open_house(database, tmp_path) as world, receiving() as ours, receiving() as theirs,
        receiving() as others, receiving() as some,
    ):  # fmt: skip
        ada, bob, eve = [await world.person(name) for name in ("ada", "bob", "eve")]
        made = await hook(ada, ours.url)
        await hook(bob, theirs.url)
        await hook(eve, others.url)
        await hook(ada, some.url, "track.liked", "user.followed")
        up = (await ada.upload(short("a.mp3")))["id"]
        await world.ready(ada, up)
        await plant(world, ada, "failed")
        await ada.put(f"/tracks/{up}", json={"title": "First light"})
        await bob.post(f"/tracks/{up}/like")
        await bob.post(f"/tracks/{up}/comments", json={"content": "Here it begins."})
        mine = (await ada.post("/playlists", json={"title": "Evenings"})).json()["data"]["playlist"]["id"]
        await ada.put(f"/playlists/{mine}", json={"title": "Nights"})
        await bob.post(f"/playlists/{mine}/follow")
        await bob.post(f"/users/{ada.id}/follow")
        one, other = await offer(ada, title="Ada's"), await offer(eve, title="Eve's", price=1.5)
        await ada.put(f"/marketplace/products/{one['id']}", json={"title": "Ada's own"})
        order = await bought(bob, one["id"], other["id"])
        await ada.post(f"/marketplace/orders/{order['id']}/refund")
        await ada.delete(f"/playlists/{mine}")
        await ada.delete(f"/tracks/{up}")
        room = {"type": "direct", "user_id": ada.id}
        talk = (await bob.post("/chat/rooms", json=room)).json()["data"]["room"]["id"]
        await bob.post(f"/chat/rooms/{talk}/messages", json={"content": "Hello", "client_id": "1"})
        wanted = set(TYPES)
        log = await ended(ada, made["id"], len(wanted) + 1)
        assert {row["status"] for row in log} == {"delivered"}
        for got in ours.got:
            verified(got, made["secret"])
        heard = told(ours)
        assert set(heard) == wanted
        assert heard["track.liked"]["user"] == {"id": bob.id, "username": "bob"}
        assert heard["track.commented"]["user"]["username"] == "bob"
        assert heard["user.followed"]["user"]["id"] == bob.id
        assert heard["message.created"]["message"]["content"] == "Hello"
        assert heard["order.completed"]["role"] == "seller"
        assert [item["title"] for item in heard["order.completed"]["order"]["items"]] == ["Ada's own"]
        assert heard["order.completed"]["order"]["total_amount"] == 9.99
        assert (heard["order.refunded"]["amount"], heard["order.refunded"]["currency"]) == (9.99, "EUR")
        await theirs.until(2)
        heard = told(theirs)
        assert set(heard) == {"order.completed", "order.refunded"}
        assert heard["order.completed"]["role"] == "buyer"
        assert len(heard["order.completed"]["order"]["items"]) == 2
        await others.until(2)
        heard = told(others)
        assert set(heard) == {"product.created", "order.completed"}
        assert [item["title"] for item in heard["order.completed"]["order"]["items"]] == ["Eve's"]
        await some.until(2)
        assert set(told(some)) == {"track.liked", "user.followed"}


@pytest.mark.usefixtures("still")
async def test_what_is_told_is_what_its_owner_may_see_when_it_is_sent(
    database: Database, tmp_path: Path
) -> None:
    """W19: of whom they have blocked meanwhile they do not hear; what is gone is null."""
    async with open_house(database, tmp_path) as world, receiving() as receiver:
        ada, bob, eve = [await world.person(name) for name in ("ada", "bob", "eve")]
        liked = await song(world, ada)
        made = await hook(ada, receiver.url, "track.liked", "track.commented")
        receiver.answer = status(500)
        await bob.post(f"/tracks/{liked}/like")
        await tried(ada, made["id"], 1)
        said = await eve.post(f"/tracks/{liked}/comments", json={"content": "Words that are taken back."})
        await tried(ada, made["id"], 1)
        await ada.post(f"/users/{bob.id}/block")
        await eve.delete(f"/comments/{said.json()['data']['comment']['id']}")
        receiver.answer = OK
        with later(world, timedelta(seconds=7)):
            commented, blocked = await ended(ada, made["id"], 2)
        assert (blocked["event"], blocked["status"]) == ("track.liked", "skipped")
        assert (commented["event"], commented["status"]) == ("track.commented", "delivered")
        last = receiver.got[-1].body["data"]
        assert (last["comment"], last["user"]["username"], last["track"]["id"]) == (None, "eve", liked)
        assert len(receiver.got) == 3


async def test_who_has_no_hook_costs_nothing(database: Database, tmp_path: Path) -> None:
    """Nothing is written for them; on SQLite they are not even looked up a second time."""
    async with open_house(database, tmp_path, work=False) as world:
        ada, bob = await world.person("ada"), await world.person("bob")
        liked = [await song(world, ada) for _ in range(3)]
        await hook(bob, "https://example.com/")
        for one in liked:
            await bob.post(f"/tracks/{one}/like")
        assert await database.rows("SELECT 1 FROM webhook_deliveries") == []
        made = await hook(ada, "https://example.com/", "track.liked")
        await bob.delete(f"/tracks/{liked[0]}/like")
        await bob.post(f"/tracks/{liked[0]}/like")
        assert len(await log_of(ada, made["id"])) == 1
        ids = await database.rows("SELECT event_id FROM webhook_deliveries")
        assert (
            await database.rows("SELECT id FROM events WHERE kind = 'track.liked' ORDER BY id DESC LIMIT 1")
            == ids
        )


NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize("number", range(1, 8))
def test_retries_are_further_and_further_apart(number: int) -> None:
    """W8: 5 s, 30 s, 2 min, 15 min, 1 h, 6 h, 24 h, each a fifth more or less, and then no more."""
    wait = (5, 30, 120, 900, 3600, 21_600, 86_400)[number - 1]
    for _ in range(50):
        at = patience.next_attempt(number, NOW, "")
        assert at is not None
        assert wait * 0.8 <= (at - NOW).total_seconds() <= wait * 1.2
    assert patience.next_attempt(8, NOW, "9") is None


def test_what_a_receiver_asks_for_is_heeded_up_to_a_day() -> None:
    """W8: in seconds or as a date, and nothing else."""
    for text, seconds in (
        ("90", 90),
        ("Mon, 04 May 2026 12:05:00 GMT", 300),
        ("99999999999", 86_400),
        ("00000000099", 99),
    ):
        assert patience.asked_for(text, NOW) == NOW + timedelta(seconds=seconds)
    for text in ("", "soon", "-5", "1e9", "\u0663", "0", "000", "Thu, 26 Nov 2020 00:00:00 GMT"):
        assert patience.asked_for(text, NOW) is None
    failed, busy = Attempt(NOW, 500, "BAD_STATUS", 1), Attempt(NOW, 429, "BAD_STATUS", 1)
    assert patience.rest(2, failed, NOW, "") is None
    assert patience.rest(3, failed, NOW, "") == NOW + timedelta(seconds=5)
    assert patience.rest(900, failed, NOW, "") == NOW + timedelta(minutes=1)
    assert patience.rest(1, busy, NOW, "120") == NOW + timedelta(minutes=2)
    for less in ("0", "-5", "1", "Thu, 26 Nov 2020 00:00:00 GMT", ""):
        assert patience.rest(3, busy, NOW, less) == NOW + timedelta(seconds=5)


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_what_others_of_a_commit_did_that_failed_is_not_remembered(
    database: Database, tmp_path: Path
) -> None:
    """W12, X5: an event sees what is to be committed with it, and must not go on thinking so."""
    assert isinstance(database, SqliteDatabase)
    writer = database.writer
    async with open_house(database, tmp_path) as world, receiving() as receiver:
        ada = await world.person("ada")
        mine = await playlist(ada)
        made = await hook(ada, receiver.url, "playlist.updated")

        async def delete() -> None:
            async with database.write() as tx:
                await store.delete(tx, UUID(made["id"]))
                while not writer._waiting:  # noqa: ASYNC110 - the other is in the same commit
                    await asyncio.sleep(0)

        async def happen() -> None:
            async with database.write() as tx:
                tx.emit(PlaylistUpdated(UUID(mine), UUID(ada.id), ("title",)))

        writer.connection.set_commit_hook(_fail)
        outcomes = await asyncio.gather(delete(), happen(), return_exceptions=True)
        writer.connection.set_commit_hook(None)
        assert [type(outcome) for outcome in outcomes] == [InsufficientStorage] * 2
        await rename(ada, mine, "Morning")
        await receiver.until(1)


def _fail() -> bool:
    raise apsw.FullError("full")
