"""The pages that are made from the code, and the parts of pages that are."""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

import veza
from tests.docs.reference import cli_page, permissions_page, settings_page
from veza.core.errors import VezaError, all_errors
from veza.core.events import Event
from veza.core.jobs import JobKind, NoPayload
from veza.reactions import REACTIONS
from veza.rooms.chat.document import asyncapi
from veza.rooms.chat.frames import CLIENT_FRAMES, SERVER_FRAMES
from veza.rooms.webhooks.catalogue import CATALOGUE, TYPES
from veza.settings import Settings

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "veza"
COMMAND = "python -m tests.docs.regenerate"
# Programs of their own, which an import would start, and what only Alembic can import.
_NOT_IMPORTED = re.compile(r"veza\.(media\.(launcher|\w+_child)|migrations\..*)")
# Whose texts in capitals are codes of single fields.
_FIELD_CODES = {"BadValue", "Detail", "refusal"}


@cache
def import_all() -> None:
    """Load every module, so that every event, error and kind of job is known."""
    for module in pkgutil.walk_packages(veza.__path__, "veza."):
        if not _NOT_IMPORTED.fullmatch(module.name):
            importlib.import_module(module.name)


def _ours(thing: type) -> bool:
    return thing.__module__.startswith("veza.")


def events() -> list[type[Event]]:
    """Every event there is, by kind."""
    import_all()
    return sorted(filter(_ours, Event.__subclasses__()), key=lambda event: event.kind)


def job_kinds() -> list[JobKind[Any]]:
    """Every kind of job there is, by name."""
    import_all()
    found = {
        thing.name: thing
        for name, module in sorted(sys.modules.items())
        if name.startswith("veza.")
        for thing in vars(module).values()
        if isinstance(thing, JobKind)
    }
    return [found[name] for name in sorted(found)]


def errors() -> dict[tuple[int, str], str]:
    """What each status and code says, by both; a class without a code of its own has its parent's."""
    import_all()
    said: dict[tuple[int, str], str] = {}
    for error in filter(_ours, all_errors(VezaError)):
        if error is VezaError or "code" in vars(error):
            said.setdefault((error.status, error.code), _first_line(error))
    # The base has the code of InternalError, which says it better.
    internal = next(error for error in all_errors() if error.__name__ == "InternalError")
    said[internal.status, internal.code] = _first_line(internal)
    return dict(sorted(said.items()))


def field_codes() -> list[str]:
    """Every code that a single field can be refused with, as the source has them."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in _FIELD_CODES:
                texts = [part.value for part in node.args if isinstance(part, ast.Constant)]
                found |= {text for text in texts if isinstance(text, str) and re.fullmatch("[A-Z_]+", text)}
    return sorted(found)


def errors_page() -> str:
    """docs/reference/errors.md."""
    rows = "\n".join(f"| {status} | `{code}` | {said} |" for (status, code), said in errors().items())
    codes = textwrap.fill(", ".join(f"`{code}`" for code in field_codes()), 120)
    return f"""# Errors

<!-- Made from the code by `{COMMAND}`. -->

Every error of the API looks like this, whatever went wrong:

```json
{{"success": false, "error": {{"code": "NOT_FOUND", "message": "There is no such thing …", "details": []}}}}
```

`code` is stable; go by it and not by `message`, which is for people and may be more specific than below.
`details` names the fields of a request that were refused, each with `field`, `message` and `code`. A 401
comes with `WWW-Authenticate`, a 405 with `Allow`, a 416 with `Content-Range`, a 429 and mostly a 503 with
`Retry-After`; every answer with `X-Request-ID`, by which the server's log can be searched.

A thing that you may not see is answered as one that is not there: 404. What you may see, but not do, is 403.

| status | code | meaning |
|---|---|---|
{rows}

Codes of single fields, in `details`:
{codes}.
"""


def events_page() -> str:
    """docs/reference/events.md."""
    rooms: dict[str, list[str]] = defaultdict(list)
    for event in events():
        then = ", ".join(f"`{job.name}`" for job in REACTIONS.get(event, ()))
        rooms[_room(event)].append(f"| `{event.kind}` | {_first_line(event)} | {_fields(event)} | {then} |")
    tables = "\n".join(
        f"\n## {room}\n\n| kind | what happened | fields | job |\n|---|---|---|---|\n" + "\n".join(rows)
        for room, rows in sorted(rooms.items())
    )
    jobs = "\n".join(map(_job_row, job_kinds()))
    return f"""# Events and jobs

<!-- Made from the code by `{COMMAND}`. -->

What happens is written to the table `events` in the transaction that made it happen, with who did it, from
which address and by which request. What follows from it, the last column, is queued in the same transaction.
The table of reactions is `src/veza/reactions.py`.
{tables}

## Jobs

A job is tried up to so many times, waiting longer each time; a worker that is silent for the length of its
lease has lost it. Recurring ones are due again so long after each success.

