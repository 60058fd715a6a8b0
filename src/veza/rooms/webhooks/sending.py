"""The requests that go to receivers, as Standard Webhooks has them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from veza import __version__
from veza.access.secrets import Keyring, SecretRefused
from veza.core import clock
from veza.core.outgoing import Answer, Courier, Line
from veza.core.targets import read_target
from veza.core.text import BadValue
from veza.rooms.webhooks.keys import open_keys
from veza.rooms.webhooks.schemas import Attempt, Envelope
from veza.rooms.webhooks.store import Hook

_SHOWN = 4


class Post(msgspec.Struct, frozen=True):
    """A request that was sent and what came of it; ``shown`` are its headers without the API key."""

    body: str
    shown: dict[str, str]
    attempt: Attempt
    retry_after: str

    @property
    def arrived(self) -> bool:
        """Whether the receiver says that all is well; a redirect is not."""
        status = self.attempt.status
        return status is not None and 200 <= status < 300  # noqa: PLR2004 - HTTP's own classes


class Message(msgspec.Struct, frozen=True):
    """What is to be told: the event's id, kind and time, and what there is to say."""

    id: UUID
    kind: str
    event_at: datetime
    data: Any


class Sender:
    """Signs messages and sends them."""

    def __init__(self, keyring: Keyring, courier: Courier) -> None:
        self._keyring = keyring
        self._courier = courier

    async def prepare(self) -> None:
        """Have what every line needs; before the first of them."""
        await self._courier.prepare()

    def line(self, most: int = 1) -> Line:
        """Connections to one receiver."""
        return self._courier.line(most)

    async def send(self, line: Line, hook: Hook, message: Message) -> Post:
        """Send a message once; whatever becomes of it is told by the answer."""
        at = clock.now()
        body = msgspec.json.encode(Envelope(message.kind, message.event_at, message.data))
        try:
            headers = self._headers(hook, str(message.id), at, body)
        except SecretRefused:  # the server's own secret was lost, and with it the hook's
            return Post("", {}, Attempt(at, None, "KEYS_LOST", 0), "")
        try:
            target = read_target(hook.url)
        except BadValue as refused:  # an older version took it
            return Post("", {}, Attempt(at, None, refused.code, 0), "")
        answer = await line.post(target, body, headers)
        return Post(body.decode(), _shown(headers), _attempt(at, answer), answer.retry_after)

    def _headers(self, hook: Hook, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
        keys = open_keys(self._keyring, hook.id, hook.keys)
        return {
            "Content-Type": "application/json",
            "User-Agent": f"Veza-Webhooks/{__version__}",
            "Authorization": f"Bearer {keys.api_key}",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": keys.sign(message_id, at, body),
        }


def _shown(headers: Mapping[str, str]) -> dict[str, str]:
    key = headers["Authorization"]
    return {**headers, "Authorization": f"Bearer wh_…{key[-_SHOWN:]}"}


def _attempt(at: datetime, answer: Answer) -> Attempt:
    error = answer.error
    if error is None and answer.status is not None and not 200 <= answer.status < 300:  # noqa: PLR2004 - as above
        error = "BAD_STATUS"
    return Attempt(at, answer.status, error, round(answer.seconds * 1000))
