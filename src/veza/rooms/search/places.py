"""Places: the one number by which entries are in the order of finding, the popular first, then the new.

The full-text table on SQLite is in the order of places, so the best of a million matches are its first ones,
and nobody reads the rest. A place is of when it was last given: what is found together is put in the true
order of the moment, and a job gives new places to what has become much more, or less, popular.
"""

from datetime import timedelta

_NUMBERS = 32
_MOST_NUMBER = (1 << _NUMBERS) - 1
_MOST_POPULAR = (1 << 31) - 1

# An entry gets a new place when its popularity is off by half, and by more than a few.
HALF = 2
FEW = 4
EVERY = timedelta(hours=1)


def place_of(popularity: int, number: int) -> int:
    """The place of the ``number``-th entry; a smaller one is found earlier."""
    return (_MOST_POPULAR - min(max(popularity, 0), _MOST_POPULAR) << _NUMBERS) | (_MOST_NUMBER - number)


def number_of(place: int) -> int:
    """Which entry this is the place of."""
    return _MOST_NUMBER - (place & _MOST_NUMBER)


def popularity_of(place: int) -> int:
    """The popularity that the place was given for."""
    return _MOST_POPULAR - (place >> _NUMBERS)
