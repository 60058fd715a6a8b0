"""The demo's world: made once, and not where other people's music is."""

import shutil
import tempfile
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.rooms.tracks_house import plant, short
from tests.world import JSON, World, open_world
from veza.core import clock
from veza.core.db import Database
from veza.demo import files
from veza.demo.files import draw_cover
from veza.demo.guide import guide
from veza.demo.songs import ARTISTS, SONGS, perform
from veza.demo.synth import RATE
from veza.demo.talk import CROWD, LISTENER, TALK
from veza.demo.world import DemoRefused, make_world
from veza.media import Ffmpeg, find_ffmpeg
from veza.rooms.plays.recount import Recount, recount

__all__ = ["short"]


async def test_a_world_is_made_and_made_only_once(database: Database, tmp_path: Path) -> None:
    """A30: nobody signs in with what stands in the source, for it is made of this installation's secret."""
    songs = [SONGS[4], SONGS[11]]
    async with open_world(database, tmp_path / "data") as world:
        made: list[str] = []
        demo = await make_world(world.parts, songs=songs, tell=made.append)
        assert made == [song.title for song in songs]
        assert len(demo.logins) == len(ARTISTS) + 1
        assert [*guide(demo, "https://veza.example")][-2].endswith(f"/tracks/{demo.star}/hls/master.m3u8")
        for login in demo.logins:
            answer = await world.guest.post(
                "/auth/login", json={"email": login.email, "password": login.password}
            )
            assert answer.status_code == 200
        assert await _feed(world, demo.logins[-1].email, answer) == {song.title for song in songs}
        before = await _life(world)
        assert await make_world(world.parts, songs=songs, tell=made.append) == demo
        assert len(made) == len(songs)
        assert await _life(world) == before
        assert demo.star is not None
        night = before[str(demo.star)]
        assert night["stats"]["total_plays"] > 100
        assert night["stats"]["unique_listeners"] >= night["likes"] > 5
        assert 50 < night["stats"]["completion_rate"] < 100
        said = night["comments"]
        assert len(said) == sum(1 + bool(remark.answer) for remark in TALK["Night Tram"])
        assert {one["username"] for one in said if one["parent_id"]} == {"orla"}
        assert any(one["timestamp"] for one in said)
        days = {one["created_at"][:10] for one in said}
        assert len(days) > 3
        assert max(days) < clock.now().isoformat()
        mira = world.client({"Authorization": f"Bearer {answer.json()['data']['token']['access_token']}"})
        lists = (await mira.get("/playlists")).json()["data"]["playlists"]
        told = [(one["title"], one["track_count"], one["follower_count"]) for one in lists]
        assert told == [("Low end theory lessons", 1, 3), ("Last tram home", 1, 6)]
        advised = (await mira.get("/playlists/recommendations")).json()["data"]["playlists"]
        assert "Low end theory lessons" in {one["title"] for one in advised}
        assert await recount(database) == Recount(len(songs), ())
        found = (await world.guest.get("/tracks?sort_by=title&sort_order=asc")).json()["data"]
        told = [(track["title"], track["artist"], track["genre"]) for track in found["tracks"]]
        assert told == sorted((song.title, ARTISTS[song.artist], song.genre) for song in songs)
        assert all(20 <= track["duration"] <= 60 for track in found["tracks"])


