"""What is learned from baskets, how it lies in its file, and whether it is any good."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from tests.tastes import Heard, hit_rate, popularity, split, tastes
from veza.rooms.recommendations.learning import (
    LEAST_SUPPORT,
    MOST_IN_BASKET,
    MOST_NEAR,
    SHRINKAGE,
    Baskets,
    learn,
)
from veza.rooms.recommendations.model import STRONGEST, BadModel, Kind, Model
from veza.rooms.recommendations.ranking import Seed, rank, rank_playlists
from veza.rooms.recommendations.writing import Learned, write

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def baskets(
    *rows: Sequence[int], people: int | None = None, tracks: int = 1000, things: int = 1000
) -> Baskets:
    """Everybody's basket, the first thing in it the earliest."""
    pairs = [(basket, thing, at) for basket, row in enumerate(rows) for at, thing in enumerate(row)]
    basket, thing, at = np.array(pairs, np.int64).reshape(-1, 3).T
    weight = np.full(len(basket), 0.7, np.float32)
    return Baskets(basket, thing, weight, at, len(rows) if people is None else people, tracks, things)


def made(path: Path, given: Baskets, charts: Sequence[int] = ()) -> Model:
    """A model of these baskets; the id of each thing is its number."""
    ids = b"".join(number.to_bytes(16) for number in range(given.things))
    none = np.zeros(0, np.int64)
    learned = Learned(
        given.tracks, given.things - given.tracks, ids, learn(given, at_once=1_000),
        {Kind.TRACK: np.array(charts, np.int64), Kind.PLAYLIST: none}, NOW,
    )  # fmt: skip
    path.unlink(missing_ok=True)
    write(path, learned)
    return Model(path)


def near(model: Model, number: int, kind: Kind = Kind.TRACK) -> list[int]:
    return [other for other, _, _ in model.neighbours(number, kind)]


def test_what_the_same_people_have_is_near(tmp_path: Path) -> None:
    """Two people make a pair, one alone makes none: so nothing tells what a single person does."""
    model = made(tmp_path / "m", baskets([1, 2, 3], [1, 2, 4], [1, 5], [6, 5], [7, 8]))
    assert near(model, 1) == [2]
    assert near(model, 2) == [1]
    assert [near(model, number) for number in (3, 4, 5, 6, 7, 8, 999)] == [[]] * 7
    assert LEAST_SUPPORT == 2


def test_the_nearer_comes_first_and_what_everybody_has_is_near_to_nothing_much(tmp_path: Path) -> None:
    rows = [*[[0, 10, 11]] * 30, *[[0, 10, 12]] * 10, *([0, 20 + n] for n in range(90))]
    model = made(tmp_path / "m", baskets(*rows))
    assert near(model, 10) == [11, 0, 12]
    found = {other: strength for other, strength, _ in model.neighbours(11, Kind.TRACK)}
    assert found[10] > found[0] > 0


def test_a_playlist_speaks_alone_since_everybody_sees_it(tmp_path: Path) -> None:
    """Thing 3 is the playlist; its basket holds itself and its tracks."""
    model = made(tmp_path / "m", baskets([0, 1], [0, 2, 3], people=1, tracks=3, things=4))
    assert (near(model, 0), near(model, 0, Kind.PLAYLIST)) == ([2], [3])
    assert next(model.neighbours(0, Kind.TRACK))[2] == 1, "because of a playlist"
    assert near(model, 3) == [2, 0], "what others have as well is less near"
    assert near(model, 1) == []


def test_of_a_basket_the_latest_count(tmp_path: Path) -> None:
    """A long history costs no more than a short one, and old tastes give way."""
    long = list(range(MOST_IN_BASKET + 5))
    model = made(tmp_path / "m", baskets(long, long))
    assert near(model, 4) == []
    assert len(near(model, 5)) == 24


