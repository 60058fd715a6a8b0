"""What is to be done or sealed, how late it is, and what of it fails or was given up."""

from collections.abc import Iterator, Sequence

from veza.access.actor import SYSTEM
from veza.core import clock
from veza.core.db import Database
from veza.core.redact import redact_text
from veza.doctor.findings import Finding, ok, warning, wrong
from veza.rooms.admin import service
from veza.rooms.admin.schemas import Work
from veza.rooms.audit import gauges as seals
from veza.rooms.webhooks.gauges import how_late

# Seconds. For what is done in bulk nobody waits.
_LATE, _STUCK = 300.0, 3_600.0
_PATIENT = {"backlog", "bulk_mail"}
# Characters of why something failed.
_ERROR = 200


async def look_at_work(database: Database) -> Sequence[Finding]:
    """Jobs, deliveries and seals."""
    async with database.read() as view:
        work = await service.look_at_work(view, SYSTEM)
        late, failing = await how_late(view)
        waiting, unsealed = await seals.how_late(view)
    return [*_lanes(work), *_failing(work), _deliveries(late, failing), _seals(waiting, unsealed)]


def _lanes(work: Work) -> Iterator[Finding]:
    now, all_well = clock.now(), True
    for lane in work.lanes:
        late = (now - lane.oldest_due).total_seconds() if lane.oldest_due else 0.0
        if late < _LATE or lane.lane in _PATIENT:
            continue
        all_well = False
        make = wrong if late > _STUCK else warning
        yield make(
            "jobs",
            f"In the lane {lane.lane} {lane.due} jobs are due, the first for {_span(late)}.",
            "Songs stay in processing, mails are not sent: nobody works, or there is more to do than hands.",
            "Is a server running (with VEZA_SERVE_JOBS), or `veza worker`? Add workers, or VEZA_MEDIA_JOBS.",
        )
    if all_well:
        yield ok("jobs", f"{sum(lane.waiting for lane in work.lanes)} are to be done, none of them late.")


def _failing(work: Work) -> Iterator[Finding]:
    for one in work.failing:
        why = f" One with {redact_text(' '.join(one.error.split()), _ERROR)}" if one.error else ""
        if one.dead:
            yield warning(
                "jobs",
                f"{one.dead} of the kind {one.kind} were given up.{why}",
                "What they were to do is not done, and nobody tries again by itself.",
                f"GET /api/v1/admin/jobs/dead says why; mend it, then: veza admin jobs --retry {one.kind}",
            )
        if one.retrying:
            yield warning(
                "jobs",
                f"{one.retrying} of the kind {one.kind} failed and are tried again.{why}",
                "They may yet succeed, as once a mail server is back; till then mails and songs wait.",
                "Mend what it names; the log has each try, at jobs.failed.",
            )


def _deliveries(late: float, failing: int) -> Finding:
    if late > _LATE:
        return warning(
            "webhooks",
            f"The next delivery has been due for {_span(late)}.",
            "Programs of users hear of nothing: no process works here, or it has no files to spare.",
            "Is a server running, or `veza worker`?",
        )
    return ok(
        "webhooks", f"None is late; of {failing} hooks the receivers fail." if failing else "None is late."
    )


def _seals(waiting: int, late: float) -> Finding:
    if late < _LATE:
        return ok("audit log", f"{waiting} events wait to be sealed, none of them for long.")
    make = wrong if late > _STUCK else warning
    return make(
        "audit log",
        f"{waiting} events wait to be sealed, the first for {_span(late)}.",
        "Whoever can write to the database can change them unnoticed: nobody works, or sealing fails.",
        "Is a server running (with VEZA_SERVE_JOBS), or `veza worker`? See its log, at audit.sealing_failed.",
    )


def _span(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"  # noqa: PLR2004 - as one says it
