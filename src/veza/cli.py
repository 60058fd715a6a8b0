"""The command line."""

import gc
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal, TypeVar
from uuid import UUID

import typer

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Veza, a self-hosted audio platform.",
)
users = typer.Typer(no_args_is_help=True, help="People's accounts.")
app.add_typer(users, name="users")
audit = typer.Typer(no_args_is_help=True, help="The log of what happened.")
app.add_typer(audit, name="audit")
admin = typer.Typer(no_args_is_help=True, help="What admins see and do.")
app.add_typer(admin, name="admin")
admin_users = typer.Typer(no_args_is_help=True, help="Who is here.")
admin.add_typer(admin_users, name="users")


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        # A locale that lacks a quotation mark is no reason to end.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    # What serves is told no more than that, and what typer loads to read more weighs 10 MB as it runs.
    plainly = {"serve": serve, "worker": worker}
    if len(sys.argv) == 2 and sys.argv[1] in plainly:  # noqa: PLR2004 - the program and the command
        plainly[sys.argv[1]]()
    app()


def _do(work: Callable[[ModuleType], T]) -> T:
    """Do it by the process module; what an operator can mend is said in one line.

    That module is loaded only here: to ask for help loads nothing. What is loaded stays: to look for garbage
    meanwhile took a fifth of the time of a start.
    """
    gc.disable()
    from veza import opening, process  # noqa: PLC0415 - see above
    from veza.core.heap import keep_little  # noqa: PLC0415 - as above

    keep_little()

    gc.freeze()
    gc.enable()
    try:
        return work(process)
    except process.REFUSALS as problem:
        print(f"veza: {problem}", file=sys.stderr)  # noqa: T201 - for the operator
        sys.exit(78)  # EX_CONFIG of sysexits.h
    except opening.OutOfReach as problem:
        print(f"veza: {problem}", file=sys.stderr)  # noqa: T201 - for the operator
        sys.exit(1)


@app.command()
def serve() -> None:
    """Run everything: the API, and the work behind it."""
    sys.exit(_do(lambda process: process.serve_all()))


@app.command()
def worker() -> None:
    """Run only the work behind the API (PostgreSQL)."""
    sys.exit(_do(lambda process: process.work_only()))


@app.command()
def migrate(
    to: Annotated[
        str, typer.Option(help="Move all rows from SQLite into this empty database: postgresql://….")
    ] = "",
) -> None:
    """Bring the database to this version's schema."""
    if to:
        sys.exit(_do(lambda process: process.keep_safe("move_rows", to=to)))
    print("migrated" if _do(lambda process: process.migrate_only()) else "nothing to do")  # noqa: T201 - the command's answer


@app.command()
def reindex() -> None:
    """Build the search index anew; with SQLite while Veza is not serving."""
    print(f"indexed {_do(lambda process: process.reindex_only())} things")  # noqa: T201 - the command's answer


@app.command()
def backup(
    target: Annotated[str, typer.Argument(help="A folder, or s3://bucket/prefix.")],
    keep: Annotated[
        int | None, typer.Option(min=1, help="Remove older backups there, so that this many stay.")
    ] = None,
    *,
    with_secret: Annotated[
        bool, typer.Option("--with-secret", help="Keep data/secret.key there as well.")
    ] = False,
) -> None:
    """Back up the database and all files, beside a running server; only what is new is copied."""
    sys.exit(
        _do(lambda process: process.keep_safe("back_up", target=target, keep=keep, with_secret=with_secret))
    )


@app.command()
def backups(
    target: Annotated[str, typer.Argument(help="Where they are.")],
    at: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read it whole (the newest, unless --at names one).")
    ] = False,
) -> None:
    """List backups, or check one without restoring it."""
    sys.exit(_do(lambda process: process.keep_safe("list_backups", target=target, at=at, verify=verify)))


@app.command()
def restore(
    target: Annotated[str, typer.Argument(help="Where the backups are.")],
    at: Annotated[str | None, typer.Option(help="Which one; the newest by default.")] = None,
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read again all that was restored, and compare it.")
    ] = False,
) -> None:
    """Restore a backup, into an empty database and storage."""
    sys.exit(_do(lambda process: process.keep_safe("restore", target=target, at=at, verify=verify)))


@app.command()
def fsck(
    *,
    deep: Annotated[bool, typer.Option("--deep", help="Read every byte.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Say it as JSON.")] = False,
) -> None:
    """Compare what the database names with the files that are there; 1 where something is wrong."""
    sys.exit(_do(lambda process: process.keep_safe("check_files", deep=deep, as_json=as_json)))


@app.command()
def openapi() -> None:
    """Print the OpenAPI document of the API."""
    print(_do(lambda process: process.document()).decode())  # noqa: T201 - the command's answer


@app.command()
def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Say it to a program.")] = False) -> None:
    """Look whether anything is wrong; say in words what, and what to do."""
    sys.exit(_do(lambda process: process.examine(as_json=as_json)))


