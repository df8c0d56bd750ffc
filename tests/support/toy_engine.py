"""BullMQ in memory, as far as flows depend on it: what its scripts do, and what its event streams tell.

`tests/contract/test_toy_engine.py` holds it against the real one.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from bullflow.flow.facts import Fact, FactId, FactKind, Json
from bullflow.flow.plan import Branch
from bullflow.flow.record import JobState
from bullflow.flow.states import ENDED, JobStatus, first_status, queued_status
from bullflow.flow.tree import Policy
from support.histories import START

PARENT, ACTIVE, DELAYED = JobStatus.WAITING_CHILDREN, JobStatus.ACTIVE, JobStatus.DELAYED


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """What a request says of a job besides its policy."""

    queue: str
    priority: int
    delay: int
    attempts: int


@dataclass(slots=True, kw_only=True)
class Bull:
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
        self.jobs: dict[str, Bull] = {}
        self.facts: list[Fact] = []
        self.withdrawn: set[str] = set()
        self.now = START
        self._chance = chance
        self._used: Counter[tuple[str, int]] = Counter()

    # --- what services do ----------------------------------------------------------------------------

    def add(self, branch: Branch, traits: Mapping[str, Trait]) -> bool:
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
        self._add(branch.without(kept), None, traits)
        return True

    def _add(self, branch: Branch, parent: Bull | None, traits: Mapping[str, Trait]) -> None:
        job, trait = branch.job, traits[branch.job.id]
        bull = Bull(
            id=job.id,
            job_id=job.job_id,
            queue=job.queue_name,
            parent=parent.job_id if parent else None,
            policy=job.policy if parent else Policy.FAIL,
            priority=trait.priority,
            delay=trait.delay,
            attempts=trait.attempts,
        )
        self.jobs[bull.job_id] = bull
        below = [*(child.job for child in branch.children), *branch.kept]
        bull.dependencies = {child.job_id for child in below}
        for child in branch.kept:
            self.jobs[child.job_id].parent = bull.job_id
        if branch.blocker is not None:
            bull.unsuccessful, bull.doom = {branch.blocker.job_id}, "child failed"
            bull.doomed_by = branch.blocker.job_id
        self._say(bull, FactKind.ADDED)
        self._move(bull, first_status(has_children=bool(below), delay=trait.delay, priority=trait.priority))
        for child_branch in branch.children:
            self._add(child_branch, bull, traits)

    def doom(self, jobs: Sequence[JobState]) -> list[JobState]:
        """None of these starts any more; returns those that wait."""
        self.withdrawn |= {job.job_id for job in jobs if job.is_root}
        there = [job for job in jobs if job.job_id in self.jobs and self.jobs[job.job_id].status not in ENDED]
        for job in there:
            self.jobs[job.job_id].doom, self.jobs[job.job_id].doomed_by = "cancelled", None
        return [job for job in there if not self.jobs[job.job_id].locked]

    def remove(self, job_id: str) -> None:
        bull = self.jobs.get(job_id)
        if bull is None or bull.locked:
            return
        parent = self.jobs.get(bull.parent or "")
        if parent is not None and job_id in parent.dependencies:
            parent.dependencies.discard(job_id)
            if not parent.dependencies and parent.status is PARENT:
                self._move(parent, JobStatus.WAITING)
        del self.jobs[job_id]
        self._say(bull, FactKind.REMOVED)

    # --- what workers do -----------------------------------------------------------------------------

    def take(self, bull: Bull) -> None:
        bull.locked, bull.doomed_when_taken = True, bull.doom is not None
        self._move(bull, ACTIVE)

    def complete(self, bull: Bull) -> None:
        if bull.dependencies or bull.unsuccessful:
            self.fail(bull, "its children forbid it")
            return
        self._end(bull, JobStatus.COMPLETED, result=Json(f'"{bull.job_id}"'))
        parent = self.jobs.get(bull.parent or "")
        if parent is not None and bull.job_id in parent.dependencies:
            parent.dependencies.discard(bull.job_id)
            if not parent.dependencies:
                self._wake(parent)

    def fail(self, bull: Bull, reason: str, child: str | None = None) -> None:
        parent = self.jobs.get(bull.parent or "")
        if parent is not None and bull.job_id in parent.dependencies and bull.policy is not Policy.WAIT:
            parent.dependencies.discard(bull.job_id)
            if bull.policy is Policy.FAIL:
                self._doom_parent(parent, bull.job_id)
            elif bull.policy is Policy.CONTINUE or not parent.dependencies:
                self._wake(parent)
        self._end(bull, JobStatus.FAILED, reason=reason, child=child)

    def _doom_parent(self, parent: Bull, child: str) -> None:
        parent.unsuccessful.add(child)
        if parent.status in ENDED:
            return
        parent.doom, parent.doomed_by = "child failed", child
        if parent.status is DELAYED:
            self._move(parent, queued_status(parent.priority))
        else:
            self._wake(parent)

    def fail_attempt(self, bull: Bull) -> None:
        bull.attempts_made += 1
        bull.reason = f"attempt {bull.attempts_made} failed"
        if bull.attempts_made >= bull.attempts:
            bull.attempts_made -= 1
            self.fail(bull, bull.reason)
            return
        bull.locked = False
        later = self._chance.random() < 0.5
        self._move(bull, DELAYED if later else queued_status(bull.priority), reason=bull.reason)

    def rescue(self, bull: Bull) -> None:
        """Its worker has died, which somebody has seen."""
        self._move(bull, JobStatus.WAITING, reason=bull.reason)
        self._say(bull, FactKind.STALLED)

    def promote(self, bull: Bull) -> None:
        self._move(bull, queued_status(bull.priority))

    def _wake(self, parent: Bull) -> None:
        if parent.status is PARENT:
            self._move(parent, DELAYED if parent.delay else queued_status(parent.priority))

    def _end(self, bull: Bull, status: JobStatus, **fields: Any) -> None:
        bull.locked = False
        bull.attempts_made += 1
        self._move(bull, status, **fields)

    def _move(self, bull: Bull, status: JobStatus, **fields: Any) -> None:
        bull.status = status
        kind = FactKind.WAITING if status is JobStatus.PRIORITIZED else FactKind(status.value)
        self._say(bull, kind, attempts_made=bull.attempts_made, **fields)

    def _say(self, bull: Bull, kind: FactKind, **fields: Any) -> None:
        self.now += self._chance.choice((0, 0, 0, 1, 5))
        self._used[bull.queue, self.now] += 1
        fact_id = FactId(self.now, self._used[bull.queue, self.now] - 1)
        self.facts.append(Fact(id=fact_id, kind=kind, job_id=bull.job_id, **fields))
