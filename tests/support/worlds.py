"""A whole bullflow in memory, one step at a time in an order that chance decides.

The decisions are the real ones (`fold`, `ending`, `retry`, `plan`); around them stand a BullMQ as far as
flows depend on it, and all who work on both: workers, the recorder, the dispatcher, the withdrawer, users.
Whoever takes several steps (reads, then acts on what was read) may be overtaken between any two of them.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

from hypothesis import strategies as st

from bullflow.errors import Conflict
from bullflow.flow import retry
from bullflow.flow.audit import AuditedJob, Drift, Presence, compare, settled
from bullflow.flow.ending import Withdrawn
from bullflow.flow.facts import Json
from bullflow.flow.plan import StoredJob, unfinished
from bullflow.flow.record import JobState
from bullflow.flow.states import FLOW_ENDED, JobStatus, first_status
from bullflow.flow.tree import Policy, run_id
from support.books import Books, below, books
from support.histories import START, chances
from support.ledger import a_job, nothing
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
        self._losses = 0
        self._audited = 0
        self._past: deque[ToyEngine] = deque(maxlen=30)

    @property
    def in_doubt(self) -> bool:
        """The engine has lost something since it was last compared with the books."""
        return self._audited < self._losses

    def live(self) -> None:
        for _ in self.lives():
            pass

    def lives(self) -> Iterator[None]:
        """Step by step, until all wishes have been followed, and then until nothing is left to do."""
        for _ in range(LONGEST):
            if self._chance.random() < 0.06 and self._wishes:
                self._begin(self._wishes.pop())
            self._past.append(self.engine.as_it_is())
            if not self._step() and not self._wishes and not self._drifts():
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
            if not self.in_doubt:
                assert job.job_id not in self._stopped, "it was withdrawn for certain"
                withdrawing = self.books.flow.withdraw_due
                assert self.tampered or withdrawing or job.job_id in self.books.jobs, "an older run starts"
                known = self.books.jobs.get(job.job_id)
                ended = known is not None and known.status is JobStatus.COMPLETED
                assert self.tampered or not ended, "what has completed runs again"
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
            if self.in_doubt:
                yield partial(self._under_way.append, self._audit(self._losses))

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
        if self.books.flow.withdraw_due:
            return
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
        """What must not run any more: as `store.backlog` reads it."""
        parents = {job.parent_id for job in self.books.jobs.values()}
        return [
            Withdrawn(
                job_id=job_id,
                queue_name=self._traits[job.id].queue,
                is_root=job.is_root,
                is_parent=job.id in parents,
            )
            for job in self.books.jobs.values()
            if job.status is not JobStatus.COMPLETED
            for job_id in [run_id(job.id, job.run - 1)] * (job.run > 1) + [job.job_id] * (job.status in retry.TO_RETRY)
        ]

    def _drifts(self) -> bool:
        """Whether the audit that comes when it is quiet finds something; it is then under way."""
        jobs = [self._audited_job(job) for job in self.books.jobs.values()]
        if compare(jobs, self._presences(jobs)):
            self._under_way.append(self._audit(self._losses))
            return True
        return False

    def _audit(self, losses: int) -> Iterator[None]:
        """Compare everything, as the auditor does; others act between any two of its steps."""
        jobs = [self._audited_job(job) for job in self.books.jobs.values()]
        yield
        at, told = self.engine.now, len(self.engine.facts)
        drifts = compare(jobs, self._presences(jobs))
        for drift in drifts:
            gone = [self._taken_back(job, job_id) for job, job_id in drift.revenants]
            for job in self.engine.doom(gone, alone=True):
                self.engine.take_out(job.job_id)
        while self._read < min(told, len(self.engine.facts)):
            yield
        for drift in drifts:
            yield
            ends = {job.job_id: self.engine.end_of(job.job_id) for job, kind in drift.unheard if kind is None}
            known = {job_id: end for job_id, end in ends.items() if end is not None}
            self.books.record([fact for _, fact in settled(drift.unheard, known, at)])
            yield
            if drift.needs_recovery:
                yield from self._recover(drift, jobs)
        self._audited = max(self._audited, losses)

    def _recover(self, drift: Drift, jobs: Sequence[AuditedJob]) -> Iterator[None]:
        all_gone = drift.all_gone
        if all_gone:
            self.engine.withdrawn |= {job_id for job in jobs if job.is_root for job_id in (job.job_id, *job.earlier)}
            again = compare(jobs, self._presences(jobs))
            all_gone = bool(again) and again[0].all_gone
            yield
        delays = {job.id: self._traits[job.id].delay for job in self.books.jobs.values()}
        self.books.recover(drift, delays, self.engine.now, all_gone=all_gone)

    def _audited_job(self, job: JobState) -> AuditedJob:
        return AuditedJob(
            id=job.id,
            job_id=job.job_id,
            flow_id=job.flow_id,
            queue_name=self._traits[job.id].queue,
            status=job.status,
            is_root=job.is_root,
            is_parent=any(child.parent_id == job.id for child in self.books.jobs.values()),
            last_fact=job.last_fact,
            is_due=self.books.flow.dispatch_due or self.books.flow.withdraw_due,
        )

    def _presences(self, jobs: Sequence[AuditedJob]) -> dict[str, Presence]:
        ids = [job_id for job in jobs for job_id in (job.job_id, *job.earlier)]
        return {job_id: self.engine.presence(job_id) for job_id in ids}

    def _taken_back(self, job: AuditedJob, job_id: str) -> Withdrawn:
        return Withdrawn(job_id=job_id, queue_name=job.queue_name, is_root=job.is_root, is_parent=job.is_parent)

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
            case "wipe":
                self._lose(self.engine.emptied())
            case "go back" if self._past:
                self._lose(self._chance.choice(list(self._past)).later(self.engine.now))
            case "lose one" if self.engine.jobs:
                left = self.engine.as_it_is()
                del left.jobs[self._chance.choice(list(left.jobs))]
                self._lose(left)
            case "deafen":
                self._lose(self.engine.as_it_is())
            case "crash" if self._under_way:
                self._under_way.remove(self._chance.choice(self._under_way))

    def _lose(self, left: ToyEngine) -> None:
        """This is left of the engine, and none of its events that nobody has read. Who was sending was cut off."""
        self._losses += 1
        self._under_way = [process for process in self._under_way if getattr(process, "__name__", "") != "_dispatch"]
        left.facts = self.engine.facts[: self._read]
        self.engine = left

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


WISHES = ("cancel", "expire", "retry", "retry one", "retry", "retry one", "remove")
LOSSES = ("wipe", "wipe", "go back", "go back", "lose one", "deafen", "crash", "crash", "crash")


@st.composite
def worlds(draw: st.DrawFn, *, wishes: Sequence[str] = WISHES) -> World:
    """A flow of up to nine jobs, and up to six of these wishes."""
    code = st.integers(0, 2**20)
    traits: dict[str, Trait] = {}
    jobs: list[JobState] = []
    parents = [draw(st.integers(0, place - 1)) for place in range(1, draw(st.integers(1, 9)))]
    for place in range(len(parents) + 1):
        picks = _Picks(draw(code))
        name = f"job-{place}" if place else "root"
        traits[name] = Trait(
            queue=picks.one("q", "r"), priority=picks.one(0, 0, 3), delay=picks.one(0, 0, 500), attempts=picks.one(1, 2)
        )
        status = first_status(has_children=place in parents, delay=traits[name].delay, priority=traits[name].priority)
        policy = picks.one(Policy.FAIL, Policy.FAIL, *Policy)
        if place:
            jobs.append(below(jobs[parents[place - 1]], name, status, policy, priority=traits[name].priority))
        else:
            jobs.append(a_job(status=status, priority=traits[name].priority))
    chosen = draw(st.lists(st.sampled_from(wishes), max_size=6)) if wishes else []
    return World(books(*jobs, fail_fast=draw(st.booleans())), traits, chosen, draw(chances()))


class _Picks:
    """Choices made by one number, because one draw is much faster than five."""

    def __init__(self, code: int) -> None:
        self._code = code

    def one(self, *choices: Any) -> Any:
        self._code, place = divmod(self._code, len(choices))
        return choices[place]
