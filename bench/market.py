"""Lists of a million products, and orders that are durable when they are acknowledged."""

import asyncio
import itertools
import json
import random
import shutil
import time
from pathlib import Path
from uuid import UUID

import apsw

from bench.load import load, render
from bench.seed import CACHE, seeded, user_id, vocabulary
from bench.servers import Veza, bare
from bench.table import Figure
from veza.rooms.marketplace import products_store, words_store

_TRACKS = 10_000
_PRODUCTS = 1_000_000
_SELLERS, _BUYERS = 50, 32
_FIRST = 1_600_000_000_000_000
_TYPES = ("track", "pack", "service")
PRODUCTS, ORDERS = "/api/v1/marketplace/products", "/api/v1/marketplace/orders"


async def lists() -> list[Figure]:
    """The p95 of every kind of list at a million products, on one connection and on four."""
    path, dice = stocked(), random.Random(5)
    words = vocabulary(2_000)
    prices = [(dice.randrange(900), dice.randrange(1, 90)) for _ in range(200)]
    kinds = {
        "all": [f"?page={dice.randrange(1, 400)}" for _ in range(200)],
        "of a seller": [f"?seller_id={user_id(dice.randrange(_SELLERS))}&sort_by=price" for _ in range(200)],
        "of a type": [f"?product_type={dice.choice(_TYPES)}&sort_order=asc" for _ in range(200)],
        "within prices, the newest first": [
            f"?min_price={low}&max_price={low + 1 + more}" for low, more in prices
        ],
        "within a few cents, the newest first": [f"?min_price={low}&max_price={low}.05" for low, _ in prices],
        "with a word": [f"?q={word}" for word in dice.sample(words, 200)],
        "with the commonest words": [
            f"?q={one}+{other}" for one, other in itertools.permutations(words[:8], 2)
        ],
    }
    figures = []
    with Veza(path, copy=False) as veza:
        for name, queries in kinds.items():
            ask = [render("GET", f"{PRODUCTS}{query}") for query in queries]
            alone, four = [await load(veza.host, veza.port, ask, n, 1.5, pid=veza.pid) for n in (1, 4)]
            held = alone.p95 <= 20 and set(alone.statuses) == {"200"} == set(four.statuses)
            measured = f"{alone.p95:.2f} ms; four at once {four.p95:.1f} ms at {four.rate:,.0f}/s"
            figures.append(
                Figure(f"GET /marketplace/products, {name}: p95 at 1,000,000", measured, "", "≤ 20 ms", held)
            )
    return figures


async def orders() -> list[Figure]:
    """Orders a second with 32 buyers, each durable; and whether the ledger is right afterwards."""
    with bare("discard") as plain, Veza(stocked()) as veza:
        asks = []
        for buyer in range(_BUYERS):
            head = {
                "Authorization": f"Bearer {veza.log_in(_SELLERS + buyer)}",
                "Content-Type": "application/json",
            }
            for number in range(3_000):
                item = {"product_id": str(_product_id(buyer * 3_000 + number))}
                asks.append(render("POST", ORDERS, head, json.dumps({"items": [item]}).encode()))
        ceiling = await load(plain.host, plain.port, asks, _BUYERS, 2, pid=plain.pid)
        # First, for two thousand orders are followed by as many mails, and by what else is done for each.
        hiding = await _hiding(veza)
        report = await load(veza.host, veza.port, asks, _BUYERS, 5, pid=veza.pid)
        await asyncio.sleep(0.5)
        with apsw.Connection(str(veza.folder / "veza.db"), apsw.SQLITE_OPEN_READONLY) as connection:
            kept, left = connection.execute(
                "SELECT COUNT(*), (SELECT SUM(amount) FROM ledger) FROM orders WHERE status = 'completed'"
            ).fetchall()[0]
    sold = set(report.statuses) == {"201"}
    return [
        Figure(
            "POST /marketplace/orders: durable and acknowledged a second, 32 buyers",
            f"{report.rate:,.0f}/s, p95 {report.p95:.1f} ms", f"{ceiling.rate:,.0f}/s", "≥ 300/s",
            report.rate >= 300 and sold,
        ),
        Figure(
            "orders acknowledged and kept, and what the ledger sums to",
            f"{report.requests:,}, {kept:,} and {left}", "", "none lost, 0",
            kept >= report.requests and not left,
        ),
        hiding,
    ]  # fmt: skip


async def _hiding(veza: Veza) -> Figure:
    """Lists as somebody gets them who has blocked the seller of a third of all there is."""
    token, dice = veza.log_in(_SELLERS + _BUYERS), random.Random(8)  # no buyer, who could not buy the rest
    veza.call("POST", f"/api/v1/users/{user_id(0)}/block", token=token)
    head = {"Authorization": f"Bearer {token}"}
    queries = [
        "", "?page=200", "?product_type=pack", "?sort_by=price", "?min_price=100&max_price=110",
        *(f"?q={word}" for word in dice.sample(vocabulary(2_000), 20)),
    ]  # fmt: skip
    asks = [render("GET", f"{PRODUCTS}{query}", head) for query in queries]
    await load(veza.host, veza.port, asks, 1, 1.5, pid=veza.pid)  # the copy is not in memory yet
    found = await load(veza.host, veza.port, asks, 1, 1.5, pid=veza.pid)
    return Figure(
        "GET /marketplace/products of a member from whom a third of 1,000,000 is hidden: p95",
        f"{found.p95:.2f} ms", "", "≤ 20 ms", found.p95 <= 20 and set(found.statuses) == {"200"},
    )  # fmt: skip


def _product_id(number: int) -> UUID:
    """The id of the product made as the `number`-th."""
    return UUID(int=((0x0198_0000_0000 + number) << 80) | (0x7000 << 64) | (0x8000 << 48) | number)


def stocked() -> Path:
    """The path of a database with a million products, made if there is none yet for the present schema."""
    tracks = seeded(_TRACKS)
    path = CACHE / tracks.name.replace("tracks", "products")
    if not path.exists():
        for old in CACHE.glob("products-*"):
            old.unlink(missing_ok=True)
        part = path.with_suffix(".part")
        shutil.copy(tracks, part)
        began = time.perf_counter()
        _stock(part)
        part.rename(path)
        print(f"made {path.name} in {time.perf_counter() - began:.0f} s", flush=True)
    return path


def _stock(path: Path) -> None:
    connection = apsw.Connection(str(path))
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-400000", "foreign_keys=OFF"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    made = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL AND tbl_name LIKE ?"
    indexes = connection.execute(made, ("product%",)).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    connection.execute("BEGIN")
    insert, add = products_store._INSERT.sqlite, words_store._ADD.sqlite
    dice, words = random.Random(6), vocabulary()
    weights = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(len(words))))
    pairs = []
    for number in range(_PRODUCTS):
        title = " ".join(dice.choices(words, cum_weights=weights, k=3))
        moment = _FIRST + number * 60_000_000
        identity = _product_id(number)
        row = (
            identity.bytes, user_id(min(int(dice.paretovariate(0.5)) - 1, _SELLERS - 1)).bytes, title, "",
            dice.randrange(100_000), "EUR", dice.choice(_TYPES), "standard", "active", None, None,
            moment, moment,
        )  # fmt: skip
        connection.execute(insert.text, row).fetchall()
        pairs += [(word, identity.bytes) for word in set(words_store.words_of(title))]
    pairs.sort()
    connection.executemany(add.text, pairs)
    for _, sql in indexes:
        connection.execute(sql)
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.close()
