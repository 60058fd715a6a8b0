"""Ordinary days of a platform, as rows of its log, and attacks among them; without a database.

Ordinary people mistype passwords and forget them, come home from the train to another address, sit behind one
address with a whole office, clear out their libraries, upload albums, and download them.
"""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from veza.rooms.audit.rows import Happened

Act = Callable[[int], None]
START = datetime(2026, 3, 2, tzinfo=UTC)


class Traffic:
    """Writes rows at random, the same for the same seed."""

    def __init__(self, seed: int, people: int) -> None:
        self.dice = random.Random(seed)
        self.people = people
        self.rows: list[Happened] = []
        self.number = 0

    def id(self, kind: int, number: int) -> UUID:
        return UUID(int=(kind << 96) + number)

    def tell(
        self, at: datetime, kind: str, who: int | None, ip: str, *, signed_in: bool = True, **more: str
    ) -> None:
        """One row: what somebody did, or what was done to their account by whoever is not signed in."""
        self.number += 1
        user = None if who is None else self.id(1, who)
        data = ", ".join(f'"{name}": "{value}"' for name, value in more.items())
        if user is not None and not signed_in:
            data = f'"user_id": "{user}"' + (f", {data}" if data else "")
        actor = user if signed_in else None
        self.rows.append(
            Happened(
                self.id(2, self.number), kind, f"{{{data}}}", actor, ip, "browser", f"r{self.number}", at
            )
        )

    def address_of(self, who: int) -> str:
        """Most are at home; a tenth are in one of a few offices, or behind the address of a whole network."""
        if who % 10 == 0:
            return f"198.51.100.{who % 40}"
        return f"10.{who >> 16 & 255}.{who >> 8 & 255}.{who & 255}"

    def session(self, who: int, at: datetime) -> None:
        """Somebody signs in, perhaps at the third attempt, and does what people do."""
        dice, ip = self.dice, self.address_of(who)
        if dice.random() < 0.15:
            ip = f"172.{dice.randrange(16, 32)}.{dice.randrange(256)}.{dice.randrange(256)}"
        while dice.random() < 0.12:
            self.tell(at, "auth.login_failed", who, ip, signed_in=False, reason="password")
            at += timedelta(seconds=dice.randrange(4, 40))
        if dice.random() < 0.01:  # of which address was it?
            for _ in range(dice.randrange(1, 5)):
                self.tell(at, "auth.login_failed", None, ip, reason="password")
        self.tell(at, "auth.login", who, ip, signed_in=False)
        for _ in range(min(int(dice.paretovariate(1.2)), 60)):
            at += timedelta(seconds=dice.randrange(5, 300))
            kind = dice.choices(
                ("track.liked", "track.commented", "track.downloaded", "playlist.updated", "auth.refreshed"),
                (60, 10, 15, 10, 5),
            )[0]
            for _ in range(dice.choice((1, 10, 14)) if kind == "track.downloaded" else 1):
                self.tell(at, kind, who, ip)
        if dice.random() < 0.02:
            for _ in range(dice.randrange(5, 25)):
                self.tell(at, "track.uploaded", who, ip)
        if dice.random() < 0.02:
            for _ in range(dice.randrange(1, 60)):
                self.tell(at, dice.choice(("track.deleted", "comment.deleted", "playlist.deleted")), who, ip)

    def days(self, sessions: int, days: int) -> None:
        """So many sessions, more of them in the evening."""
        for _ in range(sessions):
            hour = self.dice.triangular(0, 24, 20)
            at = START + timedelta(days=self.dice.randrange(days), hours=hour)
            self.session(self.dice.randrange(1, self.people), at)

    def attacks(self, at: datetime) -> set[tuple[str, str]]:
        """One of each kind, by or on people who also have ordinary days; what is to be found."""
        ip = "203.0.113.{}".format

        def some(number: int) -> int | None:
            return 1000 + number if number % 2 else None

        failed, open_to_all = "auth.login_failed", {"signed_in": False}
        guessed = open_to_all | {"reason": "password"}

        def act(
            kind: str, step: int, ip: Callable[[int], str], who: Callable[[int], int | None], **more: Any
        ) -> Act:
            return lambda n: self.tell(at + timedelta(seconds=step * n), kind, who(n), ip(n), **more)

        def here(number: int) -> Callable[[int], str]:
            return lambda _: ip(number)

        def by(who: int) -> Callable[[int], int | None]:
            return lambda _: who

        every: list[tuple[str, int | None, int, Act]] = [
            ("password_guessing", 500, 30, act(failed, 20, ip, by(500), **guessed)),
            ("account_guessing", None, 60, act(failed, 30, here(77), some, **guessed)),
            ("refresh_reuse", 501, 1, act("auth.refresh_reused", 1, here(3), by(501), **open_to_all)),
            ("many_addresses", 502, 12, act("auth.login", 180, ip, by(502), **open_to_all)),
            ("mass_downloads", 503, 600, act("track.downloaded", 4, here(5), by(503))),
            ("mass_deletions", 504, 200, act("track.deleted", 2, here(6), by(504))),
            ("upload_burst", 505, 90, act("track.uploaded", 9, here(7), by(505))),
            (
                "webhook_probing",
                506,
                6,
                act("webhook.target_forbidden", 3600, here(8), by(506), **open_to_all),
            ),
        ]
        for _, _, times, do in every:
            for number in range(times):
                do(number)
        return {(kind, ip(77) if who is None else str(self.id(1, who))) for kind, who, _, _ in every}

    def entries(self) -> Iterator[tuple[int, Happened]]:
        """All rows in the order of time, numbered as they are sealed."""
        return iter(enumerate(sorted(self.rows, key=lambda row: row.created_at), 1))
