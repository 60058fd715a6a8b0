"""What is done with comments when nobody waits for it."""

from collections.abc import Sequence

from veza.core.db import Database
from veza.core.events import EventJob
from veza.core.jobs import JobKind
from veza.core.worker import Task
from veza.rooms.comments import store
from veza.rooms.tracks.remains import forgetting

FORGET_TRACK = JobKind("comments.forget_track", EventJob)


def tasks(database: Database) -> Sequence[Task]:
    """What the worker is to know."""
    return [forgetting(database, FORGET_TRACK, store.forget)]
