"""The document of the chat's frames: sound, whole, and what the server really reads."""

import msgspec
import pytest

from veza.core.body import validate
from veza.core.ids import new_id
from veza.rooms.chat.document import asyncapi
from veza.rooms.chat.frames import CLIENT_FRAMES, SERVER_FRAMES


def _references(part):
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def test_every_frame_is_in_the_document_and_every_reference_leads_somewhere() -> None:
    document = asyncapi("1")
    assert document["asyncapi"] == "3.0.0"
    names = {kind.__name__ for kind in (*CLIENT_FRAMES, *SERVER_FRAMES)}
    assert set(document["components"]["messages"]) == set(document["channels"]["chat"]["messages"]) == names
    for reference in _references(document):
        found = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        assert found


def test_what_is_said_of_a_frame_is_indented_by_no_version_of_python() -> None:
    said = [one.get("description", "") for one in asyncapi("1")["components"]["schemas"].values()]
    assert any("\n\n" in one for one in said)
    assert not any("\n " in one for one in said)


@pytest.mark.parametrize("kind", CLIENT_FRAMES, ids=lambda kind: kind.name)
def test_a_frame_as_the_document_has_it_is_read(kind) -> None:
    schema = asyncapi("1")["components"]["schemas"][kind.__name__]
    assert schema["properties"]["type"] == {"enum": [kind.name]}
    given = {"id": 1}
    for name in schema["required"]:
        if name != "type":
            given[name] = str(new_id()) if name.endswith("_id") and name != "client_id" else "x"
    assert isinstance(validate(given, kind), kind)


@pytest.mark.parametrize("kind", SERVER_FRAMES, ids=lambda kind: kind.__name__)
def test_a_frame_of_the_server_says_what_it_is(kind) -> None:
    schema = msgspec.json.schema_components([kind])[1][kind.__name__]
    assert schema["properties"]["type"]["enum"] == [kind.__struct_config__.tag]
