"""The playlists of the demo's people: who made them, of which songs, and who follows them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from veza.access.actor import Member
from veza.core import clock
from veza.core.db import Database
from veza.core.pages import MAX_LIMIT, Page
from veza.demo.talk import CROWD, LISTENER
from veza.rooms.playlists import collaborating, filling, following, service
from veza.rooms.playlists.schemas import Addition, CollaboratorDraft, PlaylistDraft


class Mix(msgspec.Struct, frozen=True):
    """A playlist, and how many days ago it was made; ``shared_with`` may write in it."""

    owner: str
    title: str
    about: str
    songs: Sequence[str]
    followers: Sequence[str]
    days: int
    shared_with: Sequence[str] = ()


MIXES = (
    Mix(
        LISTENER, "Last tram home", "For the window seat.",
        ("Night Tram", "Blue Kettle", "Harbour Lights", "Neon Orchard"), ("orla", *CROWD[:5]), 12, CROWD[:1],
    ),
    Mix(
        CROWD[3], "Slow Sundays", "Nothing that hurries.",
        ("First Snow", "Paper Moon Road", "Corner Table", "Underwater Clock"), (LISTENER, *CROWD[4:6]), 9,
    ),
    # Not followed by the listener, so that there is something to recommend.
    Mix(
        CROWD[5], "Low end theory lessons", "Loud, please.",
        ("Low Ceiling", "Glass Elevator", "Engine Heart", "Pixel Rain"), CROWD[:3], 5,
    ),
)  # fmt: skip


async def add_mixes(database: Database, people: Mapping[str, Member], tracks: Mapping[str, UUID]) -> None:
    """Make those that are not there, of such songs as there are (``tracks``: ids by title)."""
    for mix in MIXES:
        await _add(database, people, mix, [tracks[title] for title in mix.songs if title in tracks])


async def _add(database: Database, people: Mapping[str, Member], mix: Mix, tracks: Sequence[UUID]) -> None:
    owner = people[mix.owner]
    with clock.shifted(-timedelta(days=mix.days)):
        async with database.write() as tx:
            there = await service.list_playlists(tx, owner, Page(limit=MAX_LIMIT), owner.id)
            if not tracks or mix.title in {one.title for one in there.playlists}:
                return
            playlist = await service.create(tx, owner, PlaylistDraft(mix.title, mix.about))
            for track_id in tracks:
                await filling.add(tx, owner, playlist.id, Addition(track_id))
            for name in mix.shared_with:
                draft = CollaboratorDraft(people[name].id, "write")
                await collaborating.add(tx, owner, playlist.id, draft)
            for name in mix.followers:
                await following.follow(tx, people[name], playlist.id)
