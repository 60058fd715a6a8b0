"""What must not be read in a log, taken out of everything that goes there.

By the name of a key, at any depth; and by its looks, in any text: tokens, webhook secrets, credentials in a
URL. What would act on a terminal or forge a line is made visible instead.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

HIDDEN = "***"
_MAX_TEXT = 2_000
_MAX_NAME = 100
_MAX_ITEMS = 50
_MAX_DEPTH = 6
_MAX_INT = 2**63

_SECRET_KEY = re.compile(
    r"pass(?:word|wd|phrase|_hash)?$|pwd|token|secret|authori[sz]ation|cookie|api_?-?key|private_?-?key|credential"
    r"|signature|recovery_?code|otp|dsn|session_?-?key",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*){0,3}"  # JWS and JWE
    r"|whsec_[\w+/=-]+"
    r"|\b[sr]k_(?:live|test)_\w+"  # a payment provider's key
    r"|(?<=://)[^/@\s:]*:[^/@\s]+(?=@)"  # user and password of a URL
    r"|(?i:(?<=bearer )|(?<=basic ))[\w.~+/=-]{6,}"
    r"|(?i:(?P<name>(?:password|passwd|passphrase|pwd|token|secret|signature|sig|cookie|authorization|key)"
    r"(?:=|[\"']\s?:\s?[\"']?)))[^&\s\"'#,}]+"  # in a query, in JSON, in a dict that was made a text
)
# Without any of these, nothing of the above is there; looking for them is ten times quicker.
_SIGNS = ("=", ":", "eyJ", "whsec_", "k_live_", "k_test_", " ")
_VEIL = rf"\g<name>{HIDDEN}"
# Controls (C0 without the line break, DEL, C1), line separators and what reorders text.
_UNSEEN = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def redact(value: Any, depth: int = 0) -> Any:
    """The value as it may be read: plain JSON, without secrets, bounded in depth, length and number."""
    match value:
        case None | bool() | float():
            return value if value is None or isinstance(value, bool) else float(value)
        case int() if -_MAX_INT <= value < _MAX_INT:
            return int(value)  # of its subclasses too, which the encoder does not know
        case Mapping() if depth < _MAX_DEPTH:
            return redact_keys(value, depth)
        case list() | tuple() | set() | frozenset() if depth < _MAX_DEPTH:
            return [redact(item, depth + 1) for item in list(value)[:_MAX_ITEMS]]
    return redact_text(_shown(value))


def redact_keys(given: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
    """The mapping, its secret keys' values hidden."""
    found: dict[str, Any] = {}
    for key, value in list(given.items())[:_MAX_ITEMS]:
        name = redact_text(_shown(key), _MAX_NAME)
        found[name] = HIDDEN if _is_secret(name) and value is not None else redact(value, depth + 1)
    return found


def redact_text(text: str, most: int = _MAX_TEXT, *, lines: bool = False) -> str:
    """The text on one line (or several with ``lines``), without what looks like a secret."""
    if len(text) <= most and text.isalnum():
        return text
    # Cut first: what a stranger sent may be a megabyte. A token cut in two still looks like one.
    cut = text if len(text) <= most else text[:most] + "…"
    if any(sign in cut for sign in _SIGNS):
        cut = _SECRET_TEXT.sub(_VEIL, cut)
    shown = _UNSEEN.sub(_escape, cut)
    return shown if lines else shown.replace("\n", "\\n")


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET_KEY.search(name) is not None


def _escape(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape").decode()


def _shown(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - whatever a stranger's __str__ does, the line is written
        return f"<{type(value).__name__}>"
