"""The installation: whether database and storage are of one another, as both say."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from veza.core.db.migrate import current_revision, head_revision
from veza.core.errors import VezaError
from veza.core.installation import Belonging, compare
from veza.core.storage import open_storage
from veza.doctor.findings import Finding, ok, warning, where, wrong
from veza.doctor.secret import away, looked_at
from veza.settings import Settings

_ABOUT = "installation"
_SECONDS = 5.0


async def look_at_installation(settings: Settings) -> Sequence[Finding]:
    """Whether they belong together; where either is away, or new, others tell."""
    place = where(settings.storage)
    if settings.storage.startswith("file:") and not await asyncio.to_thread(Path(place).exists):
        return []
    refusals: tuple[type[Exception], ...] = (*away(settings), VezaError, TimeoutError)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            storage = open_storage(settings.storage, scratch=Path(scratch), s3=settings.s3)
            try:
                async with looked_at(settings) as database, asyncio.timeout(_SECONDS):
                    if await current_revision(database) != head_revision():
                        return []
                    found = await compare(database, storage)
            finally:
                await storage.close()
    except refusals:
        return []
    return [_tell(found, storage.place)]


def _tell(found: Belonging, place: str) -> Finding:
    if said := found.problem(place):
        return wrong(
            _ABOUT,
            f"{said}.",
            "Veza does not start, for a sweep would remove what no row names.",
            "Let VEZA_DATABASE_URL and VEZA_STORAGE_URL name two that belong together, or mount the disk;"
            " what a start says tells how to make the storage this database's.",
        )
    if found.sure:
        return ok(_ABOUT, f"Database and storage are both those of {found.id}.")
    if found.id is None:
        return ok(_ABOUT, "Database and storage do not say yet whose they are; the next start sees to it.")
    return warning(
        _ABOUT,
        f"The database is {found.id}, and the storage does not say yet that it is this one's.",
        "Until it does no sweep removes anything, and what nobody needs takes up room.",
        "Whoever serves or works asks again each minute; what keeps them from it is in their log, as"
        " storage.not_compared or storage.not_settled.",
    )
