"""Schemathesis: each operation a little, other paths each time a lot; `python -m bench.fuzzing` does all."""

import random
from pathlib import Path

import pytest

from tests.contract.fuzzing import fuzz, serving

EIGHTHS = 8


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_the_server_does_what_its_document_says(database_url: str, tmp_path: Path) -> None:
    """G3, G5, G6, G7, G8, G9, G11, G13: it takes what it says, refuses what it says, and answers as it says.

    Each operation is asked once or twice, and an eighth of the paths all that is at the bounds of schemas:
    which eighth is drawn, so that each has its turn. Playlists are made, changed and deleted.
    """
    turn = random.randrange(EIGHTHS)
    with serving(database_url, tmp_path / "data") as house:
        some = fuzz(house, seed=1, examples=1, phases=("fuzzing",))
        more = fuzz(house, seed=1, examples=1, phases=("coverage",), paths=lambda all_: all_[turn::EIGHTHS])
        # In one room, where much follows from each thing: in all of them together hardly anything does.
        lives = fuzz(house, seed=7, examples=12, phases=("stateful",), paths=_of_playlists)
    for outcome in (some, more, lives):
        assert outcome.failures == {}, f"eighth {turn}: {outcome.told}"
    assert some.total > 300
    assert more.total > 500
    assert lives.followed["POST"] > 10
    assert lives.followed["DELETE"] > 0


def _of_playlists(paths: list[str]) -> list[str]:
    return [path for path in paths if path.startswith("/api/v1/playlists")]
