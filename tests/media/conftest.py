from collections.abc import Callable
from pathlib import Path

import pytest

from tests.media.corpus import BY_NAME, make


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A file of the corpus by its name, made when first asked for. Never change it: copy it."""
    folder = tmp_path_factory.mktemp("corpus")
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            made[name] = make(BY_NAME[name], folder)
        return made[name]

    return get
