"""Replaying the contract: what an example shows is sent, and the answer is held against what it shows.

An answer has the status and every key of its example, each of the example's type; it may have more.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from tests.contract.check import ENDPOINTS, JSON_BODY, name_of
from tests.world import Person

# What is decided otherwise than an example shows, and why; by the endpoint, and by where in its answer.
OTHERWISE = {
    (
        "GET /users/{id}",
        "answer.data.profile.email",
    ): "an address is for its owner and admins; null to others",
    (
        "GET /admin/audit/logs",
        "answer.data.logs[].user_id",
    ): "what a guest or the server itself did is nobody's",
}
# A value for each parameter that a list may be narrowed by; ids are those of the scene.
QUERY = {
    "page": "1", "limit": "20", "genre": "Electronic", "format": "mp3", "sort_order": "desc",
    "sort_by": "created_at", "q": "title", "type": "tracks", "status": "active", "min_duration": "1",
    "max_duration": "600", "start_date": "2025-01-01T00:00:00Z", "end_date": "2034-12-31T23:59:59Z",
    "is_public": "true", "unread_only": "true", "action": "track.uploaded",
}  # fmt: skip


def misfits(example: Any, answer: Any, where: str = "answer") -> Iterator[tuple[str, str]]:
    """Where an answer lacks what its example has, or has it of another type; and why."""
    if example == "...":
        return
    if isinstance(example, dict) and isinstance(answer, dict):
        for key, value in example.items():
            if key in answer:
                yield from misfits(value, answer[key], f"{where}.{key}")
            else:
                yield f"{where}.{key}", "is missing"
    elif isinstance(example, list) and isinstance(answer, list):
        if example and not answer and example != ["..."]:
            yield where, "is empty"
        for value in answer if example else ():
            yield from misfits(example[0], value, f"{where}[]")
    elif kind_of(example) is not kind_of(answer):
        yield where, f"is {answer!r}, not like {example!r}"


def kind_of(value: Any) -> type:
    """The type as JSON has it: all numbers are of one."""
    return float if type(value) is int else type(value)


class Replay:
    """The examples of some sections: which are still to be sent, and what was wrong with the others."""

    def __init__(self, *sections: str) -> None:
        self.examples = {
            name_of(one).replace("/api/v1", ""): one for one in ENDPOINTS if one["section"] in sections
        }
        self.left = set(self.examples)
        self.excused: set[tuple[str, str]] = set()
        self._wrong: list[str] = []

    @property
    def wrong(self) -> list[str]:
        """All that was wrong, an endpoint that was never asked as well."""
        return [*self._wrong, *(f"{name}: was not asked" for name in sorted(self.left))]

    async def ask(
        self,
        person: Person,
        name: str,
        *ids: str,
        like: str = "",
        query: Any = None,
        files: Any = None,
        kind: str = JSON_BODY,
        **live: Any,
    ) -> Any:
        """Send an example with live ids, tokens and files in place of its own; the answer's JSON, if it is.

        An example without an answer is held against the one that it is ``like``. ``kind`` is the answer's
        Content-Type: another one is wrong.
        """
        example = self.examples[name]
        self.left.discard(name)
        path = example["path"].removeprefix("/api/v1")
        for one in ids:
            path = re.sub(r"{\w+}", one, path, count=1)
        if query is not None:
            path = f"{path.partition('?')[0]}?{urlencode(query)}"
        body = (example["request"] or {}) | live
        sent = {"data": live, "files": files} if files else {"json": body} if body else {}
        answer = await person.client.request(example["method"], path, **sent)
        if answer.status_code != example["status"]:
            self._wrong.append(f"{name}: {answer.status_code} {answer.text[:200]}")
            return None
        if answer.headers["content-type"] != kind:
            self._wrong.append(f"{name}: is {answer.headers['content-type']}, not {kind}")
            return None
        if kind != JSON_BODY:
            return None
        found, shown = answer.json(), self.examples[like or name]["response"]
        for where, why in () if shown is None else misfits(shown, found):
            if (name, where) in OTHERWISE:
                self.excused.add((name, where))
            else:
                self._wrong.append(f"{name}: {where} {why}")
        return found

    async def narrow(self, person: Person, name: str, *ids: str, **values: str) -> None:
        """Send it once more with every parameter that is documented, so that something is still found."""
        wanted = [one["name"] for one in self.examples[name]["query"]]
        await self.ask(person, name, *ids, query={one: (QUERY | values)[one] for one in wanted})
