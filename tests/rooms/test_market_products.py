"""Products: what may be sold, at which price, who sees it, and in which order."""

from pathlib import Path
from typing import Any

from tests.rooms.market_house import PRODUCTS, listed, offer, offer_track
from tests.rooms.tracks_house import NOBODY, code, plant
from tests.world import open_world
from veza.core.db import Database

# What is written into a body, and whether it is a price.
PRICES = {
    "9.99": 9.99, "0": 0, "12": 12, "0.01": 0.01, "999999.99": 999_999.99, "9.990": 9.99, "1e2": 100,
    "9.989999999999999999999": None, "-1": None, "0.001": None, "9.999": None, "1e9": None, "1e-7": None,
    "1e400": None, "1e99999999999999999999": None, '"9.99"': None, "true": None, "null": None,
    "1000000": None, "9.9900000000000000000000000001": None,
}  # fmt: skip
WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"title": ""}, ["title"]),
    ({"title": "x" * 201}, ["title"]),
    ({"description": "x" * 5001}, ["description"]),
    ({"currency": "JPY"}, ["currency"]),
    ({"product_type": "song"}, ["product_type"]),
    ({"license_type": "none"}, ["license_type"]),
    ({"status": "sold"}, ["status"]),
    ({"seller_id": NOBODY, "id": NOBODY}, ["seller_id", "id"]),
    ({"track_id": NOBODY}, ["track_id"]),
    ({"product_type": "track"}, ["track_id"]),
    ({"product_type": "pack"}, ["track_ids"]),
    ({"product_type": "pack", "track_ids": [NOBODY, NOBODY]}, ["track_ids"]),
]


async def test_a_price_is_read_exactly(database: Database, tmp_path: Path) -> None:
    """K8, G7: what has more than two decimals, is text or too much is 422; the rest to the cent."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        kind = {"Content-Type": "application/json"}
        for written, meant in PRICES.items():
            body = f'{{"title": "A", "product_type": "service", "price": {written}}}'
            answer = await olga.post(PRODUCTS, content=body, headers=kind)
            assert (answer.status_code == 201) == (meant is not None), (written, answer.text)
            if meant is None:
                assert [one["field"] for one in answer.json()["error"]["details"]] == ["price"]
            else:
                assert answer.json()["data"]["price"] == meant
        body = '{"title": "A", "product_type": "service", "price": NaN}'
        assert code(await olga.post(PRODUCTS, content=body, headers=kind)) == (400, "INVALID_REQUEST")
        kept = sorted(price for (price,) in await database.rows("SELECT price FROM products"))
        assert kept == [0, 1, 999, 999, 1200, 10_000, 99_999_999]


async def test_what_may_be_offered(database: Database, tmp_path: Path) -> None:
    """K10, G6, A29: one's own tracks that are ready, and uploads; nothing else, and nothing is left of it."""
    async with open_world(database, tmp_path) as world:
        olga, stan, mona = [
            await world.person(name, role)
            for name, role in (("olga", "user"), ("stan", "user"), ("mona", "moderator"))
        ]
        for fields, where in WRONG:
            body = {"title": "A", "price": 1, "product_type": "service", **fields}
            answer = await olga.post(PRODUCTS, json=body)
            assert code(answer) == (422, "VALIDATION_ERROR"), fields
            assert [one["field"] for one in answer.json()["error"]["details"]] == where
        hers = await plant(world, olga)
        hidden = await plant(world, olga, public=False)
        waiting = await plant(world, olga, "processing")
        rows = (
            (stan, hers, (403, "FORBIDDEN")), (stan, hidden, (404, "TRACK_NOT_FOUND")),
            (mona, hers, (403, "FORBIDDEN")), (stan, NOBODY, (404, "TRACK_NOT_FOUND")),
            (olga, waiting, (409, "TRACK_NOT_READY")),
        )  # fmt: skip
        for person, track, expected in rows:
            body = {"title": "A", "price": 1, "product_type": "track", "track_id": track}
            assert code(await person.post(PRODUCTS, json=body)) == expected
        file = (await stan.post("/uploads", files={"file": ("a", b"hello")})).json()["data"]["upload_id"]
        pack = {"title": "A", "price": 1, "product_type": "pack", "upload_ids": [file]}
        assert code(await olga.post(PRODUCTS, json=pack)) == (404, "UPLOAD_NOT_FOUND")
        assert code(await stan.post(PRODUCTS, json=pack)) == (409, "UPLOAD_NOT_READY")
        assert await database.rows("SELECT 1 FROM products") == []
        made = await offer_track(world, olga, hidden, title="Hidden", license_type="extended")
        assert made.keys() >= {"id", "title", "price", "status", "created_at"}
        assert (made["status"], made["currency"], made["seller_id"]) == ("active", "EUR", olga.id)


