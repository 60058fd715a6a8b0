"""Which bytes a Range header asks for."""

from datetime import UTC, datetime

import pytest

from veza.core.filebytes import Part, Unsatisfiable, Whole, is_later_part, parse_range

CHANGED = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
DATE = "Sun, 01 Mar 2026 12:00:00 GMT"
ETAG = '"abc"'

RANGES = [
    (None, Whole()),
    ("", Whole()),
    ("bytes=0-", Part(0, 1000)),
    ("bytes=0-0", Part(0, 1)),
    ("bytes=0-999", Part(0, 1000)),
    ("bytes=0-1000", Part(0, 1000)),
    ("bytes=10-19", Part(10, 10)),
    ("bytes=999-", Part(999, 1)),
    ("bytes=999-999", Part(999, 1)),
    ("bytes=-1", Part(999, 1)),
    ("bytes=-1000", Part(0, 1000)),
    ("bytes=-5000", Part(0, 1000)),
    ("Bytes=0-1", Part(0, 2)),
    (" bytes=0-1\t", Part(0, 2)),
    ("bytes=007-0010", Part(7, 4)),
    ("bytes=0-" + "9" * 5000, Part(0, 1000)),
    ("bytes=-" + "9" * 5000, Part(0, 1000)),
    ("bytes=1000-", Unsatisfiable()),
    ("bytes=1000-2000", Unsatisfiable()),
    ("bytes=" + "9" * 5000 + "-", Unsatisfiable()),
    ("bytes=-0", Unsatisfiable()),
    ("bytes=5-2", Whole()),
    ("bytes=-", Whole()),
    ("bytes=", Whole()),
    ("bytes", Whole()),
    ("bytes=a-b", Whole()),
    ("bytes=1.5-2", Whole()),
    ("bytes=--1", Whole()),
    ("bytes=+1-2", Whole()),
    ("bytes=0x1-2", Whole()),
    ("bytes=1_0-20", Whole()),
    ("bytes=\u0661-\u0662", Whole()),
    ("bytes=\u00b2-3", Whole()),
    ("bytes 0-1", Whole()),
    ("bytes = 0-1", Whole()),
    ("bytes=0 - 1", Whole()),
    ("items=0-1", Whole()),
    ("bytes=0-1,5-6", Whole()),
    ("bytes=" + ",".join(["0-"] * 1000), Whole()),
    ("bytes=0-1\n", Whole()),
]


@pytest.mark.parametrize(("header", "wanted"), RANGES, ids=range(len(RANGES)))
def test_ranges(header, wanted):
    """T18: of a file of 1,000 bytes."""
    assert parse_range(header, 1000) == wanted


def test_no_later_part_holds_the_beginning():
    """G17: of a file of any size; what is asked for like this is not counted."""
    later = [header for header, _ in RANGES if is_later_part(header or "")]
    assert [header[:14] for header in later] == [
        "bytes=10-19", "bytes=999-", "bytes=999-999", "bytes=007-0010", "bytes=1000-", "bytes=1000-200",
        "bytes=99999999",
    ]  # fmt: skip
    for got in (parse_range(header, size) for header in later for size in (1, 6, 1000, 10**17)):
        assert isinstance(got, Unsatisfiable) or got.start > 0


@pytest.mark.parametrize(
    ("header", "wanted"),
    [("bytes=0-", Unsatisfiable()), ("bytes=0-0", Unsatisfiable()), ("bytes=-5", Whole()), (None, Whole())],
)
def test_ranges_of_an_empty_file(header, wanted):
    """T18: no part of nothing can be named by Content-Range."""
    assert parse_range(header, 0) == wanted


IF_RANGES = [
    (None, Part(5, 5)),
    (ETAG, Part(5, 5)),
    (f" {ETAG} ", Part(5, 5)),
    ('"other"', Whole()),
    ('W/"abc"', Whole()),
    ("abc", Whole()),
    ("", Whole()),
    (DATE, Part(5, 5)),
    ("Sun, 01 Mar 2026 12:00:01 GMT", Whole()),
    ("Sun, 01 Mar 2026 11:59:59 GMT", Whole()),
    ("Mon, 99 Foo 2026 12:00:00 GMT", Whole()),
    ("Sun, 01 Mar 99999 12:00:00 GMT", Whole()),
]


@pytest.mark.parametrize(("if_range", "wanted"), IF_RANGES)
def test_a_part_only_of_the_same_file(if_range, wanted):
    """T18: If-Range by strong comparison; else the whole file, as it is now."""
    got = parse_range("bytes=5-9", 1000, etag=ETAG, last_modified=CHANGED, if_range=if_range)
    assert got == wanted


def test_if_range_without_anything_to_compare_with():
    """T18: a weak validator of ours, or none, never proves that the file is the same."""
    assert parse_range("bytes=5-9", 10, if_range=ETAG) == Whole()
    assert parse_range("bytes=5-9", 10, if_range=DATE) == Whole()
    assert parse_range("bytes=5-9", 10, etag='W/"abc"', if_range='W/"abc"') == Whole()
    # What cannot be satisfied is no error either when the file has changed.
    assert parse_range("bytes=50-", 10, etag=ETAG, if_range='"old"') == Whole()


def test_content_range():
    """T18: first and last are both included."""
    assert Part(10, 10).content_range(1000) == "bytes 10-19/1000"
