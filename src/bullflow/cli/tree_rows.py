"""Which jobs of a flow have room on the screen, and the lines of the tree beside them.

A big flow does not fit. What needs a look comes first: failures, then what runs, then what runs
next or has just ended, each with the jobs above it as long as there is room for them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from bullflow.cli.flow_view import JobLine
from bullflow.flow.states import JobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One job with the lines that lead to it (`guide`) and past its error (`below`)."""

    job: JobLine
    guide: str
    below: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What is shown, in tree order, and how many jobs of each state are not."""

    shown: tuple[Row, ...]
    left_out: Mapping[JobStatus, int]


def rows_of(jobs: Mapping[str, JobLine], limit: int) -> Rows:
    """At most `limit` lines for `jobs`, which come in tree order with their root first."""
    fits = sum(map(_height, jobs.values())) <= limit
    chosen = set(jobs) if fits else _choose(jobs, limit)
    return Rows(
        shown=tuple(_with_guides([job for key, job in jobs.items() if key in chosen], jobs)),
        left_out=Counter(job.status for key, job in jobs.items() if key not in chosen),
    )


def _choose(jobs: Mapping[str, JobLine], limit: int) -> set[str]:
    chosen: set[str] = set()
    room = limit
    for job in chain(list(jobs.values())[:1], _by_urgency(jobs.values(), limit)):
        if job.id in chosen:
            continue
        missing = [above for above in _above(job, jobs) if above.id not in chosen]
        for line in ([job, *missing], [job]):
            height = sum(map(_height, line))
            if height <= room:
                chosen.update(part.id for part in line)
                room -= height
                break
        if room <= 0:
            break
    return chosen


def _by_urgency(jobs: Iterable[JobLine], limit: int) -> Iterator[JobLine]:
    """What needs a look first. Failures leave half of the room to the rest, so that life can be seen behind them."""
    groups: defaultdict[JobStatus, list[JobLine]] = defaultdict(list)
    for job in jobs:
        groups[job.status].append(job)
    failed = groups[JobStatus.FAILED]
    share = limit // 2 // 2  # a failure takes two lines
    yield from failed[:share]
    yield from groups[JobStatus.ACTIVE]
    yield from failed[share:]
    yield from groups[JobStatus.DELAYED]
    yield from sorted(groups[JobStatus.COMPLETED], key=lambda job: -(job.finished_at or 0))[: limit // 2]
    for status in (JobStatus.PRIORITIZED, JobStatus.WAITING, JobStatus.WAITING_CHILDREN, JobStatus.CANCELLED):
        yield from groups[status]
    yield from groups[JobStatus.COMPLETED]


def _above(job: JobLine, jobs: Mapping[str, JobLine]) -> Iterator[JobLine]:
    parent = jobs.get(job.parent_id or "")
    while parent is not None:
        yield parent
        parent = jobs.get(parent.parent_id or "")


def _height(job: JobLine) -> int:
    return 1 if job.error is None else 2


def _with_guides(shown: list[JobLine], jobs: Mapping[str, JobLine]) -> Iterator[Row]:
    keys = {job.id for job in shown}
    hooks = {job.id: next((above.id for above in _above(job, jobs) if above.id in keys), None) for job in shown}
    last_below = {hook: key for key, hook in hooks.items()}
    stems: dict[str | None, str] = {None: ""}
    for job in shown:
        hook = hooks[job.id]
        is_last = last_below[hook] == job.id
        if hook is None:
            guide, stem = "", ""
        else:
            # A dotted line says that jobs between the two are not shown.
            elbow = ("└" if is_last else "├") + ("─ " if hook == job.parent_id else "┄ ")
            guide, stem = stems[hook] + elbow, stems[hook] + ("   " if is_last else "│  ")
        stems[job.id] = stem
        yield Row(job=job, guide=guide, below=stem + ("│  " if job.id in last_below else "   "))
