"""Uploading 1 GiB in chunks over four connections, beside the disk taking as much from one writer."""

import hashlib
import http.client
import json
import os
import queue
import statistics
import threading
import time
from pathlib import Path
from typing import Any

from bench.seed import CACHE, seeded
from bench.servers import Veza
from bench.table import Figure
from bench.tracks import TRACKS

_MIB = 1024 * 1024
_SIZE = 1024 * _MIB
_CHUNK = 5 * _MIB
_CONNECTIONS = 4
_BOUNDARY = "a-line-that-is-not-in-the-file"
_ROUNDS = 3


async def chunks() -> list[Figure]:
    """Both take turns; the upload's time is from its start to its track, and includes both digests."""
    pattern = _noise()
    md5 = _md5(pattern)
    disk, sent, grown = [], [], []
    with Veza(seeded(10_000), max_file_size=str(2 * _SIZE)) as veza:
        token = veza.log_in()
        for _ in range(_ROUNDS):
            disk.append(_write(CACHE, pattern))
            before = veza.memory()
            veza.forget_peak()
            sent.append(_Upload(veza, token, pattern).run(md5))
            grown.append(veza.memory("VmHWM") - before)
    share = statistics.median(a / b for a, b in zip(disk, sent, strict=True))
    speed = f"{share:.2f} ({_SIZE / _MIB / statistics.median(sent):,.0f} MiB/s)"
    own = f"{_SIZE / _MIB / statistics.median(disk):,.0f} MiB/s"
    most = max(grown)
    return [
        Figure("1 GiB in chunks / written and synced by one", speed, own, "≥ 0.5", share >= 0.5),
        Figure("1 GiB in chunks: growth of memory", f"{most:.1f} MB", "", "≤ 32 MB", most <= 32),
    ]


def _noise() -> bytes:
    """What every chunk holds: no disk and no kernel makes less of it."""
    return os.urandom(_CHUNK)


def _pieces(pattern: bytes, number: int) -> tuple[bytes, memoryview]:
    """What a chunk is of: a beginning of its own, and the noise."""
    head = _wave() if number == 1 else number.to_bytes(8)
    size = min(_CHUNK, _SIZE - (number - 1) * _CHUNK)
    return head, memoryview(pattern)[: size - len(head)]


def _md5(pattern: bytes) -> str:
    digest = hashlib.md5()
    for number in range(1, -(-_SIZE // _CHUNK) + 1):
        for piece in _pieces(pattern, number):
            digest.update(piece)
    return digest.hexdigest()


def _wave() -> bytes:
    sound = _SIZE - 44
    wave = b"RIFF" + (sound + 36).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    wave += (1).to_bytes(2, "little") + (2).to_bytes(2, "little") + (44_100).to_bytes(4, "little")
    wave += (176_400).to_bytes(4, "little") + (4).to_bytes(2, "little") + (16).to_bytes(2, "little")
    return wave + b"data" + sound.to_bytes(4, "little")


def _write(folder: Path, pattern: bytes) -> float:
    """Seconds for a file of this size, written from one end to the other and synced."""
    path = folder / "sequential"
    began = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for at in range(0, _SIZE, _CHUNK):
            file.write(memoryview(pattern)[: min(_CHUNK, _SIZE - at)])
        os.fsync(file.fileno())
    took = time.perf_counter() - began
    path.unlink()
    return took


class _Upload:
    """One file on its way."""

    def __init__(self, veza: Veza, token: str, pattern: bytes) -> None:
        self.veza, self.token, self.pattern = veza, token, pattern
        self.total = -(-_SIZE // _CHUNK)
        self.start = {"filename": "noise.wav", "total_chunks": self.total, "total_size": _SIZE}
        self.waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.wrong: list[str] = []

    def run(self, md5: str) -> float:
        """Seconds from the first request to the last answer; the track is removed again at once."""
        began = time.perf_counter()
        self.id = self._call("POST", f"{TRACKS}/initiate", self.start)["upload_id"]
        for number in range(1, self.total + 1):
            self.waiting.put(number)
        senders = [threading.Thread(target=self._send) for _ in range(_CONNECTIONS)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert not self.wrong, self.wrong[0]
        done = self._call("POST", f"{TRACKS}/complete", {"upload_id": self.id})
        took = time.perf_counter() - began
        self._call("DELETE", f"{TRACKS}/{done['track']['id']}")
        assert done["md5"] == md5
        return took

    def _call(self, method: str, path: str, body: dict[str, object] | None = None) -> Any:
        status, data = self.veza.call(method, path, body, self.token)
        assert status in {200, 201}, (status, data)
        return data

    def _send(self) -> None:
        connection = http.client.HTTPConnection(self.veza.host, self.veza.port, timeout=60)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
            "Authorization": f"Bearer {self.token}",
        }
        while not self.wrong:
            try:
                number = self.waiting.get_nowait()
            except queue.Empty:
                break
            form = self._form(number)
            headers["Content-Length"] = str(sum(map(len, form)))
            connection.request("POST", f"{TRACKS}/chunk", iter(form), headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                self.wrong.append(f"{answer.status} {json.loads(text)}")
        connection.close()

    def _form(self, number: int) -> list[bytes | memoryview]:
        """The pieces of a form; the chunk is copied nowhere, for the sender has the server's cores, too."""
        fields = {**self.start, "upload_id": self.id, "chunk_number": number}
        part = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; name="
        head = "".join(f'{part}"{name}"\r\n\r\n{value}\r\n' for name, value in fields.items())
        head += f'{part}"chunk"; filename="blob"\r\n\r\n'
        return [head.encode(), *_pieces(self.pattern, number), f"\r\n--{_BOUNDARY}--\r\n".encode()]