async def test_a_track_is_sold_in_one_way_at_a_time(database: Database, tmp_path: Path) -> None:
    """K10: an exclusive licence excludes all others, and of each other kind there is one."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        track = await plant(world, olga)
        standard = await offer_track(world, olga, track)
        await offer_track(world, olga, track, license_type="extended")
        pack = await offer(olga, product_type="pack", track_ids=[track])
        for kind in ("standard", "exclusive"):
            body = {
                "title": "A",
                "price": 1,
                "product_type": "track",
                "track_id": track,
                "license_type": kind,
            }
            assert code(await olga.post(PRODUCTS, json=body)) == (409, "TRACK_ALREADY_FOR_SALE")
        await olga.put(f"{PRODUCTS}/{standard['id']}", json={"status": "archived"})
        again = await offer_track(world, olga, track)
        answer = await olga.put(f"{PRODUCTS}/{standard['id']}", json={"status": "active"})
        assert code(answer) == (409, "TRACK_ALREADY_FOR_SALE")
        shown = (await world.guest.get(f"{PRODUCTS}/{pack['id']}")).json()["data"]
        assert [one["track_id"] for one in shown["contents"]] == [track]
        assert again["id"] in await listed(world.guest)


async def test_who_changes_what(database: Database, tmp_path: Path) -> None:
    """K11, K12, K13: the seller alone; from draft to active to archived and back, and no other way."""
    async with open_world(database, tmp_path) as world:
        olga, stan, adam = [
            await world.person(n, r) for n, r in (("olga", "user"), ("stan", "user"), ("adam", "admin"))
        ]
        one = await offer(olga, status="draft")
        path = f"{PRODUCTS}/{one['id']}"
        for person in (stan, adam):
            assert code(await person.put(path, json={"price": 1})) == (404, "PRODUCT_NOT_FOUND")
            assert code(await person.get(path)) == (404, "PRODUCT_NOT_FOUND")
        assert code(await world.guest.put(path, json={"price": 1})) == (401, "UNAUTHENTICATED")
        moves = (
            ("archived", 409),
            ("active", 200),
            ("active", 200),
            ("draft", 409),
            ("archived", 200),
            ("active", 200),
        )
        for status, expected in moves:
            answer = await olga.put(path, json={"status": status})
            assert answer.status_code == expected, (status, answer.text)
        assert code(await stan.put(path, json={"price": 1})) == (403, "FORBIDDEN")
        for body in ({"price": 0.001}, {"status": "sold"}, {"seller_id": stan.id}, {"title": " "}):
            assert code(await olga.put(path, json=body)) == (422, "VALIDATION_ERROR")
        changed = await olga.put(path, json={"title": "Other", "price": 12.99, "description": "D"})
        got = (await world.guest.get(path)).json()["data"]
        assert changed.json()["data"] == got
        assert (got["title"], got["price"], got["description"]) == ("Other", 12.99, "D")
        stale = await olga.put(path, json={"price": 1}, headers={"If-Match": '"old"'})
        assert code(stale) == (412, "PRECONDITION_FAILED")
        kinds = await database.rows("SELECT kind FROM events WHERE kind LIKE 'product.%' ORDER BY id")
        assert [kind for (kind,) in kinds] == ["product.created"] + ["product.updated"] * 5


async def test_lists(database: Database, tmp_path: Path) -> None:
    """K13, K20, G2, G9, G10, G11, G12: by every filter, in every order; others see what is active alone."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        cheap = await offer(olga, title="Blue monday", price=1)
        draft = await offer(olga, title="Not yet", price=2, status="draft")
        pack = await offer_track(world, olga, title="Blues in été", price=5.50)
        other = await offer(stan, title="Mixing", price=30)
        ids = {cheap["id"]: "cheap", draft["id"]: "draft", pack["id"]: "track", other["id"]: "other"}
        rows = {
            "": "other track cheap", "?sort_order=asc": "cheap track other",
            "?sort_by=price": "other track cheap",
            "?sort_by=price&sort_order=asc&limit=2": "cheap track", "?limit=2&page=2": "cheap", "?page=9": "",
            f"?seller_id={olga.id}": "track cheap", "?product_type=track": "track",
            "?status=active": "other track cheap",
            f"?seller_id={stan.id}&product_type=track": "", "?min_price=1.01&max_price=30": "other track",
            "?max_price=5.50&sort_by=price": "track cheap", "?q=blue": "track cheap", "?q=BLUE+ete": "track",
            "?q=blue&max_price=2": "cheap", "?q=nothing": "", "?status=draft": "", "?status=sold": "",
            f"?seller_id={olga.id}&status=draft": "", "?q=%25_%22*NEAR(": "", "?q=not": "",
            "?q=%21%21": "", "?q=%E2%99%A5&sort_by=price": "", "?q=+": "other track cheap",
            "?min_price=5.50&max_price=5.50": "track",
        }  # fmt: skip
        for query, expected in rows.items():
            assert " ".join(ids[one] for one in await listed(world.guest, query)) == expected, query
        mine = {
            "?status=draft": "draft", f"?seller_id={olga.id}": "track draft cheap", "?status=archived": "",
            f"?seller_id={olga.id}&q=not": "draft", "": "other track cheap",
            f"?seller_id={stan.id}&status=draft": "",
            f"?seller_id={olga.id}&sort_by=price&max_price=5": "draft cheap",
        }  # fmt: skip
        for query, expected in mine.items():
            assert " ".join(ids[one] for one in await listed(olga, query)) == expected, query
        place = (await world.guest.get(f"{PRODUCTS}?limit=2")).json()["pagination"]
        assert place == {"page": 1, "limit": 2, "total": 3, "total_pages": 2, "total_is_exact": True}
        wrong = [
            "page=0",
            "limit=101",
            "sort_by=x",
            "status=x",
            "seller_id=x",
            "min_price=x",
            "min_price=1e99999999999999999999",
            "max_price=sNaN",
            "max_price=Infinity",
            "min_price=NaN",
            "min_price=0.001",
            "max_price=-1",
            "min_price=2&max_price=1.99",
        ]
        for query in wrong:
            assert code(await world.guest.get(f"{PRODUCTS}?{query}")) == (400, "INVALID_REQUEST"), query


async def test_a_product_is_made_once(database: Database, tmp_path: Path) -> None:
    """G29: the same key and body give the same product."""
    async with open_world(database, tmp_path) as world:
        olga = await world.person("olga")
        body = {"title": "A", "price": 9.99, "product_type": "service"}
        key = {"Idempotency-Key": "one"}
        first, again = [await olga.post(PRODUCTS, json=body, headers=key) for _ in range(2)]
        assert (first.content, again.headers["idempotency-replayed"]) == (again.content, "true")
        other = await olga.post(PRODUCTS, json=body | {"price": 9.98}, headers=key)
        assert code(other) == (409, "IDEMPOTENCY_KEY_REUSED")


async def test_selling_may_need_a_verified_address(database: Database, tmp_path: Path) -> None:
    """A29: where the operator wants it."""
    async with open_world(database, tmp_path, require_verified_email=True) as world:
        olga = await world.person("olga")
        await database.script("UPDATE users SET email_verified = " + ("false" if database.shared else "0"))
        world.parts.authenticator.forget_all()
        body = {"title": "A", "price": 1, "product_type": "service"}
        assert code(await olga.post(PRODUCTS, json=body)) == (403, "EMAIL_NOT_VERIFIED")
