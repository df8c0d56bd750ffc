"""A job as its handler sees it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import orjson

from bullflow.engine.attempt import Reach
from bullflow.engine.below import Remains
from bullflow.engine.delivery import Delivery
from bullflow.engine.queue import LockLost
from bullflow.errors import EngineAway, EngineRefused, JobFailure
from bullflow.worker.children import Children
from bullflow.worker.growing import Growing, Room
from bullflow.worker.signal import AbortSignal

KEPT_LOG_LINES = 1_000
_NO_CHILDREN = Children({}, {}, {})

Step = Callable[[], Coroutine[Any, Any, None]]


class Job:
    """One run of one attempt of a job.

    What a job can do may be done in both kinds of handlers: awaited in a coroutine, or simply called in
    a plain function, where the call returns when it is done. `progress` and `log` are lost while the
    engine is away, for no job should fail only because nobody can hear how far it is.
    """

    def __init__(
        self, delivery: Delivery, reach: Reach, signal: AbortSignal, room: Room, below: Remains | None = None
    ) -> None:
        envelope = delivery.envelope
        self.name = delivery.name
        self.data: Any = delivery.data
        self.queue_name = delivery.queue_name
        self.job_id = delivery.job_id
        """The BullMQ id of this run."""
        self.id = envelope.id or delivery.job_id
        self.flow_id = envelope.flow_id
        """None for a job that was not made by bullflow."""
        self.attempt = delivery.attempts_made + 1
        """1 for the first attempt."""
        names = delivery.names or envelope.children
        self.children = Children(names, delivery.values, delivery.failures) if names else _NO_CHILDREN
        self.signal = signal
        self._delivery = delivery
        self._reach = reach
        self._descendants = None if below is None else Children(below.names, below.values, below.failures)
        self._room = room
        self._growing: Growing | None = None
        keep_logs = delivery.opts.get("keepLogs")
        self._keep_logs = keep_logs if type(keep_logs) is int and keep_logs > 0 else KEPT_LOG_LINES
        self._loop = asyncio.get_running_loop()

    @property
    def descendants(self) -> Children:
        """What all jobs below have returned, children included; for handlers that have asked for it."""
        if self._descendants is None:
            raise JobFailure(f'to see descendants, a handler says so: @worker.task("{self.name}", descendants=True)')
        return self._descendants

    def progress(self, value: Any) -> Awaitable[None]:
        """Report how far the job is: a number of percent, or any JSON. Raises JobFailure when the attempt is over."""
        report = partial(self._reach.queue.progress, self.job_id, orjson.dumps(value).decode())
        return self._do(partial(_heard_or_not, report))

    def log(self, line: str) -> Awaitable[None]:
        """Add a line to the job's log."""
        report = partial(self._reach.queue.log, self.job_id, str(line), self._keep_logs)
        return self._do(partial(_heard_or_not, report))

    def remove_unprocessed_children(self) -> Awaitable[None]:
        """Remove the children that no worker has taken yet, with all below them.

        A parent that was woken early, by a child with `continueParentOnFailure`, cannot complete
        while other children of it have not ended.
        """
        return self._do(partial(self._held, partial(self._reach.holding.remove_unprocessed_children, self._delivery)))

    def add_children(self, children: Sequence[Mapping[str, Any]]) -> Awaitable[None]:
        """Add jobs in the shape of a flow's `children`; when the handler returns, its job waits for them.

        It then runs again, with their values in `children`, and what it has returned before does not
        count. A handler that is run again before, after a crash or a failed attempt, is to add the same
        in the same order, and nothing is added twice. Raises Invalid, and JobFailure for a job of no flow.
        """
        if self._growing is None:
            self._growing = Growing(self._delivery, self._reach.growth, self._room)
        return self._do(partial(self._held, self._growing.reading(children)))

    @property
    def has_grown(self) -> bool:
        """Whether this run has added children."""
        return self._growing is not None and self._growing.has_grown

    def _do(self, step: Step) -> Awaitable[None]:
        if self.signal.reason in ("timed out", "lock lost"):
            # The job may be in its next attempt, elsewhere; what this one says would stand beside that one's.
            raise JobFailure(f"this attempt is over: {self.signal.reason}")
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            # A plain function in its thread: the loop does it while the thread waits.
            asyncio.run_coroutine_threadsafe(step(), self._loop).result()
            return _Done()
        return asyncio.ensure_future(step())

    async def _held(self, step: Step) -> None:
        """A step that only the holder of the job's lock may take."""
        try:
            await step()
        except LockLost:
            self.signal.abort("lock lost")
            raise JobFailure("this attempt is over: lock lost") from None

    def __repr__(self) -> str:
        return f"<Job {self.name} {self.job_id} attempt {self.attempt}>"


async def _heard_or_not(report: Step) -> None:
    with suppress(EngineAway, EngineRefused):
        await report()


class _Done:
    """An awaitable of something that has been done."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield
