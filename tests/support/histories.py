"""True histories of flows, as BullMQ's event streams tell them.

`histories` draws flows and plays them: every job lives as BullMQ lets it live, parents after their
children, one fact a step, in an order that chance decides. What really happened is kept beside
the facts, so that a test can compare what was recorded with the truth.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Any

from hypothesis import strategies as st

from bullflow.flow.facts import Fact, FactId, FactKind, Json
from bullflow.flow.record import FlowState, JobState
from bullflow.flow.states import ENDED, FlowStatus, JobStatus, first_status, queued_status
from bullflow.flow.tree import run_id

START = 1_790_000_000_000
LARGEST_TREE = 12


class Turn(Enum):
    """What may come between a job's first start and its last."""

    RETRY = "the attempt fails and the job goes back to the queue"
    RETRY_LATER = "the attempt fails and the job is delayed"
    STALL = "the worker dies and BullMQ puts the job back"
    STEP_ASIDE = "the handler itself waits for children"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One job of a play: its place and what is to become of it."""

    parent: int | None
    queue: str
    priority: int
    delay: int
    run: int
    turns: tuple[Turn, ...]
    progress: int
    succeeds: bool
    spares_parent: bool
    lingers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What has really become of a job."""

    status: JobStatus
    attempts: int
    starts: int
    result: Json | None
    error: str | None
    woken_early: bool
    last_move: FactId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The store's first state, all facts in the order in which they happened, and the truth by `job_id`."""

    jobs: tuple[JobState, ...]
    flows: tuple[FlowState, ...]
    parents: Mapping[str, str]
    facts: tuple[Fact, ...]
    truth: Mapping[str, Truth]


@st.composite
def histories(draw: st.DrawFn, *, whole: bool | None = None) -> History:
    """One or two flows on one to three queues; broken off in the middle unless `whole`."""
    plays = [draw(_plays()) for _ in range(draw(st.integers(1, 2)))]
    broken_off = draw(st.booleans()) if whole is None else not whole
    steps = draw(st.integers(0, 150)) if broken_off else None
    return _Stage(plays, draw(chances())).play(steps)


def chances() -> st.SearchStrategy[Random]:
    """Chance that hypothesis can repeat, but does not try to make simpler."""
    return st.randoms(use_true_random=True)


@st.composite
def _plays(draw: st.DrawFn) -> list[Script]:
    size = draw(st.integers(1, LARGEST_TREE))
    return [
        _script(draw(st.integers(0, place - 1)) if place else None, draw(st.integers(0, 2**20)))
        for place in range(size)
    ]


def _script(parent: int | None, code: int) -> Script:
    """One number stands for a whole script, because one draw is much faster than ten; 0 is the plainest."""

    def pick(*choices: Any) -> Any:
        nonlocal code
        code, place = divmod(code, len(choices))
        return choices[place]

    return Script(
        parent=parent,
        queue=pick("audio", "video", "mail"),
        turns=tuple(turn for turn in (pick(None, *Turn), pick(None, *Turn), pick(None, *Turn)) if turn),
        succeeds=pick(True, True, False),
        spares_parent=pick(True, False),
        priority=pick(0, 7),
        delay=pick(0, 500),
        progress=pick(0, 1, 2),
        run=pick(1, 2),
        lingers=pick(False, True),
    )


class _Actor:
    """One job while it is played."""

    def __init__(self, flow: str, name: str, above: "_Actor | None", script: Script, *, has_children: bool) -> None:
        self.script = script
        self.status = first_status(has_children=has_children, delay=script.delay, priority=script.priority)
        self.attempts = self.starts = 0
        self.result: Json | None = None
        self.error: str | None = None
        self.doomed = self.woken_early = False
        self.last_move: FactId | None = None
        self.children: list[_Actor] = []
        self.before: JobState = JobState(
            id=name,
            job_id=run_id(name, script.run),
            flow_id=flow,
            parent_id=above.before.id if above else None,
            name=name,
            depth=above.before.depth + 1 if above else 0,
            priority=script.priority,
            status=self.status,
        )

    @property
    def blocked(self) -> bool:
        open_children = any(child.status not in ENDED for child in self.children)
        return self.starts == 0 and self.status is JobStatus.WAITING_CHILDREN and open_children and not self.doomed

    def truth(self) -> Truth:
        return Truth(
            status=self.status,
            attempts=self.attempts,
            starts=self.starts,
            result=self.result,
            error=self.error,
            woken_early=self.woken_early,
            last_move=self.last_move,
        )


