"""The order of a playlist: positions are 1 to n, whatever is done to it, by whomever and at once."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from tests.rooms.listening_house import song
from tests.rooms.playlists_house import check_sums, look, make, member, places, somebody
from tests.world import World, open_world
from veza.access.actor import Actor, Member
from veza.core.db import Database
from veza.core.errors import VezaError
from veza.core.ids import new_id
from veza.rooms.playlists import entries_store, filling, people_store, service, store
from veza.rooms.playlists.entries_store import GAP
from veza.rooms.playlists.errors import PlaylistFull, ReorderMismatch, TrackAlreadyInPlaylist
from veza.rooms.playlists.jobs import copy_track, forget_track
from veza.rooms.playlists.schemas import MAX_TRACKS, Addition, Move, Order
from veza.rooms.tracks import service as tracks
from veza.rooms.tracks import store as tracks_store
from veza.rooms.tracks.errors import TrackNotFound
from veza.rooms.tracks.schemas import TrackChanges


class Scene:
    """Olga's playlist, on which Wil works, and tracks of both; and what they should see of it."""

    def __init__(self, world: World, playlist_id: UUID, owners: dict[str, Member], guest: Actor) -> None:
        self.world = world
        self.playlist_id = playlist_id
        self.owners = owners
        self.editors = list({owner.id: owner for owner in owners.values()}.values())
        self.viewers: list[Actor] = [*self.editors, guest]
        self.hidden: set[str] = set()
        self.order: list[str] = []

    def seen(self, actor: Actor) -> list[str]:
        return [one for one in self.order if one not in self.hidden or self.owners[one].id == actor.id]

    async def run(self, work: Any, *args: Any) -> Any:
        async with self.world.parts.database.write() as tx:
            return await work(tx, *args)


