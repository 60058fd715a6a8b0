"""Pages of the reference that are made from the code: settings, permissions, commands."""

# ruff: noqa: E501 - lines of pages

import inspect
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from typer.main import get_command

from veza import settings as rules
from veza.access.policy import POLICY, Action, Rule
from veza.access.roles import QUOTA_FACTOR, ROLES, Permission
from veza.cli import app
from veza.settings import Settings

MADE = "<!-- Made from the code by `python -m tests.docs.regenerate`. -->"


def settings_page(default: Callable[[Any], str]) -> str:
    """docs/reference/settings.md."""
    kinds = get_type_hints(Settings, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(Settings):
        if field.name == "s3":
            continue
        meaning = next(meta.description for meta in kinds[field.name].__metadata__)
        secret = " **Secret.**" if field.name in rules._SECRET else ""
        rows.append(
            f"| `VEZA_{field.name.upper()}` | {_takes(field.name, kinds[field.name])} "
            f"| {default(field.default)} | {meaning}{secret} |"
        )
    table = "\n".join(rows)
    return f"""# Settings

{MADE}

Each is a variable of the environment, or, without `VEZA_` and in lower case, a line of `veza.toml` in the folder that Veza is
started in, or of the file that `VEZA_CONFIG` names. The environment wins, and an empty variable counts as unset. One that is unknown
or makes no sense stops the start with one line and the exit code 78. `veza doctor` says of those that make sense whether they
work.

Secrets are better kept in a file that only Veza's user can read than in a command line or a unit; they are in no log, and in nothing
that is said of them.

| setting | takes | default | meaning |
|---|---|---|---|
{table}

For `s3://` the standard variables are read as well, from the environment alone: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
`AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`. Without keys, those of the machine's role are used.
"""


def _takes(name: str, kind: Any) -> str:
    if name in rules._CHOICES:
        return ", ".join(f"`{choice}`" for choice in rules._CHOICES[name])
    if name in rules._LIMITS:
        return "so many in a time, as `100/min`, `10/15min`"
    plain = get_args(kind)[0] if get_origin(kind) else kind
    plain = next((part for part in get_args(plain) if part is not type(None)), plain)
    said = {bool: "`true` or `false`", int: "a whole number", Path: "a path", str: "text"}[plain]
    if name in rules._BETWEEN:
        least, most = rules._BETWEEN[name]
        return f"{said} from {least} to {most}"
    if name in rules._LEAST:
        return f"{said} from {rules._LEAST[name]} on"
    return said


def permissions_page() -> str:
    """docs/reference/permissions.md."""
    names = list(ROLES)
    grants = "\n".join(
        f"| `{permission}` | "
        + " | ".join("yes" if permission in ROLES[name] else "" for name in names)
        + " |"
        for permission in Permission
    )
    quotas = " | ".join(f"{QUOTA_FACTOR[name]} times" for name in names)
    policy = "\n".join(
        f"| {action.name.lower().replace('_', ' ')} | {'; or '.join(map(said, POLICY[action]))} |"
        for action in Action
    )
    return f"""# Roles and permissions

{MADE}

A role is a named set of permissions, and every account has one: `user` at first. Admins give roles with
`PUT /api/v1/admin/users/{{id}}/role`; the first admin is made by `veza users create --admin`. A role counts from the next request on.

| permission | {" | ".join(names)} |
|---|{"---|" * len(names)}
{grants}
| bytes that one may store, of `VEZA_QUOTA` | {quotas} |

## Who may do what

Whether somebody may *see* a thing is asked first; to whom may not, it is not there (404). Whether they may do something with it is
asked then (403). Any one of these is enough; the table is `src/veza/access/policy.py`. What is not in it everybody may do with what
they see, signed in or not, as far as the address asks for a token.

| to | may |
|---|---|
{policy}
"""


def said(rule: Rule) -> str:
    """Who a rule lets do it, in words."""
    inside = inspect.getclosurevars(rule).nonlocals
    if "permission" in inside:
        return f"who has `{inside['permission']}`"
    if "enough" in inside:
        least = inside["enough"][0]
        given = "collaborator" in rule.__qualname__
        return f"who was given `{least}` or more" if given else f"who is {least} of the room, or more"
    return {
        "owner": "whose own it is",
        "track_owner": "whose track it is about",
        "everybody": "everybody, where it is public",
        "watch": f"who has `{Permission.MODERATE_CHAT}`, where it is open to others than its members",
    }[rule.__name__]


def cli_page() -> str:
    """docs/reference/cli.md."""
    sections = "\n".join(_sections(get_command(app), "veza"))
    return f"""# Commands

{MADE}

Every command reads the [settings](settings.md). 0 as the exit code means that all went well, 78 that something must be mended before it
makes sense to try again (a setting, a secret, another process on the folder), 2 that the command was not understood, anything else
that it failed; why is said in one line on standard error.
{sections}"""


def _sections(command: Any, name: str) -> Iterator[str]:
    commands = getattr(command, "commands", None)
    if commands is not None:
        for part in sorted(commands):
            yield from _sections(commands[part], f"{name} {part}")
        return
    yield f"\n## {name}\n\n{textwrap.fill(' '.join((command.help or '').split()), 120)}\n"
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option"]
    words = [param.name.upper() for param in arguments]
    shown = [word if param.required else f"[{word}]" for word, param in zip(words, arguments, strict=True)]
    needed = [f"{param.opts[0]} {param.name.upper()}" for param in options if param.required]
    more = ["[OPTIONS]"] if len(options) > len(needed) else []
    yield f"```\n{' '.join([name, *shown, *needed, *more])}\n```\n"
    rows = [(f"`{word}`", param) for word, param in zip(words, arguments, strict=True)]
    rows += [(", ".join(f"`{opt}`" for opt in param.opts), param) for param in options]
    if rows:
        yield (
            "| | |\n|---|---|\n"
            + "\n".join(f"| {shown} | {_meaning(param)} |" for shown, param in rows)
            + "\n"
        )


def _meaning(param: Any) -> str:
    parts = [(param.help or "").rstrip(".")]
    choices = [one for one in _literals(param.type_descriptor.annotation) if isinstance(one, str)]
    if choices:
        parts.append("one of " + ", ".join(f"`{choice}`" for choice in choices))
    if param.default not in (None, "", False):
        parts.append(f"by default `{param.default}`")
    text = "; ".join(part for part in parts if part)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _literals(kind: Any) -> Iterator[Any]:
    """What a Literal names, also inside others."""
    for part in get_args(kind):
        if get_origin(kind) is Literal:
            yield part
        else:
            yield from _literals(part)
