"""What is looked for where nothing is as it was typed: words that are near."""

from collections.abc import Sequence

from veza.core.db import Tx
from veza.rooms.search.ladder import Rung, Term
from veza.rooms.search.store import MOST_NEAR, Index
from veza.rooms.search.typos import MOST_MISTAKES, distance_to, may_be_near, mistakes


async def ladders(view: Tx, index: Index, words: Sequence[str]) -> list[Sequence[Rung]]:
    """Ladders to try one after the other, each of rungs that hold what those before them do.

    First the words that nothing begins with are replaced by near ones, the nearest first; then any word may
    be meant by a near one.
    """
    near = [await _near(view, index, word) for word in words]
    known = [bool(await index.begins(view, word, 1)) for word in words]
    if not all(is_known or found for is_known, found in zip(known, near, strict=True)):
        return []
    rungs: list[Rung] = []
    for most in range(1, MOST_MISTAKES + 1):
        rung = tuple(
            Term(word, prefix=True) if is_known else Term(word, near=_within(found, most), strict=False)
            for word, is_known, found in zip(words, known, near, strict=True)
        )
        if all(term.strict or term.near for term in rung) and rung not in rungs:
            rungs.append(rung)
    wide = tuple(
        Term(word, prefix=True, near=_within(found, MOST_MISTAKES))
        for word, found in zip(words, near, strict=True)
    )
    wider = any(is_known and found for is_known, found in zip(known, near, strict=True))
    return [rungs, [wide]] if wider else [rungs]


def _within(found: Sequence[tuple[int, str]], most: int) -> tuple[str, ...]:
    return tuple(word for far, word in found if far <= most)


async def _near(view: Tx, index: Index, word: str) -> list[tuple[int, str]]:
    """Words that may be meant, with how far they are, the nearest first."""
    found, letters, distance = [], frozenset(word), distance_to(word)
    for other in await index.near(view, word):
        most = mistakes(len(other))
        if may_be_near(letters, other, most) and 0 < (far := distance(other)) <= most:
            found.append((far, other))
    return sorted(found)[:MOST_NEAR]
