"""What a retry runs again: just what failed or was cancelled, and what depends on it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bullflow.errors import Conflict
from bullflow.flow.facts import BEFORE_ALL
from bullflow.flow.record import Changes, FlowRecord, FlowState, JobState
from bullflow.flow.states import ENDED, JobStatus, LogEvent, first_status
from bullflow.flow.tree import FAILS_PARENT, run_id

TO_RETRY = frozenset({JobStatus.FAILED, JobStatus.CANCELLED})


def of_flow(unfinished: Sequence[JobState]) -> list[JobState]:
    """The jobs that a retry of the flow runs again, of those that have not completed.

    From the root down, along what has failed. A job that failed below one that completed, or goes on, is not
    needed: its parent has come to terms with the failure and keeps its result.
    """
    doomed = _doomed(unfinished)
    again: set[str] = set()
    for job in sorted(unfinished, key=lambda job: job.depth):
        if (job.is_root or job.parent_id in again) and (job.status in TO_RETRY or job.id in doomed):
            again.add(job.id)
    return [job for job in unfinished if job.id in again]


def _doomed(unfinished: Sequence[JobState]) -> set[str | None]:
    """Jobs that have failed children, or are above such: those that have not ended do when a worker takes them."""
    doomed: set[str | None] = set()
    for job in sorted(unfinished, key=lambda job: job.depth, reverse=True):
        if (job.status in TO_RETRY or job.id in doomed) and _fails_parent(job):
            doomed.add(job.parent_id)
    return doomed


def of_job(line: Sequence[JobState]) -> list[JobState]:
    """The jobs that a retry of the last of `line` runs again: itself and all above it, of which the root comes first.

    Raises Conflict when it cannot be retried, or one above it runs on in spite of its failure.
    """
    job = line[-1]
    if job.status not in TO_RETRY:
        raise Conflict(f"The job is {job.status}; only a job that has failed or was cancelled can be retried.")
    for below, parent in zip(line[:0:-1], line[-2::-1], strict=True):
        fails = below.status is not JobStatus.COMPLETED and _fails_parent(below)
        if parent.status not in ENDED and not fails:
            raise Conflict(f'The job "{parent.name}" above it is {parent.status} and goes on without it.')
    return list(line)


def _fails_parent(job: JobState) -> bool:
    return job.policy in FAILS_PARENT


def reopen(
    flow: FlowState, again: Sequence[JobState], others: Iterable[JobState], delays: Mapping[str, int], now: int
) -> Changes:
    """Give these jobs a new run. `others` are the flow's jobs that have not ended; `delays` are in milliseconds."""
    record = FlowRecord(flow)
    record.reopen(now, {"jobs": len(again)})
    return record.changes(begin_anew(record, again, others, delays, now))


def begin_anew(
    record: FlowRecord, again: Sequence[JobState], others: Iterable[JobState], delays: Mapping[str, int], now: int
) -> list[JobState]:
    """These jobs in their new run, counted and written into the record. `others` are open and stay as they are."""
    parents = {job.parent_id for job in (*again, *others)}
    jobs = [_anew(job, has_children=job.id in parents, delay=delays.get(job.id, 0), now=now) for job in again]
    for before, after in zip(again, jobs, strict=True):
        record.count(before.status, after.status)
        event = LogEvent.JOB_DELAYED if after.status is JobStatus.DELAYED else LogEvent.JOB_WAITING
        record.write(now, event, job=after, data={"status": after.status.value, "run": after.run})
    return jobs


def _anew(job: JobState, *, has_children: bool, delay: int, now: int) -> JobState:
    return replace(
        job,
        job_id=run_id(job.id, job.run + 1),
        status=first_status(has_children=has_children, delay=delay, priority=job.priority),
        attempts_made=0,
        last_fact=BEFORE_ALL,
        updated_at=now,
        started_at=None,
        finished_at=None,
        result=None,
        error=None,
        progress=None,
        worker=None,
    )