@app.command("import")
def import_folder(
    folder: Annotated[Path, typer.Argument(help="The folder; everything in it, at any depth.")],
    user: Annotated[str, typer.Option(help="Into whose library: a username.")],
    *,
    private: Annotated[bool, typer.Option("--private", help="For the owner's eyes and ears alone.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until all is processed, too.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Name every file that was refused.")] = False,
) -> None:
    """Take in a folder of music; run again, it goes on where it was."""
    sys.exit(
        _do(
            lambda process: process.import_folder(
                folder, user, public=not private, dry=dry_run, wait=wait, verbose=verbose
            )
        )
    )


@app.command()
def demo(
    *, force: Annotated[bool, typer.Option("--force", help="Even beside other people's music.")] = False
) -> None:
    """Make a small world of people and music to look at."""
    sys.exit(_do(lambda process: process.make_demo(force=force)))


@app.command()
def chat(
    room: Annotated[str, typer.Argument(help="Name or id of a room, or @somebody.")],
    email: Annotated[str, typer.Option(prompt=True, help="What you sign in with.")],
    server: Annotated[str, typer.Option(help="The address of a server.")] = "http://127.0.0.1:8080",
    *,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the first line.")
    ] = False,
) -> None:
    """Talk in a room of a server, in the terminal."""
    from veza import chatting  # noqa: PLC0415 - to ask for help loads nothing

    def ask_code() -> str:
        return _line() if password_stdin else str(typer.prompt("Code of your second factor"))

    password = _line() if password_stdin else typer.prompt("Password", hide_input=True)
    sys.exit(chatting.chat(server, email, password, room, ask_code))


def _line() -> str:
    """The first line of standard input, and not a byte after it: the rest is read elsewhere."""
    found = bytearray()
    while (byte := os.read(0, 1)) not in {b"", b"\n"}:
        found += byte
    return found.decode()


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
    password = (
        sys.stdin.readline().rstrip("\n")
        if password_stdin
        else typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    sys.exit(_do(lambda process: process.create_account(username, email, password, admin=admin)))


@audit.command("verify")
def verify_audit(
    head: Annotated[
        str, typer.Option(help="NUMBER:SEAL as an earlier run said: the log must hold this very row.")
    ] = "",
) -> None:
    """Check that nothing in the audit log was changed, removed, inserted or reordered."""
    sys.exit(_do(lambda process: process.verify_audit(head)))


@admin_users.command("list")
def list_users(
    q: Annotated[str, typer.Argument(help="How a name or an address begins.")] = "",
    role: Annotated[Literal["user", "creator", "moderator", "admin"] | None, typer.Option()] = None,
    status: Annotated[Literal["active", "suspended"] | None, typer.Option()] = None,
) -> None:
    """List users, a hundred at most."""
    sys.exit(_do(lambda process: process.administer("list_users", q=q, role=role, status=status)))


@admin_users.command("suspend")
def suspend_user(username: str, reason: Annotated[str, typer.Option(help="Why; admins read it.")]) -> None:
    """Sign a user out, and let them in no more."""
    sys.exit(_do(lambda process: process.administer("suspend", username=username, reason=reason)))


@admin_users.command("restore")
def restore_user(username: str) -> None:
    """Let a suspended user in again."""
    sys.exit(_do(lambda process: process.administer("restore", username=username)))


@admin_users.command("reset-2fa")
def reset_second_factor(username: str) -> None:
    """Turn two-factor login off for who lost app and codes, sign them out everywhere, and mail them that.

    Make sure first that who asks for it is the owner of the account.
    """
    sys.exit(_do(lambda process: process.administer("reset_2fa", username=username)))


@admin.command("jobs")
def show_jobs(
    retry: Annotated[str, typer.Option(help="A kind of job: try all again that were given up.")] = "",
) -> None:
    """Say what is to be done, and what fails."""
    if retry:
        sys.exit(_do(lambda process: process.administer("retry", kind=retry)))
    sys.exit(_do(lambda process: process.administer("show_work")))


@admin.command("webhooks")
def show_webhooks(
    state: Annotated[Literal["active", "failing", "disabled"] | None, typer.Option()] = None,
    retry: Annotated[
        UUID | None,
        typer.Option(help="A webhook: deliver what waits and was missed, and turn it on for that."),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Say it as JSON.")] = False,
) -> None:
    """Say which webhooks are behind, fail, or were turned off for that, a hundred at most."""
    if retry:
        sys.exit(_do(lambda process: process.administer("retry_webhook", webhook_id=retry)))
    sys.exit(_do(lambda process: process.administer("list_webhooks", state=state, as_json=as_json)))


@admin.command("reports")
def list_reports() -> None:
    """List reports that nobody has looked at."""
    sys.exit(_do(lambda process: process.administer("list_reports")))


@admin.command("storage")
def show_storage() -> None:
    """Say what is stored, and who stores most."""
    sys.exit(_do(lambda process: process.administer("show_storage")))
