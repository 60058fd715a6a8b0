"""The 3.1 document that the framework writes becomes a 3.0.3 document that a validator accepts."""

import copy
import datetime as dt
import enum
import json
import uuid
from typing import Annotated, Any, Literal

import msgspec
import pytest
from litestar import Litestar, get, post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.openapi.config import OpenAPIConfig
from litestar.params import Body, Parameter
from openapi_spec_validator import OpenAPIV30SpecValidator, validate

from veza.core.openapi import schema_to_3_0_3, to_3_0_3

REF = {"$ref": "#/components/schemas/Thing"}
STRING = {"type": "string"}
NULL = {"type": "null"}

SCHEMAS = {
    "plain": ({"type": "string", "maxLength": 3}, {"type": "string", "maxLength": 3}),
    "true": (True, {}),
    "false": (False, {"not": {}}),
    "one type or null": ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
    "null alone": (NULL, {"nullable": True, "enum": [None]}),
    "several types": (
        {"type": ["string", "array"], "maxLength": 2},
        {"anyOf": [STRING, {"type": "array", "items": {}}], "maxLength": 2},
    ),
    "several types beside a choice": (
        {"type": ["string", "integer"], "anyOf": [{"minimum": 1}, {"minLength": 1}]},
        {"allOf": [{"anyOf": [STRING, {"type": "integer"}]}], "anyOf": [{"minimum": 1}, {"minLength": 1}]},
    ),
    "oneOf with null": ({"oneOf": [STRING, NULL]}, {"type": "string", "nullable": True}),
    "anyOf with null, told beside": (
        {"anyOf": [{"type": "string", "description": "inner"}, NULL], "description": "outer"},
        {"type": "string", "nullable": True, "description": "outer"},
    ),
    "a reference or null": ({"oneOf": [REF, NULL]}, {"allOf": [REF], "nullable": True}),
    "two or null": (
        {"oneOf": [STRING, {"type": "integer"}, NULL]},
        {"oneOf": [STRING, {"type": "integer"}], "nullable": True},
    ),
    "two without null": ({"anyOf": [STRING, REF]}, {"anyOf": [STRING, REF]}),
    "a choice of values or null": (
        {"oneOf": [{"type": "string", "enum": ["a"]}, NULL]},
        {"type": "string", "enum": ["a", None], "nullable": True},
    ),
    "const": ({"const": "a"}, {"type": "string", "enum": ["a"]}),
    "const true": ({"type": "boolean", "const": True}, {"type": "boolean", "enum": [True]}),
    "enum with null": (
        {"type": ["string", "null"], "enum": ["a", None]},
        {"type": "string", "nullable": True, "enum": ["a", None]},
    ),
    "enum of two types": ({"enum": [1, "a"]}, {"enum": [1, "a"]}),
    "examples": ({"type": "string", "examples": ["a", "b"]}, {"type": "string", "example": "a"}),
    "examples by name": ({"examples": {"x": {"value": 0}}}, {"example": 0}),
    "over a number": (
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "number", "minimum": 0, "exclusiveMinimum": True},
    ),
    "the tighter bound": ({"maximum": 5, "exclusiveMaximum": 9}, {"maximum": 5}),
    "the excluded bound": ({"maximum": 5, "exclusiveMaximum": 5}, {"maximum": 5, "exclusiveMaximum": True}),
    "a file": (
        {"type": "string", "contentMediaType": "application/octet-stream"},
        {"type": "string", "format": "binary"},
    ),
    "base64": ({"type": "string", "contentEncoding": "base64"}, {"type": "string", "format": "byte"}),
    "a reference": (REF, REF),
    "a reference, described": ({**REF, "description": "x"}, {"allOf": [REF], "description": "x"}),
    "a tuple": (
        {"type": "array", "prefixItems": [STRING, {"type": "integer"}, STRING], "items": False},
        {"type": "array", "maxItems": 3, "items": {"anyOf": [STRING, {"type": "integer"}]}},
    ),
    "an open tuple": ({"type": "array", "prefixItems": [STRING]}, {"type": "array", "items": {}}),
    "a tuple, then more": (
        {"type": "array", "prefixItems": [STRING], "items": STRING},
        {"type": "array", "items": STRING},
    ),
    "an empty array": ({"type": "array", "items": False}, {"type": "array", "items": {}, "maxItems": 0}),
    "an array of anything": ({"type": "array"}, {"type": "array", "items": {}}),
    "names like keywords": (
        {"type": "object", "properties": {"const": {"const": 1}, "examples": {"type": ["integer", "null"]}}},
        {
            "type": "object",
            "properties": {
                "const": {"type": "integer", "enum": [1]},
                "examples": {"type": "integer", "nullable": True},
            },
        },
    ),
    "a map": (
        {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
        {"type": "object", "additionalProperties": {"type": "string", "nullable": True}},
    ),
    "a closed object": ({"additionalProperties": False}, {"additionalProperties": False}),
    "names by pattern": (
        {"patternProperties": {"^a": STRING}, "additionalProperties": False},
        {"additionalProperties": STRING},
    ),
    "nothing required": ({"type": "object", "required": []}, {"type": "object"}),
    "parts": ({"allOf": [REF, {"const": 1}], "not": NULL}, {
        "allOf": [REF, {"type": "integer", "enum": [1]}], "not": {"nullable": True, "enum": [None]},
    }),
    "unknown to 3.0.3": (
        {"$schema": "x", "$id": "y", "$comment": "z", "propertyNames": STRING, "unevaluatedProperties": False,
         "if": {}, "then": {}, "dependentRequired": {}, "contains": {}, "type": "object"},
        {"type": "object"},
    ),
    "extensions": ({"x-mine": {"type": ["a"]}}, {"x-mine": {"type": ["a"]}}),
}  # fmt: skip