class _Stage:
    """BullMQ, as far as its event streams show it."""

    def __init__(self, plays: Sequence[Sequence[Script]], chance: Random) -> None:
        self._chance = chance
        self._ms = START
        self._used: Counter[tuple[str, int]] = Counter()
        self._facts: list[Fact] = []
        self._casts = [self._cast(f"flow{number}", scripts) for number, scripts in enumerate(plays)]

    def play(self, steps: int | None) -> History:
        actors = [actor for cast in self._casts for actor in cast]
        before = tuple(actor.before for actor in actors)
        flows = tuple(_accepted(cast) for cast in self._casts)
        lives = [(actor, self._life(actor)) for actor in actors]
        self._add_all()
        while lives and (steps is None or len(self._facts) < steps):
            actor, life = self._chance.choice([pair for pair in lives if not pair[0].blocked])
            if next(life, "over") == "over":
                lives.remove((actor, life))
            if self._chance.random() < 0.05:
                self._say(self._chance.choice(actors), FactKind.DUPLICATED)
        return History(
            jobs=before,
            flows=flows,
            parents={child.before.job_id: actor.before.job_id for actor in actors for child in actor.children},
            facts=tuple(self._facts),
            truth={actor.before.job_id: actor.truth() for actor in actors},
        )

    def _cast(self, flow: str, scripts: Sequence[Script]) -> list[_Actor]:
        parents = {script.parent for script in scripts}
        cast: list[_Actor] = []
        for place, script in enumerate(scripts):
            above = None if script.parent is None else cast[script.parent]
            actor = _Actor(flow, f"{flow}-job{place}", above, script, has_children=place in parents)
            cast.append(actor)
            if above is not None:
                above.children.append(actor)
        return cast

    def _add_all(self) -> None:
        """Each flow is added in one transaction, parents first."""
        for cast in self._casts:
            for actor in cast:
                self._say(actor, FactKind.ADDED)
                self._move(actor, actor.status, until=self._ms + 500 if actor.status is JobStatus.DELAYED else None)

    def _life(self, actor: _Actor) -> Iterator[None]:
        """Every `yield` ends one step; other jobs may go on before the next."""
        script = actor.script
        if actor.status is JobStatus.WAITING_CHILDREN:
            actor.woken_early = any(child.status not in ENDED for child in actor.children)
            self._move(actor, JobStatus.DELAYED if script.delay else queued_status(script.priority))
            yield
        for turn in () if actor.doomed else script.turns:
            yield from self._start(actor)
            yield from self._take(actor, turn)
        yield from self._start(actor)
        for percent in range(script.progress):
            self._say(actor, FactKind.PROGRESS, progress=Json(str(percent)))
            yield
        self._end(actor)
        if script.lingers:
            yield
            self._say(actor, FactKind.PROGRESS, progress=Json('"too late"'))

    def _start(self, actor: _Actor) -> Iterator[None]:
        if actor.status in (JobStatus.DELAYED, JobStatus.WAITING_CHILDREN):
            self._move(actor, queued_status(actor.script.priority))
            yield
        actor.starts += 1
        self._move(actor, JobStatus.ACTIVE)
        yield

    def _take(self, actor: _Actor, turn: Turn) -> Iterator[None]:
        queued = queued_status(actor.script.priority)
        match turn:
            case Turn.RETRY:
                self._failed_attempt(actor)
                self._move(actor, queued, reason=actor.error)
            case Turn.RETRY_LATER:
                self._failed_attempt(actor)
                self._move(actor, JobStatus.DELAYED, reason=actor.error, until=self._ms + 1000)
            case Turn.STALL:
                self._move(actor, queued, reason=actor.error)
                self._say(actor, FactKind.STALLED)
            case Turn.STEP_ASIDE:
                self._move(actor, JobStatus.WAITING_CHILDREN)
        yield

    def _failed_attempt(self, actor: _Actor) -> None:
        actor.attempts += 1
        actor.error = f"attempt {actor.attempts} failed"

    def _end(self, actor: _Actor) -> None:
        actor.attempts += 1
        if actor.script.succeeds and not actor.doomed:
            actor.result, actor.error = Json(f'{{"from":"{actor.before.id}"}}'), None
            self._move(actor, JobStatus.COMPLETED, result=actor.result)
            return
        actor.error = "child failed" if actor.doomed else "broken"
        self._move(actor, JobStatus.FAILED, reason=actor.error)
        for parent in (other for cast in self._casts for other in cast if actor in other.children):
            parent.doomed = parent.doomed or (not actor.script.spares_parent and parent.starts == 0)

    def _move(self, actor: _Actor, status: JobStatus, **fields: Any) -> None:
        actor.status = status
        kind = FactKind.WAITING if status is JobStatus.PRIORITIZED else FactKind(status.value)
        actor.last_move = self._say(actor, kind, attempts_made=actor.attempts, **fields)

    def _say(self, actor: _Actor, kind: FactKind, **fields: Any) -> FactId:
        """Write to the stream of the job's queue; much happens within one millisecond."""
        self._ms += self._chance.choice((0, 0, 0, 1, 5))
        self._used[actor.script.queue, self._ms] += 1
        fact_id = FactId(self._ms, self._used[actor.script.queue, self._ms] - 1)
        self._facts.append(Fact(id=fact_id, kind=kind, job_id=actor.before.job_id, **fields))
        return fact_id


def _accepted(cast: Sequence[_Actor]) -> FlowState:
    """A flow as the store holds it after the request: its log has one entry, `flow.created`."""
    return FlowState(
        id=cast[0].before.flow_id,
        status=FlowStatus.WAITING,
        last_seq=1,
        dispatch_due=True,
        counts=Counter(actor.status for actor in cast),
    )
