"""The states of jobs and flows, and the moves between them.

The job states are BullMQ's own words plus `cancelled`. `MOVES` lists what happens one step at a
time; because steps may go unseen (an event stream is trimmed, the engine is lost), a job may also
go to any state that lies further along the same arrows: that is what `may_become` answers.
A new run of a job (retry, recovery) starts afresh and is not a move.
"""

from collections.abc import Mapping
from enum import StrEnum


class JobStatus(StrEnum):
    WAITING = "waiting"
    WAITING_CHILDREN = "waiting-children"
    DELAYED = "delayed"
    PRIORITIZED = "prioritized"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class FlowStatus(StrEnum):
    WAITING = "waiting"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class LogEvent(StrEnum):
    """What can stand in a flow's log."""

    FLOW_CREATED = "flow.created"
    FLOW_DISPATCHED = "flow.dispatched"
    FLOW_COMPLETED = "flow.completed"
    FLOW_FAILED = "flow.failed"
    FLOW_CANCELLED = "flow.cancelled"
    FLOW_RETRIED = "flow.retried"
    FLOW_RECOVERED = "flow.recovered"
    JOB_WAITING = "job.waiting"
    JOB_DELAYED = "job.delayed"
    JOB_ACTIVE = "job.active"
    JOB_RETRYING = "job.retrying"
    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"


ENDED: frozenset[JobStatus] = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})
OPEN: frozenset[JobStatus] = frozenset(JobStatus) - ENDED
FLOW_ENDED: frozenset[FlowStatus] = frozenset({FlowStatus.COMPLETED, FlowStatus.FAILED, FlowStatus.CANCELLED})

_QUEUED = frozenset({JobStatus.WAITING, JobStatus.PRIORITIZED, JobStatus.DELAYED})

MOVES: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.WAITING: frozenset({JobStatus.ACTIVE, JobStatus.CANCELLED}),
    JobStatus.PRIORITIZED: frozenset({JobStatus.ACTIVE, JobStatus.CANCELLED}),
    JobStatus.DELAYED: frozenset({JobStatus.WAITING, JobStatus.PRIORITIZED, JobStatus.CANCELLED}),
    JobStatus.WAITING_CHILDREN: _QUEUED | {JobStatus.FAILED, JobStatus.CANCELLED},
    JobStatus.ACTIVE: _QUEUED
    | {JobStatus.WAITING_CHILDREN, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED},
    JobStatus.COMPLETED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}


def _reach(start: JobStatus) -> frozenset[JobStatus]:
    seen: set[JobStatus] = set()
    edge = set(MOVES[start])
    while edge:
        seen |= edge
        edge = {after for status in edge for after in MOVES[status]} - seen
    return frozenset(seen - {start})


_REACH: Mapping[JobStatus, frozenset[JobStatus]] = {status: _reach(status) for status in JobStatus}


def may_become(now: JobStatus, then: JobStatus) -> bool:
    """Whether a job in `now` can be found in `then` later in the same run."""
    return then in _REACH[now]


def first_status(*, has_children: bool, delay: int, priority: int) -> JobStatus:
    """The state in which BullMQ puts a job that is added with these options."""
    if has_children:
        return JobStatus.WAITING_CHILDREN
    if delay > 0:
        return JobStatus.DELAYED
    return queued_status(priority)


def queued_status(priority: int) -> JobStatus:
    """The state of a job that is ready to run."""
    return JobStatus.PRIORITIZED if priority > 0 else JobStatus.WAITING


def flow_status_of(root: JobStatus) -> FlowStatus | None:
    """How a flow has ended whose root is in this state, or None while it has not."""
    return FlowStatus(root.value) if root in ENDED else None
