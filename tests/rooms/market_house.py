"""What tests of the marketplace share: things to sell, and buying them."""

from typing import Any

from tests.rooms.tracks_house import plant
from tests.world import JSON, Person, World
from veza.rooms.marketplace import ledger

PRODUCTS, ORDERS = "/marketplace/products", "/marketplace/orders"


async def offer(person: Person, **fields: Any) -> JSON:
    """A service on sale, or what ``fields`` say; the product."""
    body = {"title": "A thing", "price": 9.99, "product_type": "service", **fields}
    answer = await person.post(PRODUCTS, json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


async def offer_track(world: World, person: Person, track_id: str = "", **fields: Any) -> JSON:
    """A track on sale; the product."""
    found = track_id or await plant(world, person)
    return await offer(person, product_type="track", track_id=found, **fields)


async def buy(person: Person, *product_ids: str, **more: Any) -> Any:
    """Order these products; the answer."""
    return await person.post(ORDERS, json={"items": [{"product_id": one} for one in product_ids]}, **more)


async def bought(person: Person, *product_ids: str) -> JSON:
    """The same; the order."""
    answer = await buy(person, *product_ids)
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


async def listed(person: Person, query: str = "") -> list[str]:
    """The ids that a list of products has."""
    answer = await person.get(f"{PRODUCTS}{query}")
    assert answer.status_code == 200, answer.text
    return [product["id"] for product in answer.json()["data"]]


async def link(person: Person, product_id: str) -> str:
    """The address, below the API's, from which somebody downloads what they bought."""
    answer = await person.get(f"/marketplace/download/{product_id}")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["url"]).partition("/api/v1")[2]


async def prove(world: World) -> None:
    """The ledger is right to the cent, and everybody has what they paid for."""
    async with world.parts.database.read() as view:
        assert (await ledger.prove(view)).holds
