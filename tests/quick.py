"""What makes tests quick without making them easier."""

import argon2

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
