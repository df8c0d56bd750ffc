"""A whole bullflow in memory, one step at a time in an order that chance decides.

The decisions are the real ones (`fold`, `ending`, `retry`, `plan`); around them stand a BullMQ as far as
flows depend on it, and all who work on both: workers, the recorder, the dispatcher, the withdrawer, users.
Whoever takes several steps (reads, then acts on what was read) may be overtaken between any two of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

from bullflow.errors import Conflict
from bullflow.flow import retry
from bullflow.flow.ending import Withdrawn
from bullflow.flow.facts import Json
from bullflow.flow.plan import StoredJob, unfinished
from bullflow.flow.record import JobState
from bullflow.flow.states import FLOW_ENDED, JobStatus
from bullflow.flow.tree import Policy
from support.books import Books
from support.histories import START
from support.ledger import nothing
from support.toy_engine import ACTIVE, DELAYED, ToyEngine, ToyJob

OPTION = {
    Policy.FAIL: "failParentOnFailure",
    Policy.IGNORE: "ignoreDependencyOnFailure",
    Policy.REMOVE: "removeDependencyOnFailure",
    Policy.CONTINUE: "continueParentOnFailure",
}
LONGEST = 3_000
"""So many steps no settled world needs."""
Act = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """What a request says of a job besides its policy."""

    queue: str
    priority: int
    delay: int
    attempts: int


class World:
    """One flow. `wishes` are what users will do, at some time or other."""

    def __init__(self, books: Books, traits: Mapping[str, Trait], wishes: Sequence[str], chance: Random) -> None:
        self.books = books
        self.engine = ToyEngine(chance)
        self.tampered = False
        self.started: list[str] = []
        self._traits = traits
        self._wishes = list(wishes)
        self._chance = chance
        self._read = 0
        self._under_way: list[Iterator[None]] = []
        self._stopped: set[str] = set()

    def live(self) -> None:
        for _ in self.lives():
            pass

    def lives(self) -> Iterator[None]:
        """Step by step, until all wishes have been followed, and then until nothing is left to do."""
        for _ in range(LONGEST):
            if self._chance.random() < 0.06 and self._wishes:
                self._begin(self._wishes.pop())
            if not self._step() and not self._wishes:
                return
            yield
        raise AssertionError("it does not come to rest")

    def _step(self) -> bool:
        acts = [*self._workers(), *self._services()]
        if acts:
            self._chance.choice(acts)()
        return bool(acts)

    # --- those who work ------------------------------------------------------------------------------

    def _workers(self) -> Iterator[Act]:
        for job in self.engine.jobs.values():
            if job.status in (JobStatus.WAITING, JobStatus.PRIORITIZED):
                yield partial(self._take, job)
            elif job.status is DELAYED:
                yield partial(self.engine.promote, job)
            elif job.status is ACTIVE:
                yield partial(self._go_on if job.locked else self.engine.rescue, job)

    def _take(self, job: ToyJob) -> None:
        self.engine.take(job)
        if job.doom is None:
            assert job.job_id not in self._stopped, "it was withdrawn for certain"
            assert self.tampered or job.job_id in self.books.jobs, "an older run starts"
            self.started.append(job.job_id)

    def _go_on(self, job: ToyJob) -> None:
        if job.doomed_when_taken:
            self.engine.fail(job, job.doom or "", job.doomed_by)
            return
        luck = self._chance.random()
        if luck < 0.6:
            self.engine.complete(job)
        elif luck < 0.8 and job.attempts_made + 1 < job.attempts:
            self.engine.retry(job, later=self._chance.random() < 0.5)
        elif luck < 0.9:
            self.engine.fail(job, "broken")
        else:
            self.engine.stop_renewing(job)

    def _services(self) -> Iterator[Act]:
        if self._read < len(self.engine.facts):
            yield self._record
        for process in self._under_way:
            yield partial(self._go_on_with, process)
        if len(self._under_way) < 4:
            if self.books.flow.dispatch_due:
                yield partial(self._under_way.append, self._dispatch())
            if self.books.flow.withdraw_due:
                yield partial(self._under_way.append, self._finish())

    def _go_on_with(self, process: Iterator[None]) -> None:
        if next(process, "over") == "over":
            self._under_way.remove(process)

    def _record(self) -> None:
        """Some facts in one batch, which may have to be read once more, with some from before."""
        end = self._chance.randint(self._read + 1, len(self.engine.facts))
        begin = max(0, self._read - self._chance.choice((0, 0, 0, 2, 5)))
        batch = self.engine.facts[begin:end]
        self.books.record(batch)
        again = self.books.record(batch)
        assert nothing(again), "read twice, it counts twice"
        self._read = end

    def _dispatch(self) -> Iterator[None]:
        branch = unfinished(self._stored())
        yield
        if branch is not None:
            self.engine.add(branch)

    def _stored(self) -> list[StoredJob]:
        return [
            StoredJob(
                id=job.id,
                job_id=job.job_id,
                flow_id=job.flow_id,
                parent_id=job.parent_id,
                name=job.name,
                queue_name=self._traits[job.id].queue,
                data=Json("{}"),
                opts=self._opts(job),
                status=job.status,
                created_at=START,
                result=job.result,
                error=job.error,
            )
            for job in self.books.jobs.values()
        ]

    def _opts(self, job: JobState) -> dict[str, Any]:
        trait = self._traits[job.id]
        policy = {OPTION[job.policy]: True} if job.policy in OPTION else {}
        return {**policy, "priority": trait.priority, "delay": trait.delay, "attempts": trait.attempts}

    def _doom(self) -> Iterator[None]:
        jobs = self._ended()
        yield
        self.engine.doom(jobs)
        self._stopped |= {job.job_id for job in jobs}

    def _finish(self) -> Iterator[None]:
        jobs = self._ended()
        yield
        waiting = self.engine.doom(jobs)
        self._stopped |= {job.job_id for job in jobs}
        yield
        for job in [job for job in waiting if job.is_parent] + [job for job in reversed(waiting) if not job.is_parent]:
            self.engine.take_out(job.job_id)
            yield
        if {job.job_id for job in self._ended()} <= {job.job_id for job in jobs}:
            flow = self.books.flow
            self.books.flows[flow.id] = replace(flow, withdraw_due=False)

    def _ended(self) -> list[Withdrawn]:
        parents = {job.parent_id for job in self.books.jobs.values()}
        return [
            Withdrawn(
                job_id=job.job_id,
                queue_name=self._traits[job.id].queue,
                is_root=job.is_root,
                is_parent=job.id in parents,
            )
            for job in self.books.jobs.values()
            if job.status in retry.TO_RETRY
        ]

    # --- those who wish ------------------------------------------------------------------------------

    def _begin(self, wish: str) -> None:
        match wish:
            case "cancel" if self.books.open_jobs():
                self.books.cancel(self.engine.now)
                self._under_way.append(self._doom())
            case "expire" if self.books.flow.status not in FLOW_ENDED:
                self.books.fail(self.engine.now)
            case "retry":
                self._under_way.append(self._retry(None))
            case "retry one":
                self._under_way.append(self._retry(self._chance.choice(list(self.books.jobs.values())).id))
            case "remove":
                self.tampered = True
                if self.engine.jobs:
                    self.engine.remove(self._chance.choice(list(self.engine.jobs)))

    def _retry(self, own_id: str | None) -> Iterator[None]:
        while self.books.flow.status in FLOW_ENDED:
            try:
                again = (
                    retry.of_flow(self.books.unfinished()) if own_id is None else retry.of_job(self.books.line(own_id))
                )
            except Conflict:
                return
            if not again:
                return
            if not self.books.flow.withdraw_due:
                self.books.reopen(again, self.engine.now, {job.id: self._traits[job.id].delay for job in again})
                return
            yield from self._finish()
