"""Forms that are none, sent to every address that takes one: refused, and nothing is left."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.core.test_guards import contents
from tests.rooms.playlists_house import make
from tests.rooms.tracks_house import code, files, plant
from tests.rooms.uploads_house import form
from tests.world import open_world
from veza.core.db import Database

FORM = "multipart/form-data"
HEAD = b'--cut-here\r\nContent-Disposition: form-data; name="%b"; filename="a"\r\n%b\r\n'
BOUNDARY = {"content-type": f"{FORM}; boundary=cut-here"}


def hostile(file: str) -> Iterator[tuple[str, bytes, dict[str, str], set[int]]]:
    """Its name, body and headers, and what may be answered; ``file`` is the field of the file."""
    one = (file, b"hello")
    for name, boundary in (("no boundary", ""), ("empty", "; boundary="), ("long", "; boundary=" + "b" * 71)):
        yield name, form([one])[0], {"content-type": FORM + boundary}, {400}
    yield "no form", b"{", {"content-type": "text/plain"}, {415}
    yield "no kind", b"{", {}, {415}
    for name, parts in (
        ("nothing", []), ("two files", [one, one]), ("another file", [("other", b"hello")]),
        ("two of a field", [("x", "1"), ("x", "1"), one]), ("file as field", [(file, "hello")]),
        ("ten thousand fields", [(f"f{n}", "") for n in range(10_000)]),
    ):  # fmt: skip
        yield name, *form(parts), {422}
    whole = form([one])[0]
    for at in (1, 20, len(whole) // 2, len(whole) - 3):
        yield f"cut at {at}", whole[:at], BOUNDARY, {400, 422}
    yield "wrong boundary", whole, {"content-type": f"{FORM}; boundary=other"}, {400}
    inner = b"Content-Type: multipart/mixed; boundary=inner\r\n"
    nested = HEAD % (file.encode(), inner) + b"--inner\r\n\r\nx\r\n--inner--"
    yield "nested and cut", nested, BOUNDARY, {400, 422}
    yield "a header of a megabyte", HEAD % (file.encode(), b"X: " + b"x" * 1_000_000), BOUNDARY, {400}
    yield "a thousand headers", HEAD % (file.encode(), b"X: x\r\n" * 1_000), BOUNDARY, {400}
    yield (
        "no name",
        b"--cut-here\r\nContent-Disposition: form-data\r\n\r\nx\r\n--cut-here--\r\n",
        BOUNDARY,
        {400, 422},
    )
    yield "no disposition", b"--cut-here\r\n\r\nx\r\n--cut-here--\r\n", BOUNDARY, {400, 422}


def forms(document: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Method, path and field of the file of every operation that takes a form."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            taken = operation.get("requestBody", {}).get("content", {}).get(FORM)
            if taken is not None:
                (file,) = (k for k, v in taken["schema"]["properties"].items() if v.get("format") == "binary")
                yield method.upper(), path, file


async def test_forms_that_are_none(database: Database, tmp_path: Path) -> None:
    """F2, C18, G6: whatever the address; no row, no file and no scratch remains."""
    async with open_world(database, tmp_path, max_file_size=200_000) as world:
        olga = await world.person("olga")
        places = {"track_id": await plant(world, olga), "user_id": olga.id}
        places["playlist_id"] = str(await make(world, olga))
        document = (await world.guest.client.get("http://veza.test/swagger/doc.json")).json()
        before, lying, asked = await contents(database), files(world), set()
        for method, path, file in forms(document):
            place = re.sub(r"{(\w+)}", lambda found: places[found[1]], path.removeprefix("/api/v1"))
            for name, body, headers, statuses in hostile(file):
                answer = await olga.client.request(method, place, content=body, headers=headers)
                assert code(answer)[0] in statuses, (method, path, name, answer.text[:200])
                asked.add(place)
        assert len(asked) == 6
        assert await contents(database) == before
        assert files(world) == lying
        assert list(world.parts.storage.scratch.iterdir()) == []
