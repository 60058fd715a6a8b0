"""How text becomes words: those that a thing is found by, and those that somebody asks for.

Both sides fold alike (:func:`veza.core.text.fold`) and split alike, here and not in a database: so SQLite and
PostgreSQL keep the very same words.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b

from veza.core.text import fold

# Of a longer word only so much is kept, and asked for.
LONGEST = 64
# Of a longer question only so many words count.
MOST_ASKED = 16

_PLAIN = re.compile(r"[a-z0-9]+")
# Inside a word they join what is asked for: "don't" and "dont" are one word. Some of them count as letters.
_APOSTROPHES = "'\u2019\u2018\u02bc\u02bb\u0060\u2032"
_LEFT_OUT = str.maketrans(dict.fromkeys(_APOSTROPHES))
_ALIKE = str.maketrans(dict.fromkeys(_APOSTROPHES, "'"))
# Scripts without spaces between words: Thai to Lao, Burmese, Khmer, kana, Han with its extensions.
_SPACELESS = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
# No letter of anybody's: what begins with it can only be a mark of ours.
_OURS = "\ue000"
# All marks stand together in the order of words: from here to before there.
FIRST_MARK, PAST_MARKS = _OURS, "\ue001"


def words_of(texts: Iterable[str | None]) -> set[str]:
    """The words that a thing with these texts is found by.

    What signs divide stands for its parts and for the whole: `AC/DC` for ac, dc and acdc.
    """
    found: set[str] = set()
    for text in texts:
        if not text:
            continue
        if text.isascii() and len(text) <= LONGEST and text.replace(" ", "").isalnum():
            # Nothing to divide by but spaces: most texts, and a tenth of the time.
            found.update(text.lower().split())
            continue
        for chunk in fold(text).translate(_ALIKE).split():
            parts = list(_parts(chunk))
            found.update(parts)
            if len(parts) > 1 and (whole := _joined(chunk)):
                found.add(whole)
    return found


def words_asked(question: str) -> list[str]:
    """The words of a question, each once, in their order."""
    found: dict[str, None] = {}
    for chunk in fold(question).translate(_LEFT_OUT).split():
        found.update(dict.fromkeys(_parts(chunk, asked=True)))
    return list(found)[:MOST_ASKED]


@lru_cache(maxsize=4096)
def mark(kind: str, value: str) -> str:
    """A word that nobody can type, for what a thing has: its genre, its format."""
    return f"{_OURS}{kind}{blake2b(value.encode(), digest_size=6).hexdigest()}"


def is_mark(word: str) -> bool:
    """Whether :func:`mark` made it."""
    return word.startswith(_OURS)


def _joined(chunk: str) -> str:
    """The letters and digits of a chunk without what divides them, if it is all of one kind of script."""
    kept = [char for char in chunk if (kind := _kind(char)) == "word" or kind == "spaceless"]
    return "" if any(_kind(char) == "spaceless" for char in kept) else "".join(kept)[:LONGEST]


def _parts(chunk: str, *, asked: bool = False) -> Iterator[str]:
    if chunk.isascii():
        yield from (part[:LONGEST] for part in _PLAIN.findall(chunk))
        return
    for kind, run in _runs(chunk):
        if kind == "word":
            yield run[:LONGEST]
        elif kind == "symbol":
            yield from run
        else:
            yield from _pairs(run, asked=asked)


def _pairs(run: str, *, asked: bool) -> Iterator[str]:
    """A run without spaces, as overlapping pairs; its last letter alone, too, so that it begins a word."""
    yield from (run[at : at + 2] for at in range(len(run) - 1))
    if not asked or len(run) == 1:
        yield run[-1]


def _runs(chunk: str) -> Iterator[tuple[str, str]]:
    start, kind = 0, ""
    for at, char in enumerate(chunk):
        now = _kind(char)
        if now == "mark":  # goes with the letter that it stands on
            now = kind if kind in {"word", "spaceless"} else ""
        if now != kind:
            if kind:
                yield kind, chunk[start:at]
            start, kind = at, now
    if kind:
        yield kind, chunk[start:]


@lru_cache(maxsize=4096)
def _kind(char: str) -> str:
    category = unicodedata.category(char)
    if category[0] == "M":
        return "mark"
    if any(first <= ord(char) <= last for first, last in _SPACELESS) and category[0] in "LN":
        return "spaceless"
    if category[0] in "LN":
        return "word"
    return "symbol" if category in {"So", "Sm"} and ord(char) > 0x7F else ""  # noqa: PLR2004 - the end of ASCII
