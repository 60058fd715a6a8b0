"""Passwords: which are taken, and how they are hashed and checked.

A hash is meant to be slow: about 20 ms and 19 MiB. So it is made off the event loop, one at a time, in a
thread that gives way to all others: bench/README.md says how others feel 20 hashes at once.
"""

import asyncio
import base64
import os
import re
import unicodedata
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import TypeVar

import argon2
import msgspec
from argon2.exceptions import InvalidHashError, VerificationError

from veza.core.background import give_way_always
from veza.core.errors import Unavailable
from veza.core.text import BadValue, fold

# Argon2id as OWASP's Password Storage Cheat Sheet has it; a change is taken up at each account's next login.
MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1
_SALT_BYTES = 16
_TAG_BYTES = 32

# How many may wait to have theirs hashed, and how long, in seconds: then clients have given up.
MOST_WAITING, LONGEST_WAIT = 200, 10.0
_LATER = {"Retry-After": "5"}
# Far longer than any password that is taken, so not worth hashing; it still has to cost the usual time.
_MAX_TRIED = 1024

MIN_CHARS = 12
MAX_CHARS = 128

T = TypeVar("T")


class Verdict(msgspec.Struct, frozen=True):
    """Whether the password was right, and whether its hash should be made anew."""

    ok: bool
    needs_rehash: bool = False


class PasswordHasher:
    """Makes and checks Argon2id hashes; ``threads`` bounds both the cores and the memory it takes."""

    def __init__(self, *, threads: int = 1) -> None:
        self._argon2 = argon2.PasswordHasher(PASSES, MEMORY_KIB, LANES, _TAG_BYTES, _SALT_BYTES)
        self._dummy = _dummy_hash()
        self._pool = ThreadPoolExecutor(threads, "passwords", initializer=give_way_always)
        self._in_hand = 0

    async def hash(self, password: str) -> str:
        """The hash to store, in the PHC string format. Raises Unavailable when too many wait, or too long."""
        return await self._run(lambda: self._argon2.hash(_normal(password)))

    async def verify(self, stored: str | None, password: str) -> Verdict:
        """Whether this password made the stored hash; for ``None``, no, in the same time.

        So an unknown account answers no sooner than a wrong password. Raises Unavailable as for a hash.
        """
        return await self._run(lambda: self._verify(stored, password))

    def close(self) -> None:
        """Finish the hash in hand and drop those that wait."""
        self._pool.shutdown(cancel_futures=True)

    def _verify(self, stored: str | None, password: str) -> Verdict:
        known = stored if len(password) <= _MAX_TRIED else None
        try:
            self._argon2.verify(known or self._dummy, _normal(password[:_MAX_TRIED]))
        except (VerificationError, InvalidHashError):
            return Verdict(ok=False)
        return Verdict(ok=bool(known), needs_rehash=self._argon2.check_needs_rehash(known or self._dummy))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._in_hand >= MOST_WAITING:
            raise Unavailable(headers=_LATER)
        item = self._pool.submit(work)
        result = asyncio.wrap_future(item)
        self._in_hand += 1
        try:
            await asyncio.wait([result], timeout=LONGEST_WAIT)
            if not result.done() and item.cancel():  # what has begun is nearly there
                raise Unavailable(headers=_LATER)
            return await result
        finally:
            result.cancel()
            self._in_hand -= 1


