"""Figures that somebody has to look for, and what is shown of them while that fails."""

from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from tests.core.test_metrics import samples
from veza.core.db import Database, Statement, Tx
from veza.core.gauges import Figure, Gauges, Look, Value, look_at_events, look_at_jobs
from veza.core.metrics import metrics

_NOWHERE = Statement(sa.select(sa.column("id")).select_from(sa.table("nowhere")), int)


class Broken:
    """A look that fails in the database, as long as it is told to."""

    def __init__(self) -> None:
        self.fails = False
        self.looks = 0

    async def find(self, view: Tx) -> Sequence[Value]:
        self.looks += 1
        if self.fails:
            await view.all(_NOWHERE)
        return 2.0, {"a": self.looks}


async def test_what_cannot_be_found_out_is_not_shown(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X15: neither old nor as no number, until it is known again; said once; and the others stay true."""
    monkeypatch.setattr(metrics, "_watched", {})
    first, second = Broken(), Broken()
    gauges = Gauges(
        database,
        [
            Look(name, [Figure(f"{name}_one", "One."), Figure(f"{name}_each", "Each.", "kind")], look.find)
            for name, look in (("first", first), ("second", second))
        ],
    )

    def shown() -> dict[tuple[str, ...], float]:
        ours = ("first", "second", "veza_figures")
        return {key: value for key, value in samples(metrics).items() if key[0].startswith(ours)}

    assert shown() == {}, "before the first look"
    await gauges.look()
    first.fails = True
    with capture_logs() as logs:
        await gauges.look()
        await gauges.look()
        assert shown() == {
            ("second_one",): 2,
            ("second_each", "a"): 3,
            ("veza_figures_known", "first"): 0,
            ("veza_figures_known", "second"): 1,
        }
        first.fails = False
        await gauges.look()
    assert [(one["event"], one["look"]) for one in logs] == [
        ("gauges.unknown", "first"),
        ("gauges.known_again", "first"),
    ]
    assert shown() == {
        ("first_one",): 2,
        ("first_each", "a"): 4,
        ("second_one",): 2,
        ("second_each", "a"): 4,
        ("veza_figures_known", "first"): 1,
        ("veza_figures_known", "second"): 1,
    }


class Asked:
    """A view of a database in which there is nothing, and what it was asked."""

    def __init__(self) -> None:
        self.statements: list[Statement[Any]] = []

    async def all(self, statement: Statement[Any], **_: object) -> list[Any]:
        self.statements.append(statement)
        return []


async def test_rows_without_number_are_counted_beside_the_event_loop() -> None:
    """X15: of what waits there may be very much, and on SQLite requests would wait while it is counted."""
    view: Any = Asked()
    for look in (look_at_jobs(), look_at_events()):
        await look.find(view)
    assert [statement.heavy for statement in view.statements] == [True] * 3
