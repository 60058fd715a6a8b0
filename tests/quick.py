"""What makes tests quick without making them easier."""

from collections.abc import Callable
from typing import Any

import argon2
from litestar.utils.signature import ParsedSignature

from veza.access.passwords import PasswordHasher, Verdict
from veza.access.secrets import new_secret


class CheapHasher(PasswordHasher):
    """Argon2id with the least parameters there are; counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self._argon2 = argon2.PasswordHasher(1, 8, 1)
        self._dummy = self._argon2.hash(new_secret())
        self.verified = self.hashed = 0

    async def hash(self, password: str) -> str:
        self.hashed += 1
        return await super().hash(password)

    async def verify(self, stored: str | None, password: str) -> Verdict:
        self.verified += 1
        return await super().verify(stored, password)


def remember_signatures() -> None:
    """Have the hints of a handler read once for all applications of this process, not once for each.

    That is half of the time that an application takes to be made, and tests make hundreds.
    """
    read, known = ParsedSignature.from_fn, dict[Any, ParsedSignature]()

    def from_fn(fn: Callable[..., Any], signature_namespace: dict[str, Any]) -> ParsedSignature:
        if getattr(fn, "__closure__", True) is not None or fn.__name__ == "<lambda>":
            return read(fn, signature_namespace)
        if fn not in known:
            known[fn] = read(fn, signature_namespace)
        return known[fn]

    ParsedSignature.from_fn = staticmethod(from_fn)  # type: ignore[assignment, method-assign]  # a class method otherwise
