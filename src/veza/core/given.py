"""What an application gives its routes to work with.

The framework's routes are made once for a process and hold nothing of any application: the edge says with
each request what is given to it (``scope["given"]``), and handlers ask for that by name, as for all their
arguments. So another application costs next to nothing, and two in one process share nothing but code.
"""

from collections.abc import Mapping
from typing import Any

from litestar.connection import ASGIConnection
from litestar.di import Provide

Given = Mapping[str, Any]

GIVEN = "given"
"""The key of a connection's scope."""


class _Given(Provide):
    """Alike only to itself: the framework compares all with all, for each route, 350,000 times at a start."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__


def given(name: str) -> Provide:
    """The dependency of this name: what the application that was asked has under it."""

    def find(scope: Any) -> Any:
        return scope[GIVEN][name]

    return _Given(find, sync_to_thread=False)


def given_to(connection: ASGIConnection[Any, Any, Any, Any]) -> Given:
    """All that the application that was asked gives, for guards and the like, which cannot ask by name."""
    found: Given = connection.scope[GIVEN]  # type: ignore[literal-required]  # ours
    return found