def machine(scene: Scene, loop: asyncio.AbstractEventLoop) -> type[RuleBasedStateMachine]:
    """Random lives of that playlist, held against a plain list."""

    def wait(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(20)

    songs = sorted(scene.owners)
    some, editors = st.sampled_from(songs), st.sampled_from(scene.editors)
    part = st.floats(0, 1, exclude_max=True)

    class Life(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            for one in scene.order:
                wait(scene.run(filling.remove, scene.owners[one], scene.playlist_id, UUID(one)))
            scene.order = []
            for one in sorted(scene.hidden):
                self.hide_or_show(one)

        @rule(one=some, actor=editors, part=st.none() | part)
        def add(self, one: str, actor: Member, part: float | None) -> None:
            seen = scene.seen(actor)
            position = None if part is None else int(part * (len(seen) + 1)) + 1
            adding = scene.run(filling.add, actor, scene.playlist_id, Addition(UUID(one), position))
            if one in scene.hidden and scene.owners[one].id != actor.id:
                with pytest.raises(TrackNotFound):
                    wait(adding)
            elif one in scene.order:
                with pytest.raises(TrackAlreadyInPlaylist):
                    wait(adding)
            else:
                wait(adding)
                self._insert(one, seen, len(seen) if position is None else position - 1)

        @precondition(lambda _: scene.order)
        @rule(part=part, actor=editors)
        def remove(self, part: float, actor: Member) -> None:
            if seen := scene.seen(actor):
                one = seen[int(part * len(seen))]
                wait(scene.run(filling.remove, actor, scene.playlist_id, UUID(one)))
                scene.order.remove(one)

        @precondition(lambda _: scene.order)
        @rule(part=part, to=part, actor=editors)
        def move(self, part: float, to: float, actor: Member) -> None:
            if seen := scene.seen(actor):
                one, at = seen[int(part * len(seen))], int(to * len(seen))
                wait(scene.run(filling.move, actor, scene.playlist_id, UUID(one), Move(at + 1)))
                scene.order.remove(one)
                self._insert(one, scene.seen(actor), at)

        @rule(dice=st.randoms(use_true_random=False), actor=editors)
        def reorder(self, dice: Any, actor: Member) -> None:
            seen = scene.seen(actor)
            new = dice.sample(seen, len(seen))
            wait(scene.run(filling.reorder, actor, scene.playlist_id, Order([UUID(one) for one in new])))
            following = iter(new)
            scene.order = [next(following) if one in seen else one for one in scene.order]

        @rule(one=some)
        def hide_or_show(self, one: str) -> None:
            async def change(tx: Any) -> None:
                track = await tracks.hold(tx, scene.owners[one], UUID(one))
                await tracks.update_track(tx, track, TrackChanges(is_public=one in scene.hidden))
                assert not await copy_track(tx, track.id, 500)

            wait(scene.run(change))
            scene.hidden ^= {one}

        @rule()
        def forget_room_between(self) -> None:
            """As after very many changes at one spot."""

            async def squeeze(tx: Any) -> None:
                for n, one in enumerate(scene.order):
                    await entries_store.move(tx, scene.playlist_id, UUID(one), n + 1)

            wait(scene.run(squeeze))

        def _insert(self, one: str, seen: list[str], at: int) -> None:
            """Right before what has the position now; at the end behind all, also what is hidden."""
            scene.order.insert(scene.order.index(seen[at]) if at < len(seen) else len(scene.order), one)

        @invariant()
        def all_see_what_they_may(self) -> None:
            for actor in scene.viewers:
                got = wait(look(scene.world, actor, scene.playlist_id))
                assert got == [(n + 1, one) for n, one in enumerate(scene.seen(actor))]

        def teardown(self) -> None:
            wait(check_sums(scene.world))

    return Life


async def staged(world: World, count: int) -> Scene:
    """The scene, with so many tracks of each."""
    olga, wil = await somebody(world, "olga"), await somebody(world, "wil")
    playlist_id = await make(world, olga)
    async with world.parts.database.write() as tx:
        await people_store.add(tx, playlist_id, UUID(wil.id), "write")
    owners = {await song(world, person): member(person) for person in (olga, wil) for _ in range(count)}
    shared = {person.id: member(person) for person in (olga, wil)}
    return Scene(world, playlist_id, {one: shared[str(owner.id)] for one, owner in owners.items()}, Actor())


async def test_positions_have_no_gaps(
    database: Database, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """P9, P10, P13, P16: as a plain list, for each who looks; what is hidden from them is not counted."""
    async with open_world(database, tmp_path) as world:
        scene = await staged(world, 4)
        lives = int(request.config.getoption("--playlists"))
        checks = [HealthCheck.too_slow]
        chosen = settings(
            max_examples=lives,
            stateful_step_count=20,
            deadline=None,
            database=None,
            suppress_health_check=checks,
        )
        life = machine(scene, asyncio.get_running_loop())
        await asyncio.to_thread(run_machine, life, settings=chosen)


async def test_a_hundred_write_at_once(database: Database, tmp_path: Path) -> None:
    """P8, P9, P11, P12: they wait for each other; nothing is lost, nothing twice, nothing out of order."""
    async with open_world(database, tmp_path) as world:
        scene = await staged(world, 5)
        songs = list(scene.owners)
        olga, wil = scene.editors
        for one in songs[:5]:
            await scene.run(filling.add, olga, scene.playlist_id, Addition(UUID(one)))
        first = [UUID(one) for one in songs[:5]]

        async def attempt(n: int) -> str:
            actor, one = (olga, wil)[n % 2], UUID(songs[n % len(songs)])
            try:
                match n % 5:
                    case 0 | 1:
                        await scene.run(filling.add, actor, scene.playlist_id, Addition(one, n % 3 + 1))
                    case 2:
                        await scene.run(filling.add, actor, scene.playlist_id, Addition(one))
                    case 3:
                        await scene.run(filling.move, actor, scene.playlist_id, first[n % 5], Move(n % 4 + 1))
                    case _:
                        new = Order([*first[n % 5 :], *first[: n % 5]])
                        await scene.run(filling.reorder, actor, scene.playlist_id, new)
            except VezaError as error:
                return error.code
            return "done"

        said = await asyncio.gather(*(attempt(n) for n in range(100)))
        assert set(said) <= {"done", "TRACK_ALREADY_IN_PLAYLIST", "REORDER_MISMATCH"}, set(said)
        got = await look(world, olga, scene.playlist_id)
        assert [position for position, _ in got] == list(range(1, len(got) + 1))
        added = {songs[n % len(songs)] for n in range(100) if n % 5 < 3}
        assert {one for _, one in got} == added | set(songs[:5])
        assert len({one for _, one in got}) == len(got)
        await check_sums(world)
        # Two orders at once: one of the two, and no blend.
        all_ = [UUID(one) for _, one in got]
        orders = [all_[::-1], [*all_[3:], *all_[:3]]]
        await asyncio.gather(
            *(scene.run(filling.reorder, olga, scene.playlist_id, Order(order)) for order in orders)
        )
        assert [UUID(one) for _, one in await look(world, olga, scene.playlist_id)] in orders


async def test_there_is_always_room_between_and_an_end_at_ten_thousand(
    database: Database, tmp_path: Path
) -> None:
    """P9, P14: new places are given where a spot was used up; and one too many is refused."""
    async with open_world(database, tmp_path) as world:
        olga = await somebody(world, "olga")
        actor, playlist_id = member(olga), await make(world, olga)
        a, b, c = [UUID(await song(world, olga)) for _ in range(3)]
        async with database.write() as tx:
            for one in (a, b):
                await filling.add(tx, actor, playlist_id, Addition(one))
            await filling.add(tx, actor, playlist_id, Addition(c, 2))
            before = await store.size(tx, playlist_id)
            for turn in range(45):  # each halves the room before the second
                await filling.move(tx, actor, playlist_id, (a, b, c)[turn % 3], Move(2))
        assert before == 3
        found = await places(world, playlist_id)
        assert len(set(found)) == 3
        async with database.write() as tx:
            await entries_store.move(tx, playlist_id, a, (1 << 62) - 1)
            await filling.move(tx, actor, playlist_id, b, Move(3))
        assert await places(world, playlist_id) == sorted(await places(world, playlist_id))
        assert max(await places(world, playlist_id)) < GAP * 10
        extra = UUID(await song(world, olga))
        async with database.write() as tx:
            await store.add_sums(tx, [playlist_id], store.Sums(MAX_TRACKS - 3))
            with pytest.raises(PlaylistFull):
                await filling.add(tx, actor, playlist_id, Addition(extra))


async def test_a_track_that_is_gone_leaves_every_playlist(database: Database, tmp_path: Path) -> None:
    """T9: at once from what is seen, and soon from what is counted."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await somebody(world, "olga"), await somebody(world, "stan")
        one, other = await song(world, olga), await song(world, olga)
        lists = [await make(world, person) for person in (olga, stan) for _ in range(3)]
        for playlist_id in lists:
            async with database.write() as tx:
                owner = olga if playlist_id in lists[:3] else stan
                for track_id in (one, other):
                    await filling.add(tx, member(owner), playlist_id, Addition(UUID(track_id)))
        async with database.write() as tx:
            track = await tracks_store.lock(tx, UUID(one))
            assert track is not None
            await tracks.delete_track(tx, track)
        for playlist_id in lists:
            assert [name for _, name in await look(world, Actor(), playlist_id)] == [other]
        more = True
        while more:
            async with database.write() as tx:
                more = await forget_track(tx, UUID(one), 4)
        for playlist_id in lists:
            assert await look(world, Actor(), playlist_id) == [(1, other)]
        await check_sums(world)


async def test_a_track_that_turns_private_does_so_in_every_playlist(
    database: Database, tmp_path: Path
) -> None:
    """P1, P9, T7: piece by piece, also past playlists that are gone and one that holds it no longer.

    In somebody else's it keeps its place, for when it is public again.
    """
    async with open_world(database, tmp_path) as world:
        olga, stan = await somebody(world, "olga"), await somebody(world, "stan")
        one, lists = UUID(await song(world, olga)), [await make(world, olga) for _ in range(7)]
        theirs, other = await make(world, stan), UUID(await song(world, stan))
        for track_id in (one, other):
            async with database.write() as tx:
                await filling.add(tx, member(stan), theirs, Addition(track_id))
        assert await look(world, member(stan), theirs) == [(1, str(one)), (2, str(other))]
        for playlist_id in lists:
            async with database.write() as tx:
                await filling.add(tx, member(olga), playlist_id, Addition(one))
        async with database.write() as tx:
            await filling.remove(tx, member(olga), lists[1], one)
            for gone in (lists[0], lists[4]):
                await service.delete(tx, await service.get_visible(tx, member(olga), gone))
        async with database.write() as tx:
            track = await tracks.hold(tx, member(olga), one)
            await tracks.update_track(tx, track, TrackChanges(is_public=False))
        after, pieces = UUID(int=0), 0
        while after is not None:
            async with database.write() as tx:
                after, pieces = await copy_track(tx, one, 2, after), pieces + 1
        assert pieces == 4
        await check_sums(world)
        for playlist_id in {*lists} - {lists[0], lists[4]}:
            async with database.read() as view:
                assert (await service.get_visible(view, Actor(), playlist_id)).track_count == 0
        for viewer in (member(stan), Actor()):
            assert await look(world, viewer, theirs) == [(1, str(other))]
        assert await look(world, member(olga), theirs) == [(1, str(one)), (2, str(other))]
        async with database.write() as tx:
            track = await tracks.hold(tx, member(olga), one)
            await tracks.update_track(tx, track, TrackChanges(is_public=True))
        after = UUID(int=0)
        while after is not None:
            async with database.write() as tx:
                after = await copy_track(tx, one, 100, after)
        assert await look(world, member(stan), theirs) == [(1, str(one)), (2, str(other))]
        await check_sums(world)


async def test_an_order_that_is_not_the_same_tracks_changes_nothing(
    database: Database, tmp_path: Path
) -> None:
    """P10: one missing, a foreign one, one twice, none, one too many."""
    async with open_world(database, tmp_path) as world:
        scene = await staged(world, 2)
        a, b, c, d = [UUID(one) for one in scene.owners]
        olga, _ = scene.editors
        for one in (a, b, c):
            await scene.run(filling.add, olga, scene.playlist_id, Addition(one))
        before = await look(world, olga, scene.playlist_id)
        for wrong in ([a, b], [a, b, d], [a, b, b], [], [a, b, c, d], [a, b, c, c], [a, b, c, new_id()]):
            with pytest.raises(ReorderMismatch):
                await scene.run(filling.reorder, olga, scene.playlist_id, Order(wrong))
        assert await look(world, olga, scene.playlist_id) == before
