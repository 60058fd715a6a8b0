"""Holds an OpenAPI document against the endpoints that Veza promises.

`endpoints.json` has for each endpoint its method, path, whether it needs a token, its query parameters and
form fields, an example of the body it takes, the status of success and an example of the answer. The document
must declare all of that; it may declare more.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]

ENDPOINTS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("endpoints.json").read_text("utf-8"))

JSON_BODY = "application/json"
FORM_BODY = "multipart/form-data"


def name_of(endpoint: Json) -> str:
    """Return how an endpoint is called here: its method and its path without a query."""
    return f"{endpoint['method']} {endpoint['path'].partition('?')[0]}"


def differences(document: Json, endpoints: Sequence[Json]) -> dict[str, list[str]]:
    """Return for each endpoint that differs what the document fails to declare; empty when all hold."""
    reader = _Reader(document)
    found = {name_of(endpoint): list(_differences(reader, endpoint)) for endpoint in endpoints}
    return {name: lines for name, lines in found.items() if lines}


def _differences(reader: "_Reader", endpoint: Json) -> Iterator[str]:
    path, _, query = endpoint["path"].partition("?")
    operation = reader.operation(endpoint["method"], path)
    if operation is None:
        yield "there is no such endpoint"
        return
    wanted = {one["name"] for one in endpoint["query"]} | set(re.findall(r"(?:^|&)(\w+)=", query))
    declared = {one["name"] for one in reader.parameters(endpoint["method"], path) if one["in"] == "query"}
    yield from (f"query parameter `{name}` is missing" for name in sorted(wanted - declared))
    if endpoint["auth"] and not any(operation.get("security", reader.document.get("security", []))):
        yield "it does not say that it needs a token"
    yield from _body_differences(reader, operation, JSON_BODY, set(endpoint["request"] or ()))
    yield from _body_differences(reader, operation, FORM_BODY, {one["name"] for one in endpoint["form"]})
    status = str(endpoint["status"])
    if status not in operation.get("responses", {}):
        yield f"status {status} is missing"
    elif endpoint["response"] is not None:
        answer = reader.resolve(operation["responses"][status]).get("content", {}).get(JSON_BODY, {})
        if "schema" in answer:
            yield from reader.misfits(answer["schema"], endpoint["response"], "answer")
        else:
            yield "the answer has no JSON schema"


def _body_differences(reader: "_Reader", operation: Json, media_type: str, wanted: set[str]) -> Iterator[str]:
    body = reader.resolve(operation.get("requestBody", {})).get("content", {}).get(media_type, {})
    declared = {
        name for shape in reader.shapes(body.get("schema", {})) for name in shape.get("properties", {})
    }
    yield from (f"body field `{name}` ({media_type}) is missing" for name in sorted(wanted - declared))


class _Reader:
    """An OpenAPI document, and how its references, unions and intersections are read."""

    def __init__(self, document: Json) -> None:
        self.document = document
        self.items = {_anonymous(path): item for path, item in document["paths"].items()}

    def operation(self, method: str, path: str) -> Json | None:
        found: Json | None = self.items.get(_anonymous(path), {}).get(method.lower())
        return found

    def parameters(self, method: str, path: str) -> list[Json]:
        item = self.items[_anonymous(path)]
        return [
            self.resolve(one) for part in (item, item[method.lower()]) for one in part.get("parameters", ())
        ]

    def resolve(self, thing: Json) -> Json:
        while "$ref" in thing:
            target: Any = self.document
            for part in thing["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            thing = target
        return thing

    def shapes(self, schema: Json) -> list[Json]:
        """Return the forms that a value may have, each without references, unions and intersections."""
        schema = self.resolve(schema)
        forms: list[Json] = [
            {key: value for key, value in schema.items() if key not in {"allOf", "anyOf", "oneOf"}}
        ]
        for part in schema.get("allOf", ()):
            forms = [_both(form, other) for form in forms for other in self.shapes(part)]
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                choices = [choice for part in schema[keyword] for choice in self.shapes(part)]
                forms = [_both(form, choice) for form in forms for choice in choices]
        return forms

    def misfits(self, schema: Json, example: Any, where: str) -> list[str]:
        """Return why the example is not a value of the schema, as its best-fitting form sees it."""
        if example is None or example == "...":
            return []
        forms = self.shapes(schema)
        fitting = [form for form in forms if _is_of_type(example, form)]
        if not fitting:
            types = sorted({str(form.get("type")) for form in forms})
            return [f"{where} is {'/'.join(types)}, not {_type_name(example)}"]
        return min((list(self._inner(form, example, where)) for form in fitting), key=len)

    def _inner(self, form: Json, example: Any, where: str) -> Iterator[str]:
        if isinstance(example, dict):
            others = form.get("additionalProperties", False)
            for key, value in example.items():
                if key in form.get("properties", {}):
                    yield from self.misfits(form["properties"][key], value, f"{where}.{key}")
                elif isinstance(others, dict):
                    yield from self.misfits(others, value, f"{where}.{key}")
                elif others is False:
                    yield f"{where}.{key} is missing"
        elif isinstance(example, list):
            for value in example[:1]:
                yield from self.misfits(form.get("items", {}), value, f"{where}[]")


def _anonymous(path: str) -> str:
    """Return a path whose parameters have no names: those are free."""
    return re.sub(r"\{[^}]*\}", "{}", path).rstrip("/")


def _both(one: Json, other: Json) -> Json:
    merged = {**one, **other}
    if "properties" in one and "properties" in other:
        merged["properties"] = {**one["properties"], **other["properties"]}
    return merged


def _type_name(example: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(example)]


def _is_of_type(example: Any, form: Json) -> bool:
    declared = form.get("type", "object" if "properties" in form else None)
    if declared is None:
        return True
    types = set(declared) if isinstance(declared, list) else {declared}
    return _type_name(example) in types or (_type_name(example) == "integer" and "number" in types)
