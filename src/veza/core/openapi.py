"""From OpenAPI 3.1, which the framework writes, to OpenAPI 3.0.3, which more tools read.

A pure function over the document. 3.1 schemas are JSON Schema 2020-12; 3.0.3 has a dialect of its own,
without `null` as a type. What 3.0.3 cannot say is said more loosely: what was valid before still is.

Sources: OpenAPI Specification 3.0.3 and 3.1.0; the 3.1 release notes, "Migrating from OpenAPI 3.0 to 3.1.0".
"""

from collections.abc import Callable, Mapping
from typing import Any

Json = dict[str, Any]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

# The keywords of a 3.0.3 schema that mean the same in 3.1 and hold no schema. Those missing here are turned
# into others below, or have no counterpart (`if`, `propertyNames`, `unevaluatedProperties`, `$schema`, ...).
_SAME = frozenset(
    {
        "title", "description", "default", "format", "multipleOf", "maximum", "minimum", "maxLength",
        "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "maxProperties", "minProperties",
        "discriminator", "readOnly", "writeOnly", "xml", "externalDocs", "example", "deprecated",
    }
)  # fmt: skip

_TYPE_OF = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


def to_3_0_3(document: Mapping[str, Any]) -> Json:
    """Return the same API as a valid OpenAPI 3.0.3 document; `document` stays as it is."""
    out = {key: value for key, value in document.items() if key not in {"jsonSchemaDialect", "webhooks"}}
    out["openapi"] = "3.0.3"
    out["info"] = _info(document["info"])
    out["paths"] = _each(document.get("paths", {}), _path_item)
    if "components" in document:
        out["components"] = _components(document["components"])
    return out


def _each(things: Mapping[str, Any], convert: Callable[[Any], Any]) -> Json:
    return {name: convert(thing) for name, thing in things.items()}


def _info(info: Mapping[str, Any]) -> Json:
    out = {key: value for key, value in info.items() if key != "summary"}
    if "license" in out:
        out["license"] = {key: value for key, value in out["license"].items() if key != "identifier"}
    return out


def _components(components: Mapping[str, Any]) -> Json:
    converters = {
        "schemas": schema_to_3_0_3,
        "responses": _response,
        "parameters": _parameter,
        "requestBodies": _with_content,
        "headers": _parameter,
        "callbacks": _callback,
    }
    out: Json = {}
    for kind, things in components.items():
        if kind == "securitySchemes":
            out[kind] = {name: scheme for name, scheme in things.items() if scheme.get("type") != "mutualTLS"}
        elif kind != "pathItems":
            out[kind] = _each(things, converters.get(kind, lambda thing: thing))
    return out


def _path_item(item: Mapping[str, Any]) -> Json:
    out = dict(item)
    if "parameters" in out:
        out["parameters"] = [_parameter(parameter) for parameter in out["parameters"]]
    for method in METHODS:
        if method in out:
            out[method] = _operation(out[method])
    return out


def _operation(operation: Mapping[str, Any]) -> Json:
    out = dict(operation)
    if "parameters" in out:
        out["parameters"] = [_parameter(parameter) for parameter in out["parameters"]]
    if "requestBody" in out:
        out["requestBody"] = _with_content(out["requestBody"])
    if "callbacks" in out:
        out["callbacks"] = _each(out["callbacks"], _callback)
    out["responses"] = _each(out.get("responses") or {"default": {"description": "Any answer"}}, _response)
    return out


def _callback(callback: Mapping[str, Any]) -> Json:
    return _reference(callback) or _each(callback, _path_item)


def _reference(thing: Mapping[str, Any]) -> Json | None:
    """Return a reference without the texts beside it, which 3.0.3 does not know; None for anything else."""
    return {"$ref": thing["$ref"]} if "$ref" in thing else None


def _with_content(thing: Mapping[str, Any]) -> Json:
    reference = _reference(thing)
    if reference is not None:
        return reference
    out = dict(thing)
    if "content" in out:
        out["content"] = _each(out["content"], _media_type)
    return out


def _response(response: Mapping[str, Any]) -> Json:
    out = _with_content(response)
    if "headers" in out:
        out["headers"] = _each(out["headers"], _parameter)
    return out


def _parameter(parameter: Mapping[str, Any]) -> Json:
    out = _with_content(parameter)
    if "schema" in out:
        out["schema"] = schema_to_3_0_3(out["schema"])
    return out


def _media_type(media_type: Mapping[str, Any]) -> Json:
    out = dict(media_type)
    if "schema" in out:
        out["schema"] = schema_to_3_0_3(out["schema"])
    if "encoding" in out:
        out["encoding"] = _each(out["encoding"], _response)
    return out


def schema_to_3_0_3(schema: Mapping[str, Any] | bool) -> Json:  # noqa: FBT001 - a schema may be `true` or `false`
    """Return one schema in the 3.0.3 dialect."""
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    if "$ref" in schema:
        return _schema_reference(schema)
    out = {key: value for key, value in schema.items() if key in _SAME or key.startswith("x-")}
    _parts(schema, out)
    _type(schema, out)
    _values(schema, out)
    _bounds(schema, out)
    _bytes(schema, out)
    _array(schema, out)
    _alternatives(schema, out)
    return out


