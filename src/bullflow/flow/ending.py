"""Endings that the service decides and not a worker: a cancellation, a deadline, what a final failure brings with it.

Each is a function of a flow, those of its jobs that have not ended, and the time. What it ends may
still be in the engine, so the flow is marked to be withdrawn from there.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bullflow.flow.facts import BEFORE_ALL
from bullflow.flow.record import Changes, FlowRecord, FlowState, JobState, because_of
from bullflow.flow.states import FLOW_ENDED, FlowStatus, JobStatus, LogEvent
from bullflow.flow.tree import FAILS_PARENT, Policy

CANCELLED = "the flow was cancelled"
FAILED_FAST = "the flow has failed, and it was to fail fast"
NOT_DISPATCHED = "the flow has failed before it was dispatched again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """A job that has ended here and may still be in the engine, from where it is to be taken back."""

    job_id: str
    queue_name: str
    is_root: bool
    is_parent: bool


def cancel(flow: FlowState, open_jobs: Iterable[JobState], now: int) -> Changes:
    """Nothing of the flow runs any further."""
    ending = _Ending(FlowRecord(flow), now)
    ending.cancel(open_jobs, CANCELLED)
    ending.flow.end(FlowStatus.CANCELLED, now, error=_reason(CANCELLED))
    return ending.changes()


def fail(flow: FlowState, open_jobs: Iterable[JobState], now: int, message: str) -> Changes:
    """The flow as a whole has failed: its deadline has passed, or it has grown too large."""
    ending = _Ending(FlowRecord(flow), now)
    ending.cancel(open_jobs, message)
    ending.flow.end(FlowStatus.FAILED, now, error=_reason(message))
    return ending.changes()


def drop(flow: FlowState, jobs: Iterable[JobState], now: int, message: str) -> Changes:
    """These jobs of the flow do not run; what becomes of the flow is not decided by that."""
    record = FlowRecord(flow)
    return record.changes(drop_in(record, jobs, now, message))


def drop_in(record: FlowRecord, jobs: Iterable[JobState], now: int, message: str) -> list[JobState]:
    """The same as a part of a larger decision: the jobs as they are afterwards."""
    ending = _Ending(record, now)
    ending.cancel(jobs, message)
    return list(ending.jobs.values())


def brings_more(flow: FlowState, failed: JobState) -> bool:
    """Whether a final failure can end other jobs, which a worker would not end."""
    return failed.policy is Policy.WAIT or flow.fail_fast


def after_failures(
    flow: FlowState, failed: Sequence[JobState], open_jobs: Sequence[JobState], now: int
) -> Changes | None:
    """What these final failures bring with them; None when it is nothing.

    Under BullMQ's bare policy the parent waits for ever, so it and all above it fail. A flow that is to
    fail fast and can no longer complete cancels what has not started; jobs above the failed ones, which a
    worker will fail, are left to it.
    """
    ending = _Ending(FlowRecord(flow), now)
    unfinished = {job.id: job for job in open_jobs}
    lines = [(job, list(_above(job, unfinished))) for job in failed]
    for job, above in lines:
        if job.policy is Policy.WAIT:
            ending.fail_all(job, above)
    fatal = [above for job, above in lines if _reaches_root(job, above)]
    if flow.fail_fast and fatal:
        # Those above any of them: several may fail at once, and none of their reasons is to be lost.
        spared = {parent.id for above in fatal for parent in above}
        ending.cancel((job for job in open_jobs if _not_started(job) and job.id not in spared), FAILED_FAST)
    if flow.dispatch_due and ending.flow.status in FLOW_ENDED:
        # It was to run again, beside a job that ran on and has failed: now nobody will dispatch the others.
        ending.cancel((job for job in open_jobs if job.last_fact == BEFORE_ALL), NOT_DISPATCHED)
    return ending.changes() if ending.flow.changed else None


def _above(job: JobState, unfinished: Mapping[str, JobState]) -> Iterator[JobState]:
    parent = unfinished.get(job.parent_id or "")
    while parent is not None:
        yield parent
        parent = unfinished.get(parent.parent_id or "")


def _reaches_root(job: JobState, above: Sequence[JobState]) -> bool:
    """Whether the failure fails each job above it, up to the root, and so the flow."""
    line = [job, *above]
    return line[-1].is_root and all(below.policy in FAILS_PARENT for below in line[:-1])


def _not_started(job: JobState) -> bool:
    return job.status is not JobStatus.ACTIVE


def _reason(message: str) -> dict[str, Any]:
    return {"message": message, "stack": None, "attempt": None}


class _Ending:
    """One decision while it is made."""

    def __init__(self, flow: FlowRecord, now: int) -> None:
        self.flow = flow
        self.now = now
        self.jobs: dict[str, JobState] = {}

    def cancel(self, jobs: Iterable[JobState], message: str) -> None:
        for job in jobs:
            self._end(job, JobStatus.CANCELLED, LogEvent.JOB_CANCELLED, _reason(message))

    def fail_all(self, child: JobState, above: Iterable[JobState]) -> None:
        """Fail one parent after the other because of the child below it, up to the root and with it the flow."""
        for parent in above:
            if parent.status is JobStatus.ACTIVE:
                return  # it runs without the child, which was taken from it, or which another child's failure outran
            error = because_of(child, parent.attempts_made + 1)
            child = self._end(parent, JobStatus.FAILED, LogEvent.JOB_FAILED, error)
            if child.is_root:
                self.flow.end(FlowStatus.FAILED, self.now, error=error)

    def _end(self, job: JobState, status: JobStatus, event: LogEvent, error: Mapping[str, Any]) -> JobState:
        if job.id in self.jobs:
            return self.jobs[job.id]
        ended = replace(job, status=status, error=error, updated_at=self.now, finished_at=self.now)
        self.jobs[job.id] = ended
        self.flow.count(job.status, status)
        self.flow.write(self.now, event, job=ended, data={"status": status.value, "error": error})
        self.flow.withdraw_due = True
        return ended

    def changes(self) -> Changes:
        return self.flow.changes(self.jobs.values())
