"""`bullflow users` and `bullflow tokens`: who may use the service. They work on the database itself."""

import shlex
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from bullflow import serve
from bullflow.cli.flow_view import plain
from bullflow.cli.options import DatabaseUrl, DataDir
from bullflow.cli.running import run
from bullflow.clock import iso, iso_or_none
from bullflow.errors import BullflowError, NotFound
from bullflow.flow.access import SECRET, USUAL, Scope
from bullflow.service.accounts import Accounts, check_user
from bullflow.settings import load
from bullflow.store.tokens import TokenView
from bullflow.telemetry import configure

Answer = TypeVar("Answer")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name, for example alice.")]
OptionalUser = Annotated[str | None, typer.Argument(metavar="[USER]", help="Only this user's, for example alice.")]
Queues = Annotated[
    list[str] | None,
    typer.Option(
        "--queue", metavar="PATTERN", help="Queues that the user may name in flows, for example 'video-*'; else all."
    ),
]
Scopes = Annotated[
    list[Scope] | None,
    typer.Option("--scope", help="What the token is good for; read, write and payloads when it is not given."),
]
Days = Annotated[
    float | None,
    typer.Option(metavar="DAYS", min=0.001, max=36_500, help="When it is over, for example 90; else never."),
]
TokenId = Annotated[
    str, typer.Argument(metavar="ID", help="The token's id, as `bullflow tokens list` prints it; or the token itself.")
]

users = typer.Typer(no_args_is_help=True, help="Who may use the service: make users, list them, shut them out.")
tokens = typer.Typer(no_args_is_help=True, help="What users show to be known: make tokens, list them, revoke them.")


@users.command("create")
def create_user(name: Name, queues: Queues = None, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Make a user. It can do nothing until it has a token.

    Example: bullflow users create alice --queue 'alice-*'
    """
    check_user(name, queues or ())  # before there is a database for it
    _with(data_dir, database_url, lambda accounts: accounts.create_user(name, queues or ()), may_be_new=True)
    where = "" if data_dir is None else f" --data-dir {shlex.quote(str(data_dir))}"
    where += "" if database_url is None else " --database-url …"  # which may hold a password
    _say(f"The user {name} was made. Now make a token for it: bullflow tokens create {name}{where}")


@users.command("list")
def list_users(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """List users by name; into a pipe as columns parted by tabs.

    Example: bullflow users list
    """
    found = _with(data_dir, database_url, lambda accounts: accounts.users())
    rows = [
        (user.name, "disabled" if user.disabled_at else "enabled", " ".join(user.queues) or "all", iso(user.created_at))
        for user in found
    ]
    _show(("NAME", "STATE", "QUEUES", "CREATED"), rows)


@users.command()
def disable(name: Name, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Shut a user out within seconds, whatever tokens it has. Its flows go on and stay.

    Example: bullflow users disable alice
    """
    _with(data_dir, database_url, lambda accounts: accounts.set_disabled(name, True))
    _say(f"The user {name} is shut out. Its flows go on; bullflow users enable {name} lets it in again.")


@users.command()
def enable(name: Name, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Let a user in again that was disabled.

    Example: bullflow users enable alice
    """
    _with(data_dir, database_url, lambda accounts: accounts.set_disabled(name, False))
    _say(f"The user {name} may come in again.")


@tokens.command("create")
def create_token(
    user: Name,
    scopes: Scopes = None,
    days: Days = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a token, and print it: alone on stdout, and never again.

    read: see flows. write: create, cancel, retry, delete them. payloads: see what `BULLFLOW_REDACT` hides.
    admin: read and write, all users' flows (?user=), queues, and who did what.

    Example: ALICE=$(bullflow tokens create alice --scope read --days 30)
    """
    lasts = None if days is None else timedelta(days=days)
    chosen = frozenset(scopes) if scopes else USUAL
    secret = _with(data_dir, database_url, lambda accounts: accounts.create_token(user, chosen, lasts))
    print(secret.text)
    _say(f"The token {secret.id} of {user} is good for {', '.join(sorted(chosen))}. It is not shown again.")


@tokens.command("list")
def list_tokens(user: OptionalUser = None, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """List tokens, the newest first, without their secrets; into a pipe as columns parted by tabs.

    Example: bullflow tokens list alice
    """
    found = _with(data_dir, database_url, lambda accounts: accounts.tokens(user))
    _show(("ID", "USER", "SCOPES", "CREATED", "OVER", "LAST USED"), [_row(token) for token in found])


@tokens.command()
def revoke(token_id: TokenId, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """End a token: within seconds it opens nothing any more, and sockets and sessions that it opened are closed.

    Example: bullflow tokens revoke 4k0m2j8s1x9q
    """
    whole = SECRET.fullmatch(token_id)
    key = token_id.removeprefix("bf_") if whole is None else whole[2]
    _with(data_dir, database_url, lambda accounts: accounts.revoke(key))
    _say(f"The token {key} opens nothing any more.")


def _row(token: TokenView) -> tuple[str, ...]:
    over = "revoked" if token.revoked_at is not None else iso_or_none(token.expires_at) or "never"
    used = iso_or_none(token.last_used_at) or "never"
    return token.id, token.user_name, " ".join(sorted(token.scopes)), iso(token.created_at), over, used


def _with(
    data_dir: DataDir,
    database_url: DatabaseUrl,
    act: Callable[[Accounts], Awaitable[Answer]],
    *,
    may_be_new: bool = False,
) -> Answer:
    settings = load(data_dir=data_dir, database_url=database_url)
    configure("warning", settings.log_format)

    missing = serve.missing_file(settings) if may_be_new else None

    async def acting() -> Answer:
        async with serve.managing(settings, may_be_new=may_be_new) as accounts:
            return await act(accounts)

    try:
        answer = run(acting())
    except NotFound as error:
        raise BullflowError(
            f"{error} `bullflow {error.kind}s list` shows which there are; --data-dir or --database-url names another "
            "database."
        ) from None
    if missing is not None:
        _say(f"This is a new database: {missing}")
    return answer


def _show(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(plain(cell) for cell in row))
        return
    table = Table(*titles, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    Console(soft_wrap=True).print(table)


def _say(sentence: str) -> None:
    # What is printed on stdout is for scripts.
    print(sentence, file=sys.stderr)
