"""What people want to be told of, and how.

A type that is off in the list is not told at all; a mail repeats what is in the list. What concerns the
safety of an account, and what was paid for, is always told, and mailed by the rooms where it happens.
"""

from collections.abc import Collection
from uuid import UUID

import msgspec

from veza.access.actor import Member
from veza.core.db import Tx
from veza.core.errors import Detail, ValidationFailed
from veza.rooms.accounts import service as accounts
from veza.rooms.notifications import preferences_store as store
from veza.rooms.notifications.schemas import Channels, PreferenceChanges, Preferences
from veza.rooms.notifications.wording import TYPES, WORDINGS, Type

DIGESTED = tuple(name for name in TYPES if WORDINGS[name].mails == "digest")


async def find(tx: Tx, user_id: UUID, kind: Type) -> Channels:
    """How somebody is told of a type."""
    if WORDINGS[kind].mails == "elsewhere":
        return _default(kind)
    chosen = await store.find(tx, user_id, kind)
    return _default(kind) if chosen is None else Channels(chosen.in_app, chosen.email)


async def find_some(tx: Tx, wanted: Collection[tuple[UUID, Type]]) -> dict[tuple[UUID, Type], Channels]:
    """How each of these is told of a type."""
    chosen = await store.list_some(tx, {user_id for user_id, _ in wanted}, {kind for _, kind in wanted})
    found = {(one.user_id, one.type): Channels(one.in_app, one.email) for one in chosen}
    return {
        one: _default(one[1]) if WORDINGS[one[1]].mails == "elsewhere" else found.get(one) or _default(one[1])
        for one in wanted
    }


async def list_all(tx: Tx, user_id: UUID) -> Preferences:
    """How somebody is told of each type."""
    chosen = {one.type: Channels(one.in_app, one.email) for one in await store.list_chosen(tx, user_id)}
    return Preferences({kind: chosen.get(kind) or _default(kind) for kind in TYPES})


async def change(tx: Tx, actor: Member, changes: PreferenceChanges) -> Preferences:
    """``actor`` is to be told otherwise from now on.

    Raises :class:`ValidationFailed` for a type that there is not, or that is always told.
    """
    problems = [_judge(kind, wanted) for kind, wanted in changes.preferences.items()]
    if found := [problem for problem in problems if problem is not None]:
        raise ValidationFailed(details=found)
    await accounts.stay_signed_in(tx, actor)
    present = (await list_all(tx, actor.id)).preferences
    for kind in sorted(changes.preferences):
        wanted = changes.preferences[kind]
        given = {
            name: value
            for name, value in msgspec.structs.asdict(wanted).items()
            if value is not msgspec.UNSET
        }
        if WORDINGS[kind].mails != "elsewhere":  # type: ignore[index]  # judged above
            await store.choose(tx, actor.id, kind, msgspec.structs.replace(present[kind], **given))
    return await list_all(tx, actor.id)


def _judge(kind: str, wanted: object) -> Detail | None:
    field = f"preferences.{kind}"
    if kind not in WORDINGS:
        return Detail(field, "There is no such type.", "INVALID")
    if WORDINGS[kind].mails == "elsewhere" and False in msgspec.structs.asdict(wanted).values():  # type: ignore[index, arg-type]  # as above; a Struct
        return Detail(field, "This is always told.", "INVALID")
    return None


async def no_mails(tx: Tx, user_id: UUID, kinds: tuple[Type, ...]) -> None:
    """From now on somebody gets no mails of these types, though they are told of them as before."""
    if await accounts.stay(tx, [user_id]):
        for kind in kinds:
            channels = await find(tx, user_id, kind)
            await store.choose(tx, user_id, kind, msgspec.structs.replace(channels, email=False))


def _default(kind: Type) -> Channels:
    return Channels(in_app=True, email=WORDINGS[kind].email)
