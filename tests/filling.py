"""Filling in the names of a guard's table: `{track_id}` becomes the id that a scene has for it."""

import re
from collections.abc import Mapping
from typing import Any


def filled(value: Any, places: Mapping[str, str]) -> Any:
    """A path or a body, however deep, with what each `{name}` in it stands for. Raises KeyError."""
    if isinstance(value, dict):
        return {key: filled(one, places) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, places) for one in value]
    if isinstance(value, str):
        return re.sub(r"{(\w+)}", lambda found: places[found[1]], value)
    return value
