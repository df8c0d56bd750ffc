"""Facts in, changes out: the heart of the recorder, as a pure function.

`fold` takes what the store knows of some jobs and their flows, and a batch of facts. It returns
the jobs and flows as they are afterwards and the log entries that tell how they got there, already
numbered. Rules that hold whatever comes in, in whatever order and however often:

* a fact whose `job_id` no job has belongs to an older run or to somebody else: it changes nothing;
* a fact that is not newer than the last one of its job changes nothing. The first facts of most jobs
  only repeat the state in which they were stored; these are not remembered, which saves a write;
* a job that has ended stays as it is, so each run has one end;
* an entry is written exactly when a state changes, so the log can be replayed into the states;
* `last_seq` grows by one for each entry, so a flow's log has no gaps;
* a flow ends when its root ends, once.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bullflow.flow.facts import BEFORE_ALL, Fact, FactId, FactKind, Json
from bullflow.flow.states import (
    ENDED,
    FLOW_ENDED,
    FlowStatus,
    JobStatus,
    LogEvent,
    flow_status_of,
    may_become,
    queued_status,
)

_HAS_RUN = frozenset({JobStatus.ACTIVE, JobStatus.COMPLETED, JobStatus.FAILED})
_NEUTRAL = frozenset({FactKind.ADDED, FactKind.DUPLICATED, FactKind.STALLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """What the fold must know of a job, and what it changes."""

    id: str
    job_id: str
    flow_id: str
    depth: int
    priority: int
    status: JobStatus
    attempts_made: int = 0
    last_fact: FactId = BEFORE_ALL
    updated_at: int = 0
    started_at: int | None = None
    finished_at: int | None = None
    result: Json | None = None
    error: Mapping[str, Any] | None = None
    progress: Json | None = None

    @property
    def is_root(self) -> bool:
        return self.depth == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowState:
    """What the fold must know of a flow, and what it changes."""

    id: str
    status: FlowStatus
    last_seq: int
    dispatch_due: bool
    counts: Mapping[JobStatus, int]
    updated_at: int = 0
    finished_at: int | None = None
    error: Mapping[str, Any] | None = None


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
    jobs: tuple[JobState, ...]
    flows: tuple[FlowState, ...]
    entries: tuple[Entry, ...]
    progress: tuple[JobState, ...]


def fold(jobs: Iterable[JobState], flows: Iterable[FlowState], facts: Iterable[Fact]) -> Changes:
    """Apply `facts` to `jobs` and `flows`."""
    folding = _Folding({job.job_id: job for job in jobs}, {flow.id: flow for flow in flows})
    for fact in sorted((fact for fact in facts if fact.job_id in folding.jobs), key=folding.order):
        folding.apply(fact)
    return folding.changes()


class _Folding:
    """The state of one fold; it lives as long as the call."""

    def __init__(self, jobs: dict[str, JobState], flows: dict[str, FlowState]) -> None:
        self.jobs = jobs
        self._flows = {flow_id: _FlowFolding(flow) for flow_id, flow in flows.items()}
        self._before = dict(jobs)
        self._entries: list[Entry] = []
        self._progressed: set[str] = set()

    def order(self, fact: Fact) -> tuple[int, bool, int, int]:
        """By time; in the same millisecond dispatch first, then children before their parents.

        Ids of different streams cannot be compared within a millisecond, depths can. Facts of one
        job have the same depth and so keep the order of their stream.
        """
        return (fact.id.ms, fact.kind is not FactKind.ADDED, -self.jobs[fact.job_id].depth, fact.id.n)

    def apply(self, fact: Fact) -> None:
        job = self.jobs[fact.job_id]
        if fact.id <= job.last_fact or job.status in ENDED:
            return
        flow = self._flows[job.flow_id]
        if job.is_root and fact.kind in (FactKind.ADDED, FactKind.DUPLICATED) and flow.dispatch_due:
            flow.dispatch_due = False
            self._write(flow, fact.at, LogEvent.FLOW_DISPATCHED)
        after = _after(job, fact)
        if after is job and (fact.kind in _NEUTRAL or job.last_fact == BEFORE_ALL):
            return
        after = replace(after, last_fact=fact.id, updated_at=fact.at)
        self.jobs[fact.job_id] = after
        if fact.kind is FactKind.PROGRESS and after.progress is not job.progress:
            self._progressed.add(fact.job_id)
        if after.status is not job.status:
            self._moved(flow, job, after, fact)

    def _moved(self, flow: "_FlowFolding", job: JobState, after: JobState, fact: Fact) -> None:
        flow.count(job.status, after.status)
        event = _event(job, after)
        if event is not None:
            self._write(flow, fact.at, event, job=after, data=_data(event, after, fact))
        if after.status in _HAS_RUN and flow.status is FlowStatus.WAITING:
            flow.status = FlowStatus.ACTIVE
        ended = flow_status_of(after.status) if after.is_root else None
        if ended is not None and flow.status not in FLOW_ENDED:
            flow.end(ended, fact.at, after.error)
            self._write(flow, fact.at, LogEvent(f"flow.{ended}"), data=_flow_data(ended, after))

    def _write(
        self,
        flow: "_FlowFolding",
        at: int,
        event: LogEvent,
        *,
        job: JobState | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        flow.last_seq += 1
        flow.updated_at = max(flow.updated_at, at)
        self._entries.append(
            Entry(
                flow_id=flow.id,
                seq=flow.last_seq,
                at=at,
                event=event,
                id=job.id if job else None,
                job_id=job.job_id if job else None,
                data=data or {},
            )
        )

    def changes(self) -> Changes:
        return Changes(
            jobs=tuple(job for key, job in self.jobs.items() if job is not self._before[key]),
            flows=tuple(flow.state() for flow in self._flows.values() if flow.changed),
            entries=tuple(self._entries),
            progress=tuple(self.jobs[key] for key in self._progressed),
        )


class _FlowFolding:
    def __init__(self, flow: FlowState) -> None:
        self._before = flow
        self.id = flow.id
        self.status = flow.status
        self.last_seq = flow.last_seq
        self.dispatch_due = flow.dispatch_due
        self.updated_at = flow.updated_at
        self.finished_at = flow.finished_at
        self.error = flow.error
        self._counts = Counter(flow.counts)

    @property
    def changed(self) -> bool:
        return self.last_seq != self._before.last_seq or self._counts != self._before.counts

    def count(self, before: JobStatus, after: JobStatus) -> None:
        self._counts[before] -= 1
        self._counts[after] += 1

    def end(self, status: FlowStatus, at: int, error: Mapping[str, Any] | None) -> None:
        self.status = status
        self.dispatch_due = False
        self.finished_at = at
        self.error = error

    def state(self) -> FlowState:
        return replace(
            self._before,
            status=self.status,
            last_seq=self.last_seq,
            dispatch_due=self.dispatch_due,
            counts=dict(self._counts),
            updated_at=self.updated_at,
            finished_at=self.finished_at,
            error=self.error,
        )


def _after(job: JobState, fact: Fact) -> JobState:
    """An unfinished job after one new fact; the same values where the fact does not matter."""
    match fact.kind:
        case FactKind.ACTIVE:
            return _move(job, JobStatus.ACTIVE, started_at=fact.at)
        case FactKind.COMPLETED:
            return _end(job, JobStatus.COMPLETED, fact, result=fact.result or Json("null"), error=None)
        case FactKind.FAILED:
            return _end(job, JobStatus.FAILED, fact, error=_error(job, fact))
        case FactKind.WAITING:
            return _back(job, queued_status(job.priority), fact)
        case FactKind.DELAYED:
            return _back(job, JobStatus.DELAYED, fact)
        case FactKind.WAITING_CHILDREN:
            return _move(job, JobStatus.WAITING_CHILDREN)
        case FactKind.PROGRESS:
            return replace(job, progress=fact.progress)
        case FactKind.ADDED | FactKind.DUPLICATED | FactKind.STALLED:
            return job


def _move(job: JobState, status: JobStatus, **fields: Any) -> JobState:
    return replace(job, status=status, **fields) if may_become(job.status, status) else job


def _end(job: JobState, status: JobStatus, fact: Fact, **fields: Any) -> JobState:
    return _move(job, status, finished_at=fact.at, attempts_made=job.attempts_made + 1, **fields)


def _back(job: JobState, status: JobStatus, fact: Fact) -> JobState:
    """Into a queue: for the first time, or again after an attempt that failed (then there is a reason)."""
    if job.status is JobStatus.ACTIVE and _attempt_failed(job, fact):
        return _move(job, status, attempts_made=job.attempts_made + 1, error=_error(job, fact))
    return _move(job, status)


def _attempt_failed(job: JobState, fact: Fact) -> bool:
    """A job that stalled goes back as well, and may carry the reason of an attempt before that one."""
    return fact.reason is not None and (fact.attempts_made is None or fact.attempts_made > job.attempts_made)


def _error(job: JobState, fact: Fact) -> Mapping[str, Any]:
    return {"message": fact.reason or "", "stack": fact.stack, "attempt": job.attempts_made + 1}


def _event(job: JobState, after: JobState) -> LogEvent | None:
    """The entry that tells this move; None for a move that the log does not name."""
    match after.status:
        case JobStatus.ACTIVE:
            return LogEvent.JOB_ACTIVE
        case JobStatus.COMPLETED:
            return LogEvent.JOB_COMPLETED
        case JobStatus.FAILED:
            return LogEvent.JOB_FAILED
        case JobStatus.CANCELLED:
            return LogEvent.JOB_CANCELLED
        case JobStatus.WAITING_CHILDREN:
            return None
        case _ if after.attempts_made > job.attempts_made:
            return LogEvent.JOB_RETRYING
        case JobStatus.DELAYED:
            return LogEvent.JOB_DELAYED
        case _:
            return LogEvent.JOB_WAITING


def _data(event: LogEvent, job: JobState, fact: Fact) -> Mapping[str, Any]:
    data: dict[str, Any] = {"status": job.status.value}
    match event:
        case LogEvent.JOB_ACTIVE:
            data["attempt"] = job.attempts_made + 1
        case LogEvent.JOB_COMPLETED:
            data["result"] = job.result
        case LogEvent.JOB_FAILED | LogEvent.JOB_RETRYING:
            data["error"] = job.error
    if job.status is JobStatus.DELAYED and fact.until is not None:
        data["until"] = fact.until
    return data


def _flow_data(ended: FlowStatus, root: JobState) -> Mapping[str, Any]:
    if ended is FlowStatus.COMPLETED:
        return {"status": ended.value, "result": root.result}
    return {"status": ended.value, "error": root.error}
