"""Why is it not running? An answer for each unfinished part of a flow, equal reasons told once.

What the store knows of the flow and what the engine says of its queues come in as values; jobs come in
groups of one state and queue, each with its first jobs as examples, so the answer stays small however
large the flow is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bullflow.flow.queues import QueueFacts
from bullflow.flow.states import JobStatus


class Reason(StrEnum):
    """Why jobs are where they are; in the order of how much they are to blame for the rest."""

    ENGINE_AWAY = "engine-away"
    NOT_DISPATCHED = "not-dispatched"
    LOST = "lost"
    QUEUE_PAUSED = "queue-paused"
    NO_WORKER = "no-worker"
    RATE_LIMITED = "rate-limited"
    CONCURRENCY_REACHED = "concurrency-reached"
    WAITS_ITS_TURN = "waits-its-turn"
    DELAYED = "delayed"
    RUNNING = "running"
    WAITS_FOR_CHILDREN = "waits-for-children"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One job of a group."""

    id: str
    job_id: str
    name: str
    status: JobStatus
    queue_name: str
    worker: str | None = None
    started_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenChildren:
    """The children that a job waits for, the first of them by name."""

    count: int
    first: Sequence[Example]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Jobs of one state in one queue."""

    status: JobStatus
    queue_name: str
    count: int
    examples: Sequence[Example]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the engine has a job: how many are before it, and until when it is delayed. None: it did not say."""

    known: bool
    behind: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that an explanation is made of. `engine_away` is why the engine does not answer, None when it does."""

    dispatch_due: bool
    groups: Sequence[Group]
    children: Mapping[str, OpenChildren] = field(default_factory=dict)
    queues: Mapping[str, QueueFacts] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    engine_away: str | None = None
    recorder_works: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One reason, how many jobs it holds back, and some of them."""

    reason: Reason
    detail: str
    count: int
    queue_name: str
    examples: Sequence[Example]
    behind: int | None = None
    until: int | None = None


def explain(situation: Situation, now: int) -> list[Explanation]:
    """Why each unfinished part of the flow is not running, what holds back the rest first."""
    found = [_of_group(group, situation, now) for group in situation.groups]
    order = list(Reason)
    return sorted(found, key=lambda explanation: (order.index(explanation.reason), explanation.queue_name))


def _of_group(group: Group, situation: Situation, now: int) -> Explanation:
    reason, detail = next(_reasons(group, situation, now))
    places = [situation.places[job.job_id] for job in group.examples if job.job_id in situation.places]
    behind = [place.behind for place in places if place.behind is not None]
    until = [place.until for place in places if place.until is not None]
    return Explanation(
        reason=reason,
        detail=detail,
        count=group.count,
        queue_name=group.queue_name,
        examples=group.examples,
        behind=min(behind, default=None) if reason is Reason.WAITS_ITS_TURN else None,
        until=min(until, default=None) if reason is Reason.DELAYED else None,
    )


def _reasons(group: Group, situation: Situation, now: int) -> Iterator[tuple[Reason, str]]:
    """Every reason that holds, the one to tell first."""
    if situation.dispatch_due:
        yield Reason.NOT_DISPATCHED, _not_dispatched(situation)
    if group.status is JobStatus.WAITING_CHILDREN:
        yield Reason.WAITS_FOR_CHILDREN, _waits_for(group, situation)
    if situation.engine_away is not None:
        yield Reason.ENGINE_AWAY, f"the engine does not answer, so nothing can start: {situation.engine_away}"
    if group.examples and all(_is_lost(job, situation) for job in group.examples):
        yield Reason.LOST, "the engine does not know these jobs any more"
    if group.status is JobStatus.ACTIVE:
        yield Reason.RUNNING, _running(group)
    if group.status is JobStatus.DELAYED and not _is_due(group, situation, now):
        yield Reason.DELAYED, "it is not yet time: a delay, or the pause before the next attempt"
    yield from _of_queue(group, situation)
    yield Reason.WAITS_ITS_TURN, _turn(group, situation)


def _is_due(group: Group, situation: Situation, now: int) -> bool:
    """Delayed jobs go into the queue when a worker looks, so without one they stay past their time."""
    places = (situation.places.get(job.job_id) for job in group.examples)
    return any(place is not None and place.until is not None and place.until <= now for place in places)


def _of_queue(group: Group, situation: Situation) -> Iterator[tuple[Reason, str]]:
    queue = situation.queues.get(group.queue_name)
    if queue is None:
        return
    name, limits = f'the queue "{group.queue_name}"', queue.rules.limits
    if queue.rules.paused:
        yield Reason.QUEUE_PAUSED, f"{name} is paused; `bullflow queues resume {group.queue_name}` lets it go on"
    if not queue.workers:
        yield Reason.NO_WORKER, f"no worker runs for {name}; start one with `bullflow worker MODULE:WORKER`"
    if queue.limited_for is not None:
        most = f" of {amount(limits.rate.max, 'job')} in {limits.rate.duration / 1000:g} s" if limits.rate else ""
        yield Reason.RATE_LIMITED, f"{name} has reached its rate limit{most}; it goes on in {queue.limited_for} ms"
    active = queue.counts[JobStatus.ACTIVE]
    if limits.concurrency is not None and active >= limits.concurrency:
        most = f"{name} runs {amount(limits.concurrency, 'job')}"
        detail = f"{most} at once at most, and {active} {'runs' if active == 1 else 'run'}"
        yield Reason.CONCURRENCY_REACHED, detail


def _not_dispatched(situation: Situation) -> str:
    if not situation.recorder_works:
        return "no recorder is running, which would put it into the engine; start `bullflow recorder`"
    if situation.engine_away is not None:
        return f"it waits for the engine, which does not answer: {situation.engine_away}"
    return "it is not known to be in the engine yet; that takes a moment"


def _waits_for(group: Group, situation: Situation) -> str:
    waiting = [situation.children[job.id].count for job in group.examples if job.id in situation.children]
    if group.count == 1 and waiting:
        return f"waits for {waiting[0]} {'child that has' if waiting[0] == 1 else 'children that have'} not ended"
    return "wait for children that have not ended"


def _is_lost(job: Example, situation: Situation) -> bool:
    place = situation.places.get(job.job_id)
    return place is not None and not place.known


def _running(group: Group) -> str:
    workers = sorted({job.worker for job in group.examples if job.worker})
    return f"running on {', '.join(workers[:3])}" if workers else "running"


def _turn(group: Group, situation: Situation) -> str:
    places = (situation.places.get(job.job_id) for job in group.examples)
    behind = [place.behind for place in places if place is not None and place.behind is not None]
    queue = situation.queues.get(group.queue_name)
    busy = "" if queue is None else f"; workers: {len(queue.workers)}, running: {queue.counts[JobStatus.ACTIVE]}"
    if not behind:
        where = "waits for its turn"
    elif min(behind) == 0:
        where = "waits for a worker that is free, as the next"
    else:
        where = f"waits behind {amount(min(behind), 'job')}"
    return f'{where} in the queue "{group.queue_name}"{busy}'


def amount(count: int, noun: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
