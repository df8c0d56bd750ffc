"""`make chaos`: real processes are killed, stopped and wiped while flows run, and an oracle says what became of them.

The same seed makes the same flows and the same faults.
"""

import argparse
import asyncio
import json
import shutil
import signal
import sys
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chaos import notes, report, ring, schedule
from chaos.findings import Findings, find
from chaos.schedule import Fault
from chaos.stage import Stage, Wish, has_node, own_folder, possible


def main() -> None:
    arguments = _arguments()
    console = Console(width=140)
    databases = ["sqlite", "postgres"] if arguments.database == "both" else [arguments.database]
    if arguments.scenario == "up":
        databases = ["sqlite"]
    seed = arguments.seed if arguments.seed is not None else int(time.time())
    try:
        well = [_run(console, arguments, database, seed) for database in databases]
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise SystemExit("stopped, with all that it had started") from None
    sys.exit(0 if all(well) else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="the time, if it is not given")
    parser.add_argument("--database", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--scenario", choices=["many", "up"], default="many", help="many processes, or all in one")
    parser.add_argument("--flows", type=int, default=500)
    parser.add_argument("--faults", type=int, default=25)
    parser.add_argument(
        "--faults-of-kind", nargs="+", metavar="KIND", help="kill-api, flush-engine, …; all, if not given"
    )
    parser.add_argument("--haste", type=float, default=1, help="2: faults are half as long, and come twice as fast")
    parser.add_argument("--lease", type=float, default=6, help="seconds until a silent recorder is replaced")
    parser.add_argument("--patience", type=float, default=120, help="seconds without anything new until it is given up")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep what all processes say here")
    return parser.parse_args()


def _run(console: Console, arguments: argparse.Namespace, database: str, seed: int) -> bool:
    kinds = _kinds(arguments, database)

    def plan(stage: Stage) -> Sequence[Fault]:
        return schedule.faults(seed, arguments.faults, stage.roles, kinds, slowness=1 / arguments.haste)

    name = f"{arguments.scenario}-{database}-{seed}"
    with own_folder() as folder:
        logs = arguments.keep.absolute() / name if arguments.keep else folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        wish = Wish(
            scenario=arguments.scenario,
            database=database,
            folder=folder,
            logs=logs,
            with_node=has_node(),
            lease=arguments.lease,
        )
        with _progress(console, arguments) as tell:
            account = asyncio.run(
                _until_told_to_end(ring.run(wish, seed, arguments.flows, plan, arguments.patience, tell))
            )
        found = find(account, notes.read(wish.notes))
        shutil.copy(wish.notes, logs)
        _keep_what_is_wrong(account, found, logs)
        report.show(console, f"{arguments.scenario}, {database}, seed {seed}", account, found)
        if not found.all_is_well():
            console.print(f"[bold red]seed {seed}[/]: {' '.join(sys.argv[1:])}")
        return found.all_is_well()


def _keep_what_is_wrong(account: ring.Account, found: Findings, logs: Path) -> None:
    """Everything that is known of each flow that is named in a finding."""
    lines = found.lines()
    (logs / "findings.txt").write_text("".join(f"{line}\n" for line in lines))
    for order in account.orders:
        told = account.reading.flows.get(order.id or "")
        if told is not None and any(told.flow["id"] in line for line in lines):
            shown = {"asked": order.plan.body, **asdict(told), "watches": [asdict(watch) for watch in order.watches]}
            (logs / f"{order.plan.tag}.json").write_text(json.dumps(shown, indent=1))


def _kinds(arguments: argparse.Namespace, database: str) -> list[str]:
    """The wanted kinds of faults; ends the program when one is not known."""
    known = schedule.kinds(possible(arguments.scenario, database))
    wanted = arguments.faults_of_kind or known
    if unknown := [kind for kind in wanted if kind not in known]:
        raise SystemExit(f"unknown: {', '.join(unknown)}; known here are {', '.join(known)}")
    return list(wanted)


async def _until_told_to_end(run: Coroutine[Any, Any, ring.Account]) -> ring.Account:
    """SIGTERM ends it as Ctrl-C does, so that nothing it has started outlives it."""
    task = asyncio.ensure_future(run)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


@contextmanager
def _progress(console: Console, arguments: argparse.Namespace) -> Iterator[ring.Tell]:
    columns = (TextColumn("{task.description:10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[now]}"), console=console, transient=True) as progress:
        accepted = progress.add_task("accepted", total=arguments.flows, now="")
        ended = progress.add_task("ended", total=arguments.flows, now="")
        faults = progress.add_task("faults", total=arguments.faults, now="")

        def tell(standing: ring.Standing) -> None:
            progress.update(accepted, completed=standing.accepted)
            progress.update(ended, completed=standing.ended)
            progress.update(faults, completed=standing.faults, now=standing.now)

        yield tell


if __name__ == "__main__":
    main()
