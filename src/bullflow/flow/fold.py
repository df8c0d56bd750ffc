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
from typing import Any

from bullflow.flow.facts import BEFORE_ALL, Fact, FactKind, Json
from bullflow.flow.record import REMOVED, Changes, Entry, FlowRecord, FlowState, JobRecord, JobState, because_of
from bullflow.flow.states import ENDED, FlowStatus, JobStatus, LogEvent, flow_status_of, may_become, queued_status

_HAS_RUN = frozenset({JobStatus.ACTIVE, JobStatus.COMPLETED, JobStatus.FAILED})
_DISPATCHED = frozenset({FactKind.ADDED, FactKind.DUPLICATED})
_NEUTRAL = frozenset({FactKind.ADDED, FactKind.DUPLICATED, FactKind.STALLED})


def fold(jobs: Iterable[JobState], flows: Iterable[FlowState], facts: Iterable[Fact]) -> Changes:
    """Apply `facts` to `jobs` and `flows`."""
    folding = _Folding(jobs, flows)
    for fact in sorted((fact for fact in facts if fact.job_id in folding.jobs), key=folding.order):
        folding.apply(fact)
    return folding.changes()


class _Folding:
    """The state of one fold; it lives as long as the call."""

    def __init__(self, jobs: Iterable[JobState], flows: Iterable[FlowState]) -> None:
        self.jobs = {job.job_id: JobRecord(job) for job in jobs}
        self._entries: list[Entry] = []
        self._flows = {flow.id: FlowRecord(flow, self._entries) for flow in flows}
        self._progressed: set[str] = set()

    def order(self, fact: Fact) -> tuple[int, bool, int, int]:
        """By time; in the same millisecond dispatch first, then children before their parents.

        Ids of different streams cannot be compared within a millisecond, depths can. Facts of one
        job have the same depth and so keep the order of their stream.
        """
        ms, n = fact.id
        return (ms, fact.kind is not FactKind.ADDED, -self.jobs[fact.job_id].before.depth, n)

    def apply(self, fact: Fact) -> None:
        job = self.jobs[fact.job_id]
        if fact.id <= job.last_fact or job.status in ENDED:
            return
        flow = self._flows[job.before.flow_id]
        if fact.kind in _NEUTRAL:
            if job.before.is_root and fact.kind in _DISPATCHED and flow.dispatch_due:
                flow.dispatch_due = False
                flow.write(fact.at, LogEvent.FLOW_DISPATCHED)
            return
        status, attempts_made, progress = job.status, job.attempts_made, job.progress
        if not _change(job, fact, self._child(job, fact)) and job.last_fact == BEFORE_ALL:
            return
        job.remember(fact)
        if job.progress is not progress:
            self._progressed.add(fact.job_id)
        if job.status is not status:
            _moved(flow, status, job, fact, is_retry=job.attempts_made > attempts_made)

    def _child(self, job: JobRecord, fact: Fact) -> JobRecord | None:
        """The child because of which the engine says that the job failed, if it is one: any worker can say anything."""
        child = None if fact.child is None else self.jobs.get(fact.child)
        return child if child is not None and child.before.parent_id == job.before.id else None

    def changes(self) -> Changes:
        jobs = {key: job.state() for key, job in self.jobs.items() if job.changed}
        return Changes(
            jobs=tuple(jobs.values()),
            flows=tuple(flow.state() for flow in self._flows.values() if flow.changed),
            entries=tuple(self._entries),
            progress=tuple(jobs[key] for key in self._progressed),
        )


def _moved(flow: FlowRecord, before: JobStatus, job: JobRecord, fact: Fact, *, is_retry: bool) -> None:
    flow.count(before, job.status)
    if job.status is JobStatus.COMPLETED and job.result is not None:
        flow.store(job.result)
    event = _event(job.status, is_retry=is_retry)
    if event is not None:
        flow.write(fact.at, event, job=job.before, data=_data(event, job, fact))
    if flow.status is FlowStatus.WAITING and job.status in _HAS_RUN:
        flow.status = FlowStatus.ACTIVE
    ended = flow_status_of(job.status) if job.before.is_root else None
    if ended is not None:
        flow.end(ended, fact.at, result=job.result, error=job.error)


