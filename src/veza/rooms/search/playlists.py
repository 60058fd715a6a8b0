"""Finding playlists: public ones by the index, and private ones of whoever asks by reading their titles."""

from uuid import UUID

import msgspec

from veza.access.actor import Member
from veza.core.db import Tx
from veza.core.pages import Page
from veza.rooms.playlists import service as playlists
from veza.rooms.playlists.schemas import PlaylistSummary
from veza.rooms.search.findings import PLAYLISTS, owner_mark
from veza.rooms.search.ladder import Filters
from veza.rooms.search.schemas import FoundPlaylists
from veza.rooms.search.service import find
from veza.rooms.search.words import words_asked, words_of

# So many private ones of theirs are looked through, the newest first.
_MOST_PRIVATE = Page(limit=1_000)


class Asked(msgspec.Struct, frozen=True):
    """What was asked for: words of the title, whose, and only public or private ones."""

    q: str | None
    user_id: UUID | None
    is_public: bool | None


class _From(Page, frozen=True):
    """A part of a list that begins anywhere."""

    start: int = 0

    @property
    def offset(self) -> int:
        """Where it begins."""
        return self.start


async def search_playlists(tx: Tx, actor: Member, asked: Asked, page: Page) -> FoundPlaylists:
    """A page of the playlists that ``actor`` sees and that match; without a question, of all of them."""
    if not (asked.q and asked.q.strip()):
        every = await playlists.list_playlists(tx, actor, page, asked.user_id, is_public=asked.is_public)
        return FoundPlaylists(every.playlists, every.pagination.total, page.number, page.limit)
    private = [] if asked.is_public else await _private(tx, actor, asked.q, asked.user_id)
    shown, total = private[page.offset :][: page.limit], len(private)
    if asked.is_public is not False:
        marks = () if asked.user_id is None else (owner_mark(asked.user_id),)
        rest = _From(1, page.limit - len(shown), max(page.offset - total, 0))
        answer = await find(tx, PLAYLISTS, asked.q, rest, Filters(marks, hidden=actor.hidden))
        shown += await playlists.list_by_ids(tx, actor, answer.ids)
        total += answer.total
    return FoundPlaylists(shown, total, page.number, page.limit)


async def _private(tx: Tx, actor: Member, question: str, user_id: UUID | None) -> list[PlaylistSummary]:
    """The private playlists that ``actor`` works on and whose titles have words that begin so."""
    asked = words_asked(question)
    every = await playlists.list_playlists(tx, actor, _MOST_PRIVATE, user_id, is_public=False)
    return [one for one in every.playlists if asked and _match(asked, words_of((one.title,)))]


def _match(asked: list[str], words: set[str]) -> bool:
    return all(any(word.startswith(start) for word in words) for start in asked)