def _normal(password: str) -> bytes:
    """The same bytes however a keyboard composes its accents (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _dummy_hash() -> str:
    """A hash that no password has, at the cost of a real one; being random, it need not be computed."""
    salt, tag = (base64.b64encode(os.urandom(n)).rstrip(b"=").decode() for n in (_SALT_BYTES, _TAG_BYTES))
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${tag}"


# --- which passwords are taken ---

# As many independent guesses as it takes at least; `Password1234!` has four: the word, 1, 2 and the sign.
_MIN_GUESSES = 5
_MIN_DIFFERENT = 5
_MIN_NAME = 4
_ROWS = ("0123456789", "1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "abcdefghijklmnopqrstuvwxyz")
_LOOK_ALIKE = str.maketrans("013457@$!", "oieastasi")
_YEARS = {str(year) for year in range(1940, 2040)}
_NOT_ALNUM = re.compile(r"[^a-z0-9]+")


def check_password(password: str, username: str, email: str) -> None:
    """Refuse what a guesser tries first: short, common, repeated, or like the account's own names.

    There is no rule of composition. Raises BadValue with ``PASSWORD_WEAK``, ``PASSWORD_TOO_LONG`` or
    ``INVALID_CHARACTER``. Source: NIST SP 800-63B, 3.1.1.2.
    """
    if len(password) > MAX_CHARS * 3 or len(unicodedata.normalize("NFC", password)) > MAX_CHARS:
        raise BadValue("PASSWORD_TOO_LONG", f"Must have at most {MAX_CHARS} characters.")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in password):
        raise BadValue("INVALID_CHARACTER", "Must not contain control characters.")
    if len(unicodedata.normalize("NFC", password)) < MIN_CHARS:
        raise BadValue("PASSWORD_WEAK", f"Must have at least {MIN_CHARS} characters.")
    names = {username, email, email.partition("@")[0], email.partition("@")[0].partition("+")[0]}
    if _resembles(password, names):
        raise BadValue("PASSWORD_WEAK", "Must not be like your username or e-mail address.")
    own_words = {part for name in names for part in _NOT_ALNUM.split(fold(name)) if len(part) >= _MIN_NAME}
    if _is_common(password.casefold(), own_words):
        raise BadValue("PASSWORD_WEAK", "This is among the first passwords that a guesser would try.")


def _resembles(password: str, names: Collection[str]) -> bool:
    """Whether a name is in the password, written forwards or backwards, with whatever signs between."""
    text = _squeeze(password)
    squeezed = [name for name in map(_squeeze, names) if len(name) >= _MIN_NAME]
    return any(name in text or name in text[::-1] for name in squeezed)


def _squeeze(text: str) -> str:
    return _NOT_ALNUM.sub("", fold(text).translate(_LOOK_ALIKE))


def _is_common(text: str, own_words: Collection[str]) -> bool:
    return (
        len(set(text)) < _MIN_DIFFERENT
        or _squeeze(text) in _WORDS
        or _repeats(text)
        or _guesses(text, own_words) < _MIN_GUESSES
    )


def _repeats(text: str) -> bool:
    """Whether the text is one short thing over and over."""
    longest = min(MIN_CHARS - 1, len(text) // 2)
    return any((text[:length] * len(text)).startswith(text) for length in range(1, longest + 1))


def _guesses(text: str, own_words: Collection[str]) -> int:
    """How many of the text's parts do not follow from what stands before: a known word counts once."""
    plain = text.translate(_LOOK_ALIKE)
    count = at = 0
    while at < len(text):
        length = _word_at(text, at, own_words) or _word_at(plain, at, own_words)
        count += bool(length) or not _follows(text, at)
        at += length or 1
    return count


def _word_at(text: str, at: int, own_words: Collection[str]) -> int:
    """The length of the longest known word that begins here, or 0."""
    for length in range(min(_LONGEST, len(text) - at), _MIN_NAME - 1, -1):
        if (word := text[at : at + length]) in _WORDS or word in own_words:
            return length
    return 0


def _follows(text: str, at: int) -> bool:
    """Whether this character repeats the last one, or goes on in its direction along a row of keys."""
    if at and text[at] == text[at - 1]:
        return True
    if at < 2:  # noqa: PLR2004 - a direction takes two characters
        return False
    run = text[at - 2 : at + 1]
    return any(run in row or run[::-1] in row for row in _ROWS)


def _load_words() -> frozenset[str]:
    lines = resources.files("veza.access").joinpath("common_passwords.txt").read_text("utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split()) | _YEARS


_WORDS = _load_words()
_LONGEST = max(map(len, _WORDS))
