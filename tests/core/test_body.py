import json
import time
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest

from tests.core.asking import ask
from tests.memory import forget_peak, measured, peak
from tests.world import PASSWORD, open_world
from veza.core.body import checked, parse_json, read_body, validate
from veza.core.errors import InvalidRequest, ValidationFailed
from veza.core.text import BadValue

REGISTER = "/api/v1/auth/register"
JSON = ("content-type", "application/json")
ID = "0190163d-8694-739b-aea5-966c26f8ad91"
BARE = ID.replace("-", "")


def shout(text: str) -> str:
    if text == "quiet":
        raise BadValue("TOO_QUIET", "Speak up.")
    return text.upper()


class Inner(msgspec.Struct):
    size: int


class Named(msgspec.Struct, rename={"other": "another"}):
    other: UUID | None = None


class Ids(msgspec.Struct):
    one: UUID
    some: Annotated[list[UUID], msgspec.Meta(max_length=3)] = []
    inner: Named | None = None
    inners: list[Named] = []


class Form(msgspec.Struct):
    name: Annotated[str, checked(shout)]
    count: int = 0
    price: float = 0.0
    note: Annotated[str, checked(shout)] | None = None
    tags: list[str] = []
    inner: Inner | None = None


def refused(raw: bytes) -> dict[str, str]:
    with pytest.raises(ValidationFailed) as caught:
        read_body(raw, Form)
    return {detail.field: detail.code for detail in caught.value.details}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b'{"name": "a"',
        b'{"name": "a"} x',
        b"{'name': 'a'}",
        b'{"name": "a",}',
        b"\xef\xbb\xbf{}",
        b'{"price": NaN}',
        b'{"price": Infinity}',
        b'{"price": -Infinity}',
        b'{"name": "a", "name": "b"}',
        b'{"inner": {"size": 1, "size": 2}}',
        b'{"name": "\x01"}',
        b'{"name": "\xff"}',
        b'{"name": "\xed\xa0\x80"}',
        b'{"count": 01}',
        '{"name": "a"}'.encode("utf-16"),
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000,
    ],
)
def test_what_is_not_strictly_json_is_malformed(raw):
    """G3, G4: RFC 8259 to the letter, each name once, and no depth breaks anything."""
    began = time.thread_time()
    with pytest.raises(InvalidRequest) as caught:
        read_body(raw, Form)
    assert [(one.field, one.code) for one in caught.value.details] == [("body", "INVALID_JSON")]
    assert time.thread_time() - began < 0.05


@pytest.mark.parametrize("raw", [b"[]", b'"text"', b"1", b"null", b"true"])
def test_a_body_is_an_object(raw):
    with pytest.raises(ValidationFailed):
        read_body(raw, Form)


def test_a_deep_value_is_refused_and_not_walked_into():
    """G4: what the parser lets pass in depth is judged without recursion."""
    deep = b'{"name": "a", "count": ' + b"[" * 200 + b"]" * 200 + b"}"
    assert refused(deep) == {"count": "INVALID"}


def test_every_field_has_its_own_detail():
    """G6: unknown, missing and wrong fields are all told at once."""
    assert refused(b'{"role": "admin", "id": 1, "count": "3"}') == {
        "role": "UNKNOWN_FIELD",
        "id": "UNKNOWN_FIELD",
        "name": "REQUIRED",
        "count": "INVALID",
    }


def test_an_answer_does_not_grow_with_what_is_wrong():
    """G4: of 60,000 unknown fields, which fit a megabyte, a hundred are told."""
    assert len(refused(json.dumps({f"f{n}": n for n in range(60_000)}).encode())) == 100


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "null"),
        ("name", "1"),
        ("name", '["a"]'),
        ("name", '{"a": 1}'),
        ("name", "true"),
        ("count", '"1"'),
        ("count", "1.5"),
        ("count", "true"),
        ("count", "null"),
        ("count", "[1]"),
        ("count", "9223372036854775808"),
        ("count", "-9223372036854775809"),
        ("count", "1" * 30),
        ("count", "1" * 5_000),
        ("price", "1e400"),
        ("price", "-1e400"),
        ("price", "1" * 30),
        ("tags", '"a"'),
        ("tags", "[1]"),
        ("tags", '["a", null]'),
        ("tags", '["\\u0000"]'),
        ("tags", '["\\ud800"]'),
        ("inner", '{"size": 9223372036854775808}'),
        ("inner", '{"size": "1"}'),
    ],
)
def test_a_value_of_another_type_or_out_of_range_is_not_valid(field, value):
    """G7: 422 with the field's name, at any depth; never an overflow further in."""
    raw = f'{{"name": "a", "{field}": {value}}}' if field != "name" else f'{{"name": {value}}}'
    assert refused(raw.encode()) == {field: "INVALID"}


