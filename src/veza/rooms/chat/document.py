"""The chat's frames as an AsyncAPI 3 document, made from their classes."""

import inspect
from typing import Any

import msgspec

from veza.rooms.chat.frames import CLIENT_FRAMES, SERVER_FRAMES, ClientFrame

_REF = "#/components/schemas/{name}"


def asyncapi(version: str) -> dict[str, Any]:
    """The whole document: what a client may say, and what it is told."""
    kinds = [*CLIENT_FRAMES, *SERVER_FRAMES]
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_REF)
    for schema in schemas.values():
        if "description" in schema:  # a docstring, which Python itself leaves indented before 3.13
            schema["description"] = inspect.cleandoc(schema["description"])
    for kind in CLIENT_FRAMES:
        _name(schemas[kind.__name__], kind)
    frames = {kind.__name__: _message(kind) for kind in kinds}
    channel = {"$ref": "#/channels/chat"}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Veza chat", "version": version, "description": "See docs/chat.md."},
        "defaultContentType": "application/json",
        "channels": {
            "chat": {
                "address": "/api/v1/chat/ws",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in frames},
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": {
            "hear": {"action": "receive", "channel": channel, "messages": _refs(CLIENT_FRAMES)},
            "tell": {"action": "send", "channel": channel, "messages": _refs(SERVER_FRAMES)},
        },
        "components": {"messages": frames, "schemas": schemas},
    }


def _name(schema: dict[str, Any], kind: type[ClientFrame]) -> None:
    """Say by which ``type`` a client's frame is known, as those of the server do by themselves."""
    schema["properties"] = {"type": {"enum": [kind.name]}, **schema["properties"]}
    schema["required"] = ["type", *schema.get("required", ())]


def _message(kind: type[msgspec.Struct]) -> dict[str, Any]:
    said = (inspect.getdoc(kind) or "").partition("\n")[0]
    name = kind.name if issubclass(kind, ClientFrame) else kind.__struct_config__.tag
    return {"name": name, "summary": said, "payload": {"$ref": _REF.format(name=kind.__name__)}}


def _refs(kinds: Any) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/chat/messages/{kind.__name__}"} for kind in kinds]
