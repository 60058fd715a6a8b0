"""Finding things: which match, in which order, and how many there are."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from veza.access.actor import Actor
from veza.core.db import Tx
from veza.core.errors import Detail, InvalidRequest
from veza.core.pages import Page, Pagination
from veza.rooms.search import answers
from veza.rooms.search.answers import Answer, Order
from veza.rooms.search.filters import Asked, read_filters
from veza.rooms.search.findings import FINDINGS, TRACKS, Finding, format_mark, genre_mark, index_of
from veza.rooms.search.ladder import Filters, Match, Rung, beginning, exactly
from veza.rooms.search.nearby import ladders
from veza.rooms.search.ranges import find as in_ranges
from veza.rooms.search.schemas import Found, FoundPagination, FoundTracks
from veza.rooms.search.store import Index, Standing, Weighed
from veza.rooms.search.words import words_asked
from veza.rooms.tracks import service as tracks


async def search_tracks(tx: Tx, actor: Actor, asked: Asked, page: Page) -> FoundTracks:
    """A page of the tracks that everybody sees and that match; without a question, of all that pass.

    Those of users hidden from ``actor`` are left out. Raises :class:`veza.core.errors.InvalidRequest` for
    filters that make no sense.
    """
    genre = tracks.genre_key(asked.genre) if asked.genre else None
    form = tracks.format_name(asked.format) if asked.format else None
    ranges = read_filters(asked)
    order = Order(asked.sort_by, asked.sort_order == "desc")
    marks = (*([genre_mark(genre)] if genre is not None else ()), *([format_mark(form)] if form else ()))
    filters = msgspec.structs.replace(ranges, marks=marks, hidden=actor.hidden)
    if asked.q and asked.q.strip():
        answer = await find(tx, TRACKS, asked.q, page, filters, order)
    elif ranges.ranged:
        order = msgspec.structs.replace(order, by=order.by or "created_at")
        answer = await in_ranges(tx, index_of(TRACKS, tx), (), filters, page, order)
    else:
        return await _list(tx, actor, asked, page)
    place = page.of(answer.total)
    shown = await TRACKS.show(tx, actor, answer.ids, "")
    return FoundTracks(shown, _stands(place, exact=answer.exact))


async def _list(tx: Tx, actor: Actor, asked: Asked, page: Page) -> FoundTracks:
    """A list as `GET /tracks` gives it."""
    found = await tracks.list_tracks(
        tx, actor, page, genre=asked.genre, form=asked.format,
        sort_by=asked.sort_by or "created_at", sort_order=asked.sort_order,
    )  # fmt: skip
    return FoundTracks(found.tracks, _stands(found.pagination, exact=True))


async def search(tx: Tx, actor: Actor, question: str, kind: str | None, page: Page, base_url: str) -> Found:
    """A page of everything that everybody sees and that matches; of one ``kind`` alone, if one is named.

    What belongs to users hidden from ``actor``, and they themselves, are left out. Raises
    :class:`veza.core.errors.InvalidRequest` for a question without a character.
    """
    if not question.strip():
        raise InvalidRequest(details=[Detail("q", "Must not be empty.", "TOO_SHORT")])
    shown: dict[str, Sequence[Any]] = {}
    answers: dict[str, Answer] = {}
    for finding in FINDINGS:
        name = finding.kind.name
        if kind in {None, name}:
            answers[name] = await find(tx, finding, question, page, Filters(hidden=actor.hidden))
            shown[name] = await finding.show(tx, actor, answers[name].ids, base_url)
    totals = dict.fromkeys(("tracks", "users", "playlists"), 0)
    totals |= {name: answer.total for name, answer in answers.items()}
    return Found(
        tracks=shown.get("tracks", ()),
        users=shown.get("users", ()),
        playlists=shown.get("playlists", ()),
        total=sum(totals.values()),
        totals=totals,
        total_is_exact=all(answer.exact for answer in answers.values()),
        page=page.number,
        limit=page.limit,
    )


async def find(
    tx: Tx,
    finding: Finding,
    question: str,
    page: Page,
    filters: Filters = Filters(),  # noqa: B008 - frozen
    order: Order = Order(),  # noqa: B008 - frozen
) -> Answer:
    """The things that match, in this order."""
    words = words_asked(question)
    if not words:
        return Answer()
    index = index_of(finding, tx)
    if filters.ranged:
        return await in_ranges(tx, index, words, filters, page, order)
    rungs, weighed = await _climb(tx, index, words, filters)
    total = weighed.total
    exact, shown = total <= answers.MOST, min(total, answers.MOST)
    offset, limit = page.offset, min(page.limit, shown - page.offset)
    if limit <= 0:
        return Answer((), shown, exact)
    if order.by is None:
        return Answer(await _relevant(tx, index, rungs, filters, weighed, offset, limit), shown, exact)
    how: dict[str, Any] = {
        "total": total, "descending": order.descending, "offset": offset, "limit": limit,
    }  # fmt: skip
    text = await index.expression(tx, Match(rungs[-1], filters))
    if order.by == "popularity":
        return Answer(await index.best(tx, text, filters, **how), shown, exact)
    return Answer(await index.sorted(tx, text, filters, by=order.by, **how), shown, exact)


async def _climb(
    tx: Tx, index: Index, words: Sequence[str], filters: Filters
) -> tuple[Sequence[Rung], Weighed]:
    """The rungs on which something stands, each with all that those before it hold; and how much that is."""
    rungs: Sequence[Rung] = (exactly(words), beginning(words))
    weighed = await index.weigh(tx, rungs, filters, answers.MOST)
    if weighed.total:
        return rungs, weighed
    # Only where nothing is as it was typed.
    for rungs in await ladders(tx, index, words):
        if not rungs:
            continue
        weighed = await index.weigh(tx, rungs, filters, answers.MOST)
        if weighed.total:
            return rungs, weighed
    return (), Weighed(0)


async def _relevant(
    tx: Tx, index: Index, rungs: Sequence[Rung], filters: Filters, weighed: Weighed, offset: int, limit: int
) -> list[UUID]:
    found: list[UUID] = []
    for n, rung in enumerate(rungs):
        part = weighed.parts[n] if n < len(weighed.parts) else None
        if part is not None and offset >= part.size:
            offset -= part.size
            continue
        got = await _on_rung(tx, index, Match(rung, filters, less=rungs[:n]), weighed, part, offset, limit)
        found += got
        limit -= len(got)
        if not limit:
            break
        if part is not None or got or not offset:
            size = part.size if part is not None else offset + len(got)
        else:
            text = await index.expression(tx, Match(rung, filters, less=rungs[:n]))
            size = await index.count(tx, text, filters, answers.MOST)
        offset = max(offset - size, 0)
    return found


async def _on_rung(
    tx: Tx, index: Index, match: Match, weighed: Weighed, part: Standing | None, offset: int, limit: int
) -> list[UUID]:
    """What stands on one rung, from there on: of the window that was seen already, or found anew."""
    if part is not None and (offset + limit <= len(part.first) or part.size == len(part.first)):
        return await index.ordered(
            tx, part.first, by="popularity", descending=True, offset=offset, limit=limit
        )
    total = weighed.total if part is None else part.size
    text = await index.expression(tx, match)
    return await index.best(tx, text, match.filters, total=total, offset=offset, limit=limit)


def _stands(place: Pagination, *, exact: bool) -> FoundPagination:
    return FoundPagination(place.page, place.limit, place.total, place.total_pages, exact)
