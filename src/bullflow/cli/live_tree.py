"""A flow in the terminal: a tree that follows its jobs, or one line for each event where nobody can see a tree.

`render` is a pure function of what is known and the time.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import aclosing
from typing import TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from bullflow.cli.flow_view import FlowView, JobLine, as_text, plain
from bullflow.cli.tree_rows import Row, rows_of
from bullflow.client import AsyncClient
from bullflow.clock import Clock, now_ms
from bullflow.flow.explain import amount
from bullflow.flow.states import ENDED, JobStatus
from bullflow.wire import Event

MOST_ROWS = 40
LINES_AROUND = 5
REFRESH_SECONDS = 0.2
BAR_CELLS = 10
WIDEST_NAME = 48
WIDEST_QUEUE = 20

_LOOK: Mapping[str, tuple[str, str]] = {
    JobStatus.WAITING: ("○", "bright_black"),
    JobStatus.WAITING_CHILDREN: ("◌", "bright_black"),
    JobStatus.DELAYED: ("◔", "yellow"),
    JobStatus.PRIORITIZED: ("◇", "blue"),
    JobStatus.ACTIVE: ("●", "cyan"),
    JobStatus.COMPLETED: ("✓", "green"),
    JobStatus.FAILED: ("✗", "red"),
    JobStatus.CANCELLED: ("⊘", "magenta"),
}


async def watch_live(client: AsyncClient, view: FlowView, console: Console, clock: Clock = now_ms) -> None:
    """Draw the tree until the flow has ended; the last drawing stays."""
    with Live(console=console, auto_refresh=False) as live:
        ticker = asyncio.create_task(_keep_drawing(live, view, clock))
        try:
            async with aclosing(client.watch(view.id, after=view.last_seq)) as entries:
                async for entry in entries:
                    view.fold(entry)
        finally:
            ticker.cancel()
            live.update(render(view, clock()), refresh=True)


async def _keep_drawing(live: Live, view: FlowView, clock: Clock) -> None:
    while True:
        rows = min(MOST_ROWS, max(1, live.console.height - LINES_AROUND))
        live.update(render(view, clock(), rows), refresh=True)
        await asyncio.sleep(REFRESH_SECONDS)


async def watch_lines(client: AsyncClient, view: FlowView, out: TextIO, after: int = 0) -> None:
    """Write the log behind `after`, one line an entry, until the flow has ended."""
    async with aclosing(client.watch(view.id, after=after)) as entries:
        async for entry in entries:
            view.fold(entry)
            if isinstance(entry, Event):
                print(event_line(entry, view), file=out, flush=True)


def event_line(event: Event, view: FlowView) -> str:
    """One entry of the log: when, its number, what, whose, and what came of it."""
    job = view.jobs.get(event.id or "")
    data = event.data
    error = data.get("error")
    why = data.get("reason") if error is None else error.get("message", "")
    told = as_text(data.get("result")) if why is None else plain(str(why))
    words = [event.at, f"{event.seq:>4}", f"{event.event:<15}", job.name if job else view.name, told or ""]
    return "  ".join(words).rstrip()


def render(view: FlowView, now: int, limit: int = MOST_ROWS, *, ids: bool = False) -> Group:
    """The flow as a tree of at most `limit` lines between a heading and what was left out; `ids` come first."""
    rows = rows_of(view.jobs, limit)
    id_width = max(cell_len(row.job.id) for row in rows.shown) + 2 if ids and rows.shown else 0
    name_width = min(WIDEST_NAME, max((cell_len(row.guide + row.job.name) + 2 for row in rows.shown), default=0))
    queue_width = min(WIDEST_QUEUE, max((cell_len(row.job.queue_name) for row in rows.shown), default=0))
    lines = _heading(view, now)
    for row in rows.shown:
        lines.append(_id(row.job.id, id_width) + _job(row, now, name_width, queue_width))
        if row.job.error is not None:
            style = "red" if row.job.status is JobStatus.FAILED else "yellow"
            lines.append(_id("", id_width) + _line((row.below, "bright_black"), (row.job.error, style)))
    if rows.left_out:
        lines.append(_line((f"… and {sum(rows.left_out.values()):,} more: {_counted(rows.left_out)}", "italic")))
    return Group(*lines)


def _heading(view: FlowView, now: int) -> list[Text]:
    icon, style = _LOOK[JobStatus(view.status)]
    counts = Counter(job.status for job in view.jobs.values())
    ended = sum(counts[status] for status in ENDED)
    total = f"{amount(len(view.jobs), 'job')} {'has' if len(view.jobs) == 1 else 'have'}"
    return [
        _line(
            (f"{icon} {view.name}", f"bold {style}"),
            (f"  {view.status}", style),
            (f"  {_duration(view.seconds(now))}", ""),
            (f"  {view.id}", "bright_black"),
        ),
        _line((f"  {ended:,} of {total} ended: {_counted(counts)}", "bright_black")),
    ]


def _job(row: Row, now: int, name_width: int, queue_width: int) -> Text:
    job = row.job
    icon, style = _LOOK[job.status]
    seconds = job.seconds(now)
    return _line(
        (row.guide, "bright_black"),
        (f"{icon} ", style),
        (set_cell_size(job.name, max(1, name_width - cell_len(row.guide) - 2)), _name_style(job)),
        (f"  {set_cell_size(job.queue_name, queue_width)}", "bright_black"),
        (f"  {_duration(seconds) if seconds is not None else '':>9}", ""),
        *_state(job, style),
    )


def _id(job_id: str, width: int) -> Text:
    return _line((set_cell_size(job_id, width) if width else "", "bright_black"))


def _name_style(job: JobLine) -> str:
    return "bold" if job.status is JobStatus.ACTIVE else ""


def _state(job: JobLine, style: str) -> list[tuple[str, str]]:
    """What there is to say of a job beside its time: attempt, progress, result."""
    parts = [(f"  attempt {job.attempt}", "yellow")] if job.attempt > 1 else []
    if job.status is JobStatus.COMPLETED:
        return [*parts, (f"  {job.result}", "bright_black")] if job.result is not None else parts
    if job.status is not JobStatus.ACTIVE:
        return [*parts, (f"  {job.status}", style)]
    if isinstance(job.progress, float):
        full = round(job.progress / 100 * BAR_CELLS)
        return [*parts, ("  " + "━" * full, style), ("─" * (BAR_CELLS - full), "bright_black"), (_percent(job), "")]
    return [*parts, (f"  {job.progress}", style)] if job.progress is not None else parts


def _percent(job: JobLine) -> str:
    return f" {job.progress:.0f} %"


def _counted(counts: Mapping[JobStatus, int]) -> str:
    return ", ".join(f"{counts[status]:,} {status}" for status in JobStatus if counts.get(status))


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} m"


def _line(*parts: tuple[str, str]) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")
