"""Facts: what the engine says has happened to one job.

A fact carries the id of the stream entry that it was read from. Ids grow within a queue's stream,
and all of a job's facts stand in its queue's stream, so a job that remembers the id of its last
fact can tell a fact that comes late or twice from a new one.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class FactId(NamedTuple):
    """A Redis stream id: milliseconds since the epoch, then a counter within the millisecond."""

    ms: int
    n: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.n}"

    @classmethod
    def parse(cls, text: str) -> "FactId":
        ms, _, n = text.partition("-")
        return cls._make((int(ms), int(n or 0)))


BEFORE_ALL = FactId(0, 0)


class FactKind(StrEnum):
    """BullMQ's event names, as far as a job's record depends on them."""

    ADDED = "added"
    DUPLICATED = "duplicated"
    WAITING = "waiting"
    WAITING_CHILDREN = "waiting-children"
    DELAYED = "delayed"
    ACTIVE = "active"
    STALLED = "stalled"
    PROGRESS = "progress"
    COMPLETED = "completed"
    FAILED = "failed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Json:
    """JSON as text that is known to be valid; it travels through bullflow without being parsed."""

    text: str

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.text) if self.text.isascii() else len(self.text.encode())


class Fact(NamedTuple):
    """One event of one run of one job. Instants are milliseconds since the epoch.

    A tuple, because none is made more often: a frozen dataclass of so many fields takes eight times as long.
    """

    id: FactId
    kind: FactKind
    job_id: str
    result: Json | None = None
    reason: str | None = None
    stack: str | None = None
    failures: tuple[tuple[str, str], ...] = ()
    """Messages and stacks of the attempts that the engine remembers, the last one at the end."""
    child: str | None = None
    """The BullMQ id of the child because of which BullMQ says that a parent failed."""
    worker: str | None = None
    """Who took the job, where the engine knows."""
    progress: Json | None = None
    until: int | None = None
    attempts_made: int | None = None
    """How many attempts the engine has counted when it was asked; None when it was not."""
    after_attempt: bool = False
    """The job was active before: BullMQ's `prev`."""

    @property
    def at(self) -> int:
        return self.id.ms


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line that a job's handler has logged; it changes nothing, and is kept."""

    job_id: str
    at: int
    line: str
