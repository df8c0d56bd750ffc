"""Prints how the engine differs from the store, flow by flow."""

from collections.abc import Iterable

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from bullflow import serve
from bullflow.cli.running import run
from bullflow.flow.audit import Drift
from bullflow.flow.explain import amount
from bullflow.serve import Examination
from bullflow.settings import Settings

MOST_SHOWN = 40


def compare_engine(settings: Settings, console: Console, *, repair: bool) -> bool:
    """Whether the engine has what the store says, in the end."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("comparing the engine with the store…")
        found = run(
            serve.examine_engine(
                settings, lambda flows: progress.update(task, description=f"comparing… {flows:,} flows")
            )
        )
    _show(console, found)
    if not found.drifts:
        if found.due and not found.recorder_works:
            console.print(f"{amount(found.due, 'flow')} will be dispatched or withdrawn as soon as a recorder runs.")
        return True
    if not repair:
        console.print(_way_out(found))
        return False
    with console.status("repairing…"):
        left = run(serve.repair_engine(settings, found))
    if left.drifts:
        console.print(Text(f"✗ {amount(len(left.drifts), 'flow')} still {_differ(left)}:", "bold red"))
        console.print(_table(left.drifts))
        return False
    if left.due:
        console.print(f"Not dispatched or withdrawn yet: {amount(left.due, 'flow')}.")
        return False
    console.print(Text("✓ ", "green") + Text("repaired", "bold") + Text(": the engine has what the store says"))
    return True


def _show(console: Console, found: Examination) -> None:
    compared = f"{amount(found.flows, 'flow')} with {amount(found.jobs, 'job')} compared"
    if not found.drifts:
        console.print(Text("✓ ", "green") + Text("jobs", "bold") + Text(f": {compared}, none differs"))
        return
    console.print(
        Text("✗ ", "bold red") + Text("jobs", "bold") + Text(f": {compared}, {len(found.drifts):,} {_differ(found)}")
    )
    console.print(_table(found.drifts))
    if len(found.drifts) > MOST_SHOWN:
        console.print(f"… and {len(found.drifts) - MOST_SHOWN:,} more")


def _differ(found: Examination) -> str:
    return "differs" if len(found.drifts) == 1 else "differ"


def _table(drifts: Iterable[Drift]) -> Table:
    table = Table("flow", "what differs")
    for drift in list(drifts)[:MOST_SHOWN]:
        table.add_row(drift.flow_id, "; ".join(_said(drift)))
    return table


def _said(drift: Drift) -> Iterable[str]:
    if drift.lost:
        yield f"{amount(len(drift.lost), 'job')} not in the engine"
    if drift.stuck:
        yield f"{amount(len(drift.stuck), 'job')} waiting for children that are not there"
    if drift.unheard:
        yield f"{amount(len(drift.unheard), 'job')} further on than recorded"
    if drift.revenants:
        yield f"{amount(len(drift.revenants), 'job')} about to run again after the end"


def _way_out(found: Examination) -> str:
    if not found.recorder_works:
        return "No recorder is running, so nothing is recorded or mended: start one, or say --repair."
    return "The recorder mends most of this by itself when flows are quiet; --repair has it done now, and waits."
