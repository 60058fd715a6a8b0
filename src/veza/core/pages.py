"""Pages: `page` counts from 1, `limit` is 1 to 100."""

import msgspec

MAX_LIMIT = 100
# Beyond this a page cannot exist on any machine; it bounds the offset that a database is asked for.
MAX_PAGE = 10_000_000


class Pagination(msgspec.Struct, frozen=True):
    """Where a list stands: `total` things in `total_pages` pages of `limit`."""

    page: int
    limit: int
    total: int
    total_pages: int


class Page(msgspec.Struct, frozen=True):
    """What part of a list is asked for."""

    number: int = 1
    limit: int = 20

    @property
    def offset(self) -> int:
        """How many things come before this page."""
        return (self.number - 1) * self.limit

    def of(self, total: int) -> Pagination:
        """This page's place in a list of ``total`` things."""
        return Pagination(self.number, self.limit, total, -(-total // self.limit))
