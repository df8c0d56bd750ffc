"""What is slow: how long the jobs of each name wait, and how long they run."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bullflow.flow.states import JobStatus


class TimedJob(NamedTuple):
    """A job and its times, which are milliseconds since the epoch. A tuple, because thousands are read at once."""

    id: str
    flow_id: str
    name: str
    status: str
    created_at: int
    started_at: int | None
    finished_at: int | None
    run: int = 1

    @property
    def waiting(self) -> int | None:
        """From its creation to its last start. The two are told by two clocks, which need not agree.

        Of a job that was retried it is not known: before the retry it did not wait, and nobody waited for it.
        """
        return None if self.started_at is None or self.run > 1 else max(0, self.started_at - self.created_at)

    @property
    def running(self) -> int | None:
        """From its last start to its end; what never began has none, though it may have ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return max(0, self.finished_at - self.started_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Durations in milliseconds; None where there are none."""

    median: int | None
    p95: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slowest:
    """The job that ran longest; of several the first that was looked at."""

    id: str
    flow_id: str
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The jobs of one name."""

    name: str
    count: int
    failed: int
    waiting: Spread
    running: Spread
    slowest: Slowest | None


def tasks(jobs: Iterable[TimedJob]) -> list[Task]:
    """The names of these jobs, those that run longest first; names of which nothing has run come last."""
    by_name: defaultdict[str, list[TimedJob]] = defaultdict(list)
    for job in jobs:
        by_name[job.name].append(job)
    return sorted((_task(name, found) for name, found in by_name.items()), key=_order)


def _task(name: str, jobs: Sequence[TimedJob]) -> Task:
    return Task(
        name=name,
        count=len(jobs),
        failed=sum(job.status == JobStatus.FAILED for job in jobs),
        waiting=_spread(job.waiting for job in jobs),
        running=_spread(job.running for job in jobs),
        slowest=_slowest(jobs),
    )


def _order(task: Task) -> tuple[int, str]:
    return (1 if task.running.p95 is None else -task.running.p95, task.name)


def _spread(durations: Iterable[int | None]) -> Spread:
    known = sorted(duration for duration in durations if duration is not None)
    return Spread(median=_ranked(known, 50), p95=_ranked(known, 95))


def _ranked(known: Sequence[int], percent: int) -> int | None:
    """The smallest of these that so many per cent of them do not exceed: always one that was measured."""
    return known[(len(known) * percent + 99) // 100 - 1] if known else None


def _slowest(jobs: Sequence[TimedJob]) -> Slowest | None:
    ran = [Slowest(id=job.id, flow_id=job.flow_id, running=job.running) for job in jobs if job.running is not None]
    return max(ran, key=lambda job: job.running, default=None)
