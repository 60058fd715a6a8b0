"""The document that the application makes of itself declares every endpoint of the contract.

An endpoint still to come stands in NOT_YET. The list can only shrink: what holds must leave it.
"""

import json
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator, validate

from tests.contract.check import ENDPOINTS, differences, name_of
from veza import process
from veza.core.errors import all_errors
from veza.rooms.uploads.schemas import ChunkForm

NOT_YET: set[str] = set()


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(process.document())
    return made


def operations(document):
    return [operation for item in document["paths"].values() for operation in item.values()]


def test_the_document_is_valid_openapi_3_0_3(document) -> None:
    assert document["openapi"] == "3.0.3"
    validate(document, cls=OpenAPIV30SpecValidator)


def test_every_endpoint_of_the_contract_is_declared_or_named_as_still_to_come(document) -> None:
    found = differences(document, ENDPOINTS)
    wrong = {name: lines for name, lines in found.items() if name not in NOT_YET}
    assert wrong == {}, "\n".join(f"{name}: {line}" for name, lines in wrong.items() for line in lines)


def test_nothing_is_named_as_still_to_come_that_is_here(document) -> None:
    promised = {name_of(endpoint) for endpoint in ENDPOINTS}
    assert promised >= NOT_YET, "not in the contract at all"
    here = NOT_YET - differences(document, ENDPOINTS).keys()
    assert here == set(), "these hold: take them off the list"


def test_the_pages_call_the_server_that_they_came_from(document) -> None:
    """One opened as localhost may not call 127.0.0.1: its own policy forbids it."""
    assert document["servers"] == [{"url": "/"}]


def test_every_operation_has_a_name_and_words_of_its_own(document) -> None:
    for key in ("operationId", "summary"):
        found = [operation[key] for operation in operations(document)]
        assert all(found)
        assert [name for name in found if found.count(name) > 1] == []


def test_every_area_is_described(document) -> None:
    said = [tag["name"] for tag in document["tags"] if tag["description"]]
    assert set(said) == {name for operation in operations(document) for name in operation["tags"]}


def test_forms_say_what_they_need(document) -> None:
    sent = document["paths"]["/api/v1/tracks/chunk"]["post"]["requestBody"]["content"]
    chunk = sent["multipart/form-data"]["schema"]
    assert chunk["required"] == ["chunk", *ChunkForm.__struct_fields__]
    assert chunk["properties"]["upload_id"] == {"type": "string", "format": "uuid"}
    cover = document["paths"]["/api/v1/tracks/{track_id}/cover"]["put"]["requestBody"]["content"]
    assert set(cover) == {"multipart/form-data", "application/json"}
    assert cover["application/json"]["schema"]["required"] == ["upload_id"]


def test_a_body_that_may_be_left_out_is_described(document) -> None:
    for path, method, name in (
        ("/playlists/{playlist_id}/share", "post", "expires_in"),
        ("/users/{user_id}", "delete", "password"),
    ):
        body = document["paths"][f"/api/v1{path}"][method]["requestBody"]
        assert not body["required"]
        assert set(body["content"]["application/json"]["schema"]["properties"]) == {name}


def test_bodies_are_described_as_they_are_read(document) -> None:
    """With what limits each field, and that there are no others."""
    named = document["components"]["schemas"]
    comment = named["CommentDraft"]["properties"]
    assert comment["content"] == {"type": "string", "minLength": 1, "maxLength": 2_000}
    assert comment["timestamp"]["minimum"] == 0
    assert named["ProductDraft"]["properties"]["price"] == {
        "type": "number", "minimum": 0, "maximum": 999_999.99,
    }  # fmt: skip
    for operation in operations(document):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            schema = media["schema"]
            found = named[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
            assert found.get("additionalProperties") is False or "properties" not in found, found


def test_every_error_code_is_listed_in_one_place(document) -> None:
    listed = document["components"]["schemas"]["ErrorEnvelope"]["properties"]["error"]["properties"]["code"]
    assert listed["enum"] == sorted({error.code for error in all_errors()})
    assert {"USERNAME_TAKEN", "UNSUPPORTED_AUDIO", "RATE_LIMITED"} <= set(listed["enum"]), "rooms' own too"


def test_every_answer_says_which_headers_it_has(document) -> None:
    for operation in operations(document):
        for status, answer in operation["responses"].items():
            assert "X-Request-ID" in answer["headers"]
            assert "X-RateLimit-Remaining" in answer["headers"]
            assert ("WWW-Authenticate" in answer["headers"]) == (status == "401")
            assert ("Retry-After" in answer["headers"]) == (status in {"202", "429", "503"})


def test_what_was_given_up_and_what_has_changed_is_said(document) -> None:
    """C15, and If-Match (RFC 9110, 13.1.1): of changes, and of files."""
    paths = document["paths"]
    for path, method in (("chunk", "post"), ("complete", "post"), ("resume/{upload_id}", "get")):
        assert "410" in paths[f"/api/v1/tracks/{path}"][method]["responses"]
    for path in ("tracks/{track_id}", "playlists/{playlist_id}", "users/{user_id}"):
        assert "412" in paths[f"/api/v1/{path}"]["put"]["responses"]
    assert "412" in paths["/api/v1/marketplace/products/{product_id}"]["put"]["responses"]
    assert "412" in paths["/api/v1/tracks/{track_id}"]["delete"]["responses"]
    assert "412" in paths["/api/v1/tracks/{track_id}/stream"]["get"]["responses"]


def test_who_may_call_an_operation_is_said(document) -> None:
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    me = document["paths"]["/api/v1/auth/me"]["get"]
    assert me["security"] == [{"bearer": []}]
    assert "401" in me["responses"]
    assert document["paths"]["/api/v1/tracks"]["get"]["security"] == [{}, {"bearer": []}]
    assert "security" not in document["paths"]["/api/v1/auth/login"]["post"]


def test_ids_are_uuids_and_no_token_is_ever_part_of_an_address(document) -> None:
    """G31, G34: no address holds a token but that of a mail, which works once, and a share link, whose whole
    sense is to be an address; ids are never numbers."""
    told = ("/api/v1/auth/verify-email", "/api/v1/playlists/shared/")
    for path, item in document["paths"].items():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                name = parameter["name"]
                assert "token" not in name or path.startswith(told), path
                assert "password" not in name, path
                if parameter["in"] == "path" and name.endswith("id"):
                    assert parameter["schema"] == {"type": "string", "format": "uuid"}, path
