"""Avatars: what goes in, what comes out, and what stays behind."""
# ruff: noqa: F811 - a fixture is asked for by its name

import asyncio
from io import BytesIO
from typing import Any

import httpx
from PIL import Image

from tests.media.hostile import png
from tests.rooms.accounts_house import BASE_URL, House, days, house  # noqa: F401 - a fixture
from veza.core.ids import new_id
from veza.core.installation import stamp
from veza.core.jobs import Job
from veza.core.turns import Turns
from veza.rooms.accounts.pictures import MAX_BYTES

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def picture(colour: str = "red", size: tuple[int, int] = (400, 300), **options: Any) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG", **options)
    return out.getvalue()


async def put(house: House, who: str, data: bytes, *, of: str = "ann", name: str = "file") -> httpx.Response:
    return await house.ask(
        who, "PUT", f"/users/{{{of}}}/avatar", files={name: ("me.jpg", data, "image/jpeg")}
    )


async def test_a_picture_becomes_an_avatar_of_three_sizes(house: House) -> None:
    """U10, U6: ours to the last byte, squared, without what was hidden in it; the address is made by us."""
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    answer = await put(house, "ann", picture(exif=exif.tobytes()))
    assert answer.status_code == 200
    url = answer.json()["data"]["profile"]["avatar"]
    assert url.startswith(f"{BASE_URL}/api/v1/users/{house.id('ann')}/avatar?v=")
    assert (await house.profile("guest", "ann"))["avatar"] == url
    assert (await house.events())[-1] == "user.avatar_changed"
    for size, side in (("96", 96), ("320", 300), ("1000", 300)):
        sent = await house.client.get(f"{url}&size={size}")
        assert (sent.status_code, sent.headers["content-type"]) == (200, "image/jpeg")
        assert sent.headers["x-content-type-options"] == "nosniff"
        image = Image.open(BytesIO(sent.content))
        assert (image.format, image.size, len(image.getexif())) == ("JPEG", (side, side), 0)
        assert b"where I live" not in sent.content
    again = await house.client.get(
        url, headers={"if-none-match": (await house.client.get(url)).headers["etag"]}
    )
    assert again.status_code == 304
    assert again.headers["cache-control"].startswith("public")
    for size in ("1", "0", "-1", "97", "x", ""):
        assert (await house.client.get(f"{url}&size={size}")).status_code == 400


async def test_who_may_set_an_avatar(house: House) -> None:
    """U1: and strangers are told before a byte is looked at."""
    statuses = {
        who: (await put(house, who, SVG)).status_code for who in ("guest", "ben", "mod", "ann", "admin")
    }
    assert statuses == {"guest": 401, "ben": 403, "mod": 403, "ann": 422, "admin": 422}
    assert (await put(house, "admin", picture())).status_code == 200
    house.people["gone"] = house.people["ann"].__class__(
        **{name: getattr(house.people["ann"], name) for name in house.people["ann"].__struct_fields__[1:]},
        id=new_id(),
    )
    assert (await put(house, "admin", picture(), of="gone")).status_code == 404


async def test_what_is_no_picture_is_refused(house: House) -> None:
    """U10: SVG, HTML, a bomb of pixels, half a picture; nothing stays behind."""
    for data, code in [
        (SVG, "UNSUPPORTED_IMAGE"), (b"<html>", "UNSUPPORTED_IMAGE"), (b"x", "UNSUPPORTED_IMAGE"),
        (picture()[:200], "UNSUPPORTED_IMAGE"), (png(30000, 30000), "IMAGE_TOO_LARGE"),
    ]:  # fmt: skip
        answer = await put(house, "ann", data)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
    answer = await put(house, "ann", picture(), name="picture")
    assert answer.json()["error"]["details"][0]["code"] == "UNKNOWN_FIELD"
    assert (await house.ask("ann", "PUT", "/users/{ann}/avatar", json={})).status_code == 422
    assert (await house.ask("ann", "PUT", "/users/{ann}/avatar", content=picture())).status_code == 415
    assert (await put(house, "ann", bytes(MAX_BYTES + 1))).status_code == 413
    answer = await house.ask("ann", "PUT", "/users/{ann}/avatar", files={"file": ("", b"")})
    assert answer.status_code == 422
    assert house.files() == []
    assert list(house.storage.scratch.iterdir()) == []
    assert (await house.profile("ann", "ann"))["avatar"] is None


async def test_another_avatar_takes_the_place_of_the_last(house: House) -> None:
    """Its address is new, and the old files go, but only once that is certain."""
    first = (await put(house, "ann", picture())).json()["data"]["profile"]["avatar"]
    second = (await put(house, "ann", picture("blue"))).json()["data"]["profile"]["avatar"]
    assert first != second
    assert len(house.files()) == 6
    assert await house.work() == 1
    assert len(house.files()) == 3
    red, _, blue = (
        Image.open(BytesIO((await house.client.get(second)).content)).convert("RGB").getpixel((50, 50))
    )
    assert blue > 200
    assert red < 50
    assert (await house.ask("ann", "DELETE", "/users/{ann}/avatar")).status_code == 200
    assert (await house.ask("ann", "DELETE", "/users/{ann}/avatar")).status_code == 200
    assert (await house.client.get(second)).json()["error"]["code"] == "AVATAR_NOT_FOUND"
    assert await house.work() == 1
    assert house.files() == []


async def test_more_pictures_than_may_wait_are_refused(house: House) -> None:
    """U10: each takes a second of a core, and lies in the scratch folder until its turn."""
    turns = house.given["avatars"]._turns = Turns(0)
    async with turns:  # another's is being made
        answers = [await put(house, "ann", picture(size=(9, 9))) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert {answer.headers["retry-after"] for answer in answers} == {"5"}
    assert (await put(house, "ann", picture(size=(9, 9)))).status_code == 200


async def test_of_several_pictures_at_once_one_remains(house: House) -> None:
    """And the files of the others are removed."""
    answers = await asyncio.gather(
        *(put(house, "ann", picture(colour)) for colour in ("red", "blue", "green"))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert await house.work() == 2
    url = (await house.profile("guest", "ann"))["avatar"]
    assert all(f"/{url.partition('?v=')[2]}/" in file for file in house.files())
    assert len(house.files()) == 3


async def test_files_that_nobody_has_are_swept_up_later(house: House) -> None:
    """What a crash left between file and row; not what may be under way, and not what is in use."""
    await put(house, "ann", picture())
    orphans = [f"avatars/{house.id('ann')}/{new_id()}/96.jpg", f"avatars/{new_id()}/{new_id()}/96.jpg"]
    strays = ["avatars/notes.txt", "avatars/old/96.jpg"]  # which do not end the sweep
    for key in (*orphans, *strays):
        await house.storage.put_bytes(key, b"x")
    await stamp(house.database, house.storage)
    job = Job(new_id(), "accounts.sweep_avatars", "", 1, None)
    await house.jobs.sweep_avatars(job, Any)
    assert len(house.files()) == 7
    with days(1.1):
        await house.jobs.sweep_avatars(job, Any)
    assert len(house.files()) == 3
    assert {file.partition("/")[0] for file in house.files()} == {str(house.id("ann"))}
