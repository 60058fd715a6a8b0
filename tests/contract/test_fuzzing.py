"""Schemathesis, all its checks: some cases, the same each time; many more with `python -m bench.fuzzing`."""

from pathlib import Path

import pytest

from tests.contract.fuzzing import fuzz, serving


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_the_server_does_what_its_document_says(database_url: str, tmp_path: Path) -> None:
    """G3, G5, G6, G7, G8, G9, G11, G13: each operation with a little, every eighth path with much."""
    with serving(database_url, tmp_path / "data") as house:
        some = fuzz(house, seed=1, examples=1, phases=("fuzzing",))
        more = fuzz(house, seed=1, examples=1, phases=("coverage",), every=8)
    for outcome in (some, more):
        assert outcome.failures == {}, outcome.told
    assert some.total > 300
    assert more.total > 500
