"""One attempt at a job, from its taking to its end.

Failure: a job's outcome is sent until the engine has taken it, or has said that the job is no longer
ours (its lock ran out and somebody else has it).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from structlog.typing import FilteringBoundLogger

from bullflow.engine.backoff import pause_before_retry
from bullflow.engine.below import Below
from bullflow.engine.delivery import Delivery
from bullflow.engine.growth import Growth
from bullflow.engine.holding import Holding
from bullflow.engine.insist import insist
from bullflow.engine.queue import LockLost, Next, Queue
from bullflow.engine.schedules import Schedules
from bullflow.errors import EngineRefused, JobFailure, UnrecoverableError
from bullflow.loop import Complaints

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A handler's return value as JSON."""

    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An attempt that failed; `final` ends the job whatever attempts it has left."""

    reason: str
    stack: str | None = None
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """A run that has added children: the job runs again when they are done."""


Outcome = Completed | Failed | Grown


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What of the engine a running job can reach."""

    queue: Queue
    holding: Holding
    growth: Growth
    below: Below


class Running(Protocol):
    """What the engine wants from whoever runs jobs. `run` must not raise."""

    async def run(self, delivery: Delivery, reach: Reach) -> Outcome: ...

    def lost(self, delivery: Delivery) -> None:
        """The lock of a running job is gone; its outcome will be ignored."""

    def abort(self, delivery: Delivery, reason: str) -> None:
        """A running job is withdrawn; it is to end soon, as failed with this reason."""


class Attempts:
    """Lets jobs be run and ends them with what has come of it."""

    def __init__(
        self,
        reach: Reach,
        running: Running,
        *,
        schedules: Schedules,
        stopping: asyncio.Event,
        complaints: Complaints,
        log: FilteringBoundLogger,
    ) -> None:
        self._reach = reach
        self._queue = reach.queue
        self._growth = reach.growth
        self._running = running
        self._schedules = schedules
        self._stopping = stopping
        self._complaints = complaints
        self._log = log

    async def run(self, delivery: Delivery) -> Delivery | None:
        """Run one job, end it, and return the one that came in its place: another, or the same to be run again."""
        if delivery.scheduler is not None:
            await self._schedules.go_on(delivery)
        if delivery.deferred_failure is not None:
            outcome: Outcome = Failed(reason=delivery.deferred_failure, final=True)
        else:
            outcome = await self._running.run(delivery, self._reach)
        try:
            answer = await self._insist(lambda: self._end(delivery, outcome))
        except JobFailure as error:
            failed = Failed(reason=str(error), final=isinstance(error, UnrecoverableError))
            answer = await self._insist(lambda: self._end(delivery, failed))
        return answer.delivery if answer else None

    async def _end(self, delivery: Delivery, outcome: Outcome) -> Next:
        fetch_next = not self._stopping.is_set()
        if isinstance(outcome, Completed):
            return await self._queue.complete(delivery, outcome.result, fetch_next=fetch_next)
        if isinstance(outcome, Grown):
            return Next(delivery=await self._growth.settle(delivery))
        stacks = _stacks(delivery, outcome)
        pause = None if outcome.final else pause_before_retry(delivery)
        if pause is None:
            return await self._queue.fail(delivery, outcome.reason, stacks, fetch_next=fetch_next)
        if pause > 0:
            await self._queue.retry_later(delivery, outcome.reason, stacks, pause)
        else:
            await self._queue.retry_now(delivery, outcome.reason, stacks)
        return Next()

    async def _insist(self, act: Callable[[], Awaitable[T]]) -> T | None:
        """Do it until the engine has taken it; None when the job is not ours any more, or the engine refuses."""
        try:
            return await insist(act, self._complaints)
        except LockLost as lost:
            self._log.warning("worker.job_lost", reason=str(lost))
        except EngineRefused as refused:
            # It would be refused again. Without renewal the lock runs out, and the job counts as stalled.
            self._log.error("worker.job_refused", reason=str(refused))
        return None


def _stacks(delivery: Delivery, failed: Failed) -> Sequence[str]:
    """The stacks of all attempts, as many as the job's options want to keep."""
    limit = delivery.opts.get("stackTraceLimit")
    stacks = [*delivery.stacks, failed.stack if failed.stack is not None else failed.reason]
    return stacks[-limit:] if isinstance(limit, int) and limit > 0 else ([] if limit == 0 else stacks)
