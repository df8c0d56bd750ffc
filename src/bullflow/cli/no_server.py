"""The server's commands where the `server` extra is not installed: each says how to get it."""

from typing import NoReturn

import typer

from bullflow.errors import Misconfigured

_COMMANDS = ("up", "api", "recorder", "doctor")
_GROUPS = {
    "db": ("upgrade",),
    "users": ("create", "list", "disable", "enable"),
    "tokens": ("create", "list", "revoke"),
}
_ANY_ARGUMENTS = {"ignore_unknown_options": True, "allow_extra_args": True}
_HELP = "Needs the server, which is not installed."


def register(app: typer.Typer) -> None:
    """Add commands of the same names to the application."""
    for name in _COMMANDS:
        app.command(name, help=_HELP, context_settings=_ANY_ARGUMENTS)(_needs_the_server)
    for name, commands in _GROUPS.items():
        group = typer.Typer(no_args_is_help=True, help=_HELP)
        # A group with a single command would lose its name without a callback.
        group.callback()(lambda: None)
        for command in commands:
            group.command(command, help=_HELP, context_settings=_ANY_ARGUMENTS)(_needs_the_server)
        app.add_typer(group, name=name)


def _needs_the_server(context: typer.Context) -> NoReturn:
    raise Misconfigured('this command needs the server: pip install "bullflow[server]"')
