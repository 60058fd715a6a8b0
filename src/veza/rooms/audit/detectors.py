"""What looks like an attack: which rows of the log are signs of it, whose, and how many are too many.

All of this is of the log alone, and none of it is certain: a finding says what was seen and is for people to
judge.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from veza.core.limits import address_key, parse_limit
from veza.rooms.audit.rows import CRITICAL, WARNING, Entry

# Of what a finding rests on so much is shown.
MOST_SHOWN = 20


class Sign(msgspec.Struct, frozen=True):
    """A row of the log that may be part of an attack of a kind, by or on ``key``."""

    kind: str
    key: str
    seq: int
    event_id: UUID
    member: str
    user_id: UUID | None
    ip: str
    at: datetime


class Detector(msgspec.Struct, frozen=True):
    """One kind of attack: ``signs`` says by which key a row is a sign of it, and which one of many it is.

    ``count`` signs of different members are needed within ``window``.
    """

    kind: str
    severity: str
    said: str
    signs: Callable[[Entry], tuple[str, str] | None]
    count: int
    window: timedelta

    def sign_of(self, entry: Entry) -> Sign | None:
        """What a row is a sign of; None for nearly all."""
        found = self.signs(entry)
        if found is None:
            return None
        key, member = found
        return Sign(self.kind, key, entry.seq, entry.id, member, entry.user_id, entry.ip, entry.created_at)

    def burst(self, signs: Sequence[Sign]) -> Sequence[Sign]:
        """Of signs with one key, in the order of time: the first too many in a window, and all after."""
        inside, first = Counter[str](), 0
        for at, sign in enumerate(signs):
            inside[sign.member] += 1
            while sign.at - signs[first].at > self.window:
                gone = signs[first].member
                inside[gone] -= 1
                if not inside[gone]:
                    del inside[gone]
                first += 1
            if len(inside) >= self.count:
                return signs[first : _end(signs, at, self.window)]
        return ()

    def evidence(self, signs: Sequence[Sign], count: int) -> dict[str, Any]:
        """What a finding of so many signs rests on, in words and by the ids of the latest rows."""
        addresses = dict.fromkeys(sign.ip for sign in signs if sign.ip)
        people = dict.fromkeys(str(sign.user_id) for sign in signs if sign.user_id)
        minutes = int(self.window.total_seconds() // 60)
        return {
            "summary": f"{self.said}: {count}; {self.count} within {minutes} minutes are too many.",
            "threshold": self.count,
            "window_seconds": int(self.window.total_seconds()),
            "addresses": list(addresses)[:MOST_SHOWN],
            "accounts": list(people)[:MOST_SHOWN],
            "log_ids": [str(sign.event_id) for sign in signs[-MOST_SHOWN:]],
        }


def _end(signs: Sequence[Sign], at: int, window: timedelta) -> int:
    """Where what began goes over: before the first pause that is longer than the window."""
    while at + 1 < len(signs) and signs[at + 1].at - signs[at].at <= window:
        at += 1
    return at + 1


def _guessed(entry: Entry) -> bool:
    return entry.kind == "auth.login_failed" and '"suspended"' not in entry.data


def _password_guessing(entry: Entry) -> tuple[str, str] | None:
    return (str(entry.user_id), str(entry.seq)) if _guessed(entry) and entry.user_id else None


def _many_accounts(entry: Entry) -> tuple[str, str] | None:
    # Whoever guesses at addresses of which there is no account guesses at another one each time.
    member = str(entry.user_id or entry.seq)
    return (address_key(entry.ip), member) if _guessed(entry) and entry.ip else None


def _refresh_reuse(entry: Entry) -> tuple[str, str] | None:
    return (str(entry.user_id), str(entry.seq)) if entry.kind == "auth.refresh_reused" else None


def _many_addresses(entry: Entry) -> tuple[str, str] | None:
    # A /64 of IPv6 counts as one: a single device takes another address in it each day, or more often.
    signed_in = entry.kind == "auth.login" and entry.ip
    return (str(entry.user_id), address_key(entry.ip)) if signed_in else None


def _downloads(entry: Entry) -> tuple[str, str] | None:
    if entry.kind not in {"track.downloaded", "product.downloaded"}:
        return None
    who = str(entry.user_id) if entry.user_id else address_key(entry.ip)
    return (who, str(entry.seq)) if who else None


def _deletions(entry: Entry) -> tuple[str, str] | None:
    gone = entry.kind.endswith(".deleted") and entry.kind != "user.deleted"
    return (str(entry.actor_id), str(entry.seq)) if gone and entry.actor_id else None


def _uploads(entry: Entry) -> tuple[str, str] | None:
    come = entry.kind in {"track.uploaded", "upload.created"}
    return (str(entry.actor_id), str(entry.seq)) if come and entry.actor_id else None


def _probing(entry: Entry) -> tuple[str, str] | None:
    probed = entry.kind == "webhook.target_forbidden"
    return (str(entry.user_id), str(entry.seq)) if probed and entry.user_id else None


_KINDS: Mapping[str, tuple[str, str, Callable[[Entry], tuple[str, str] | None], str]] = {
    "password_guessing": (WARNING, "Failed logins to one account", _password_guessing, "10/15min"),
    "account_guessing": (CRITICAL, "Failed logins to many accounts from one address", _many_accounts, "15/h"),
    # There is no innocent one.
    "refresh_reuse": (CRITICAL, "Sign-in tokens used twice", _refresh_reuse, "1/day"),
    "many_addresses": (WARNING, "Sign-ins to one account from many addresses", _many_addresses, "8/h"),
    "mass_downloads": (WARNING, "Downloads by one user or address", _downloads, "300/h"),
    "mass_deletions": (WARNING, "Things deleted by one user", _deletions, "150/h"),
    "upload_burst": (WARNING, "Uploads by one user", _uploads, "50/h"),
    "webhook_probing": (CRITICAL, "Webhooks to private addresses", _probing, "3/day"),
}
KINDS = tuple(_KINDS)


def detectors(chosen: Mapping[str, str]) -> list[Detector]:
    """Every detector, with how many signs are too many; where that is not chosen, by default."""
    made = []
    for kind, (severity, said, signs, default) in _KINDS.items():
        limit = parse_limit(kind, chosen.get(kind, default))
        made.append(Detector(kind, severity, said, signs, limit.count, timedelta(seconds=limit.seconds)))
    return made
