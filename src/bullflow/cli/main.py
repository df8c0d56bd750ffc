"""The `bullflow` command."""

import sys

import typer

from bullflow.cli import flows
from bullflow.cli.worker import worker
from bullflow.errors import BullflowError, Misconfigured
from bullflow.settings import load

try:
    from bullflow.cli import server
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] == "bullflow":
        raise
    from bullflow.cli import no_server as server  # type: ignore[no-redef]

INTERRUPTED = 130

app = typer.Typer(
    name="bullflow",
    help="Flows on BullMQ queues: trees of jobs in which a parent runs after its children.",
    epilog="Start with: bullflow up examples.video:worker",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(flows.app, name="flows")
app.command()(worker)
server.register(app)


def main() -> None:
    """Run the command; what goes wrong is one message on stderr, with a trace only at log level debug."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except (BullflowError, TimeoutError) as error:
        if _is_debugging():
            raise
        print(f"bullflow: {error}", file=sys.stderr)
        sys.exit(1)


def _is_debugging() -> bool:
    try:
        return load().log_level == "debug"
    except Misconfigured:
        return False


if __name__ == "__main__":
    main()
