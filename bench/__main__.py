"""`make bench`: every figure of docs/performance.md, ours beside the peers', in one run.

Names choose measurements; their figures then replace those of the last report. The last six names
are measured only when they are named.
"""

import argparse
import dataclasses
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import report
from bench.checks import checks
from bench.control import control
from bench.dashboard import dashboard
from bench.databases import SQLITE, Store, postgres
from bench.end_to_end import end_to_end
from bench.figures import Curves, Figure
from bench.hostile import hostile
from bench.hour import hour
from bench.load import load
from bench.lone import lone
from bench.measure import Row
from bench.paced import paced
from bench.plan import Plan, run
from bench.recovery import recovery
from bench.report import Report
from bench.service import Running, machine, up
from bench.sizes import sizes
from bench.sockets import sockets
from bench.standing import idle, memory
from bench.store_cost import store_cost
from bench.stored import stored
from bench.worker import worker

AGAIN = "Measured again later: "
MEASUREMENTS: dict[str, Callable[[Plan, Curves], list[Figure]]] = {
    "worker": lambda plan, _: worker(plan),
    "end-to-end": lambda plan, _: end_to_end(plan),
    "store-cost": lambda plan, _: store_cost(plan),
    "lone": lambda plan, _: lone(plan),
    "paced": lambda plan, _: paced(plan),
    "sockets": lambda plan, _: sockets(plan),
    "sizes": lambda plan, _: sizes(plan),
    "stored": stored,
    "load": load,
    "idle": lambda plan, _: idle(plan),
    "memory": lambda plan, _: memory(plan),
}


def main() -> None:
    arguments = _arguments()
    # What it has started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    console = Console(width=180)
    with ExitStack() as stack:
        stores = [SQLITE] if arguments.database in ("sqlite", "both") else []
        if arguments.database in ("postgres", "both"):
            stores.append(stack.enter_context(postgres()))
        plan = _plan(arguments, stores)
        # What only shows that everything works does not take the place of figures.
        kept_as = "small" if arguments.small else report.LATEST
        result = _report(plan, arguments.only, kept_as)
        for fact in result.facts:
            console.print(fact, style="italic")
        for name in arguments.only or MEASUREMENTS:
            if name in BY_NAME_ONLY:
                _show_rows(console, name, plan)
                continue
            result.figures[name] = MEASUREMENTS[name](plan, result.curves)
            report.show(console, name, result.figures[name])
            result.save(kept_as)
        report.show(console, "What was to be reached", result.goals())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("only", nargs="*", choices=[*MEASUREMENTS, *BY_NAME_ONLY, []], help="measure just these")
    parser.add_argument("--database", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--flows", type=int, default=1_000, help="in a burst")
    parser.add_argument("--runs", type=int, default=200, help="of what is done once at a time")
    parser.add_argument("--clients", type=int, default=16, help="connections at once in a burst")
    parser.add_argument("--seconds", type=float, default=20, help="of a steady load")
    parser.add_argument("--sockets", type=int, default=1_000)
    parser.add_argument("--million", action="store_true", help="also with 1,000,000 flows stored (many minutes)")
    parser.add_argument("--memory-jobs", type=int, default=100_000, help="after which memory is looked at")
    parser.add_argument("--small", action="store_true", help="only see that everything works (the figures say nothing)")
    return parser.parse_args()


def _plan(arguments: argparse.Namespace, stores: Sequence[Store]) -> Plan:
    plan = Plan(
        stores=stores,
        rounds=arguments.rounds,
        flows=arguments.flows,
        runs=arguments.runs,
        clients=arguments.clients,
        seconds=arguments.seconds,
        sockets=arguments.sockets,
        stored=(10, 10_000, *([1_000_000] if arguments.million else [])),
        memory_jobs=arguments.memory_jobs,
    )
    if arguments.small:
        return dataclasses.replace(
            plan, rounds=1, flows=50, runs=5, seconds=2, sockets=20, stored=(10, 1_000), memory_jobs=1_100
        )
    return plan


def _report(plan: Plan, only: Sequence[str], kept_as: str) -> Report:
    """A new report, with the figures of the last one if only some are measured again."""
    facts = [*machine().splitlines(), *(store.facts for store in plan.stores), plan.facts()]
    before = report.kept(kept_as) if only else None
    if before is not None:
        facts = [*_without(before.facts, only), f"{AGAIN}{', '.join(only)}; {facts[0]}; {facts[-1]}"]
    figures = {} if before is None else before.figures
    return Report(
        facts=facts,
        figures={name: figures.get(name, []) for name in MEASUREMENTS},
        curves={} if before is None else before.curves,
    )


def _without(facts: Sequence[str], only: Sequence[str]) -> list[str]:
    """What is known of how figures were measured, without these, which are measured again now."""
    left = []
    for fact in facts:
        names, parted, how = fact.removeprefix(AGAIN).partition("; ")
        if not fact.startswith(AGAIN):
            left.append(fact)
        elif others := [name for name in names.split(", ") if name not in only]:
            left.append(f"{AGAIN}{', '.join(others)}{parted}{how}")
    return left


def _of_one(take: Callable[[Running], Coroutine[Any, Any, list[Row]]]) -> Callable[[str | None], list[Row]]:
    """A measurement of one service, started for it."""

    def measured(database_url: str | None) -> list[Row]:
        with up(database_url) as running:
            return run(take(running))

    return measured


BY_NAME_ONLY: dict[str, Callable[[str | None], list[Row]]] = {
    "control": _of_one(control),
    "recovery": _of_one(recovery),
    "dashboard": _of_one(dashboard),
    "hostile": _of_one(hostile),
    "hour": _of_one(hour),
    "checks": checks,
}


def _show_rows(console: Console, name: str, plan: Plan) -> None:
    for store in plan.stores:
        table = Table("figure", "measured", title=f"{name}, {store.name}", title_justify="left")
        with store.empty() as url:
            for row in BY_NAME_ONLY[name](url):
                table.add_row(*row)
        console.print(table)


if __name__ == "__main__":
    main()
