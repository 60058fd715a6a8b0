"""What all tests of backups share."""

from functools import cache

import pytest

from veza import opening
from veza.core.db import loading_postgres, loading_sqlite, migrate

_upgrade_sql = cache(migrate.upgrade_sql)


@pytest.fixture(autouse=True)
def _written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To write a schema takes a fifth of a second, and it is always the same."""
    monkeypatch.setattr(migrate, "upgrade_sql", _upgrade_sql)
    monkeypatch.setattr(loading_sqlite, "upgrade_sql", _upgrade_sql)
    monkeypatch.setattr(loading_postgres, "upgrade_sql", _upgrade_sql)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start waits for a storage as long as a busy machine takes; who has it away says how long."""
    monkeypatch.setattr(opening, "_STORAGE_SECONDS", 60.0)
