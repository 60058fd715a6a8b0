"""A server is killed while it makes what a buyer waits for: the next one makes it, and sends nothing half."""

import asyncio
import os
import random
import signal
from pathlib import Path
from typing import Any

import httpx

from tests.faults.test_kill import WAIT, nursery
from tests.faults.test_kill_orders import Customer
from tests.media.corpus import BY_NAME, make
from veza.media import MediaLimits, sniff
from veza.media.decode import decode

KILLS = 3


async def test_copies_are_whole_whenever_the_server_is_killed(tmp_path: Path) -> None:
    """K15, X6, X14: each is whole when it is answered, and nothing is left in scratch."""
    dice = random.Random(int.from_bytes(os.urandom(2)))
    song = make(BY_NAME["s16.flac"], tmp_path, 10.0)
    before = await decode(song, sniff(song), MediaLimits())
    async with nursery(tmp_path) as servers:
        await servers.start()
        await servers.ready()
        async with httpx.AsyncClient(base_url=f"{servers.address}/api/v1", timeout=10) as http:
            seller, buyer = Customer(http, "seller"), Customer(http, "buyer")
            for customer in (seller, buyer):
                await customer.sign_up()
            signed = {"Authorization": f"Bearer {seller.token}"}
            sent = await http.post(
                "/tracks", headers=signed, files={"file": ("a.flac", song.read_bytes())}, timeout=WAIT
            )
            track = sent.json()["data"]["track"]["id"]
            while await status(seller, track) != "ready":  # noqa: ASYNC110 - a server tells no event
                await asyncio.sleep(0.05)
            body: dict[str, Any] = {"title": "x", "price": 1, "product_type": "track", "track_id": track}
            product = (await seller.ask("POST", "/marketplace/products", body)).json()["data"]["id"]
            order = await buyer.ask("POST", "/marketplace/orders", {"items": [{"product_id": product}]})
            assert order.status_code == 201
            asking = asyncio.create_task(answered(buyer, f"/marketplace/download/{product}?format=mp3"))
            for _ in range(KILLS):
                await asyncio.sleep(dice.uniform(0.02, 0.6))
                await servers.end(signal.SIGKILL)
                await servers.start()
                await servers.ready()
            made = tmp_path / "copy"
            made.write_bytes((await http.get(await asking, timeout=WAIT)).content)
            after = await decode(made, sniff(made), MediaLimits())
            assert (after.frames, after.damaged) == (before.frames, False)
        await servers.end(signal.SIGTERM)
    kept = [path for path in (tmp_path / "data" / "files" / "bought").rglob("*") if path.is_file()]
    assert kept  # one that was stored in the last moment before a kill is swept by and by
    assert not list((tmp_path / "data" / "files" / ".scratch").iterdir())


async def status(person: Customer, track: str) -> str:
    return str((await person.ask("GET", f"/tracks/{track}/status")).json()["data"]["status"])


async def answered(buyer: Customer, path: str) -> str:
    """The address, as soon as there is one."""
    while (answer := await buyer.ask("GET", path)).status_code == 202:
        pass
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["url"])
