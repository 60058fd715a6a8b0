"""What cheating sellers try, what is raced with what, and what is asked for a thousand times."""

from pathlib import Path


from tests.rooms.listening_house import until
from tests.rooms.market_house import PRODUCTS, listed, offer_track
from tests.rooms.test_reports import report, resolve
from tests.rooms.tracks_house import code, plant
from tests.world import Person, open_world
from veza.core.db import Database


async def test_what_is_withheld_is_not_sold(database: Database, tmp_path: Path) -> None:
    """K10, K12, T1: neither again nor anew, by itself or in a pack, until it is shown again."""
    async with open_world(database, tmp_path) as world:
        ada, bob = await world.person("ada"), await world.person("bob")
        mona = await world.person("mona", "moderator")
        track = await plant(world, ada)
        product = await offer_track(world, ada, track)
        made = (await report(bob, "track", track)).json()["data"]["report"]["id"]
        assert (await resolve(mona, made, "remove", note="Stolen")).is_success
        path, again = f"{PRODUCTS}/{product['id']}", {"status": "active"}
        assert code(await ada.put(path, json=again)) == (409, "PRODUCT_NOT_AVAILABLE")
        new = {"title": "A", "price": 1, "product_type": "pack", "track_ids": [track], "status": "draft"}
        assert code(await ada.post(PRODUCTS, json=new)) == (409, "TRACK_NOT_READY")
        assert await listed(bob) == []
        assert (await mona.post(f"/admin/reports/{made}/revoke")).is_success
        assert (await ada.put(path, json=again)).status_code == 200
        assert await listed(bob) == [product["id"]]


async def _upload(person: Person) -> str:
    answer = await person.post("/uploads", files={"file": ("notes.txt", b"hello")})
    upload = str(answer.json()["data"]["upload_id"])

    async def ready() -> bool:
        found = await person.get(f"/uploads/{upload}/status")
        return bool(found.json()["data"]["status"] == "completed")

    await until(ready)
    return upload
