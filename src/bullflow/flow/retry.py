"""What a retry runs again: just what failed or was cancelled, and what depends on it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bullflow.flow.facts import BEFORE_ALL
from bullflow.flow.record import Changes, FlowRecord, FlowState, JobState
from bullflow.flow.states import ENDED, JobStatus, LogEvent, first_status
from bullflow.flow.tree import run_id

TO_RETRY = frozenset({JobStatus.FAILED, JobStatus.CANCELLED})


def of_flow(unfinished: Sequence[JobState]) -> list[JobState]:
    """The jobs that a retry of the flow runs again, of those that have not completed.

    What lies below a completed job is not needed: the job keeps its result, whatever its children did.
    """
    known = {job.id for job in unfinished}
    needed: set[str] = set()
    # Parents come before their children.
    for job in sorted(unfinished, key=lambda job: job.depth):
        if job.is_root or (job.parent_id in known and job.parent_id in needed):
            needed.add(job.id)
    return [job for job in unfinished if job.id in needed and job.status in TO_RETRY]


def of_job(job: JobState, above: Iterable[JobState]) -> list[JobState]:
    """The jobs that a retry of one job runs again: itself and every job above it that has ended."""
    return [*(parent for parent in above if parent.status in ENDED), job]


def reopen(
    flow: FlowState, again: Sequence[JobState], others: Iterable[JobState], delays: Mapping[str, int], now: int
) -> Changes:
    """Give these jobs a new run. `others` are the flow's jobs that have not ended; `delays` are in milliseconds."""
    record = FlowRecord(flow)
    record.reopen(now, {"jobs": len(again)})
    parents = {job.parent_id for job in (*again, *others)}
    jobs = [_anew(job, has_children=job.id in parents, delay=delays.get(job.id, 0), now=now) for job in again]
    for before, after in zip(again, jobs, strict=True):
        record.count(before.status, after.status)
        event = LogEvent.JOB_DELAYED if after.status is JobStatus.DELAYED else LogEvent.JOB_WAITING
        record.write(now, event, job=after, data={"status": after.status.value, "run": after.run})
    return record.changes(jobs)


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
