"""Webhooks as their owners see them: made, shown, changed, tried, deleted; and by nobody else."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest
from standardwebhooks import WebhookVerificationError

from tests.receiver import receiving, status
from tests.rooms.test_lock_order import leave, waiting
from tests.rooms.tracks_house import NOBODY
from tests.rooms.webhooks_house import hook, log_of, open_house, verified
from tests.world import PASSWORD, open_world
from veza.core import clock
from veza.core.db import Database
from veza.core.ids import new_id
from veza.rooms.webhooks import queues_store, store
from veza.rooms.webhooks.deliveries_store import Due
from veza.rooms.webhooks.queues_store import Claim
from veza.rooms.webhooks.recording import Outcome, Recorder, _as_of_now

URL = "https://example.com/webhook"


async def test_a_hook_is_made_shown_changed_and_deleted(database: Database, tmp_path: Path) -> None:
    """W13, W15: keys are shown once and kept sealed; events are folded; `*` is all."""
    async with open_world(database, tmp_path) as world:
        ada = await world.person("ada")
        made = await hook(
            ada, URL, "track.liked", "track.liked", "order.completed", secret="webhook_secret_key"
        )
        assert made["api_key"].startswith("wh_")
        assert made["secret"] == "webhook_secret_key"
        assert made["events"] == ["track.liked", "order.completed"]
        other = await hook(ada, URL, ordered=True, description="All of it")
        assert other["secret"].startswith("whsec_")
        # Asked again under one key, it is the same hook and the very same answer.
        for path, body in (("", {"url": URL, "events": ["*"]}), (f"/{made['id']}/regenerate-key", {})):
            asked = {"json": body | {"secret": "a key of ours"}, "headers": {"Idempotency-Key": "once"}}
            first, again = [await ada.post(f"/webhooks{path}", **asked) for _ in range(2)]
            assert first.status_code == again.status_code < 300
            assert first.json() == again.json()
            assert again.headers["idempotency-replayed"] == "true"
            asked["json"]["secret"] = "another one"
            assert (await ada.post(f"/webhooks{path}", **asked)).status_code == 409
            answers = str(await database.rows("SELECT body, fingerprint FROM kept_answers"))
            assert "api_key" not in answers
            if not path:
                await ada.delete(f"/webhooks/{first.json()['data']['id']}")
        listed = (await ada.get("/webhooks")).json()["data"]
        assert [one["id"] for one in listed] == [made["id"], other["id"]]
        one = (await ada.get(f"/webhooks/{other['id']}")).json()["data"]
        assert (
            one
            == listed[1]
            == {key: value for key, value in other.items() if key not in {"secret", "api_key"}}
        )
        kept = str(await database.rows("SELECT keys FROM webhooks")) + str(
            await database.rows("SELECT data FROM events")
        )
        export = (await ada.get(f"/users/{ada.id}/export")).text
        assert "webhooks" in export
        for secret in (made["api_key"], made["secret"], other["secret"]):
            assert secret not in kept + str(listed) + export
        changed = await ada.put(
            f"/webhooks/{other['id']}",
            json={
                "url": f"{URL}/2",
                "events": ["*"],
                "enabled": False,
                "ordered": False,
                "description": "None",
            },
        )
        data = changed.json()["data"]
        assert (data["url"], data["enabled"], data["disabled_reason"]) == (f"{URL}/2", False, "owner")
        assert (data["ordered"], data["description"], data["events"]) == (False, "None", ["*"])
        stats = (await ada.get("/webhooks/stats")).json()["data"]
        assert stats == {
            "total_webhooks": 2, "total_events": 0, "successful_deliveries": 0, "failed_deliveries": 0,
        }  # fmt: skip
        gone = await ada.delete(f"/webhooks/{made['id']}")
        assert gone.json()["data"] == {"message": "Webhook deleted successfully"}
        assert (await ada.delete(f"/webhooks/{made['id']}")).status_code == 404
        kinds = await database.rows("SELECT kind FROM events WHERE kind LIKE 'webhook.%' ORDER BY id")
        assert [kind for (kind,) in kinds] == [
            "webhook.created", "webhook.created", "webhook.created", "webhook.deleted",
            "webhook.keys_changed", "webhook.updated", "webhook.deleted",
        ]  # fmt: skip
        left = await ada.delete(f"/users/{ada.id}", json={"password": PASSWORD})
        assert left.status_code == 200
        assert await database.rows("SELECT 1 FROM webhooks UNION ALL SELECT 1 FROM webhook_queues") == []


async def test_what_cannot_be_a_hook_is_refused(database: Database, tmp_path: Path) -> None:
    """W1, W2, W15, W21: in url, events and secret; who names an address nearby is noted."""
    refused = [
        ({"url": "ftp://example.com"}, "url", "INVALID_URL"),
        ({"url": "https://example.com:22/"}, "url", "INVALID_URL"),
        ({"url": "https://a:b@example.com/"}, "url", "INVALID_URL"),
        ({"url": "https://example.com/\r\nX: y"}, "url", "INVALID_URL"),
        ({"url": "http://127.1/"}, "url", "INVALID_URL"),
        ({"url": "http://127.0.0.1/"}, "url", "TARGET_FORBIDDEN"),
        ({"url": "http://[::ffff:10.0.0.1]/"}, "url", "TARGET_FORBIDDEN"),
        ({"url": "http://169.254.169.254/latest"}, "url", "TARGET_FORBIDDEN"),
        ({"url": "http://localhost:8080/"}, "url", "TARGET_FORBIDDEN"),
        ({"events": []}, "events", "INVALID"),
        ({"events": ["track.played"]}, "events", "UNKNOWN_EVENT"),
        ({"events": ["track.liked"] * 1000}, "events", "INVALID"),
        ({"secret": "short"}, "secret", "TOO_SHORT"),
        ({"secret": "a secret\r\nX-Evil: 1"}, "secret", "INVALID_CHARACTER"),
        ({"secret": "whsec_not base64"}, "secret", "INVALID"),
        ({"secret": "whsec_AAAA"}, "secret", "INVALID"),
        ({"api_key": "wh_mine"}, "api_key", "UNKNOWN_FIELD"),
    ]
    async with open_world(database, tmp_path) as world:
        ada = await world.person("ada")
        for wrong, field, code in refused:
            answer = await ada.post("/webhooks", json={"url": URL, "events": ["*"], **wrong})
            error = answer.json()["error"]
            assert (answer.status_code, error["code"]) == (422, "VALIDATION_ERROR"), wrong
            assert [(one["field"], one["code"]) for one in error["details"]] == [(field, code)], wrong
        made = await hook(ada, URL)
        answer = await ada.put(f"/webhooks/{made['id']}", json={"url": "http://10.0.0.1/"})
        assert answer.json()["error"]["details"][0]["code"] == "TARGET_FORBIDDEN"
        noted = await database.rows("SELECT data FROM events WHERE kind = 'webhook.target_forbidden'")
        assert len(noted) == 5


async def test_who_names_an_address_nearby_is_noted_under_a_key_too(
    database: Database, tmp_path: Path
) -> None:
    """W2: refused as without an Idempotency-Key, again when asked again; the key is free for another."""
    hosts = ["127.0.0.1", "[::ffff:10.0.0.1]", "169.254.169.254", "localhost:8080"]
    nearby = [f"http://{host}/" for host in hosts]
    async with open_world(database, tmp_path) as world:
        ada = await world.person("ada")
        once = {"Idempotency-Key": "once"}
        for url in [*nearby, nearby[0]]:
            answer = await ada.post("/webhooks", json={"url": url, "events": ["*"]}, headers=once)
            assert answer.status_code == 422, url
            assert answer.json()["error"]["details"][0]["code"] == "TARGET_FORBIDDEN"
        noted = "SELECT data FROM events WHERE kind = 'webhook.target_forbidden'"
        assert len(await database.rows(noted)) == 5
        answer = await ada.post("/webhooks", json={"url": URL, "events": ["*"]}, headers=once)
        assert answer.status_code == 201


async def test_a_hook_is_its_owner_s_alone(database: Database, tmp_path: Path) -> None:
    """W16, W17: to others, admins too, it is not there; nobody has more than twenty, however they hurry."""
    async with open_world(database, tmp_path) as world:
        ada, bob, boss = [await world.person(name, role) for name, role in
                          (("ada", "user"), ("bob", "user"), ("boss", "admin"))]  # fmt: skip
        made = await hook(ada, URL)
        asked = [
            ("GET", "", None), ("PUT", "", {"enabled": False}), ("DELETE", "", None), ("POST", "/test", None),
            ("POST", "/regenerate-key", None), ("GET", "/deliveries", None),
            ("GET", f"/deliveries/{NOBODY}", None), ("POST", f"/deliveries/{NOBODY}/redeliver", None),
            ("POST", "/replay", {"since": "2025-01-01T00:00:00Z"}),
        ]  # fmt: skip
        for method, path, body in asked:
            for hook_id, people in ((made["id"], (bob, boss)), (NOBODY, (ada,))):
                for person in people:
                    url = f"/webhooks/{hook_id}{path}"
                    answer = await person.client.request(method, url, json=body)
                    code = answer.json()["error"]["code"]
                    assert (answer.status_code, code) == (404, "WEBHOOK_NOT_FOUND"), (method, path)
            answer = await world.guest.client.request(method, f"/webhooks/{made['id']}{path}", json=body)
            assert answer.status_code == 401
        assert (await bob.get("/webhooks")).json()["data"] == []
        assert (await world.guest.get("/webhooks/stats")).status_code == 401
        answer = await ada.post(f"/webhooks/{made['id']}/deliveries/{NOBODY}/redeliver")
        assert answer.json()["error"]["code"] == "DELIVERY_NOT_FOUND"
        answer = await ada.post(f"/webhooks/{made['id']}/replay", json={"since": "2999-01-01T00:00:00Z"})
        assert answer.status_code == 422
        body = {"url": URL, "events": ["*"]}
        answers = await asyncio.gather(*(ada.post("/webhooks", json=body) for _ in range(25)))
        assert sorted(answer.status_code for answer in answers) == [201] * 19 + [409] * 6
        assert {answer.json()["error"]["code"] for answer in answers if answer.status_code == 409} == {
            "TOO_MANY_WEBHOOKS"
        }


@pytest.mark.usefixtures("still")
async def test_a_test_event_is_sent_while_its_owner_waits(database: Database, tmp_path: Path) -> None:
    """W4, W12, W14, W18, W22: signed as the reference library has it, with the old secret too for a day."""
    choices = {"work": False, "rate_limit_enabled": True, "rate_limit_webhook_test": "4/min"}
    async with open_house(database, tmp_path, **choices) as world, receiving() as receiver:
        ada = await world.person("ada")
        made = await hook(ada, receiver.url, secret="webhook_secret_key")
        path = f"/webhooks/{made['id']}"
        answer = (await ada.post(f"{path}/test")).json()["data"]
        assert (answer["message"], answer["status"]) == ("Test event sent", "delivered")
        got = receiver.got[0]
        assert got.headers["authorization"] == f"Bearer {made['api_key']}"
        assert got.headers["webhook-id"] == answer["delivery_id"]
        told = verified(got, "webhook_secret_key")
        assert (told["type"], told["data"]["webhook_id"]) == ("webhook.test", made["id"])
        new = (await ada.post(f"{path}/regenerate-key")).json()["data"]
        newer = (await ada.post(f"{path}/regenerate-key", json={"secret": "another secret"})).json()["data"]
        assert len({made["api_key"], new["api_key"], newer["api_key"]}) == 3
        receiver.answer = status(302, f"Location: {receiver.url}")
        answer = (await ada.post(f"{path}/test")).json()["data"]
        assert (answer["status"], answer["response_status"]) == ("failed", 302)
        got = receiver.got[1]
        assert got.headers["authorization"] == f"Bearer {newer['api_key']}"
        for secret in ("webhook_secret_key", new["secret"], "another secret"):
            verified(got, secret)
        with pytest.raises(WebhookVerificationError):
            verified(got, "webhook_secret_kez")
        assert len(receiver.got) == 2, "the redirect was not followed"
        stats = (await ada.get("/webhooks/stats")).json()["data"]
        assert (stats["total_events"], stats["successful_deliveries"], stats["failed_deliveries"]) == (
            2,
            1,
            1,
        )
        failed, delivered = await log_of(ada, made["id"])
        assert (failed["status"], failed["error"], failed["response_status"]) == ("failed", "BAD_STATUS", 302)
        assert delivered["request"]["body"].encode() == receiver.got[0].raw
        assert (
            delivered["request"]["headers"]["webhook-signature"]
            == receiver.got[0].headers["webhook-signature"]
        )
        assert made["api_key"] not in str(delivered)
        answers = [(await ada.post(f"{path}/test")).status_code for _ in range(3)]
        assert answers == [200, 200, 429]


async def test_keys_that_cannot_be_opened_any_more_are_made_anew(database: Database, tmp_path: Path) -> None:
    """A14, W14: the server's own secret was lost, and with it theirs: that is said, and mended as it says."""
    async with open_house(database, tmp_path, work=False) as world, receiving() as receiver:
        ada = await world.person("ada")
        path = f"/webhooks/{(await hook(ada, receiver.url))['id']}"
        await database.script("UPDATE webhooks SET keys = substr(keys, 2)")
        answer = await ada.post(f"{path}/test")
        assert (answer.status_code, answer.json()["data"]["error"]) == (200, "KEYS_LOST")
        made = await ada.post(f"{path}/regenerate-key")
        assert made.status_code == 200
        assert (await ada.post(f"{path}/test")).json()["data"]["status"] == "delivered"
        verified(receiver.got[0], made.json()["data"]["secret"])


