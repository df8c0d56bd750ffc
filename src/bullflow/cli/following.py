"""Following a flow in whatever stands at the other end of stdout: a terminal, or a pipe."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from bullflow.cli.flow_view import read_view
from bullflow.cli.live_tree import watch_lines, watch_live
from bullflow.client import AsyncClient
from bullflow.flow.states import FlowStatus

PIPE_WIDTH = 160

Watch = Annotated[bool, typer.Option("--watch", help="Go on to watch the flow until it ends.")]


async def follow(client: AsyncClient, flow_id: str, after: int = 0) -> None:
    """Watch a flow until it ends; the command ends with 1 unless it completed. A pipe gets the log behind `after`."""
    view = await read_view(client, flow_id)
    if sys.stdout.isatty():
        await watch_live(client, view, console_for_stdout())
    else:
        await watch_lines(client, view, sys.stdout, after)
    if view.status is not FlowStatus.COMPLETED:
        raise typer.Exit(1)


def console_for_stdout() -> Console:
    # Without a terminal there is no width to keep to, and what is cut is lost.
    return Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)
