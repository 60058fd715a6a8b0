"""The pages that show the API work with no network: whatever they load is served from here."""

import re
from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from veza.core.docs_pages import FILES, docs_routes

DOCUMENT = b'{"openapi": "3.0.3"}'
PATHS = ["/swagger/doc.json", *FILES]


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Litestar]]:
    app = Litestar(docs_routes(lambda: DOCUMENT), openapi_config=None)
    with TestClient(app) as client:
        yield client


def test_the_document_is_what_it_was_given(client: TestClient[Litestar]) -> None:
    answer = client.get("/swagger/doc.json")
    assert answer.content == DOCUMENT
    assert answer.headers["content-type"] == "application/json"


def test_the_address_of_the_server_leads_to_them(client: TestClient[Litestar]) -> None:
    answer = client.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (302, "redoc")
    assert client.get("/").url.path == "/redoc"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("accepted", ["gzip, deflate", "identity", "gzip;q=0", "*"])
def test_every_file_is_served_and_known_again(client: TestClient[Litestar], path: str, accepted: str) -> None:
    answer = client.get(path, headers={"Accept-Encoding": accepted})
    assert answer.status_code == 200
    assert len(answer.content) > 0
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    again = client.get(path, headers={"Accept-Encoding": accepted, "If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == answer.headers["etag"]


@pytest.mark.parametrize("path", [path for path, (name, _) in FILES.items() if name.endswith(".gz")])
def test_compressed_and_plain_are_the_same_file(client: TestClient[Litestar], path: str) -> None:
    packed = client.get(path, headers={"Accept-Encoding": "gzip"})
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert packed.headers["etag"] != plain.headers["etag"]
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("path", ["/swagger/index.html", "/redoc"])
def test_a_page_loads_only_what_is_here_and_holds_no_script(client: TestClient[Litestar], path: str) -> None:
    page = client.get(path).text
    assert "<script>" not in page
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(loaded) >= 3
    for address in loaded:
        if address != "data:,":
            target = client.base_url.join(path).join(address)
            assert target.host == client.base_url.host
            assert client.get(target.path).status_code == 200


def test_redoc_asks_no_other_server_for_its_logo(client: TestClient[Litestar]) -> None:
    assert "cdn.redoc" not in client.get("/redoc/redoc.standalone.js").text


@pytest.mark.parametrize(
    "path", ["/swagger/README.md", "/swagger/../docs_pages.py", "/redoc/%2e%2e/docs_pages.py"]
)
def test_nothing_else_is_served(client: TestClient[Litestar], path: str) -> None:
    assert client.get(path).status_code == 404