@pytest.mark.parametrize(("schema", "expected"), SCHEMAS.values(), ids=SCHEMAS)
def test_schema(schema: Any, expected: Any) -> None:
    before = copy.deepcopy(schema)
    converted = schema_to_3_0_3(schema)
    assert converted == expected
    assert schema == before, "the given schema was changed"
    document = {"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": {}}
    validate({**document, "components": {"schemas": {"Thing": {"type": "object"}, "Tested": converted}}})


def test_everything_around_the_schemas() -> None:
    nullable = {"type": ["string", "null"]}
    parameter = {"name": "q", "in": "query", "schema": nullable}
    answer = {
        "description": "Good",
        "headers": {"X-Total": {"schema": nullable}},
        "content": {"application/json": {"schema": nullable, "examples": {"one": {"value": "x"}}}},
    }
    document = {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "t",
            "version": "1",
            "summary": "s",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "webhooks": {"x": {}},
        "paths": {
            "/a": {
                "parameters": [parameter],
                "post": {
                    "parameters": [{"$ref": "#/components/parameters/Q", "description": "dropped"}],
                    "requestBody": {"content": {"application/json": {"schema": nullable}}},
                    "responses": {"200": answer, "404": {"$ref": "#/components/responses/No"}},
                    "callbacks": {"on": {"{$request.body#/url}": {"post": {"responses": {"200": answer}}}}},
                },
                "get": {"operationId": "bare"},
            }
        },
        "components": {
            "parameters": {"Q": parameter},
            "responses": {"No": answer},
            "requestBodies": {"B": {"content": {"application/json": {"schema": nullable}}}},
            "headers": {"H": {"schema": nullable}},
            "schemas": {"S": nullable},
            "pathItems": {"p": {}},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "certificate": {"type": "mutualTLS"},
            },
        },
    }
    before = copy.deepcopy(document)
    converted = to_3_0_3(document)
    assert document == before
    validate(converted, cls=OpenAPIV30SpecValidator)
    text = json.dumps(converted)
    for word in (
        "jsonSchemaDialect",
        "webhooks",
        "pathItems",
        "identifier",
        "mutualTLS",
        "dropped",
        '"null"',
    ):
        assert word not in text
    assert text.count('"nullable": true') == text.count('"schema":') + 1
    assert converted["paths"]["/a"]["post"]["responses"]["200"]["content"]["application/json"][
        "examples"
    ] == {"one": {"value": "x"}}


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Cat(msgspec.Struct, tag="cat"):
    lives: int


class Dog(msgspec.Struct, tag="dog"):
    tricks: list[str] = []


class Owner(msgspec.Struct):
    born: dt.datetime
    id: uuid.UUID


class Pet(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=10, description="Its name", examples=["Rex"])]
    size: Literal["small", "large"]
    alive: Literal[True]
    animal: Cat | Dog
    colour: Colour
    owner: Owner | None = None
    second_colour: Colour | None = None
    nickname: str | None = None
    tag: int | str | None = None
    weights: dict[str, float] = {}
    place: tuple[float, float] = (0, 0)
    share: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5
    mood: Literal["good", "bad"] | None = None
    bought: dt.date | None = None
    earlier: list[Owner] | None = None


class Picture(msgspec.Struct):
    file: UploadFile
    title: str | None = None


@get("/pets/{pet_id:uuid}")
async def get_pet(
    pet_id: uuid.UUID, page: Annotated[int, Parameter(ge=1)] = 1, colour: Colour | None = None
) -> Pet:
    raise NotImplementedError


@post("/pets")
async def post_pet(data: Pet) -> Pet | None:
    raise NotImplementedError


@post("/pictures")
async def post_picture(
    data: Annotated[Picture, Body(media_type=RequestEncodingType.MULTI_PART)],
) -> dict[str, Owner]:
    raise NotImplementedError


def test_an_application_with_every_kind_of_field() -> None:
    config = OpenAPIConfig(title="Pets", version="1")
    app = Litestar([get_pet, post_pet, post_picture], openapi_config=config)
    document = to_3_0_3(msgspec.json.decode(msgspec.json.encode(app.openapi_schema.to_schema())))
    validate(document, cls=OpenAPIV30SpecValidator)
    pet = document["components"]["schemas"]["Pet"]["properties"]
    assert pet["nickname"] == {"type": "string", "nullable": True}
    assert pet["owner"] == {"allOf": [{"$ref": "#/components/schemas/Owner"}], "nullable": True}
    assert pet["mood"] == {"type": "string", "enum": ["good", "bad", None], "nullable": True}
    assert pet["bought"] == {"type": "string", "format": "date", "nullable": True}
    assert pet["share"]["exclusiveMaximum"] is True
    assert pet["name"]["example"] == "Rex"
    assert document["components"]["schemas"]["Picture"]["properties"]["file"]["format"] == "binary"
