"""What makes tests quick without making them easier."""

from typing import Any

import argon2
import httpx

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


class QuickClient(httpx.AsyncClient):
    """Looks for cookies where one is set, and takes an address apart once: a third of a request."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._cookies = _Cookies()
        self._merged: dict[str, httpx.URL] = {}

    def _merge_url(self, url: httpx.URL | str) -> httpx.URL:
        if not isinstance(url, str):
            return super()._merge_url(url)
        if url not in self._merged:
            self._merged[url] = super()._merge_url(url)
        return self._merged[url]


class _Cookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None:
        if "set-cookie" in response.headers:
            super().extract_cookies(response)
