"""A host without DNS: who needs a name tries again later, and nobody else notices."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.rooms.tracks_house import short
from tests.rooms.webhooks_house import hook, open_house, tried
from veza.core.db import Database

__all__ = ["short"]


async def test_without_names_all_else_goes_on(
    database: Database, tmp_path: Path, short: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """X20, X15: what waits for a name is written down as that, and delivered once there are names again."""
    look_up, asked = socket.getaddrinfo, []

    def nameless(host: Any, *more: Any, **options: Any) -> Any:
        if host in {None, "127.0.0.1", "::1"}:
            return look_up(host, *more, **options)
        asked.append(host)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", nameless)
    async with open_house(database, tmp_path) as world:
        ada = await world.person("ada")
        made = await hook(ada, "https://hooks.example/veza", "track.uploaded")
        track = await ada.upload(short("a.mp3"), title="A song")
        assert (await world.ready(ada, track["id"]))["status"] == "ready"
        (delivery,) = await tried(ada, made["id"], 1)
        assert (delivery["status"], delivery["attempts"][0]["status"]) == ("pending", None)
        assert asked
        assert (await ada.get("/tracks")).json()["data"]["pagination"]["total"] == 1
