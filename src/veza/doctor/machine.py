"""The machine: the data folder, its room, limits, and who listens at our port."""

import asyncio
import http.client
import json
import os
import pwd
import resource
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from veza.core.lock import is_locked
from veza.doctor.findings import Finding, ok, warning, wrong
from veza.settings import Settings, address_of

_GIB = 1024**3
_LITTLE_ROOM, _NO_ROOM = 5 * _GIB, _GIB
_FEW_NAMES = 10_000  # files that still can be made
_FEW_FILES, _TOO_FEW_FILES = 4_096, 1_024
_SECONDS = 5.0


async def look_at_folder(settings: Settings) -> Sequence[Finding]:
    """Whether the data folder is there, ours alone, and has room."""
    about, folder = "data folder", settings.data_dir.absolute()
    if not folder.exists():
        return [
            warning(
                about,
                f"{folder} is not there.",
                "The first start makes it. If there is data already, this is the wrong place.",
                "Set VEZA_DATA_DIR, or start Veza.",
            )
        ]
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return [
            wrong(
                about,
                f"{folder} cannot be written to by {_name(os.geteuid())}.",
                "Nothing can be kept, and Veza does not start.",
                f"Run this as the user that runs Veza, or give it the folder: chown -R veza {folder}",
            )
        ]
    return [*_rights(about, folder), *_room(folder)]


def _rights(about: str, folder: Path) -> Sequence[Finding]:
    found = folder.stat()
    if found.st_uid != os.geteuid():
        return [
            warning(
                about,
                f"{folder} belongs to {_name(found.st_uid)}, and this runs as {_name(os.geteuid())}.",
                "What is said here of rights holds for another user than the one that runs Veza.",
                f"Run it as that one: sudo -u {_name(found.st_uid)} veza doctor",
            )
        ]
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return [
            warning(
                about,
                f"{folder} is open to other users of this machine (mode {stat.S_IMODE(found.st_mode):04o}).",
                "They may read mails, files and the database.",
                f"chmod 700 {folder}",
            )
        ]
    return [ok(about, f"{folder} is {_name(found.st_uid)}'s alone.")]


def _room(folder: Path) -> Sequence[Finding]:
    about, free = "disk", shutil.disk_usage(folder).free
    names = os.statvfs(folder)
    said = f"{free / _GIB:.1f} GiB are free."
    full = "When it is full, uploads and changes are answered with 507; reading goes on, and nothing is lost."
    advice = (
        "Make room, or move the data folder to a larger disk (`veza admin storage` says who stores most)."
    )
    if free < _NO_ROOM:
        return [wrong(about, said, full, advice)]
    if names.f_files and names.f_favail < _FEW_NAMES:
        return [warning(about, f"Only {names.f_favail} more files can be made.", full, advice)]
    if free < _LITTLE_ROOM:
        return [warning(about, said, full, advice)]
    return [ok(about, said)]


async def look_at_limits(settings: Settings) -> Sequence[Finding]:
    """How many files and connections a process may have open; a start raises the limit as far as it goes."""
    del settings
    about, hard = "open files", resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY or hard >= _FEW_FILES:
        return [ok(about, f"A process may have {'any number' if hard == resource.RLIM_INFINITY else hard}.")]
    make = wrong if hard < _TOO_FEW_FILES else warning
    return [
        make(
            about,
            f"A process may have only {hard}.",
            "Each listener, socket and upload needs one or two; who comes when none are left gets 503.",
            "Raise LimitNOFILE of the unit, `ulimits` of the container, or `ulimit -Hn` to 65536.",
        )
    ]


async def look_at_server(settings: Settings) -> Sequence[Finding]:
    """X9: whether a server runs here, and what it says of itself."""
    about, running = "server", settings.embedded and is_locked(settings.data_dir)
    if settings.port == 0:
        return [ok(about, "It listens at any free port, and so was not asked.")]
    address = address_of(settings.host, settings.port)
    try:
        status, said = await asyncio.to_thread(_ask, address)
    except OSError:
        if running:
            return [
                wrong(
                    about,
                    f"A process has the data folder, but nobody answers at {address}.",
                    "It is starting or ending, has other settings, or hangs. Another is refused meanwhile.",
                    "Look at its log; if it hangs, end it with SIGTERM.",
                )
            ]
        return [ok(about, "None runs here.")]
    except ValueError:
        return [
            wrong(
                about,
                f"Something that is not Veza listens at {address}.",
                "Veza cannot start there.",
                "Stop it, or choose another VEZA_PORT.",
            )
        ]
    if status == http.HTTPStatus.OK:
        return [ok(about, f"It is ready at {address}.")]
    away = ", ".join(f"{part} is {state}" for part, state in said.items() if state != "ok")
    return [
        wrong(
            about,
            f"It runs at {address}, and is not ready: {away}.",
            "It should get no requests.",
            "See below for each.",
        )
    ]


def _ask(address: str) -> tuple[int, dict[str, str]]:
    """What `/readyz` says. Raises OSError, and ValueError where this is not Veza."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        with connection.getresponse() as answer:  # which may have the socket to itself by now
            said = json.loads(answer.read(65_536))
            return answer.status, dict(said["checks"])
    except (http.client.HTTPException, KeyError, TypeError) as error:
        raise ValueError(address) from error
    finally:
        connection.close()


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
