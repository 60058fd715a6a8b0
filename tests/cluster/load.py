"""People who change things all the time, and remember what was said to be done, and what failed when."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from tests.rooms.listening_house import track
from tests.world import Person

PAUSE = 0.02
PATIENCE = 0.1
# Seconds after which an answer is as good as none.
SLOW = 5.0


class Trouble:
    """One request that failed, or hung: when that was over (monotonic seconds), at what, and how."""

    def __init__(self, what: str, how: str) -> None:
        self.at = time.monotonic()
        self.what = what
        self.how = how

    def __repr__(self) -> str:
        return f"{self.what} at {self.at:.2f}: {self.how}"


class Load:
    """Looks, likes, plays, comments, messages and uploads of some people, until :meth:`stop`.

    Whatever fails is tried again under the same key, as a client of the platform would.
    """

    def __init__(self, people: list[Person], songs: list[str], room_id: str, file: Path) -> None:
        self.people = people
        self.songs = songs
        self.room_id = room_id
        self.file = file.read_bytes()
        self.liked: set[tuple[str, str]] = set()
        self.played: set[tuple[str, str]] = set()
        self.comments: dict[str, str] = {}
        self.messages: dict[str, str] = {}
        self.uploads: dict[str, str] = {}
        self.troubles: list[Trouble] = []
        self.done = Counter[str]()
        self._running: list[asyncio.Task[None]] = []
        self._stopping = False
        self._count = 0

    def start(self) -> None:
        acts = (self._look, self._like, self._play, self._comment, self._say)
        for n, person in enumerate(self.people):
            self._running += [
                asyncio.create_task(self._go_on(act, person, random.Random(n), PAUSE)) for act in acts
            ]
        self._running.append(
            asyncio.create_task(self._go_on(self._upload, self.people[0], random.Random(0), 0.5))
        )

    async def stop(self) -> None:
        """Let what is under way come to its end."""
        self._stopping = True
        await asyncio.gather(*self._running)

    async def _go_on(
        self, act: Callable[[Person, random.Random], Awaitable[None]], person: Person, dice: Any, pause: float
    ) -> None:
        while not self._stopping:
            await act(person, dice)
            self.done[act.__name__] += 1
            await asyncio.sleep(pause * dice.uniform(0.5, 1.5))

    async def _ask(self, what: str, person: Person, path: str, method: str = "POST", **request: Any) -> Any:
        """Ask until it is done; the answer's data. 201 and 200 are a promise."""
        while True:
            asked = time.monotonic()
            try:
                answer = await person.client.request(method, path, **request)
            except httpx.HTTPError as error:
                self.troubles.append(Trouble(what, type(error).__name__))
            else:
                if answer.is_success:
                    if (took := time.monotonic() - asked) > SLOW:
                        self.troubles.append(Trouble(what, f"took {took:.1f} s"))
                    return answer.json()["data"]
                # A 409 tells that the try before is still under way at a node.
                assert answer.status_code in {409, 502, 503}, answer.text
                self.troubles.append(Trouble(what, f"{answer.status_code} {answer.text[:160]}"))
            await asyncio.sleep(PATIENCE)

    def _word(self) -> str:
        self._count += 1
        return f"word-{self._count}"

    async def _look(self, person: Person, dice: random.Random) -> None:
        await self._ask("look", person, f"/tracks/{dice.choice(self.songs)}", "GET")

    async def _like(self, person: Person, dice: random.Random) -> None:
        song = dice.choice(self.songs)
        await self._ask("like", person, f"/tracks/{song}/like")
        self.liked.add((person.id, song))

    async def _play(self, person: Person, dice: random.Random) -> None:
        song = dice.choice(self.songs)
        await self._ask("play", person, f"/tracks/{song}/play", json={"duration": 50})
        self.played.add((person.id, song))

    async def _comment(self, person: Person, dice: random.Random) -> None:
        word, song = self._word(), dice.choice(self.songs)
        key = {"Idempotency-Key": word}
        await self._ask("comment", person, f"/tracks/{song}/comments", json={"content": word}, headers=key)
        self.comments[word] = song

    async def _say(self, person: Person, _: random.Random) -> None:
        word = self._word()
        said = {"content": word, "client_id": word}
        data = await self._ask("message", person, f"/chat/rooms/{self.room_id}/messages", json=said)
        self.messages[word] = data["message"]["id"]

    async def _upload(self, person: Person, _: random.Random) -> None:
        word = self._word()
        files, key = {"file": (f"{word}.mp3", self.file)}, {"Idempotency-Key": word}
        data = await self._ask("upload", person, "/tracks", files=files, data={"title": word}, headers=key)
        self.uploads[word] = data["track"]["id"]

    async def check(self) -> None:
        """Everything that was said to be done is done, and once."""
        likes, plays = {}, {}
        for song in self.songs:
            there = await track(self.people[0], song)
            likes[song], plays[song] = there["like_count"], there["play_count"]
        assert likes == {song: sum(1 for _, other in self.liked if other == song) for song in self.songs}
        # One listener's plays of a track count once in half a minute: so at least one of each is there.
        for song in self.songs:
            assert plays[song] >= len({who for who, other in self.played if other == song})
        said = [await self._all(f"/tracks/{song}/comments?", "comments") for song in self.songs]
        assert sorted(one["content"] for comments in said for one in comments) == sorted(self.comments)
        tracks = await self._all(f"/tracks?user_id={self.people[0].id}&", "tracks")
        assert {one["title"]: one["id"] for one in tracks} == self.uploads
        assert len(tracks) == len(self.uploads)
        messages = await self._messages()
        assert {one["content"]: one["id"] for one in messages} == self.messages
        assert [one["seq"] for one in messages] == list(range(1, len(self.messages) + 1))

    async def _all(self, path: str, name: str) -> list[Any]:
        found: list[Any] = []
        page = 1
        while True:
            data = (await self.people[0].get(f"{path}limit=100&page={page}")).json()["data"]
            found += data[name]
            if page >= data["pagination"]["total_pages"]:
                return found
            page += 1

    async def _messages(self) -> list[Any]:
        found: list[Any] = []
        path = f"/chat/rooms/{self.room_id}/messages?limit=100"
        while True:
            before = f"&before={found[0]['id']}" if found else ""
            data = (await self.people[0].get(path + before)).json()["data"]
            found = data["messages"] + found
            if not data["has_more"]:
                return found
