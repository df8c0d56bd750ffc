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

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bullflow.flow.facts import BEFORE_ALL, Fact, FactKind, Json
from bullflow.flow.record import REMOVED, Changes, Entry, FlowRecord, FlowState, JobState, because_of
from bullflow.flow.states import ENDED, FlowStatus, JobStatus, LogEvent, flow_status_of, may_become, queued_status

_HAS_RUN = frozenset({JobStatus.ACTIVE, JobStatus.COMPLETED, JobStatus.FAILED})
_NEUTRAL = frozenset({FactKind.ADDED, FactKind.DUPLICATED, FactKind.STALLED})


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
        self._entries: list[Entry] = []
        self._flows = {flow_id: FlowRecord(flow, self._entries) for flow_id, flow in flows.items()}
        self._before = dict(jobs)
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
            flow.write(fact.at, LogEvent.FLOW_DISPATCHED)
        after = _after(job, fact, self._child(job, fact))
        if after is job and (fact.kind in _NEUTRAL or job.last_fact == BEFORE_ALL):
            return
        after = replace(after, last_fact=fact.id, updated_at=fact.at)
        self.jobs[fact.job_id] = after
        if fact.kind is FactKind.PROGRESS and after.progress is not job.progress:
            self._progressed.add(fact.job_id)
        if after.status is not job.status:
            _moved(flow, job, after, fact)

    def _child(self, job: JobState, fact: Fact) -> JobState | None:
        """The child because of which the engine says that the job failed, if it is one: any worker can say anything."""
        child = self.jobs.get(fact.child or "")
        return child if child is not None and child.parent_id == job.id else None

    def changes(self) -> Changes:
        return Changes(
            jobs=tuple(job for key, job in self.jobs.items() if job is not self._before[key]),
            flows=tuple(flow.state() for flow in self._flows.values() if flow.changed),
            entries=tuple(self._entries),
            progress=tuple(self.jobs[key] for key in self._progressed),
        )


def _moved(flow: FlowRecord, job: JobState, after: JobState, fact: Fact) -> None:
    flow.count(job.status, after.status)
    event = _event(job, after)
    if event is not None:
        flow.write(fact.at, event, job=after, data=_data(event, after, fact))
    if after.status in _HAS_RUN and flow.status is FlowStatus.WAITING:
        flow.status = FlowStatus.ACTIVE
    ended = flow_status_of(after.status) if after.is_root else None
    if ended is not None:
        flow.end(ended, fact.at, result=after.result, error=after.error)


def _after(job: JobState, fact: Fact, child: JobState | None) -> JobState:
    """An unfinished job after one new fact; the same values where the fact does not matter."""
    match fact.kind:
        case FactKind.ACTIVE:
            return _move(job, JobStatus.ACTIVE, started_at=fact.at, worker=fact.worker)
        case FactKind.COMPLETED:
            return _end(job, JobStatus.COMPLETED, fact, result=fact.result or Json("null"), error=None)
        case FactKind.FAILED:
            error = _error(job, fact) if child is None else because_of(child, job.attempts_made + 1)
            return _end(job, JobStatus.FAILED, fact, error=error)
        case FactKind.REMOVED:
            return _move(job, JobStatus.CANCELLED, finished_at=fact.at, error=_removed(job))
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


def _removed(job: JobState) -> Mapping[str, Any]:
    return {"message": REMOVED, "stack": None, "attempt": job.attempts_made + 1}


def _error(job: JobState, fact: Fact) -> Mapping[str, Any]:
    """Of this attempt: when facts are late, the engine tells of a later one first."""
    attempt = job.attempts_made + 1
    message, stack = fact.reason or "", fact.stack
    if fact.attempts_made is not None and attempt < fact.attempts_made:
        known = dict(enumerate(fact.failures, start=fact.attempts_made - len(fact.failures) + 1))
        message, stack = known.get(attempt, (message, stack))
    return {"message": message, "stack": stack, "attempt": attempt}


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
            if job.worker is not None:
                data["worker"] = job.worker
        case LogEvent.JOB_COMPLETED:
            data["result"] = job.result
        case LogEvent.JOB_FAILED | LogEvent.JOB_RETRYING | LogEvent.JOB_CANCELLED:
            data["error"] = job.error
    if job.status is JobStatus.DELAYED and fact.until is not None:
        data["until"] = fact.until
    return data
