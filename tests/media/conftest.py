import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.media.corpus import BY_NAME, make


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A file of the corpus by its name, made when a worker first asks for it. Never change it: copy it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # what all of them have
    folder /= "corpus"
    folder.mkdir(exist_ok=True)

    def get(name: str) -> Path:
        file = folder / name
        if not file.exists():  # it is there at once, or not
            make(BY_NAME[name], tmp_path_factory.mktemp("made")).replace(file)
        return file

    return get
