"""The loop of a worker on one queue.

Each of `concurrency` slots works on one job. A job that ends brings the next one in the same round
trip; only a slot that got none goes back to the fetcher. The fetcher takes jobs while there are free
slots, doubling how many it asks for at once while it is lucky, and when the queue is empty it blocks
on BullMQ's marker key until there is work, or a delayed job is due.

Failure: a job's outcome is sent until the engine has taken it, or has said that the job is no longer
ours (its lock ran out and somebody else has it). Locks are renewed every half of their time. A worker
that dies leaves its locks to run out; any other worker then puts its jobs back. BullMQ's own Python
worker can go silent after a disconnect; here every wait has a limit and every failure is tried again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar

from redis.asyncio import Redis
from structlog.typing import FilteringBoundLogger

from bullflow.clock import milliseconds, now_ms
from bullflow.engine.backoff import pause_before_retry
from bullflow.engine.connection import asked, away, connect
from bullflow.engine.delivery import Delivery
from bullflow.engine.keeper import Keeper, KeeperOptions
from bullflow.engine.keys import busy_worker_name, queue_key, worker_name
from bullflow.engine.pipe import Pipe
from bullflow.engine.queue import LockLost, Next, Queue
from bullflow.errors import EngineAway, EngineRefused, UnrecoverableError
from bullflow.loop import Complaints, Pauses

IDLE_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(seconds=10)
_LARGEST_BURST = 32

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


Outcome = Completed | Failed


class Running(Protocol):
    """What the consumer wants from whoever runs jobs. `run` must not raise."""

    async def run(self, delivery: Delivery, queue: Queue) -> Outcome: ...

    def lost(self, delivery: Delivery) -> None:
        """The lock of a running job is gone; its outcome will be ignored."""


class Consumer:
    """Takes jobs from one queue and ends them with what `running` makes of them."""

    def __init__(
        self,
        url: str,
        prefix: str,
        queue_name: str,
        *,
        worker_id: str,
        running: Running,
        concurrency: int,
        keeping: KeeperOptions,
        log: FilteringBoundLogger,
    ) -> None:
        self._running = running
        self._log = log
        self._worker_id = worker_id
        self._marker = queue_key(prefix, queue_name, "marker")
        self._pipe = Pipe(connect(url, busy_worker_name(prefix, queue_name, worker_id)))
        self._blocking: Redis = connect(url, worker_name(prefix, queue_name, worker_id), block=LONGEST_WAIT)
        self.queue = Queue(self._pipe, prefix, queue_name, worker=worker_id, lock_ms=milliseconds(keeping.lock))
        self._free = concurrency
        self._slot_freed = asyncio.Event()
        self._slots: set[asyncio.Task[None]] = set()
        self._keeper = Keeper(self.queue, keeping, lost=running.lost, log=log)
        self._complaints = Complaints("worker.engine", log)
        self._tokens = 0
        self._stopping = asyncio.Event()
        self._waiting: asyncio.Task[int] | None = None

    async def run(self) -> None:
        """Work until `stop` is called, then let running jobs finish."""
        keeping = asyncio.create_task(self._keeper.run())
        try:
            await self._fetch_all()
            if self._slots:
                await asyncio.wait(self._slots)
        finally:
            for task in (keeping, *self._slots):
                task.cancel()
            await asyncio.gather(keeping, *self._slots, return_exceptions=True)
            await self._pipe.close()
            await self._blocking.aclose()

    def stop(self) -> None:
        """Take no further job."""
        self._stopping.set()
        self._slot_freed.set()
        if self._waiting is not None:
            self._waiting.cancel()

    @property
    def busy(self) -> int:
        """How many jobs are running."""
        return len(self._slots)

    async def _fetch_all(self) -> None:
        pauses, burst = Pauses(), 1
        while not self._stopping.is_set():
            try:
                await self._until_slot_free()
                wanted = min(burst, self._free)
                found = await self._take(wanted)
                pauses.reset()
                taken = sum(answer.delivery is not None for answer in found)
                burst = min(burst * 2, _LARGEST_BURST) if taken == wanted else 1
                if taken < wanted and not self._stopping.is_set():
                    await self._wait_for_work(found[-1])
                self._complaints.over()
            except (EngineAway, EngineRefused) as error:
                self._complaints.about(error)
                await pauses.rest()

    async def _until_slot_free(self) -> None:
        while not self._free and not self._stopping.is_set():
            self._slot_freed.clear()
            await self._slot_freed.wait()

    async def _take(self, count: int) -> list[Next]:
        """Take up to so many jobs and start them, also those that came while another take failed."""
        if self._stopping.is_set():
            return []
        takes = (self.queue.take(self._token()) for _ in range(count))
        answers = await asyncio.gather(*takes, return_exceptions=True)
        found = [answer for answer in answers if isinstance(answer, Next)]
        for answer in found:
            self._start(answer)
        failed = next((answer for answer in answers if isinstance(answer, BaseException)), None)
        if failed is not None:
            raise failed
        return found

    def _token(self) -> str:
        self._tokens += 1
        return f"{self._worker_id}:{self._tokens}"

    def _start(self, answer: Next) -> None:
        if answer.delivery is None:
            return
        self._free -= 1
        task = asyncio.create_task(self._work(answer.delivery))
        self._slots.add(task)
        task.add_done_callback(self._slot_done)

    def _slot_done(self, task: asyncio.Task[None]) -> None:
        self._slots.discard(task)
        self._free += 1
        self._slot_freed.set()
        if not task.cancelled() and task.exception() is not None:
            self._log.error("worker.slot_failed", exc_info=task.exception())

    async def _wait_for_work(self, last: Next) -> None:
        """Block until a job is there, a delayed one is due, or the rate limit lets go."""
        if last.limited_for > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(last.limited_for / 1000, LONGEST_WAIT.total_seconds())):
                    await self._stopping.wait()
            return
        wait = IDLE_WAIT.total_seconds()
        if last.delayed_until:
            wait = min((last.delayed_until - now_ms()) / 1000, LONGEST_WAIT.total_seconds())
        while wait > 0 and not self._stopping.is_set():
            self._waiting = asyncio.create_task(self._marked(max(wait, 0.001)))
            try:
                due = await self._waiting
            except asyncio.CancelledError:
                if not self._stopping.is_set():
                    raise
                return
            finally:
                self._waiting = None
            # A marker with a time says when the next delayed job is due.
            wait = min((due - now_ms()) / 1000, LONGEST_WAIT.total_seconds()) if due > 0 else 0

    async def _marked(self, seconds: float) -> int:
        async with away():
            answer = await asked(self._blocking.bzpopmin(self._marker, seconds))
        return int(float(answer[2])) if answer else 0

    async def _work(self, delivery: Delivery | None) -> None:
        while delivery is not None:
            held = delivery
            self._keeper.hold(held)
            try:
                delivery = await self._do(held)
            finally:
                self._keeper.let_go(held)

    async def _do(self, delivery: Delivery) -> Delivery | None:
        """Run one job, end it, and return the one that came in its place."""
        if delivery.deferred_failure is not None:
            outcome: Outcome = Failed(reason=delivery.deferred_failure, final=True)
        else:
            delivery = await self._insist(lambda: self.queue.with_children(delivery)) or delivery
            outcome = await self._running.run(delivery, self.queue)
        try:
            answer = await self._insist(lambda: self._end(delivery, outcome))
        except UnrecoverableError as error:
            failed = Failed(reason=str(error), final=True)
            answer = await self._insist(lambda: self._end(delivery, failed))
        return answer.delivery if answer else None

    async def _end(self, delivery: Delivery, outcome: Outcome) -> Next:
        fetch_next = not self._stopping.is_set()
        if isinstance(outcome, Completed):
            return await self.queue.complete(delivery, outcome.result, fetch_next=fetch_next)
        stacks = _stacks(delivery, outcome)
        pause = None if outcome.final else pause_before_retry(delivery)
        if pause is None:
            return await self.queue.fail(delivery, outcome.reason, stacks, fetch_next=fetch_next)
        if pause > 0:
            await self.queue.retry_later(delivery, outcome.reason, stacks, pause)
        else:
            await self.queue.retry_now(delivery, outcome.reason, stacks)
        return Next()

    async def _insist(self, act: Callable[[], Awaitable[T]]) -> T | None:
        """Do it until the engine has taken it; None when the job is not ours any more, or the engine refuses."""
        pauses = Pauses()
        while True:
            try:
                return await act()
            except LockLost as lost:
                self._log.warning("worker.job_lost", reason=str(lost))
                return None
            except EngineRefused as refused:
                # It would be refused again. Without renewal the lock runs out, and the job counts as stalled.
                self._log.error("worker.job_refused", reason=str(refused))
                return None
            except EngineAway as error:
                self._complaints.about(error)
                await pauses.rest()


def _stacks(delivery: Delivery, failed: Failed) -> Sequence[str]:
    """The stacks of all attempts, as many as the job's options want to keep."""
    limit = delivery.opts.get("stackTraceLimit")
    stacks = [*delivery.stacks, failed.stack if failed.stack is not None else failed.reason]
    return stacks[-limit:] if isinstance(limit, int) and limit > 0 else ([] if limit == 0 else stacks)
