"""The `bullflow` command."""

import sys
from asyncio import CancelledError
from importlib import import_module
from importlib.metadata import version as package_version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from bullflow.cli import flows, no_server, queues
from bullflow.cli.worker import worker
from bullflow.errors import ApiError, BullflowError, Misconfigured
from bullflow.settings import load

INTERRUPTED = 130
UNAUTHORIZED = 401

SERVER_COMMANDS = ("up", "api", "recorder", "users", "tokens", "db", "doctor")


class _Commands(TyperGroup):
    """The server's commands are loaded when one is asked for: its libraries take a second to import."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*SERVER_COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in SERVER_COMMANDS:
            return _server_commands().get_command(ctx, cmd_name)
        return super().get_command(ctx, cmd_name)


def _server_commands() -> TyperGroup:
    server = typer.Typer()
    try:
        import_module("bullflow.cli.server").register(server)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "bullflow":
            raise
        no_server.register(server)
    group = get_command(server)
    assert isinstance(group, TyperGroup)  # noqa: S101 - there are several commands, so Typer makes a group
    return group


app = typer.Typer(
    cls=_Commands,
    name="bullflow",
    help="Flows on BullMQ queues: trees of jobs in which a parent runs after its children.",
    epilog="Start with: bullflow up hello:worker (the README shows hello.py)",
    no_args_is_help=True,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _bullflow(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        print(f"bullflow {package_version('bullflow')}")
        raise typer.Exit


app.add_typer(flows.app, name="flows")
app.add_typer(queues.app, name="queues")
app.command()(worker)


def main() -> None:
    """Run the command; what goes wrong is one message on stderr, with a trace only at log level debug."""
    try:
        app()
    except (KeyboardInterrupt, CancelledError):
        sys.exit(INTERRUPTED)  # Ctrl-C, or a second one that would not wait for what was running
    except (BullflowError, TimeoutError) as error:
        if _is_debugging():
            raise
        print(f"bullflow: {error}{_way_out(error)}", file=sys.stderr)
        sys.exit(1)


def _way_out(error: Exception) -> str:
    if isinstance(error, ApiError) and error.status == UNAUTHORIZED:
        return "\nSet BULLFLOW_TOKEN to a token; whoever runs the service makes one with `bullflow tokens create NAME`."
    return ""


def _is_debugging() -> bool:
    try:
        return load().log_level == "debug"
    except Misconfigured:
        return False


if __name__ == "__main__":
    main()
