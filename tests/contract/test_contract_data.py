"""The contract's own data is whole, and the check that holds a document against it finds what is wrong."""

import copy
from typing import Any

import pytest

from tests.contract.check import ENDPOINTS, differences, name_of

ENDPOINT = {
    "method": "POST",
    "path": "/api/v1/things/{id}?dry=true",
    "auth": True,
    "query": [{"name": "page"}],
    "form": [],
    "request": {"name": "x"},
    "status": 201,
    "response": {
        "success": True,
        "data": {"thing": {"id": "u", "price": 9.99, "count": 1, "tags": ["a"], "by": {"x": 1}}},
    },
}

THING = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "price": {"type": "number"},
        "count": {"type": "number"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "by": {"type": "object", "additionalProperties": {"type": "integer"}},
        "more": {"type": "string"},
    },
}

DOCUMENT: dict[str, Any] = {
    "paths": {
        "/api/v1/things/{thing_id}": {
            "parameters": [{"name": "dry", "in": "query"}],
            "post": {
                "parameters": [{"$ref": "#/components/parameters/Page"}],
                "security": [{"token": []}],
                "requestBody": {"content": {"application/json": {"schema": {"properties": {"name": {}}}}}},
                "responses": {"201": {"$ref": "#/components/responses/Made"}},
            },
        }
    },
    "components": {
        "parameters": {"Page": {"name": "page", "in": "query"}},
        "responses": {
            "Made": {
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "properties": {
                                "success": {"type": "boolean"},
                                "data": {
                                    "properties": {
                                        "thing": {
                                            "nullable": True,
                                            "allOf": [{"$ref": "#/components/schemas/Thing"}],
                                        }
                                    }
                                },
                            },
                        }
                    }
                }
            }
        },
        "schemas": {"Thing": THING},
    },
}


def test_the_contract_has_84_endpoints_each_once() -> None:
    assert len({name_of(endpoint) for endpoint in ENDPOINTS}) == len(ENDPOINTS) == 84
    assert all(endpoint["path"].startswith("/api/v1/") for endpoint in ENDPOINTS)


def test_a_document_that_declares_all_has_no_differences() -> None:
    assert differences(DOCUMENT, [ENDPOINT]) == {}


POST = ("paths", "/api/v1/things/{thing_id}", "post")
FAULTS: dict[str, tuple[tuple[str, ...], Any, str]] = {
    "no endpoint": (POST, None, "there is no such endpoint"),
    "no parameter of the operation": ((*POST, "parameters"), [], "query parameter `page` is missing"),
    "no parameter of the path": ((*POST[:2], "parameters"), [], "query parameter `dry` is missing"),
    "no token": ((*POST, "security"), [{}], "it does not say that it needs a token"),
    "no body": ((*POST, "requestBody"), {}, "body field `name` (application/json) is missing"),
    "no status": ((*POST, "responses"), {"200": {}}, "status 201 is missing"),
    "no schema": ((*POST, "responses"), {"201": {"content": {}}}, "the answer has no JSON schema"),
    "no field": (
        ("components", "schemas", "Thing", "properties", "id"),
        None,
        "answer.data.thing.id is missing",
    ),
    "another type": (
        ("components", "schemas", "Thing", "properties", "price"),
        {"type": "integer"},
        "answer.data.thing.price is integer, not number",
    ),
    "another type of item": (
        ("components", "schemas", "Thing", "properties", "tags", "items"),
        {"oneOf": [{"type": "integer"}, {"type": "boolean"}]},
        "answer.data.thing.tags[] is boolean/integer, not string",
    ),
    "another type of value": (
        ("components", "schemas", "Thing", "properties", "by", "additionalProperties"),
        {"type": "string"},
        "answer.data.thing.by.x is string, not integer",
    ),
}


@pytest.mark.parametrize(("place", "value", "expected"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found(place: tuple[str, ...], value: Any, expected: str) -> None:
    document = copy.deepcopy(DOCUMENT)
    target = document
    for key in place[:-1]:
        target = target[key]
    if value is None:
        del target[place[-1]]
    else:
        target[place[-1]] = value
    assert differences(document, [ENDPOINT]) == {"POST /api/v1/things/{id}": [expected]}


def test_a_form_field_is_missed() -> None:
    endpoint = {**ENDPOINT, "request": None, "form": [{"name": "file"}]}
    assert differences(DOCUMENT, [endpoint]) == {
        name_of(ENDPOINT): ["body field `file` (multipart/form-data) is missing"]
    }


def test_one_form_of_a_union_is_enough() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["components"]["schemas"]["Thing"] = {"oneOf": [{"type": "string"}, THING]}
    assert differences(document, [ENDPOINT]) == {}
