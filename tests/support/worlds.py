"""A whole bullflow in memory, one step at a time in an order that chance decides.

The decisions are the real ones (`fold`, `ending`, `retry`, `plan`); around them stand a BullMQ as far as
flows depend on it, and all who work on both: workers, the recorder, the dispatcher, the withdrawer, users.
Whoever takes several steps (reads, then acts on what was read) may be overtaken between any two of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from random import Random

from bullflow.errors import Conflict
from bullflow.flow import retry
from bullflow.flow.facts import Json
from bullflow.flow.plan import StoredJob, unfinished
from bullflow.flow.record import JobState
from bullflow.flow.states import FLOW_ENDED, JobStatus
from bullflow.flow.tree import Policy
from support.books import Books
from support.histories import START
from support.ledger import nothing
from support.toy_engine import ACTIVE, DELAYED, Bull, ToyEngine, Trait

OPTION = {
    Policy.FAIL: "failParentOnFailure",
    Policy.IGNORE: "ignoreDependencyOnFailure",
    Policy.REMOVE: "removeDependencyOnFailure",
    Policy.CONTINUE: "continueParentOnFailure",
}
LONGEST = 3_000
"""So many steps no settled world needs."""
Act = Callable[[], object]


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
        for bull in self.engine.jobs.values():
            if bull.status in (JobStatus.WAITING, JobStatus.PRIORITIZED):
                yield partial(self._take, bull)
            elif bull.status is DELAYED:
                yield partial(self.engine.promote, bull)
            elif bull.status is ACTIVE:
                yield partial(self._go_on if bull.locked else self.engine.rescue, bull)

    def _take(self, bull: Bull) -> None:
        self.engine.take(bull)
        if bull.doom is None:
            assert bull.job_id not in self._stopped, "it was withdrawn for certain"
            assert self.tampered or bull.job_id in self.books.jobs, "an older run starts"
            self.started.append(bull.job_id)

    def _go_on(self, bull: Bull) -> None:
        if bull.doomed_when_taken:
            self.engine.fail(bull, bull.doom or "", bull.doomed_by)
            return
        luck = self._chance.random()
        if luck < 0.6:
            self.engine.complete(bull)
        elif luck < 0.8:
            self.engine.fail_attempt(bull)
        elif luck < 0.9:
            self.engine.fail(bull, "beyond repair")
        else:
            bull.locked = False

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
            self.engine.add(branch, self._traits)

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
                opts={OPTION[job.policy]: True} if job.policy in OPTION else {},
                status=job.status,
                created_at=START,
                result=job.result,
                error=job.error,
            )
            for job in self.books.jobs.values()
        ]

    def _ended(self) -> list[JobState]:
        return [job for job in self.books.jobs.values() if job.status in retry.TO_RETRY]

    def _doom(self) -> Iterator[None]:
        jobs = self._ended()
        yield
        self.engine.doom(jobs)
        self._stopped |= {job.job_id for job in jobs if job.status is JobStatus.CANCELLED}

    def _finish(self) -> Iterator[None]:
        jobs = self._ended()
        yield
        waiting = self.engine.doom(jobs)
        self._stopped |= {job.job_id for job in jobs if job.status is JobStatus.CANCELLED}
        yield
        parents = {job.parent_id for job in self.books.jobs.values()}
        ordered = [job for job in waiting if job.id in parents]
        for job in [*ordered, *(job for job in reversed(waiting) if job.id not in parents)]:
            self.engine.remove(job.job_id)
            yield
        if {job.job_id for job in self._ended()} <= {job.job_id for job in jobs}:
            flow = self.books.flow
            self.books.flows[flow.id] = replace(flow, withdraw_due=False)

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
