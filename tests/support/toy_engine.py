"""BullMQ in memory, as far as flows depend on it: what its scripts do, and what its event streams tell.

`tests/contract/test_toy_engine.py` holds it against the real one.
"""

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any

from bullflow.flow.audit import End, Presence
from bullflow.flow.ending import Withdrawn
from bullflow.flow.facts import Fact, FactId, FactKind, Json
from bullflow.flow.plan import Branch
from bullflow.flow.states import ENDED, JobStatus, first_status, queued_status
from bullflow.flow.tree import Policy
from support.histories import START

_PRESENCE = {JobStatus.DELAYED: Presence.DELAYED, JobStatus.PRIORITIZED: Presence.PRIORITIZED}
PARENT, ACTIVE, DELAYED = JobStatus.WAITING_CHILDREN, JobStatus.ACTIVE, JobStatus.DELAYED


@dataclass(slots=True, kw_only=True)
class ToyJob:
    """One job in the engine."""

    id: str
    job_id: str
    queue: str
    parent: str | None
    policy: Policy
    priority: int
    delay: int
    attempts: int
    status: JobStatus = JobStatus.WAITING
    dependencies: set[str] = field(default_factory=set)
    unsuccessful: set[str] = field(default_factory=set)
    doom: str | None = None
    doomed_by: str | None = None
    doomed_when_taken: bool = False
    locked: bool = False
    attempts_made: int = 0
    reason: str | None = None


