"""Typos: which words could have been meant by one that is not there.

A letter left out, put in, or exchanged, or two that changed places, is one mistake. Words of 4 to 7 letters
are found with one, longer ones with two; shorter ones and those with digits only as they are.

Two words that are so near give, with as many letters left out of each, the same rest. So the rests of all
words are kept, by number, and those of a question looked up among them; what is found is then compared letter
by letter. Rests are of the first letters only, which keeps them few and loses nothing. Source: W. Garbe,
symmetric delete spelling correction; the distance is that of optimal string alignment.
"""

from collections.abc import Iterator
from zlib import crc32

SHORTEST = 4
LONG = 8
# Rests are made of so many letters.
_HEAD = 7
MOST_MISTAKES = 2


def mistakes(length: int) -> int:
    """How many mistakes a word of this length is found with."""
    if length < SHORTEST:
        return 0
    return 1 if length < LONG else MOST_MISTAKES


def forgiving(word: str) -> bool:
    """Whether a word can be meant by another at all: a number is no mistaken other one."""
    return len(word) >= SHORTEST and not any(char.isdigit() for char in word)


def keys_of(word: str) -> set[int]:
    """The numbers under which a word is kept; none for one that is found only as it is."""
    if not forgiving(word):
        return set()
    return set(_keys(word, len(word), mistakes(len(word))))


def keys_asked(word: str) -> set[int]:
    """The numbers under which the words may be kept that are near to this one."""
    length = len(word)
    found: set[int] = set()
    if forgiving(word):
        for other in range(max(length - MOST_MISTAKES, SHORTEST), length + MOST_MISTAKES + 1):
            if abs(other - length) <= mistakes(other):
                found.update(_keys(word, other, mistakes(other)))
    return found


def _keys(word: str, length: int, left_out: int) -> Iterator[int]:
    """The rests of a word with so many letters left out at most, as numbers, for words of this length."""
    head = word[:_HEAD]
    yield crc32(head.encode(), length)
    for one in range(len(head)):
        rest = head[:one] + head[one + 1 :]
        yield crc32(rest.encode(), length)
        if left_out == MOST_MISTAKES:
            for other in range(one, len(rest)):
                yield crc32((rest[:other] + rest[other + 1 :]).encode(), length)


def may_be_near(letters: frozenset[str], other: str, most: int) -> bool:
    """Whether a word of these letters may be so near to another; says no to most that are not, quickly.

    A mistake takes one letter away at most, and brings in one.
    """
    return len(letters.symmetric_difference(other)) <= 2 * most


def distance(one: str, other: str, most: int) -> int:
    """How many mistakes lie between two words; ``most`` + 1 for any more than that."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(other, 1):
            cost = min(row[j - 1] + 1, before[j] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > most and min(before) > most:
            return most + 1
    return min(row[-1], most + 1)