@pytest.mark.parametrize("text", ["\\u0000", "a\\u0000b", "\\ud800", "\\udfff x", "\\ude00\\ud83d"])
def test_what_no_database_can_keep_is_not_valid(text):
    """G8: NUL and half a surrogate pair, however they are written."""
    assert refused(f'{{"name": "{text}"}}'.encode()) == {"name": "INVALID"}


def test_good_values_come_through_checked():
    form = read_body(b'{"name": "ada", "count": -9223372036854775808, "note": null, "price": 1}', Form)
    assert (form.name, form.count, form.note, form.price) == ("ADA", -(2**63), None, 1.0)
    assert read_body('{"name": "😀 \\ud83d\\ude00"}'.encode(), Form).name == "😀 😀"
    assert refused(b'{"name": "quiet", "note": "quiet"}') == {"name": "TOO_QUIET", "note": "TOO_QUIET"}


def test_forms_write_numbers_as_text():
    form = validate({"name": "ada", "count": "3", "price": "1.5"}, Form, strict=False)
    assert (form.count, form.price) == (3, 1.5)


@pytest.mark.parametrize("strict", [True, False])
def test_an_id_has_the_spelling_that_it_has_in_paths(strict):
    """G7: with its hyphens, at any depth, in JSON and in forms."""
    good = {"one": ID.upper(), "some": [ID], "inner": {}, "inners": [{"another": None}, {"another": ID}]}
    assert validate(good, Ids, strict=strict).inners[1].other == UUID(ID)
    for bad in (
        {"one": BARE},
        {"some": [ID, BARE]},
        {"inner": {"another": BARE}},
        {"inners": [{}, {"another": BARE}]},
    ):
        with pytest.raises(ValidationFailed) as caught:
            validate({**good, **bad}, Ids, strict=strict)
        assert [(one.field, one.code) for one in caught.value.details] == [(*bad, "INVALID")]


def test_long_numbers_are_read_quickly():
    """G4: half a megabyte of digits costs no quadratic time."""
    began = time.thread_time()
    assert parse_json(b"1" * 500_000) > 2**62
    assert time.thread_time() - began < 0.05


