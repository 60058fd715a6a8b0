"""The API over HTTP: keys, idempotency, expansion, errors of the right shape, and signed notices."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import httpx
from stripe import HTTPClient

from tests.stripe_fake.params import Refused, read
from tests.stripe_fake.world import JSON, StripeWorld

KEY = "sk_test_4242424242424242"
SECRET = "whsec_the-present-one"
# What is listed where.
LISTED = {
    "refunds": "refund", "transfers": "transfer", "transfers/*/reversals": "transfer_reversal",
    "disputes": "dispute", "events": "event",
}  # fmt: skip
SINGLE = {
    "checkout/sessions/*": "checkout.session", "payment_intents/*": "payment_intent",
    "transfers/*": "transfer", "accounts/*": "account",
}  # fmt: skip
WEBHOOK = "/payments/stripe/webhook"


class FakeStripe(StripeWorld):
    """Stripe, on a port of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        self.asked: list[str] = []
        self.crashes: list[Exception] = []
        self.broken = 0  # how many requests from now on are done, and their answers lost
        self.lost = ""  # what is asked for so is done, and its answers are lost
        self.down = False
        self.answers: dict[str, tuple[str, int, JSON]] = {}

    def answer(self, method: str, path: str, text: str, headers: Any) -> tuple[int, JSON, dict[str, str]]:
        """Status, body and headers; everything that is asked for happens one after the other."""
        with self.lock:
            self.asked.append(f"{method} {path}")
            if self.down:
                return 503, {"error": {"type": "api_error", "message": "Stripe is away."}}, {}
            try:
                check_key(headers.get("Authorization"))
                return self._once(method, path, text, headers.get("Idempotency-Key"))
            except Refused as no:
                return no.status, {"error": no.said}, {}
            except Exception as crash:  # noqa: BLE001 - it fails the test, at its end
                self.crashes.append(crash)
                return 500, {"error": {"type": "api_error", "message": repr(crash)}}, {}

    def _once(self, method: str, path: str, text: str, key: str | None) -> tuple[int, JSON, dict[str, str]]:
        endpoint, ids, params = read(method, path, text)
        asked = f"{method} {path} {text}"
        if method == "POST" and key is None:
            raise Refused("A request that changes something comes with a key here.")
        if key in self.answers:
            before, status, body = self.answers[key]
            if before != asked:
                raise Refused("Keys for idempotent requests can only be used with the same parameters.",
                              type="idempotency_error")  # fmt: skip
            return status, body, {"Idempotent-Replayed": "true"}
        try:
            status, body = 200, self._do(endpoint, ids, params)
        except Refused as no:
            status, body = no.status, {"error": no.said}
        if key is not None:
            self.answers[key] = (asked, status, body)
        return status, body, {}

    def _do(self, endpoint: str, ids: list[str], params: JSON) -> JSON:
        expand: list[str] = params.pop("expand", [])
        method, _, pattern = endpoint.partition(" ")
        name = pattern.removeprefix("/v1/").replace(r"/(\w+)", "/*")
        if name in LISTED and method == "GET":
            return self._listed(name, params | ({"transfer": ids[0]} if ids else {}))
        if method == "GET":
            return self._expanded(self.get(ids[0], SINGLE[name]), expand)
        match (method, name):
            case ("POST", "checkout/sessions"):
                found = self.open_session(params)
            case ("POST", "checkout/sessions/*/expire"):
                found = self.expire_session(ids[0])
            case ("POST", "refunds"):
                found = self.refund(params)
            case ("POST", "transfers"):
                found = self.transfer(params)
            case ("POST", "transfers/*/reversals"):
                found = self.reverse(ids[0], params)
            case ("POST", "accounts"):
                found = self.make("acct", "account", **params | {"capabilities": {"transfers": "inactive"}})
            case ("POST", "account_links"):
                self.get(params["account"], "account")
                url = f"https://connect.stripe.example/setup/{params['account']}"
                return {
                    "object": "account_link",
                    "url": url,
                    "expires_at": int(time.time()) + 300,
                    "created": 1,
                }
            case _:
                raise AssertionError(endpoint)
        return self._expanded(found, expand)

    def _listed(self, name: str, params: JSON) -> JSON:
        if name == "events":
            return self._page(self._undelivered(params), "/v1/events")
        wanted = {key: value for key, value in params.items() if key != "limit"}
        return self._page(self.list(LISTED[name], **wanted)[::-1], f"/v1/{name}")  # the latest first

    def _undelivered(self, params: JSON) -> list[JSON]:
        assert params["delivery_success"] is False
        assert len(params["types"]) <= 20
        since = params["created"]["gte"]
        found = [one for one in self.events if one["id"] not in self.delivered and one["created"] >= since]
        return [one for one in reversed(found) if one["type"] in params["types"]]

    def _page(self, found: list[JSON], url: str) -> JSON:
        assert len(found) <= 100
        return {"object": "list", "data": found, "has_more": False, "url": url}

    def _expanded(self, found: JSON, paths: Iterable[str]) -> JSON:
        """A copy without what is ours, and what was asked for in place of its id."""
        shown = {name: value for name, value in found.items() if not name.startswith("_")}
        for path in paths:
            first, _, rest = path.partition(".")
            if (first, found["object"]) == ("refunds", "charge"):
                refunds = self.list("refund", charge=found["id"])
                shown[first] = self._page(refunds[-10:], f"/v1/charges/{found['id']}/refunds")
                shown[first]["has_more"] = len(refunds) > 10
                continue
            if first not in shown:
                raise Refused("This property cannot be expanded.", param="expand")
            if shown[first] is not None:
                shown[first] = self._expanded(self.objects[shown[first]], [rest] if rest else [])
        return shown

    def forget_keys(self) -> None:
        """A day has passed: what is asked for under a key of old is done anew."""
        self.answers.clear()

    def sign(self, body: str, *, secret: str = SECRET, age: float = 0) -> str:
        """A Stripe-Signature header of so many seconds ago, with a scheme of old beside it."""
        at = int(time.time() - age)
        signed = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
        return f"t={at},v1={signed},v0={'0' * 64}"

    async def deliver(self, client: Any, *events: JSON, **signing: Any) -> list[httpx.Response]:
        """Bring these notices to Veza, or all that were not; the answers."""
        answers = []
        for event in events or [one for one in self.events if one["id"] not in self.delivered]:
            body = json.dumps(event, indent=2, ensure_ascii=False)
            headers = {"Stripe-Signature": self.sign(body, **signing), "Content-Type": "application/json"}
            answers.append(await client.post(WEBHOOK, content=body.encode(), headers=headers))
            if answers[-1].status_code == 200:
                self.delivered.add(event["id"])
        return answers

    def told(self, kind: str) -> JSON:
        """The last event of a kind."""
        return next(one for one in reversed(self.events) if one["type"] == kind)


