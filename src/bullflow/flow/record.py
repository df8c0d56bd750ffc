"""The record of a flow: its jobs' states, its own, and its numbered log; and how one change is written into it.

Whatever changes a flow (what the engine tells, a cancellation, a retry) writes through `FlowRecord`, so
the rules hold for all of them: an entry is written exactly when a state changes, `last_seq` grows by one
for each entry, counts follow the jobs, and a flow that has ended has one end.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bullflow.flow.facts import BEFORE_ALL, Fact, FactId, Json
from bullflow.flow.states import FLOW_ENDED, FlowStatus, JobStatus, LogEvent
from bullflow.flow.tree import Policy

LONGEST_MESSAGE = 2_000
REMOVED = "it was removed from its queue"
"""Why a job was cancelled that its parent did not want any more, or somebody has removed with a tool of BullMQ's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """What must be known of a job to change it. Instants are milliseconds since the epoch."""

    id: str
    job_id: str
    flow_id: str
    depth: int
    priority: int
    status: JobStatus
    parent_id: str | None = None
    name: str = ""
    policy: Policy = Policy.FAIL
    attempts_made: int = 0
    last_fact: FactId = BEFORE_ALL
    updated_at: int = 0
    started_at: int | None = None
    finished_at: int | None = None
    result: Json | None = None
    error: Mapping[str, Any] | None = None
    progress: Json | None = None
    worker: str | None = None

    @property
    def is_root(self) -> bool:
        return self.depth == 0

    @property
    def run(self) -> int:
        """How often it has been dispatched."""
        return int(self.job_id.rpartition("-")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowState:
    """What must be known of a flow to change it."""

    id: str
    status: FlowStatus
    last_seq: int
    dispatch_due: bool
    counts: Mapping[JobStatus, int]
    withdraw_due: bool = False
    fail_fast: bool = False
    updated_at: int = 0
    finished_at: int | None = None
    error: Mapping[str, Any] | None = None
    user_id: str = ""
    stored_bytes: int = 0
    newly_stored: int = 0
    """How many of these the last decision has added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One numbered entry of a flow's log."""

    flow_id: str
    seq: int
    at: int
    event: LogEvent
    id: str | None = None
    job_id: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Jobs and flows as they are afterwards, and the entries that tell how they got there."""

    jobs: tuple[JobState, ...]
    flows: tuple[FlowState, ...]
    entries: tuple[Entry, ...]
    progress: tuple[JobState, ...] = ()
    """The jobs that have reported progress."""


class JobRecord:
    """One job while it is changed, fact by fact; it lives as long as one fold."""

    __slots__ = (
        "attempts_made",
        "before",
        "error",
        "finished_at",
        "last_fact",
        "progress",
        "result",
        "started_at",
        "status",
        "updated_at",
        "worker",
    )

    def __init__(self, job: JobState) -> None:
        self.before = job
        self.status = job.status
        self.attempts_made = job.attempts_made
        self.last_fact = job.last_fact
        self.updated_at = job.updated_at
        self.started_at = job.started_at
        self.finished_at = job.finished_at
        self.result = job.result
        self.error = job.error
        self.progress = job.progress
        self.worker = job.worker

    def remember(self, fact: Fact) -> None:
        """Nothing that is older than this changes the job any more."""
        self.last_fact = fact.id
        self.updated_at = fact.at

    @property
    def changed(self) -> bool:
        return self.last_fact is not self.before.last_fact

    def state(self) -> JobState:
        before = self.before
        return JobState(
            id=before.id,
            job_id=before.job_id,
            flow_id=before.flow_id,
            depth=before.depth,
            priority=before.priority,
            parent_id=before.parent_id,
            name=before.name,
            policy=before.policy,
            status=self.status,
            attempts_made=self.attempts_made,
            last_fact=self.last_fact,
            updated_at=self.updated_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            result=self.result,
            error=self.error,
            progress=self.progress,
            worker=self.worker,
        )


class FlowRecord:
    """One flow while it is changed; it lives as long as one decision. Several may write into one list of entries."""

    def __init__(self, flow: FlowState, entries: list[Entry] | None = None) -> None:
        self._before = flow
        self.id = flow.id
        self.status = flow.status
        self.dispatch_due = flow.dispatch_due
        self.withdraw_due = flow.withdraw_due
        self._last_seq = flow.last_seq
        self._updated_at = flow.updated_at
        self._finished_at = flow.finished_at
        self._error = flow.error
        self._counts = Counter(flow.counts)
        self._newly_stored = 0
        self._entries = [] if entries is None else entries

    @property
    def changed(self) -> bool:
        return self._last_seq != self._before.last_seq or self._counts != self._before.counts

    def count(self, before: JobStatus, after: JobStatus) -> None:
        """A job has gone from one state to another."""
        self._counts[before] -= 1
        self._counts[after] += 1

    def add(self, status: JobStatus) -> None:
        """The flow has one job more."""
        self._counts[status] += 1

    def store(self, value: Json) -> None:
        """The store keeps this for the flow."""
        self._newly_stored += value.size

    def write(
        self,
        at: int,
        event: LogEvent,
        *,
        job: JobState | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """The next entry of the log, about the flow or one of its jobs."""
        self._last_seq += 1
        self._updated_at = max(self._updated_at, at)
        self._entries.append(
            Entry(
                flow_id=self.id,
                seq=self._last_seq,
                at=at,
                event=event,
                id=job.id if job else None,
                job_id=job.job_id if job else None,
                data=data or {},
            )
        )

    def end(self, status: FlowStatus, at: int, *, result: Json | None = None, error: Any = None) -> None:
        """The flow has ended like this, unless it has ended before."""
        if self.status in FLOW_ENDED:
            return
        self.status = status
        self.dispatch_due = False
        self._finished_at = at
        self._error = error
        told = {"result": result} if status is FlowStatus.COMPLETED else {"error": error}
        self.write(at, LogEvent(f"flow.{status}"), data={"status": status.value, **told})

    def reopen(self, at: int, data: Mapping[str, Any]) -> None:
        """The flow runs again."""
        self.status = FlowStatus.WAITING
        self.dispatch_due = True
        self._finished_at = None
        self._error = None
        self.write(at, LogEvent.FLOW_RETRIED, data={"status": self.status.value, **data})

    def recover(self, at: int, data: Mapping[str, Any]) -> None:
        """The flow goes on, of which the engine has lost something."""
        self.dispatch_due = True
        self.write(at, LogEvent.FLOW_RECOVERED, data={"status": self.status.value, **data})

    def state(self) -> FlowState:
        return replace(
            self._before,
            status=self.status,
            last_seq=self._last_seq,
            dispatch_due=self.dispatch_due,
            withdraw_due=self.withdraw_due,
            counts=dict(self._counts),
            updated_at=self._updated_at,
            finished_at=self._finished_at,
            error=self._error,
            stored_bytes=self._before.stored_bytes + self._newly_stored,
            newly_stored=self._newly_stored,
        )

    def changes(self, jobs: Iterable[JobState]) -> Changes:
        """All that was decided about this flow, with the jobs as they are now."""
        return Changes(jobs=tuple(jobs), flows=(self.state(),), entries=tuple(self._entries))


def because_of(child: JobState, attempt: int) -> dict[str, Any]:
    """The error of a job that fails because a child of it has failed or was cancelled.

    `childId` names the child, `originId` the job further down that failed first.
    """
    error = child.error or {}
    verb = "was cancelled" if child.status is JobStatus.CANCELLED else f"failed: {error.get('message', '')}"
    return {
        "message": f'child "{child.name}" {verb}'[:LONGEST_MESSAGE],
        "stack": None,
        "attempt": attempt,
        "childId": child.id,
        "originId": error.get("originId", child.id),
    }
