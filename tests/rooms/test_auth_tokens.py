"""Access tokens over HTTP: only what this server wrote, for this purpose, in a living session."""

import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta
from typing import Any

import pytest

from tests.rooms.sessions_house import House, code_of, house
from veza.core import clock
from veza.core.ids import new_id

__all__ = ["house"]


def segment(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def test_forgeries(house: House) -> None:
    """A13, A14: every forgery of a real session's token → 401 INVALID_TOKEN, in no time."""
    ann = house.client()
    await ann.register("ann")
    good = ann.access
    key_id, key = house.keyring.derive("token:access")[0]
    header: dict[str, Any] = json.loads(base64.urlsafe_b64decode(good.split(".")[0] + "=="))
    payload: dict[str, Any] = json.loads(base64.urlsafe_b64decode(good.split(".")[1] + "=="))
    now = int(clock.now().timestamp())

    def forge(head: Any = header, body: Any = payload, key: bytes = key) -> str:
        signed = f"{segment(head)}.{segment(body)}"
        return f"{signed}.{segment(hmac.digest(key, signed.encode(), hashlib.sha256))}"

    assert (
        await ann.ask("GET", "/auth/me", headers={"authorization": f"Bearer {forge()}"})
    ).status_code == 200
    unsigned = forge(header | {"alg": "none"}).rpartition(".")[0] + "."
    rows = {
        "alg none": unsigned,
        "alg None": forge(header | {"alg": "None"}),
        "alg nOnE": forge(header | {"alg": "nOnE"}),
        "RS256": forge(header | {"alg": "RS256"}),
        "a public key": forge(key=b"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n"),
        "other kid": forge(header | {"kid": "00000000"}),
        "kid a path": forge(header | {"kid": "../../dev/null"}),
        "jku": forge(header | {"jku": "http://127.0.0.1/keys"}),
        "jwk": forge(header | {"jwk": {"kty": "oct", "k": segment(key)}}),
        "x5u": forge(header | {"x5u": "http://127.0.0.1/cert"}),
        "crit": forge(header | {"crit": ["exp"]}),
        "b64": forge(header | {"b64": False, "crit": ["b64"]}),
        "five parts": good + ".a.b",
        "tab within": good.replace(".", ".\t", 1),
        "space within": good.replace(".", ". ", 1),
        "newline": good + "\n",
        "not ASCII": good + "\u00e9",
        "expired": forge(body=payload | {"exp": now - 31}),
        "nbf ahead": forge(body=payload | {"nbf": now + 3600}),
        "iat ahead": forge(body=payload | {"iat": now + 3600}),
        "other aud": forge(body=payload | {"aud": "veza:chat"}),
        "other iss": forge(body=payload | {"iss": "elsewhere"}),
        "typ refresh": forge(body=payload | {"typ": "refresh"}),
        "no exp": forge(body={name: value for name, value in payload.items() if name != "exp"}),
        "exp text": forge(body=payload | {"exp": str(now + 60)}),
        "exp 1e300": forge(body=payload | {"exp": 1e300}),
        "exp 2^63": forge(body=payload | {"exp": 2**63, "sid": str(new_id())}),
        "1 MB": forge(body=payload | {"junk": "x" * 1_000_000}),
        "another user": forge(body=payload | {"sub": str(new_id())}),
        "another session": forge(body=payload | {"sid": str(new_id())}),
        "changed": ".".join([good.split(".")[0], segment(payload | {"role": "admin"}), good.split(".")[2]]),
        "key id as key": forge(key=key_id.encode()),
    }
    begun = time.process_time()
    for name, token in rows.items():
        answer = await ann.ask("GET", "/auth/me", headers={"authorization": b"Bearer " + token.encode()})
        assert (answer.status_code, code_of(answer)) == (401, "INVALID_TOKEN"), name
        assert answer.headers["www-authenticate"] == "Bearer"
    assert (time.process_time() - begun) / len(rows) < 0.005
    assert await ann.me() == 200


async def test_no_token(house: House) -> None:
    """G1: nothing that is a token → 401 UNAUTHENTICATED."""
    for value in (None, "", "Bearer", "Bearer ", "Basic YW5uOg==", "Token x"):
        headers = {} if value is None else {"authorization": value}
        answer = await house.client().ask("GET", "/auth/me", headers=headers)
        assert (answer.status_code, code_of(answer)) == (401, "UNAUTHENTICATED"), value


async def test_two_headers(house: House) -> None:
    """G1: two Authorization headers → 401, although both are good."""
    ann = house.client()
    await ann.register("ann")
    twice = [("authorization", f"Bearer {ann.access}")] * 2
    assert (await ann.http.get("/auth/me", headers=twice)).status_code == 401


@pytest.mark.usefixtures("still")
async def test_an_access_token_lasts_a_day(house: House) -> None:
    """A15, A27: 24 hours by the wall clock, and half a minute for clocks that differ."""
    ann = house.client()
    await ann.register("ann")
    for hours, seconds, status in ((24, -2, 200), (24, 28, 200), (24, 32, 401)):
        with clock.shifted(timedelta(hours=hours, seconds=seconds)):
            assert await ann.me() == status
    with clock.shifted(timedelta(seconds=-25)):
        assert await ann.me() == 200