async def _feed(world: World, email: str, login: httpx.Response) -> set[str]:
    """What is new to the listener, whom the crowd and who follows every artist; read signed in."""
    assert email.startswith(LISTENER)
    signed_in = world.client({"Authorization": f"Bearer {login.json()['data']['token']['access_token']}"})
    profile = (await signed_in.get(f"/users/by-username/{LISTENER}")).json()["data"]["profile"]
    assert (profile["follower_count"], profile["following_count"]) == (len(CROWD) // 2, len(ARTISTS))
    items = (await signed_in.get("/feed?limit=100")).json()["data"]["items"]
    return {item["track"]["title"] for item in items if item["type"] == "track"}


async def _life(world: World) -> dict[str, JSON]:
    """Of each track, what was heard and said."""
    found = {}
    for track in (await world.guest.get("/tracks")).json()["data"]["tracks"]:
        at = f"/tracks/{track['id']}"
        found[track["id"]] = {
            "stats": (await world.guest.get(f"{at}/stats")).json()["data"]["stats"],
            "likes": (await world.guest.get(f"{at}/likes")).json()["data"]["total"],
            "comments": (await world.guest.get(f"{at}/comments?limit=100")).json()["data"]["comments"],
        }
    return found


async def test_no_demo_among_other_people_s_things(database: Database, tmp_path: Path) -> None:
    async with open_world(database, tmp_path / "data") as world:
        ada = await world.person("ada")
        await plant(world, ada)
        with pytest.raises(DemoRefused, match="--force"):
            await make_world(world.parts, songs=[])
        await make_world(world.parts, songs=[], force=True)
        await make_world(world.parts, songs=[])  # for now it is at home here
    async with open_world(database, tmp_path / "data") as world:
        answer = await world.guest.get(f"/users/by-username/{LISTENER}")
        assert answer.status_code == 200


async def test_no_demo_without_its_songs_or_under_somebody_else_s_name(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever keeps a song from being made is said in words, and leaves nobody behind."""
    async with open_world(database, tmp_path / "data") as world:
        with monkeypatch.context() as broken:
            broken.setattr(files, "perform", lambda _song: np.zeros((8, 2), np.float32))
            broken.setitem(files._CODECS, SONGS[0].form, ("-c:a", "nonsense"))
            for program, said in (
                (find_ffmpeg().path, "[Ee]ncoder"),
                (shutil.which("false"), "ended with 1"),
            ):
                broken.setattr(files, "find_ffmpeg", lambda path=program: Ffmpeg(path, "0"))
                with pytest.raises(DemoRefused, match=f"could not encode {SONGS[0].title}: .*{said}"):
                    await make_world(world.parts, songs=SONGS[:1])
            broken.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
            with pytest.raises(DemoRefused, match="no room for the files of songs: No such file"):
                await make_world(world.parts, songs=SONGS[:1])
        assert await database.rows("SELECT username FROM users") == []
        await world.person(LISTENER)
        with pytest.raises(DemoRefused, match=LISTENER):
            await make_world(world.parts, songs=[], force=True)


def test_a_song_is_the_same_each_time_and_fit_to_be_heard() -> None:
    sound = perform(SONGS[8])
    assert np.array_equal(sound, perform(SONGS[8]))
    assert 20 <= len(sound) / RATE <= 60
    assert 0.5 < np.abs(sound).max() < 1
    assert np.abs(sound[-1]).max() < 0.01
    assert 0.02 < np.sqrt((sound**2).mean()) < 0.4
    assert not np.array_equal(sound[:, 0], sound[:, 1])
    assert draw_cover(SONGS[8]).getcolors(1 << 20) == draw_cover(SONGS[8]).getcolors(1 << 20)


@pytest.mark.parametrize("there", [True, False])
def test_a_song_is_of_a_form_that_can_be_made(monkeypatch: pytest.MonkeyPatch, *, there: bool) -> None:
    """Veza asks of no ffmpeg that it encodes Vorbis."""
    monkeypatch.setattr(files, "can_encode", lambda _path, encoder: there and encoder == "libvorbis")
    forms = {files._form_of(song, "ffmpeg") for song in SONGS}
    assert forms == ({"flac", "mp3", "ogg"} if there else {"flac", "mp3"})


def test_the_songs_are_of_many_kinds() -> None:
    assert len({song.title for song in SONGS}) == len(SONGS) == 12
    assert len({song.genre for song in SONGS}) >= 10
    assert {song.artist for song in SONGS} == set(ARTISTS)
    assert set(TALK) == {song.title for song in SONGS}
    assert {remark.who for remarks in TALK.values() for remark in remarks} <= {LISTENER, *CROWD}
