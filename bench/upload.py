"""Uploading a file of 100 MB, beside the same server reading and discarding the same body."""

import http.client
import json
import os
import statistics
import time
from pathlib import Path

from bench.seed import seeded
from bench.servers import Server, Veza, bare
from bench.table import Figure
from bench.tracks import TRACKS

_MB = 1024 * 1024
_SIZE = 100 * _MB
_BOUNDARY = "a-line-that-is-not-in-the-file"
_PIECE = 256 * 1024


async def upload() -> list[Figure]:
    """Throughput and memory of both, taking turns.

    The file is noise in a WAV, a new track each time, deleted again at once.
    """
    body = _form()
    taken, dropped, grown = [], [], []
    with bare("discard") as plain, Veza(seeded(10_000)) as veza:
        token = veza.log_in()
        for _ in range(4):
            dropped.append(_send(plain, body, ""))
            before = veza.memory()
            veza.forget_peak()
            taken.append(_send(veza, body, token))
            grown.append(veza.memory("VmHWM") - before)
            _wait_for_children(veza)
    share = statistics.median(b / a for a, b in zip(taken, dropped, strict=True))
    speed = f"{share:.2f} ({_SIZE / _MB / statistics.median(taken):,.0f} MB/s)"
    own = f"{_SIZE / _MB / statistics.median(dropped):,.0f} MB/s"
    return [
        Figure("upload of 100 MB / reading and discarding", speed, own, "≥ 0.5", share >= 0.5),
        Figure("upload of 100 MB: growth of memory", f"{max(grown):.1f} MB", "", "≤ 32 MB", max(grown) <= 32),
    ]


def _wait_for_children(veza: Veza) -> None:
    """Until no audio is processed any more: that is another figure."""
    children = Path(f"/proc/{veza.pid}/task/{veza.pid}/children")
    calm, deadline = 0, time.monotonic() + 30
    while calm < 5 and time.monotonic() < deadline:
        decoders = [Path(f"/proc/{child}/cmdline") for child in children.read_text().split()]
        calm = 0 if any(b"ffmpeg" in path.read_bytes() for path in decoders if path.exists()) else calm + 1
        time.sleep(0.1)


def _form() -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="noise.wav"\r\n'
    head += "Content-Type: audio/wav\r\n\r\n"
    sound = _SIZE - 44
    wave = b"RIFF" + (sound + 36).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    wave += (1).to_bytes(2, "little") + (2).to_bytes(2, "little") + (44_100).to_bytes(4, "little")
    wave += (176_400).to_bytes(4, "little") + (4).to_bytes(2, "little") + (16).to_bytes(2, "little")
    wave += b"data" + sound.to_bytes(4, "little")
    return head.encode() + wave + os.urandom(sound) + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _send(server: Server, body: bytes, token: str) -> float:
    """Seconds from the first byte out to the whole answer in."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60, blocksize=_PIECE)
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}", "Content-Length": str(len(body))}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    view = memoryview(body)
    began = time.perf_counter()
    pieces = (view[at : at + _PIECE] for at in range(0, len(view), _PIECE))
    connection.request("POST", TRACKS, pieces, headers)
    answer = connection.getresponse()
    text = answer.read()
    took = time.perf_counter() - began
    connection.close()
    assert answer.status in {200, 201}, (answer.status, text)
    if answer.status == 201:
        track = json.loads(text)["data"]["track"]["id"]
        assert server.call("DELETE", f"{TRACKS}/{track}", token=token)[0] == 200
    return took
