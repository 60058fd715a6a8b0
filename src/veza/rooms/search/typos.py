"""Typos: which words could have been meant by one that is not there.

A letter left out, put in, or exchanged, or two that changed places, is one mistake. Words of 4 to 7 letters
are found with one, longer ones with two; shorter ones and those with digits only as they are.

Two words that are so near give, with as many letters left out of each, the same rest. So the rests of all
words are kept, by number, and those of a question looked up among them; what is found is then compared letter
by letter. Rests are of the first letters only, and those of a word are alike long: what two words have in
common has a part of every shorter length. That keeps them few and loses nothing. Source: W. Garbe, symmetric
delete spelling correction; the distance is optimal string alignment's, H. Hyyrö's way, a column at a time.
"""

from collections.abc import Callable, Iterator
from itertools import combinations
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
    return set(_keys(word, len(word)))


def keys_asked(word: str) -> set[int]:
    """The numbers under which the words may be kept that are near to this one."""
    length = len(word)
    found: set[int] = set()
    if forgiving(word):
        for other in range(max(length - MOST_MISTAKES, SHORTEST), length + MOST_MISTAKES + 1):
            if abs(other - length) <= mistakes(other):
                found.update(_keys(word, other))
    return found


def _keys(word: str, length: int) -> Iterator[int]:
    """What a word has in common with one of this length that is so near, as numbers."""
    rest = min(length, _HEAD) - mistakes(length)
    return (crc32("".join(letters).encode(), length) for letters in combinations(word[:_HEAD], rest))


def may_be_near(letters: frozenset[str], other: str, most: int) -> bool:
    """Whether a word of these letters may be so near to another; says no to most that are not, quickly.

    A mistake takes one letter away at most, and brings in one.
    """
    return len(letters.symmetric_difference(other)) <= 2 * most


def distance_to(word: str) -> Callable[[str], int]:
    """What tells how many mistakes lie between this word and another."""
    places: dict[str, int] = {}
    for at, letter in enumerate(word):
        places[letter] = places.get(letter, 0) | 1 << at
    all_places, last = (1 << len(word)) - 1, 1 << len(word) >> 1

    def distance(other: str) -> int:
        # Bit n is about the word's first n + 1 letters: how a number of mistakes differs from the one beside
        # it (up, down) and over it (more, less), and where it is that of one letter less in both (same).
        more, less, same, before, found = all_places, 0, 0, 0, len(word)
        for letter in other:
            here = places.get(letter, 0)
            swapped = (~same & here) << 1 & before
            same = ((((here & more) + more) ^ more) | here | less | swapped) & all_places
            up, down = less | (~(same | more) & all_places), same & more
            found += bool(up & last) - bool(down & last)
            up, down = up << 1 | 1, down << 1
            more, less, before = down | (~(same | up) & all_places), up & same, here
        return found if word else len(other)

    return distance
