"""The test that CONTRIBUTING.md shows."""

from pathlib import Path

from tests.docs.pages import ROOT
from tests.media.corpus import BY_NAME, make
from tests.world import open_world
from veza.core.db import Database


async def test_a_stranger_does_not_find_a_private_track(database: Database, tmp_path: Path) -> None:
    """T1: to a stranger it is not there."""
    song = make(BY_NAME["a.mp3"], tmp_path)
    async with open_world(database, tmp_path / "data", work=True) as world:
        ada, bob = await world.person("ada"), await world.person("bob")
        track = await ada.upload(song, is_public="false")
        await world.ready(ada, track["id"])
        for person in (bob, world.guest):
            answer = await person.get(f"/tracks/{track['id']}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "TRACK_NOT_FOUND")


def test_the_page_shows_this_very_test() -> None:
    shown = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    body = shown.partition("async def ")[2]
    assert len(body.splitlines()) > 5
    assert body in Path(__file__).read_text("utf-8")