def test_what_very_many_have_is_thinned_out_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded whatever everybody listens to, and what is near stays near."""
    monkeypatch.setattr("veza.rooms.recommendations.learning.MOST_OF_THING", 50)
    rows = [[0, 1 + n % 3] for n in range(600)]
    model = made(tmp_path / "m", baskets(*rows))
    strengths = [strength for _, strength, _ in model.neighbours(0, Kind.TRACK)]
    assert sorted(near(model, 0)) == [1, 2, 3]
    assert max(strengths) - min(strengths) < max(strengths) / 5


def test_it_is_what_counting_one_by_one_gives(tmp_path: Path) -> None:
    """Every pair of a small world by the words of the method, in plain Python; and no pair beside."""
    dice = np.random.default_rng(8)
    rows = [dice.permutation(30)[: dice.integers(1, 9)].tolist() for _ in range(120)]
    given = baskets(*rows, people=110, tracks=25, things=30)
    sizes, pairs, lengths = [len(row) for row in rows], defaultdict[tuple[int, int], float](float), [0.0] * 30
    support: Counter[tuple[int, int]] = Counter()
    for basket, row in enumerate(rows):
        weight = 0.7 / math.sqrt(math.log2(1 + sizes[basket]))
        for one in row:
            lengths[one] += weight**2
            for other in row:
                pairs[one, other] += weight**2
                support[one, other] += 1 if basket < given.people else 2
    wanted: dict[tuple[int, int], float] = {}
    for (one, other), together in pairs.items():
        if one != other and support[one, other] >= LEAST_SUPPORT:
            cosine = together / math.sqrt(lengths[one] * lengths[other])
            believed = cosine * support[one, other] / (support[one, other] + SHRINKAGE)
            wanted[one, other] = believed
    model = made(tmp_path / "m", given)
    for one in range(30):
        found = {
            other: strength / STRONGEST for kind in Kind for other, strength, _ in model.neighbours(one, kind)
        }
        here = {other: value for (this, other), value in wanted.items() if this == one}
        nearest = sorted(here.values(), reverse=True)
        assert len(found) >= min(len(here), MOST_NEAR[Kind.PLAYLIST])
        assert found == pytest.approx({other: here[other] for other in found}, abs=2e-4)
        assert max(found.values(), default=0) == pytest.approx(max(nearest, default=0), abs=2e-4)


def test_the_same_baskets_teach_the_same_whatever_their_order(tmp_path: Path) -> None:
    """P18: and however much is looked at at a time."""
    world = tastes(200, 300, 6, 25)
    given = heard(world)
    mixed = np.random.default_rng(3).permutation(len(given.basket))
    other = Baskets(
        given.basket[mixed], given.thing[mixed], given.weight[mixed], given.at[mixed],
        given.people, given.tracks, given.things,
    )  # fmt: skip
    first = learn(given)
    for again in (learn(other), learn(given, at_once=500)):
        for kind in Kind:
            assert np.array_equal(first[kind].places, again[kind].places)
            assert np.array_equal(first[kind].neighbours, again[kind].neighbours)


def heard(world: Heard) -> Baskets:
    return Baskets(
        world.person, world.track, np.full(len(world.person), 0.7, np.float32), np.arange(len(world.person)),
        world.people, world.tracks, world.tracks,
    )  # fmt: skip


def test_nothing_is_learned_from_nothing(tmp_path: Path) -> None:
    model = made(tmp_path / "m", baskets(tracks=0, things=0))
    assert (model.find(Kind.TRACK, UUID(int=1)), model.charts(Kind.TRACK, 9)) == (None, [])
    model = made(tmp_path / "m", baskets(tracks=3, things=3), charts=[2, 0])
    assert (near(model, 2), model.charts(Kind.TRACK, 1), model.charts(Kind.TRACK, 9)) == ([], [2], [2, 0])
    assert model.learned_at == NOW


def test_every_id_is_found_and_no_other(tmp_path: Path) -> None:
    """Also ids that begin alike, or that stand in two that lie side by side."""
    alike = [UUID(int=(7 << 64) + number) for number in range(300)]
    apart = [UUID(int=number << 64 | 5) for number in range(0, 600, 2) if number != 7]
    tracks = sorted({*alike, *apart, UUID(int=0), UUID(int=1 << 120), UUID(int=(1 << 128) - 1)})
    lists = sorted(UUID(int=number << 100) for number in range(1, 200))
    none = np.zeros(0, np.int64)
    things = len(tracks) + len(lists)
    ids = b"".join(thing.bytes for thing in (*tracks, *lists))
    nothing = learn(baskets(tracks=len(tracks), things=things))
    write(tmp_path / "m", Learned(len(tracks), len(lists), ids, nothing, dict.fromkeys(Kind, none), NOW))
    model = Model(tmp_path / "m")
    assert [model.find(Kind.TRACK, thing) for thing in tracks] == list(range(len(tracks)))
    assert [model.find(Kind.PLAYLIST, thing) for thing in lists] == list(range(len(tracks), things))
    numbers = (0, len(tracks), things - 1)
    assert [model.id_of(number) for number in numbers] == [tracks[0], lists[0], lists[-1]]
    strangers = [UUID(int=1), UUID(int=(7 << 64) + 300), UUID(int=3 << 64 | 5), UUID(int=1 << 64), lists[5]]
    assert [model.find(Kind.TRACK, thing) for thing in strangers] == [None] * 5


def test_what_is_no_model_or_not_whole_is_refused(tmp_path: Path) -> None:
    """X3: and a file that is cut short under a reader is an error, not the end of the process."""
    path = tmp_path / "m"
    model = made(path, baskets([1, 2], [1, 2]), charts=[1])
    whole = path.read_bytes()
    for bad in (b"", whole[:20], b"x" + whole[1:], whole[:-1], whole + b"\0"):
        (tmp_path / "bad").write_bytes(bad)
        with pytest.raises(BadModel):
            Model(tmp_path / "bad")
    path.write_bytes(whole[:100])
    with pytest.raises(BadModel):
        model.charts(Kind.TRACK, 1)


def test_what_is_recommended_is_near_new_and_says_because_of_what(tmp_path: Path) -> None:
    rows = [[1, 2], [1, 2], [1, 2, 3], [1, 3, 9], [4, 5], [4, 5], [4, 2], [4, 2]]
    model = made(tmp_path / "m", baskets(*rows))
    found = rank(model, [Seed(1, 1.0), Seed(4, 0.2)], Kind.TRACK, 10)
    assert [(one.number, one.because) for one in found] == [(2, 1), (3, 1), (5, 4)]
    assert [one.number for one in rank(model, [Seed(1, 1.0)], Kind.TRACK, 10, known={2})] == [3]
    assert [one.number for one in rank(model, [Seed(1, 0.1), Seed(4, 1.0)], Kind.TRACK, 1)] == [5]


def test_a_playlist_is_found_by_what_is_near_to_what_it_holds(tmp_path: Path) -> None:
    """Nobody who has track 1 has the playlist's track 3, but those who have 1 have 2, and 2 is in it."""
    rows = [[0, 1], [0, 1], [1, 2], [1, 2], [2, 3, 5], [4, 6]]
    model = made(tmp_path / "m", baskets(*rows, people=4, tracks=5, things=7))
    assert [one.number for one in rank_playlists(model, [Seed(1, 1.0)], 10)] == [5]
    assert [one.number for one in rank_playlists(model, [Seed(4, 1.0), Seed(1, 0.5)], 10)] == [6, 5]
    assert [one.number for one in rank_playlists(model, [Seed(6, 1.0), Seed(2, 1.0)], 10)] == [5]


def test_tastes_are_found_at_least_twice_as_often_as_by_popularity(tmp_path: Path) -> None:
    """The last track that each of 600 people heard is among ten for 33 %, by popularity for 8 %."""
    judged = split(tastes(600, 800, 16, 40), 600)
    model = made(tmp_path / "m", heard(judged.learned))

    def learned(had: list[int]) -> list[int]:
        return [one.number for one in rank(model, [Seed(number, 1.0) for number in had], Kind.TRACK, 10)]

    ours, theirs = (hit_rate(judged.asked, method) for method in (learned, popularity(judged.learned)))
    assert ours >= 2 * theirs, (ours, theirs)
    assert ours >= 0.25, (ours, theirs)