class ToyEngine:
    """One step at a time; much happens within one millisecond."""

    def __init__(self, chance: Random) -> None:
        self.jobs: dict[str, ToyJob] = {}
        self.facts: list[Fact] = []
        self.withdrawn: set[str] = set()
        self.now = START
        self._chance = chance
        self._used: Counter[tuple[str, int]] = Counter()

    # --- what may become of a server -------------------------------------------------------------------

    def as_it_is(self) -> "ToyEngine":
        """A copy that goes its own way."""
        copy = ToyEngine(self._chance)
        copy.jobs = deepcopy(self.jobs)
        copy.facts, copy.withdrawn, copy.now, copy._used = [*self.facts], {*self.withdrawn}, self.now, self._used
        return copy

    def later(self, now: int) -> "ToyEngine":
        """A copy that wakes up at this time."""
        copy = self.as_it_is()
        copy.now = now
        return copy

    def emptied(self) -> "ToyEngine":
        copy = self.as_it_is()
        copy.jobs, copy.withdrawn = {}, set()
        return copy

    # --- what services do ----------------------------------------------------------------------------

    def add(self, branch: Branch) -> bool:
        """A flow as the producer adds it; False when it is left out."""
        root = branch.job
        if root.job_id in self.withdrawn:
            return False
        if root.job_id in self.jobs:
            self._say(self.jobs[root.job_id], FactKind.DUPLICATED)
            return True
        kept = {job.job_id for job in branch.jobs() if root.run > 1 and job.job_id in self.jobs}
        if any(self.jobs[job_id].status in ENDED for job_id in kept):
            return False
        self._add(branch.without(kept), None)
        return True

    def _add(self, branch: Branch, parent: ToyJob | None) -> None:
        asked, opts = branch.job, branch.job.opts
        job = ToyJob(
            id=asked.id,
            job_id=asked.job_id,
            queue=asked.queue_name,
            parent=parent.job_id if parent else None,
            policy=asked.policy if parent else Policy.FAIL,
            priority=opts.get("priority", 0),
            delay=opts.get("delay", 0),
            attempts=opts.get("attempts", 1),
        )
        self.jobs[job.job_id] = job
        below = [*(child.job for child in branch.children), *branch.kept]
        job.dependencies = {child.job_id for child in below}
        for kept in branch.kept:
            self.jobs[kept.job_id].parent = job.job_id
        if branch.blocker is not None:
            job.unsuccessful, job.doom, job.doomed_by = {branch.blocker.job_id}, "child failed", branch.blocker.job_id
        self._say(job, FactKind.ADDED)
        self._move(job, first_status(has_children=bool(below), delay=job.delay, priority=job.priority))
        for child in branch.children:
            there = self.jobs.get(child.job.job_id)
            if there is None:
                self._add(child, job)
                continue
            # An id that is there is not added again; one that has ended is nothing to wait for.
            there.parent = job.job_id
            if there.status in ENDED:
                job.dependencies.discard(there.job_id)
            self._say(there, FactKind.DUPLICATED)

    def doom(self, jobs: Sequence[Withdrawn], *, alone: bool = False) -> list[Withdrawn]:
        """None of these starts any more; returns those that wait. `alone`, they are nothing to their parents."""
        self.withdrawn |= {job.job_id for job in jobs if job.is_root}
        there = [job for job in jobs if job.job_id in self.jobs and self.jobs[job.job_id].status not in ENDED]
        for job in there:
            found = self.jobs[job.job_id]
            found.doom, found.doomed_by = "cancelled", None
            found.parent = None if alone else found.parent
        return [job for job in there if not self.jobs[job.job_id].locked]

    def presence(self, job_id: str) -> Presence:
        """What is to be seen of a job."""
        job = self.jobs.get(job_id)
        if job is None:
            return Presence.GONE
        if job.status in ENDED:
            return Presence.ENDED
        if job.locked:
            return Presence.ACTIVE
        if job.status is PARENT and not self._waits(job):
            return Presence.STUCK
        if job.doom is not None:
            return Presence.DOOMED
        if job.status is PARENT:
            return Presence.WAITING_CHILDREN
        return _PRESENCE.get(job.status, Presence.WAITING)

    def _waits(self, parent: ToyJob) -> bool:
        left = (self.jobs.get(child) for child in parent.dependencies)
        return any(child is not None and child.status not in ENDED for child in left)

    def end_of(self, job_id: str) -> End | None:
        """How a job has ended, if it has."""
        job = self.jobs.get(job_id)
        if job is None or job.status not in ENDED:
            return None
        result = Json(f'"{job_id}"') if job.status is JobStatus.COMPLETED else None
        return End(at=self.now, result=result, child=job.doomed_by if job.doomed_when_taken else None)

    def take_out(self, job_id: str) -> None:
        """Remove a job that waits, as the remover does: no parent wakes."""
        job = self.jobs.get(job_id)
        if job is not None and not job.locked and job.status not in ENDED:
            if job.parent in self.jobs:
                self.jobs[job.parent].dependencies.discard(job_id)
            self._delete(job)

    def remove(self, job_id: str) -> None:
        """Remove a job by BullMQ's own means: a parent wakes whose last child it was."""
        job = self.jobs.get(job_id)
        if job is None or job.locked:
            return
        parent = self.jobs.get(job.parent or "")
        if parent is not None and job_id in parent.dependencies:
            parent.dependencies.discard(job_id)
            if not parent.dependencies and parent.status is PARENT:
                self._move(parent, JobStatus.WAITING)
        self._delete(job)

    def _delete(self, job: ToyJob) -> None:
        del self.jobs[job.job_id]
        self._say(job, FactKind.REMOVED)

    # --- what workers do -----------------------------------------------------------------------------

    def take(self, job: ToyJob) -> None:
        job.locked, job.doomed_when_taken = True, job.doom is not None
        self._move(job, ACTIVE)

    def complete(self, job: ToyJob) -> None:
        if job.dependencies or job.unsuccessful:
            self.fail(job, "its children forbid it")
            return
        parent = self.jobs.get(job.parent or "")
        if parent is not None and job.job_id in parent.dependencies:
            parent.dependencies.discard(job.job_id)
            if not parent.dependencies:
                self._wake(parent)
        self._end(job, JobStatus.COMPLETED, result=Json(f'"{job.job_id}"'))

    def fail(self, job: ToyJob, reason: str, child: str | None = None) -> None:
        parent = self.jobs.get(job.parent or "")
        if parent is not None and job.job_id in parent.dependencies and job.policy is not Policy.WAIT:
            parent.dependencies.discard(job.job_id)
            if job.policy is Policy.FAIL:
                self._doom_parent(parent, job.job_id)
            elif job.policy is Policy.CONTINUE or not parent.dependencies:
                self._wake(parent)
        self._end(job, JobStatus.FAILED, reason=reason, child=child)

    def _doom_parent(self, parent: ToyJob, child: str) -> None:
        parent.unsuccessful.add(child)
        if parent.status in ENDED:
            return
        parent.doom, parent.doomed_by = "child failed", child
        if parent.status is DELAYED:
            self._move(parent, queued_status(parent.priority))
        else:
            self._wake(parent)

    def retry(self, job: ToyJob, *, later: bool) -> None:
        """An attempt has failed, and the job goes back into the queue, or is delayed first."""
        job.locked = False
        job.attempts_made += 1
        job.reason = f"attempt {job.attempts_made} failed"
        self._move(job, DELAYED if later else queued_status(job.priority), reason=job.reason)

    def stop_renewing(self, job: ToyJob) -> None:
        """Its worker has died, and its lock has run out."""
        job.locked = False

    def rescue(self, job: ToyJob) -> None:
        """Somebody has seen that its worker has died."""
        self._move(job, JobStatus.WAITING, reason=job.reason)
        self._say(job, FactKind.STALLED)

    def promote(self, job: ToyJob) -> None:
        self._move(job, queued_status(job.priority))

    def _wake(self, parent: ToyJob) -> None:
        if parent.status is PARENT:
            self._move(parent, DELAYED if parent.delay else queued_status(parent.priority))

    def _end(self, job: ToyJob, status: JobStatus, **fields: Any) -> None:
        job.locked = False
        job.attempts_made += 1
        self._move(job, status, **fields)

    def _move(self, job: ToyJob, status: JobStatus, **fields: Any) -> None:
        job.status = status
        kind = FactKind.WAITING if status is JobStatus.PRIORITIZED else FactKind(status.value)
        self._say(job, kind, attempts_made=job.attempts_made, **fields)

    def _say(self, job: ToyJob, kind: FactKind, **fields: Any) -> None:
        self.now += self._chance.choice((0, 0, 0, 1, 5))
        self._used[job.queue, self.now] += 1
        fact_id = FactId(self.now, self._used[job.queue, self.now] - 1)
        self.facts.append(Fact(id=fact_id, kind=kind, job_id=job.job_id, **fields))
