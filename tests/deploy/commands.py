"""Whether a command of `veza`, as a page or a file names it, is one."""

import shlex
from typing import Any

from typer.main import get_command

from veza.cli import app

ROOT_COMMAND = get_command(app)


def parses(words: str) -> bool:
    """Whether the words after `veza` are a command with options that it has.

    What it is told may be anything, such as NAME; a command may be named without what it must be told.
    """
    try:
        parts = shlex.split(words, comments=True)
    except ValueError:
        return False
    command: Any = ROOT_COMMAND
    while commands := getattr(command, "commands", None):
        if not parts or parts[0] not in commands:
            return not parts
        command = commands[parts.pop(0)]
    options = {name for param in command.params for name in param.opts} | {"--help"}
    return all(part.partition("=")[0] in options for part in parts if part.startswith("--"))
