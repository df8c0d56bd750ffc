"""What there is to say about a queue: what an operator has set for it, and how it stands in the engine."""

from collections.abc import Mapping
from dataclasses import dataclass

from bullflow.flow.states import JobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most `max` jobs begin in each `duration` (milliseconds), over all workers together."""

    max: int
    duration: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """What all workers of a queue may do together: `concurrency` jobs at once, and so many in a time."""

    concurrency: int | None = None
    rate: RateLimit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRules:
    """How a queue is to be worked on. Nothing of a paused queue begins; what runs may end."""

    paused: bool = False
    limits: QueueLimits = QueueLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    """A live worker, seen by its connection to the engine; `age` and `idle` are seconds."""

    name: str | None
    """What it calls itself; workers of BullMQ need no name."""
    address: str
    age: int
    idle: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFacts:
    """A queue as it stands in the engine."""

    counts: Mapping[JobStatus, int]
    rules: QueueRules
    """Those that the engine goes by, whoever has set them."""
    limited_for: int | None
    """Milliseconds until the rate limit lets the next job begin; None when it does not hold any back."""
    workers: tuple[WorkerFacts, ...]
