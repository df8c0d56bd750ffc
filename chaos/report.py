"""The tables of a run, and the first of what is wrong."""

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chaos.findings import Findings
from chaos.recovery import Recovery, recoveries
from chaos.ring import Account

SHOWN = 8


def show(console: Console, title: str, account: Account, found: Findings) -> None:
    console.print(_figures(title, account, found))
    console.print(_faults(account))
    for kind, lines in found.by_kind().items():
        for line in lines[:SHOWN]:
            console.print(f"[bold red]{kind}[/]: {escape(line)}")
        if len(lines) > SHOWN:
            console.print(f"[bold red]{kind}[/]: and {len(lines) - SHOWN} more")


def _figures(title: str, account: Account, found: Findings) -> Table:
    table = Table("figure", "count", title=title, title_justify="left")
    flows = account.reading.flows.values()
    table.add_row("flows", f"{len(flows)}")
    table.add_row("  of which were cancelled", f"{sum(order.cancelled_at is not None for order in account.orders)}")
    table.add_row("  jobs", f"{sum(len(told.jobs) for told in flows):,}")
    table.add_row("  entries in their logs", f"{sum(len(told.entries) for told in flows):,}")
    recovered = sum(entry["event"] == "flow.recovered" for told in flows for entry in told.entries)
    table.add_row("  recovered after the engine had lost them", f"{recovered}")
    table.add_row("  requests sent again", f"{sum(max(0, order.posts - 1) for order in account.orders)}")
    table.add_row("watchers", f"{sum(len(order.watches) for order in account.orders)}")
    table.add_row("faults", f"{len(account.strikes)}")
    for kind, lines in found.by_kind().items():
        table.add_row(kind, f"[bold red]{len(lines)}[/]" if lines else "0")
    for excuse, count in found.excused.items():
        table.add_row(f"  allowed: {excuse}", f"{count}")
    longest = [time for each in recoveries(account).values() for time in (each.after, each.lost)]
    table.add_row("longest recovery", _longest(longest))
    table.add_row("all had ended, after the last fault", f"{account.came_to_rest - account.faults_ended:.1f} s")
    return table


def _faults(account: Account) -> Table:
    table = Table("fault", "injected", "longest standstill", "longest recovery", "what the engine lost went on after")
    by_kind: dict[str, list[Recovery]] = {}
    times = recoveries(account)
    for strike in account.strikes:
        by_kind.setdefault(strike.fault.kind, []).append(times[strike.fault.number])
    for kind, each in sorted(by_kind.items()):
        columns = zip(*((one.standstill, one.after, one.lost) for one in each), strict=True)
        table.add_row(kind, f"{len(each)}", *map(_longest, columns))
    return table


def _longest(seconds: Iterable[float | None]) -> str:
    known = [time for time in seconds if time is not None]
    return f"{max(known):.1f} s" if known else ""
