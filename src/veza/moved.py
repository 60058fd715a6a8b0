"""The mark beside an SQLite file whose rows are elsewhere now, so that nobody serves it by mistake."""

import os
from datetime import datetime
from pathlib import Path

import msgspec

from veza.core import clock
from veza.core.storage_files import write_durably
from veza.settings import BadSetting, Settings


class Moved(msgspec.Struct, frozen=True):
    """Where the rows went, never with a password, and when; unknown where the mark is damaged."""

    to: str = "another database"
    at: datetime | None = None

    def __str__(self) -> str:
        return self.to if self.at is None else f"{self.to} on {self.at:%Y-%m-%d at %H:%M} UTC"


def mark_of(settings: Settings) -> Path:
    """Where the mark of this embedded database is, if there is one."""
    file = Path(settings.database.removeprefix("sqlite:///"))
    return file.with_name(f"{file.name}.moved")


def write_mark(settings: Settings, to: str) -> None:
    """Say for good, through a power cut as well, that the rows went there. Raises OSError."""
    mark = mark_of(settings)
    made = msgspec.json.encode(Moved(to, clock.now()))
    write_durably(msgspec.json.format(made) + b"\n", mark, mark.parent, mark.parent)


def find_mark(settings: Settings) -> Moved | None:
    """Where the rows of an embedded database went; None where they did not. A mark that is damaged is one."""
    if not settings.embedded:
        return None
    mark = mark_of(settings)
    try:
        return msgspec.json.decode(mark.read_bytes(), type=Moved)
    except (OSError, msgspec.MsgspecError):
        return Moved() if os.path.lexists(mark) else None


def refuse_moved(settings: Settings) -> None:
    """Raise BadSetting where the rows were moved: what was changed since is in the other database alone."""
    if (moved := find_mark(settings)) is not None:
        file = settings.database.removeprefix("sqlite:///")
        raise BadSetting(
            f"the rows of {file} were moved to {moved}: set VEZA_DATABASE_URL, in veza.env or veza.toml, for"
            f" every command (and say `veza migrate` where the move did not come to its end); or remove"
            f" {mark_of(settings)} to go back to what they were then."
        )
