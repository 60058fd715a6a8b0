"""What tests of chat share: rooms, and what was said in them."""

from typing import Any

from tests.world import Person


async def room(owner: Person, *members: Person, kind: str = "private", name: str = "Backstage") -> str:
    """A room with these people in it; its id."""
    answer = await owner.post("/chat/rooms", json={"name": name, "type": kind})
    assert answer.status_code == 201, answer.text
    room_id = str(answer.json()["data"]["room"]["id"])
    for member in members:
        added = await owner.post(f"/chat/rooms/{room_id}/members", json={"user_id": member.id})
        assert added.status_code == 201, added.text
    return room_id


async def direct(one: Person, two: Person) -> Any:
    """The direct room of two people."""
    answer = await one.post("/chat/rooms", json={"type": "direct", "user_id": two.id})
    return answer.json()["data"]["room"] if answer.status_code == 201 else answer


async def say(person: Person, room_id: str, content: str, **more: Any) -> Any:
    """Say something; the message."""
    answer = await person.post(f"/chat/rooms/{room_id}/messages", json={"content": content, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]["message"]


async def heard(person: Person, room_id: str, query: str = "") -> list[Any]:
    """What somebody sees of a room."""
    answer = await person.get(f"/chat/rooms/{room_id}/messages{query}")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"]["messages"])


def outcome(answer: Any) -> tuple[int, str]:
    """Status and code."""
    body = answer.json()
    return answer.status_code, "" if body["success"] else body["error"]["code"]