| kind | told | lane | tries | lease | every |
|---|---|---|---|---|---|
{jobs}
"""


def settings_table() -> str:
    """Every setting, its default, and what it does."""
    kinds = get_type_hints(Settings, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(Settings):
        name = "AWS_…" if field.name == "s3" else f"VEZA_{field.name.upper()}"
        meaning = next(meta.description for meta in kinds[field.name].__metadata__)
        rows.append(f"| `{name}` | {settings_default(field.default)} | {meaning} |")
    return "| setting | default | meaning |\n|---|---|---|\n" + "\n".join(rows)


def settings_default(value: Any) -> str:
    """A default as a page says it."""
    if value in ("", None) or not isinstance(value, bool | int | str | Path):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    for unit, size in (("GiB", 1024**3), ("MiB", 1024**2)):
        if isinstance(value, int) and value and value % size == 0:
            return f"`{value}` ({value // size} {unit})"
    return f"`{value}`"


def with_settings(page: str) -> str:
    """A page with the table of settings between its markers."""
    made = f"<!-- settings -->\n{settings_table()}\n<!-- /settings -->"
    return re.sub(r"<!-- settings -->\n.*?<!-- /settings -->", lambda _: made, page, flags=re.DOTALL)


def with_told(page: str) -> str:
    """The page about webhooks, with the table of events and what is told of each."""
    rows = [
        f"| `{kind}` | {_first_line(entry.shape)} | {_told(entry.shape)} |"
        for kind, entry in CATALOGUE.items()
    ]
    rows += [f"| `{kind}` | Nothing makes it happen yet. | |" for kind in TYPES if kind not in CATALOGUE]
    made = "\n".join(["<!-- events -->", "| type | what it tells | `data` |", "|---|---|---|", *rows])
    return re.sub(
        r"<!-- events -->\n.*?<!-- /events -->", lambda _: f"{made}\n<!-- /events -->", page, flags=re.DOTALL
    )


def _told(shape: type[msgspec.Struct]) -> str:
    """The fields of a shape; of those that are things, which."""
    kinds = get_type_hints(shape)
    return ", ".join(f"{name}: {_kind(kinds[name])}" for name in shape.__struct_fields__)


def _kind(kind: Any) -> str:
    parts = [part.__name__ for part in get_args(kind) if isinstance(part, type) and part is not type(None)]
    inner = parts[0] if parts else getattr(kind, "__name__", str(kind))
    name = {"UUID": "id", "str": "text", "float": "number"}.get(inner, inner)
    listed = get_origin(kind) is not None and type(None) not in get_args(kind)
    return f"list of {name}" if listed else f"{name} or null" if type(None) in get_args(kind) else name


def frames_table(kinds: Any) -> str:
    """Every frame of one direction: its fields, those that may be left out in brackets, and what it says."""
    rows = []
    for kind in kinds:
        name = getattr(kind, "name", None) or kind.__struct_config__.tag
        fields = ", ".join(
            f"`{field.name}`" if field.required else f"[`{field.name}`]"
            for field in sorted(msgspec.structs.fields(kind), key=lambda field: not field.required)
            if field.name != "id"
        )
        said = " ".join((inspect.getdoc(kind) or "").split()).replace("``", "`")
        rows.append(f"| `{name}` | {fields} | {said} |")
    return "| type | fields | meaning |\n|---|---|---|\n" + "\n".join(rows)


def with_frames(page: str) -> str:
    """docs/chat.md with the tables of frames between their markers."""
    for name, kinds in (("client", CLIENT_FRAMES), ("server", SERVER_FRAMES)):
        made = f"<!-- {name} -->\n{frames_table(kinds)}\n<!-- /{name} -->"
        page = re.sub(
            rf"<!-- {name} -->\n.*?<!-- /{name} -->", lambda _, made=made: made, page, flags=re.DOTALL
        )
    return page


def chat_document() -> str:
    """docs/chat.asyncapi.json."""
    made = msgspec.json.encode(asyncapi(veza.__version__))
    return msgspec.json.format(made, indent=1).decode() + "\n"


# Each page that is made, whole or in part, and what it should hold, given what it holds.
PAGES: dict[Path, Callable[[str], str]] = {
    ROOT / "README.md": with_settings,
    ROOT / "docs/reference/settings.md": lambda _: settings_page(settings_default),
    ROOT / "docs/reference/permissions.md": lambda _: permissions_page(),
    ROOT / "docs/reference/cli.md": lambda _: cli_page(),
    ROOT / "docs/reference/errors.md": lambda _: errors_page(),
    ROOT / "docs/reference/events.md": lambda _: events_page(),
    ROOT / "docs/webhooks.md": with_told,
    ROOT / "docs/chat.md": with_frames,
    ROOT / "docs/chat.asyncapi.json": lambda _: chat_document(),
}


def sections(page: str) -> Iterator[tuple[str, str]]:
    """The sections of a page by their second-level headings."""
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        yield title.strip(), body


def _first_line(thing: type) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0].replace("``", "`")


def _fields(event: type[Event]) -> str:
    return ", ".join(field.name for field in msgspec.structs.fields(event))


def _room(event: type[Event]) -> str:
    return event.__module__.split(".")[2]


def _job_row(job: JobKind[Any]) -> str:
    every = _span(job.every) if job.every else ""
    tries = "" if job.every else str(job.attempts)
    told = "" if job.payload is NoPayload else _first_line(job.payload)
    return f"| `{job.name}` | {told} | {job.lane} | {tries} | {_span(job.lease)} | {every} |"


def _span(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return f"{seconds // 3600} h" if seconds % 3600 == 0 else f"{seconds} s"
