"""Asking an ASGI application in ways that no well-behaved client does."""

import json
from typing import Any

import msgspec


class Answer(msgspec.Struct):
    """Status, headers (all of them, in order) and body."""

    status: int
    raw: list[tuple[str, str]]
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.raw)

    @property
    def error(self) -> str:
        envelope = json.loads(self.body)
        assert envelope.keys() == {"success", "error"}
        assert envelope["success"] is False
        assert envelope["error"].keys() == {"code", "message", "details"}
        return str(envelope["error"]["code"])

    @property
    def fields(self) -> dict[str, str]:
        """What the details say: field and code."""
        return {one["field"]: one["code"] for one in json.loads(self.body)["error"]["details"]}


async def ask(
    app: Any,
    method: str,
    path: str,
    *headers: tuple[str, str],
    body: bytes = b"",
    peer: str = "203.0.113.7",
    json_body: Any = None,
) -> Answer:
    """One request, whose path, headers and body go in as they are."""
    if json_body is not None:
        body, headers = json.dumps(json_body).encode(), (*headers, ("content-type", "application/json"))
    raw_path, _, query = path.encode().partition(b"?")
    received = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        return received.pop(0) if received else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": _unquoted(raw_path),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", b"veza.test"), *((k.encode(), v.encode("latin-1")) for k, v in headers)],
        "client": (peer, 40_000),
        "server": ("veza.test", 80),
        "state": {},
    }
    await app(scope, receive, send)
    start = sent[0]
    raw = [(name.decode().lower(), value.decode("latin-1")) for name, value in start["headers"]]
    return Answer(start["status"], raw, b"".join(part.get("body", b"") for part in sent[1:]))


def _unquoted(raw: bytes) -> str:
    from urllib.parse import unquote  # noqa: PLC0415 - as the server does

    return unquote(raw.decode("ascii"))
