"""The command line."""

import asyncio
import sys
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Veza, a self-hosted audio platform.",
)
users = typer.Typer(no_args_is_help=True, help="People's accounts.")
app.add_typer(users, name="users")


def main() -> None:
    """Run the command line; what an operator can mend is said in one line."""
    from veza.access.secrets import SecretRefused  # noqa: PLC0415 - what a command does not need it does not load
    from veza.core.db.migrate import UnknownRevision  # noqa: PLC0415 - as above
    from veza.core.lock import InUse  # noqa: PLC0415 - as above
    from veza.settings import BadSetting  # noqa: PLC0415 - as above

    try:
        app()
    except (BadSetting, SecretRefused, InUse, UnknownRevision) as problem:
        print(f"veza: {problem}", file=sys.stderr)  # noqa: T201 - for the operator
        sys.exit(78)  # EX_CONFIG of sysexits.h


@app.command()
def serve() -> None:
    """Run everything: the API, and the work behind it."""
    from veza.process import serve_all  # noqa: PLC0415 - as above

    sys.exit(serve_all())


@app.command()
def worker() -> None:
    """Run only the work behind the API (PostgreSQL)."""
    from veza.process import work_only  # noqa: PLC0415 - as above

    sys.exit(work_only())


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema."""
    from veza.process import migrate_only  # noqa: PLC0415 - as above

    print("migrated" if migrate_only() else "nothing to do")  # noqa: T201 - the command's answer


@app.command()
def openapi() -> None:
    """Print the OpenAPI document of the API."""
    from veza.process import print_document  # noqa: PLC0415 - as above

    print_document()


@users.command("create")
def create_user(
    username: Annotated[str, typer.Option(help="3 to 30 letters, digits, _ . -")],
    email: Annotated[str, typer.Option()],
    *,
    admin: Annotated[bool, typer.Option("--admin", help="Make an admin.")] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Create an account."""
    from veza.process import create_account  # noqa: PLC0415 - as above

    password = (
        sys.stdin.readline().rstrip("\n")
        if password_stdin
        else typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    sys.exit(asyncio.run(create_account(username, email, password, admin=admin)))