async def test_a_hook_is_changed_while_it_is_turned_off_and_while_its_owner_leaves(
    database: Database, tmp_path: Path
) -> None:
    """W8, W20, U8: a hook before its queue, whoever holds both; so none waits for one that waits for it."""
    async with open_house(database, tmp_path, work=False) as world:
        ada, now = await world.person("ada"), clock.now()
        hook_id = UUID((await hook(ada, URL))["id"])
        due = Due(new_id(), "track.liked", {}, now, now, now, 0, [])
        claim = Claim(hook_id, 0, 0, None)
        gone = Outcome(claim, due, "failed", None, now, None, 1, now, None, None, "gone", "example.com")
        for act, result in ((Recorder(database).record(gone), False), (leave(ada), 200)):
            async with database.write() as tx:
                assert await store.lock(tx, hook_id) is not None
                acting = asyncio.create_task(act)
                await waiting(database, 1)
                await queues_store.heal(tx, hook_id)
            assert await acting == result
        async with database.read() as view:
            assert await store.find(view, hook_id) is None


async def test_what_was_delivered_stays_so_though_its_hook_begins_anew(
    database: Database, tmp_path: Path
) -> None:
    """W9: also where it is written down with a failure, for which the hook is looked at."""
    async with open_house(database, tmp_path, work=False) as world:
        ada, now = await world.person("ada"), clock.now()
        hook_id = UUID((await hook(ada, URL))["id"])
        due = Due(new_id(), "track.liked", {}, now, now, now, 0, [])
        async with database.write() as tx:
            asked = await store.lock(tx, hook_id)
            await queues_store.heal(tx, hook_id)
            arrived = Outcome(
                Claim(hook_id, 0, 0, None), due, "delivered", None, now, None, 0, None, None, asked
            )
            assert await _as_of_now(tx, arrived, asked) == arrived