def check_key(authorization: str | None) -> None:
    """Refuse whoever has no key, or another."""
    if authorization != f"Bearer {KEY}":
        message = f"Invalid API Key provided: {(authorization or '').removeprefix('Bearer ')}"
        raise Refused(message, 401)


def _handler(fake: FakeStripe) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are written apart: the second would wait 40 ms for the first to be acknowledged.
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            url = urlsplit(self.path)
            text = self.rfile.read(size).decode() if self.command == "POST" else url.query
            status, body, more = fake.answer(self.command, url.path, text, self.headers)
            lost = f"{self.command} {url.path}" == fake.lost
            if fake.broken or lost:
                fake.broken -= not lost
                self.close_connection = True
                return
            raw = json.dumps(body).encode()
            self.send_response(status)
            headers = {"Content-Type": "application/json", "Content-Length": str(len(raw)),
                       "Request-Id": f"req_{len(fake.asked)}", **more}  # fmt: skip
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = _answer  # noqa: N815 - the names that the server looks for

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base
            """Say nothing."""

    return Handler


@asynccontextmanager
async def fake_stripe() -> AsyncIterator[tuple[FakeStripe, dict[str, Any]]]:
    """Stripe, and the settings with which Veza works with it."""
    fake = FakeStripe()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    settings = {
        "payment_provider": "stripe", "stripe_secret_key": KEY, "public_url": "https://music.example",
        "stripe_webhook_secrets": f"whsec_the-old-one,{SECRET}",
        "stripe_api_url": f"http://127.0.0.1:{server.server_address[1]}",
    }  # fmt: skip
    delay = HTTPClient.INITIAL_DELAY
    HTTPClient.INITIAL_DELAY = 0.001  # s; the library waits half a second before it asks anew
    try:
        yield fake, settings
        assert fake.crashes == []
    finally:
        HTTPClient.INITIAL_DELAY = delay
        server.shutdown()
        server.server_close()
        thread.join()
