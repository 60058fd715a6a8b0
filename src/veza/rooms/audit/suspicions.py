"""Who reads what was found, and who has seen to it."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from veza.access.actor import Actor, Member
from veza.access.policy import Action, require
from veza.core.body import checked
from veza.core.db import Tx
from veza.core.pages import Page, Pagination
from veza.core.text import clean_text
from veza.rooms.audit import watching_store as store
from veza.rooms.audit.errors import AlreadyAcknowledged, FindingNotFound
from veza.rooms.audit.events import FindingAcknowledged
from veza.rooms.audit.filters import Severity
from veza.rooms.audit.watching_store import Finding

Kind = Literal[
    "password_guessing", "account_guessing", "refresh_reuse", "many_addresses", "mass_downloads",
    "mass_deletions", "upload_burst", "webhook_probing",
]  # fmt: skip


class Findings(msgspec.Struct, frozen=True):
    """A page of findings, the latest first."""

    findings: Sequence[Finding]
    pagination: Pagination


class FindingBody(msgspec.Struct, frozen=True):
    """One finding."""

    finding: Finding


class Acknowledgement(msgspec.Struct, frozen=True):
    """That somebody has seen to a finding, and what they have to say of it."""

    note: (
        Annotated[str, checked(partial(clean_text, max_chars=1_000, multiline=True), maxLength=1_000)] | None
    ) = None


async def list_own(tx: Tx, actor: Member, page: Page) -> Findings:
    """What looks like an attack on the actor's account, or by it; what admins say of it is theirs."""
    found = await _list(tx, {"user_id": actor.id}, page)
    told = [msgspec.structs.replace(one, acknowledged_by=None, note=None) for one in found.findings]
    return Findings(told, found.pagination)


async def list_all(
    tx: Tx,
    actor: Actor,
    page: Page,
    *,
    user_id: UUID | None,
    kind: Kind | None,
    severity: Severity | None,
    acknowledged: bool | None,
) -> Findings:
    """What looks like an attack anywhere. Raises Forbidden."""
    require(actor, Action.SEE_ALL_AUDIT)
    asked = {"user_id": user_id, "kind": kind, "severity": severity, "acknowledged": acknowledged}
    return await _list(tx, {name: value for name, value in asked.items() if value is not None}, page)


async def _list(tx: Tx, given: dict[str, object], page: Page) -> Findings:
    total = await store.count(tx, given)
    found = await store.page(tx, given, page) if page.offset < total else []
    return Findings(found, page.of(total))


async def acknowledge(tx: Tx, actor: Member, finding_id: UUID, note: str | None) -> Finding:
    """Say that a finding was seen to. Raises Forbidden, FindingNotFound and AlreadyAcknowledged."""
    require(actor, Action.ACKNOWLEDGE_FINDING)
    finding = await store.lock(tx, finding_id)
    if finding is None:
        raise FindingNotFound
    if finding.acknowledged_at is not None:
        raise AlreadyAcknowledged
    await store.acknowledge(tx, finding_id, actor.id, note)
    tx.emit(FindingAcknowledged(finding_id))
    return await store.lock(tx, finding_id) or finding
