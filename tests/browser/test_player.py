"""What a listener's browser makes of the streams: Chromium, with the player that most pages use (hls.js).

Only with ``--hls FILE``, the player's one file: `make test-browser` fetches it.
"""

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.faults.nursery import fork_aside
from tests.media.corpus import BY_NAME, make
from tests.ports import free_ports

PAGE = Path(__file__).with_name("player.html")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 120.0
SECONDS = 40.0
PASSWORD = "seven purple lanterns"
ACCOUNT = {
    "username": "olga", "email": "olga@example.com", "password": PASSWORD, "password_confirm": PASSWORD,
}  # fmt: skip


class Stage:
    """A server of the page, on an origin of its own, that hears what the page has to tell."""

    def __init__(self, player: Path, folder: Path, port: int) -> None:
        self.files: Mapping[str, tuple[str, bytes]] = {
            "/": ("text/html", PAGE.read_bytes()),
            "/hls.js": ("text/javascript", player.read_bytes()),
        }
        self.folder = folder
        self.origin = f"http://127.0.0.1:{port}"
        self.port = port
        self.told: asyncio.Future[Any] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and close."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:  # a connection kept in store
            writer.close()
            return
        method, target, _ = head.split(" ", 2)
        kind, body = self.files.get(target.partition("?")[0], ("text/plain", b""))
        if method == "POST":
            length = int(re.search(r"(?i)\r\ncontent-length: *(\d+)", head)[1])
            told = json.loads(await reader.readexactly(length))
            if self.told is not None and not self.told.done():
                self.told.set_result(told)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n")
        writer.write(b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (kind.encode(), len(body), body))
        await writer.drain()
        writer.close()

    async def play(self, address: str, *, token: str = "", jump: float) -> Any:
        """What the page tells of this address."""
        self.told = asyncio.get_running_loop().create_future()
        query = urlencode({"address": address, "token": token, "jump": jump})
        assert CHROMIUM is not None
        browser = await asyncio.create_subprocess_exec(
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio",
            "--autoplay-policy=no-user-gesture-required", f"--user-data-dir={self.folder / 'profile'}",
            f"{self.origin}/?{query}",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.told
        finally:
            browser.terminate()
            await browser.wait()


@pytest.fixture
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    player = request.config.getoption("--hls")
    if player is None or CHROMIUM is None:
        pytest.skip("needs --hls FILE and Chromium: make test-browser")
    [port] = free_ports(1)
    stage = Stage(Path(player), tmp_path, port)
    server = await asyncio.start_server(stage.serve, "127.0.0.1", port)
    yield stage
    server.close()


async def test_a_browser_plays_and_jumps(stage: Stage, tmp_path: Path) -> None:
    """A public track as soon as there is anything of it, a private one by token and by signed address."""
    songs = [make(BY_NAME[name], tmp_path, SECONDS).read_bytes() for name in ("s16.flac", "a.mp3")]
    [port] = free_ports(1)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VEZA_")}
    environment |= {
        "VEZA_DATA_DIR": str(tmp_path / "data"), "VEZA_PORT": str(port), "VEZA_CORS_ORIGINS": stage.origin,
    }  # fmt: skip
    with (tmp_path / "log").open("wb") as log:
        server = await fork_aside("serve", folder=tmp_path, environment=environment, log=log.fileno())
    base = f"http://127.0.0.1:{port}/api/v1"
    try:
        transport = httpx.AsyncHTTPTransport(retries=10)  # until it listens
        async with httpx.AsyncClient(base_url=base, timeout=30, transport=transport) as http:
            signed = (await http.post("/auth/register", json=ACCOUNT)).json()["data"]
            token = signed["token"]["access_token"]
            http.headers["Authorization"] = f"Bearer {token}"
            shown, hidden = await upload(http, songs[0], "true"), await upload(http, songs[1], "false")
            told = await stage.play(f"{base}/tracks/{shown}/hls/master.m3u8", jump=SECONDS - 8)
            check(told, SECONDS)
            address = f"{base}/tracks/{hidden}/hls/master.m3u8"
            check(await stage.play(address, token=token, jump=SECONDS - 8), SECONDS)
            told = await stage.play(address, jump=1)
            assert told["fatal"] == ["networkError manifestLoadError 404"]
            urls = (await http.get(f"/tracks/{hidden}/urls")).json()["data"]
            check(await stage.play(urls["hls"], jump=SECONDS - 8), SECONDS)
    finally:
        server.kill()
        await server.wait()


async def upload(http: httpx.AsyncClient, song: bytes, public: str) -> str:
    """The id of a new track, once there is something of it to hear."""
    form = {"title": "Nights", "is_public": public}
    answer = await http.post("/tracks", files={"file": ("song", song)}, data=form)
    assert answer.status_code == 201, answer.text
    track = answer.json()["data"]["track"]["id"]
    async with asyncio.timeout(PATIENCE):
        while (await http.get(f"/tracks/{track}/hls/master.m3u8")).status_code != 200:  # noqa: ASYNC110 - it says so
            await asyncio.sleep(0.02)
    return str(track)


def check(told: Any, seconds: float) -> None:
    """It was heard from both places, whole and without a fault."""
    assert told["supported"]
    assert told["fatal"] == []
    assert told["levels"] >= 2
    assert abs(told["duration"] - seconds) < 0.5
    assert told["heard"] > 0
    assert told["after"] > 0
