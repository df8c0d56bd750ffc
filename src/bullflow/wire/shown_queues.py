"""What the service shows of queues: how they stand, what is set for them, and what is slow in them."""

from pydantic import Field

from bullflow.flow.states import JobStatus
from bullflow.wire.shown import Out


class RateLimit(Out):
    """At most `max` jobs begin in each `duration`, over all workers together."""

    max: int
    duration: int = Field(description="Milliseconds.")


class QueueSettings(Out):
    """What is set for a queue."""

    name: str
    paused: bool
    concurrency: int | None = Field(description="Jobs that may run at once, over all workers together.")
    rate_limit: RateLimit | None
    applied: bool = Field(description="Whether the engine has this already; else it gets it as soon as it answers.")


class Queue(Out):
    """A queue as it stands in the engine."""

    name: str
    counts: dict[JobStatus, int] = Field(description="Jobs of anybody that the engine holds; ended ones for a while.")
    workers: int = Field(description="Live workers, of bullflow and of BullMQ itself.")
    paused: bool
    concurrency: int | None = Field(description="Jobs that may run at once, over all workers together.")
    rate_limit: RateLimit | None
    limited_for: int | None = Field(description="Milliseconds until the rate limit lets the next job begin.")


class QueueWorker(Out):
    """A live worker, seen by its connection to the engine."""

    name: str | None
    address: str
    age: int = Field(description="Seconds since it has connected.")
    idle: int = Field(description="Seconds since it last said something by this connection.")


class QueueDetail(Queue):
    """A queue with its workers."""

    worker_list: list[QueueWorker]


class QueuePage(Out):
    items: list[Queue]
    next: str | None


class Spread(Out):
    """Durations in milliseconds, by nearest rank; null where none is known."""

    median: int | None
    p95: int | None


class SlowestJob(Out):
    id: str
    flow_id: str
    running: int = Field(description="Milliseconds.")


class QueueTask(Out):
    """The jobs of one name."""

    name: str
    count: int
    failed: int
    waiting: Spread = Field(description="From a job's creation to its last start; a parent's children run meanwhile.")
    running: Spread = Field(description="From its last start to its end.")
    slowest: SlowestJob | None = Field(description="The one that ran longest; null while none has ended.")


class QueueTasks(Out):
    """What is slow in a queue."""

    items: list[QueueTask] = Field(description="What runs longest comes first.")
    jobs: int = Field(description="How many jobs were looked at.")