def _change(job: JobRecord, fact: Fact, child: JobRecord | None) -> bool:
    """What one new fact does to an unfinished job; False when it does not matter."""
    match fact.kind:
        case FactKind.ACTIVE:
            return _move(job, JobStatus.ACTIVE, started_at=fact.at, worker=fact.worker)
        case FactKind.COMPLETED:
            return _end(job, JobStatus.COMPLETED, fact, result=fact.result or Json("null"), error=None)
        case FactKind.WAITING:
            return _back(job, queued_status(job.before.priority), fact)
        case FactKind.FAILED:
            error = _error(job, fact) if child is None else because_of(child.state(), job.attempts_made + 1)
            return _end(job, JobStatus.FAILED, fact, error=error)
        case FactKind.DELAYED:
            return _back(job, JobStatus.DELAYED, fact)
        case FactKind.WAITING_CHILDREN:
            return _move(job, JobStatus.WAITING_CHILDREN)
        case FactKind.PROGRESS:
            job.progress = fact.progress
            return True
        case FactKind.REMOVED:
            return _move(job, JobStatus.CANCELLED, finished_at=fact.at, error=_removed(job))
        case FactKind.ADDED | FactKind.DUPLICATED | FactKind.STALLED:
            return False


def _move(job: JobRecord, status: JobStatus, **fields: Any) -> bool:
    if not may_become(job.status, status):
        return False
    job.status = status
    for name, value in fields.items():
        setattr(job, name, value)
    return True


def _end(job: JobRecord, status: JobStatus, fact: Fact, **fields: Any) -> bool:
    return _move(job, status, finished_at=fact.at, attempts_made=job.attempts_made + 1, **fields)


def _back(job: JobRecord, status: JobStatus, fact: Fact) -> bool:
    """Into a queue: for the first time, or again after an attempt that failed (then there is a reason)."""
    if job.status is JobStatus.ACTIVE and _attempt_failed(job, fact):
        return _move(job, status, attempts_made=job.attempts_made + 1, error=_error(job, fact))
    return _move(job, status)


def _attempt_failed(job: JobRecord, fact: Fact) -> bool:
    """A job that stalled goes back as well, and may carry the reason of an attempt before that one."""
    return fact.reason is not None and (fact.attempts_made is None or fact.attempts_made > job.attempts_made)


def _removed(job: JobRecord) -> Mapping[str, Any]:
    return {"message": REMOVED, "stack": None, "attempt": job.attempts_made + 1}


def _error(job: JobRecord, fact: Fact) -> Mapping[str, Any]:
    """Of this attempt: when facts are late, the engine tells of a later one first."""
    attempt = job.attempts_made + 1
    message, stack = fact.reason or "", fact.stack
    if fact.attempts_made is not None and attempt < fact.attempts_made:
        known = dict(enumerate(fact.failures, start=fact.attempts_made - len(fact.failures) + 1))
        message, stack = known.get(attempt, (message, stack))
    return {"message": message, "stack": stack, "attempt": attempt}


def _event(status: JobStatus, *, is_retry: bool) -> LogEvent | None:
    """The entry that tells of a move to this state; None for a move that the log does not name."""
    if status in _ENTRIES:
        return _ENTRIES[status]
    if is_retry:
        return LogEvent.JOB_RETRYING
    return LogEvent.JOB_DELAYED if status is JobStatus.DELAYED else LogEvent.JOB_WAITING


_ENTRIES = {
    JobStatus.ACTIVE: LogEvent.JOB_ACTIVE,
    JobStatus.COMPLETED: LogEvent.JOB_COMPLETED,
    JobStatus.FAILED: LogEvent.JOB_FAILED,
    JobStatus.CANCELLED: LogEvent.JOB_CANCELLED,
    JobStatus.WAITING_CHILDREN: None,
}


def _data(event: LogEvent, job: JobRecord, fact: Fact) -> Mapping[str, Any]:
    data: dict[str, Any] = {"status": str(job.status)}
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