def _schema_reference(schema: Mapping[str, Any]) -> Json:
    """A reference stands alone in 3.0.3: what stood beside it goes around it."""
    reference = {"$ref": schema["$ref"]}
    beside = schema_to_3_0_3({key: value for key, value in schema.items() if key != "$ref"})
    if not beside:
        return reference
    return {**beside, "allOf": [reference, *beside.get("allOf", [])]}


def _parts(schema: Mapping[str, Any], out: Json) -> None:
    if "properties" in schema:
        out["properties"] = _each(schema["properties"], schema_to_3_0_3)
    if schema.get("required"):
        out["required"] = list(schema["required"])
    if "allOf" in schema:
        out["allOf"] = [schema_to_3_0_3(part) for part in schema["allOf"]]
    if "not" in schema:
        out["not"] = schema_to_3_0_3(schema["not"])
    others = schema.get("additionalProperties")
    patterns = list(schema.get("patternProperties", {}).values())
    if patterns and others is not True:
        # 3.0.3 knows no patterns of names: any name may have any of the values that a pattern allows.
        values = [schema_to_3_0_3(part) for part in (patterns + ([others] if others else []))]
        out["additionalProperties"] = _any_of(values)
    elif others is not None:
        out["additionalProperties"] = others if isinstance(others, bool) else schema_to_3_0_3(others)


def _type(schema: Mapping[str, Any], out: Json) -> None:
    given = schema.get("type")
    types = given if isinstance(given, list) else [] if given is None else [given]
    named = [one for one in types if one != "null"]
    if "null" in types:
        out["nullable"] = True
        if not named:
            out["enum"] = [None]
    if len(named) == 1:
        out["type"] = named[0]
    elif named:
        # What limits one type says nothing of another, so it may stand beside the choice.
        choice = {"anyOf": [{"type": one} if one != "array" else {"type": one, "items": {}} for one in named]}
        if "anyOf" in schema:
            out["allOf"] = [*out.get("allOf", []), choice]
        else:
            out.update(choice)


def _values(schema: Mapping[str, Any], out: Json) -> None:
    """`const` is an `enum` of one; of the examples, the first is the example."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values is not None:
        out["enum"] = list(values)
        kinds = {_TYPE_OF[type(value)] for value in values if value is not None}
        if "type" not in out and len(kinds) == 1:
            out["type"] = kinds.pop()
        if None in values:
            out["nullable"] = True
        elif out.get("nullable"):
            out["enum"].append(None)
    examples = schema.get("examples")
    if examples and "example" not in out:
        first = examples[0] if isinstance(examples, list) else next(iter(examples.values()))
        out["example"] = first["value"] if isinstance(first, dict) and "value" in first else first


def _bounds(schema: Mapping[str, Any], out: Json) -> None:
    """An excluded bound is a number of its own in 3.1, and a flag beside the bound in 3.0.3."""
    for bound, excluded, tighter in (
        ("minimum", "exclusiveMinimum", max),
        ("maximum", "exclusiveMaximum", min),
    ):
        limit = schema.get(excluded)
        if limit is None or isinstance(limit, bool):
            continue
        if bound not in schema or tighter(schema[bound], limit) == limit:
            out[bound], out[excluded] = limit, True


def _bytes(schema: Mapping[str, Any], out: Json) -> None:
    if "contentEncoding" in schema:
        out["format"] = "byte"
    elif "contentMediaType" in schema:
        out.setdefault("format", "binary")


def _array(schema: Mapping[str, Any], out: Json) -> None:
    """`items` is one schema in 3.0.3, and an array must have it."""
    leading = schema.get("prefixItems", [])
    rest = schema.get("items")
    if leading:
        kinds = [schema_to_3_0_3(part) for part in leading]
        if rest is False:
            out["maxItems"] = min(len(leading), out.get("maxItems", len(leading)))
        elif rest is not None:
            kinds.append(schema_to_3_0_3(rest))
        # Without `items`, what follows the leading ones may be anything.
        out["items"] = (
            {} if rest is None and out.get("maxItems", len(leading) + 1) > len(leading) else _any_of(kinds)
        )
    elif rest is False:
        out["items"], out["maxItems"] = {}, 0
    elif rest is not None:
        out["items"] = schema_to_3_0_3(rest)
    elif out.get("type") == "array":
        out["items"] = {}


def _alternatives(schema: Mapping[str, Any], out: Json) -> None:
    """A choice that has `null` in it is a choice without, that is `nullable`."""
    for keyword in ("anyOf", "oneOf"):
        if keyword not in schema:
            continue
        choices = [choice for choice in schema[keyword] if not _is_null(choice)]
        nullable = len(choices) < len(schema[keyword])
        converted = [schema_to_3_0_3(choice) for choice in choices]
        if nullable and len(converted) == 1:
            only = converted[0]
            if "$ref" in only or only.keys() & out.keys() & {"allOf", "anyOf", "enum", "properties"}:
                out["allOf"] = [*out.get("allOf", []), only]
            else:
                out.update({key: value for key, value in only.items() if key not in out})
                if "enum" in only and None not in only["enum"]:
                    out["enum"] = [*only["enum"], None]
        elif converted:
            out[keyword] = converted
        if nullable:
            out["nullable"] = True


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and (
        schema.get("type") in ("null", ["null"]) or schema.get("const", 0) is None
    )


def _any_of(schemas: list[Json]) -> Json:
    """Return the one schema that there is, or the choice between the different ones."""
    different: list[Json] = []
    for schema in schemas:
        if schema not in different:
            different.append(schema)
    return different[0] if len(different) == 1 else {"anyOf": different}
