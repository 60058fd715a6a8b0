"""Counting how many are different, exactly while they are few."""

import random
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from veza.core.ids import new_id
from veza.rooms.plays.sketch import EXACT, Sketch, count_all, hash_of, join

# Of one sketch: 1.04 / √2^14.
_ERROR = 0.0081


def _hashes(dice: random.Random, count: int) -> list[int]:
    return [dice.getrandbits(64) for _ in range(count)]


def test_few_are_counted_exactly_and_many_with_the_stated_error() -> None:
    """Up to 10,000 exact; beyond that the errors are spread as they are said to be."""
    dice = random.Random(1)
    for count in (0, 1, 9_999, EXACT):
        assert Sketch(_hashes(dice, count)).count() == count
    counts = (EXACT + 1, 20_000, 60_000) * 12
    errors = [Sketch(_hashes(dice, count)).count() / count - 1 for count in counts]
    spread = (sum(error**2 for error in errors) / len(errors)) ** 0.5
    assert _ERROR * 0.6 < spread < _ERROR * 1.5
    assert abs(sum(errors) / len(errors)) < _ERROR


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=50), max_size=6))
def test_sketches_join_and_survive_being_stored(sets: list[list[int]]) -> None:
    """Together they are the sketch of all, in whatever order they came."""
    stored = [Sketch(one).dump() for one in sets]
    assert [Sketch.load(one).dump() for one in stored] == stored
    assert count_all(stored) == count_all(stored[::-1]) == len(set().union(*sets))
    assert join(stored) == Sketch(one for some in sets for one in some).dump()
    assert count_all([join(stored[:2]), join(stored[2:])]) == count_all(stored)


def test_large_sketches_join() -> None:
    """An estimate of two is that of both together, whether they overlap or not; adding twice adds nothing."""
    dice = random.Random(2)
    one, other = _hashes(dice, 30_000), _hashes(dice, 8_000)
    both = Sketch(one)
    assert both.add(other)
    assert not both.add(other[:100])
    assert not Sketch.load(both.dump()).add(one[:100])
    assert count_all([Sketch(one).dump(), Sketch(other).dump()]) == both.count()
    assert count_all([Sketch(one).dump(), Sketch(one[:5_000]).dump()]) == Sketch(one).count()
    assert join([Sketch(one).dump(), Sketch(other).dump()]) == both.dump()
    assert join([Sketch(one[:8_000]).dump(), Sketch(other).dump()]) == Sketch(one[:8_000] + other).dump()
    halves = [Sketch(_hashes(dice, 4_000)).dump() for _ in range(2)]
    assert count_all(halves) == 8_000
    assert count_all([*halves, Sketch(_hashes(dice, 4_000)).dump()]) != 12_000


def test_who_listens_is_not_told_by_a_hash() -> None:
    """A member and a number that stands for one who is gone are different listeners."""
    user = new_id()
    assert hash_of(user) == hash_of(UUID(str(user)))
    assert len({hash_of(user), hash_of(new_id()), hash_of(1), hash_of(2)}) == 4