@pytest.fixture
async def world(database, tmp_path):
    async with open_world(database, tmp_path / "data") as opened:
        yield opened


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ((), b"{}", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ((("content-type", "text/plain"),), b"{}", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ((("content-type", "application/x-www-form-urlencoded"),), b"a=b", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ((("content-type", "application/json; charset=utf-8"),), b"{}", 422, "VALIDATION_ERROR"),
        ((("content-type", "Application/JSON"),), b"{}", 422, "VALIDATION_ERROR"),
        ((JSON, ("content-encoding", "identity")), b"{}", 422, "VALIDATION_ERROR"),
        ((JSON, ("content-encoding", "gzip"), ("content-length", "2")), b"{}", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (
            (("content-type", "text/plain"), JSON, ("content-length", "2")),
            b"{}",
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        ((JSON,), b"", 400, "INVALID_REQUEST"),
        ((JSON,), b"{", 400, "INVALID_REQUEST"),
        ((JSON,), b"[" * 100_000, 400, "INVALID_REQUEST"),
        ((JSON,), b'{"a":"' + b"x" * 1_000_000 + b'"}', 413, "PAYLOAD_TOO_LARGE"),
        ((JSON, ("content-length", "5000000")), b"{}", 413, "PAYLOAD_TOO_LARGE"),
    ],
)
async def test_a_body_is_refused_in_the_envelope(world, headers, body, status, code):
    """G3, G4, G5: text/plain is what a page of a stranger can send unasked, and is not read."""
    answer = await ask(world.app, "POST", REGISTER, *headers, body=body)
    assert (answer.status, answer.error) == (status, code)


FULL = 490_000
# Each of about a megabyte: deep, deep and closed, a number, members, and things.
HOSTILE = [
    b"[" * FULL * 2,
    b"[" * FULL + b"]" * FULL,
    b'{"a":' * (FULL // 3),
    b'{"count": ' + b"1" * FULL * 2 + b"}",
    json.dumps({f"f{n}": n for n in range(60_000)}).encode(),
    b'{"note": [' + b"{}," * (FULL // 2) + b"{}]}",
    b'{"a":"' + b"x" * FULL * 3 + b'"}',
]


@measured
@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_nonsense_takes_no_memory_with_it(world):
    """G4: what is deep, wide or long is refused in a few megabytes, and in the same ones again and again."""

    async def send_all():
        for body in HOSTILE:
            answer = await ask(world.app, "POST", REGISTER, JSON, body=body)
            assert answer.status in {400, 413, 422}

    await send_all()
    before = forget_peak()
    for _ in range(5):
        await send_all()
    assert peak() - before < 64 << 20


async def test_nobody_makes_themselves_more_than_they_are(world):
    """G6: fields that are the server's are unknown, and nothing is changed."""
    ada = await world.person("ada")
    before = (await ada.get("/auth/me")).json()
    for field in ("role", "id", "user_id", "status", "is_admin", "created_at", "email_verified"):
        answer = await ada.put(f"/users/{ada.id}", json={"bio": "hello", field: "admin"})
        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
        assert {one["code"] for one in answer.json()["error"]["details"]} == {"UNKNOWN_FIELD"}
    assert (await ada.get("/auth/me")).json() == before
    signup = {"username": "eve", "email": "eve@example.com", "password": PASSWORD,
              "password_confirm": PASSWORD, "role": "admin"}  # fmt: skip
    assert (await world.guest.post("/auth/register", json=signup)).status_code == 422


@pytest.mark.parametrize(
    "text",
    [
        "a\u202etxt.exe",
        "zero\u200bwidth\u200djoin",
        "e" + "\u0301" * 10_000,
        "cafe\u0301",
        "\ufdfa" * 50,
        "\U0001d504\U0001d521 😀 👩‍👩‍👧",
        "<script>alert(1)</script>",
        "'; DROP TABLE users; --",
        "line one\nline two",
    ],
)
async def test_a_text_is_refused_or_kept(world, text):
    """G8: 422, or stored in normal form C and given back so each time."""
    ada = await world.person("ada")
    answer = await ada.put(f"/users/{ada.id}", json={"bio": text})
    assert answer.status_code in {200, 422}
    if answer.status_code == 200:
        kept = (await ada.get(f"/users/{ada.id}")).json()["data"]["profile"]["bio"]
        again = await ada.put(f"/users/{ada.id}", json={"bio": kept})
        assert again.status_code == 200
        assert (await ada.get(f"/users/{ada.id}")).json()["data"]["profile"]["bio"] == kept
        assert json.loads(json.dumps(kept)) == kept


class Priced(msgspec.Struct, frozen=True):
    """An amount that is read exactly, and another number beside it."""

    price: Annotated[Decimal | int, checked(lambda amount: amount * 100)]
    weight: float = 0.0


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("9.99", Decimal("999.00")),
        ("5", 500),
        ("9.989999999999999999999", Decimal("998.9999999999999999999")),
    ],
)
def test_a_number_that_is_meant_exactly_is_read_so(written: str, read: Any) -> None:
    """K8: no binary fraction stands between what is written and what is kept."""
    found = read_body(f'{{"price": {written}, "weight": 0.1}}'.encode(), Priced)
    assert (found.price, found.weight) == (read, 0.1)


@pytest.mark.parametrize("written", ['"9.99"', "true", "null", "1e99999999999999999999"])
def test_what_is_no_exact_number_is_refused(written: str) -> None:
    """K8, G7: a text is none, whatever stands in it."""
    with pytest.raises(ValidationFailed):
        read_body(f'{{"price": {written}}}'.encode(), Priced)
