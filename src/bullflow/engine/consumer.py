"""The loop of a worker on one queue.

Each of `concurrency` slots works on one job. A job that ends brings the next one in the same round
trip; only a slot that got none goes back to the fetcher. The fetcher takes jobs while there are free
slots, for more and more at once while it is lucky, and when the queue is empty it blocks
on BullMQ's marker key until there is work, or a delayed job is due.

Failure: locks are renewed every half of their time. A worker that dies leaves its locks to run out; any
other worker then puts its jobs back. BullMQ's own Python worker can go silent after a disconnect; here
every wait has a limit and every failure is tried again.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta

from redis.asyncio import Redis
from structlog.typing import FilteringBoundLogger

from bullflow.clock import milliseconds, now_ms
from bullflow.engine.asking import Asking
from bullflow.engine.attempt import Attempts, Reach, Running
from bullflow.engine.bell import PING_AFTER, Bell
from bullflow.engine.below import Below
from bullflow.engine.connection import asked, away, connect
from bullflow.engine.delivery import Delivery
from bullflow.engine.growth import Growth, GrowthOptions
from bullflow.engine.holding import Holding
from bullflow.engine.keeper import Keeper, KeeperOptions
from bullflow.engine.keys import aborts_channel, busy_worker_name, queue_key, worker_name
from bullflow.engine.pipe import Pipe
from bullflow.engine.queue import Next, Queue
from bullflow.engine.schedules import Schedules
from bullflow.errors import EngineAway, EngineRefused
from bullflow.loop import Complaints, Pauses

IDLE_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(seconds=10)
_WOKEN_BURST = 4
"""Where one job has come others often have, and asking four times at once takes hardly longer than once."""
_LARGEST_BURST = 32


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
        growing: GrowthOptions,
        log: FilteringBoundLogger,
    ) -> None:
        self._log = log
        self._worker_id = worker_id
        self._marker = queue_key(prefix, queue_name, "marker")
        client = connect(url, busy_worker_name(prefix, queue_name, worker_id))
        self._pipe = Pipe(client)
        self._blocking: Redis = connect(url, worker_name(prefix, queue_name, worker_id), block=LONGEST_WAIT)
        self._listening: Redis = connect(url, f"bullflow:aborts:{worker_id}", block=PING_AFTER)
        self.queue = Queue(self._pipe, prefix, queue_name, worker=worker_id, lock_ms=milliseconds(keeping.lock))
        self._free = concurrency
        self._slot_freed = asyncio.Event()
        self._slots: set[asyncio.Task[None]] = set()
        self._keeper = Keeper(self.queue, keeping, lost=running.lost, abort=running.abort, log=log)
        self._aborts = Bell(self._listening, aborts_channel(prefix), origin=worker_id, log=log)
        self._aborts.on(self._keeper.heard)
        self._complaints = Complaints("worker.engine", log)
        self._tokens = 0
        self._stopping = asyncio.Event()
        self._attempts = self._attempting(client, prefix, running, growing)
        self._waiting: asyncio.Task[int | None] | None = None

    def _attempting(self, client: Redis, prefix: str, running: Running, growing: GrowthOptions) -> Attempts:
        name = self.queue.name
        holding = Holding(client, prefix, name, self._complaints)
        reach = Reach(
            queue=self.queue,
            holding=holding,
            growth=Growth(client, prefix, name, holding, growing),
            below=Below(self._pipe, prefix, name, Asking(self._pipe, prefix).found),
        )
        return Attempts(
            reach,
            running,
            schedules=Schedules(client, prefix, name, complaints=self._complaints, log=self._log),
            stopping=self._stopping,
            complaints=self._complaints,
            log=self._log,
        )

    async def run(self) -> None:
        """Work until `stop` is called, then let running jobs finish."""
        behind = [asyncio.create_task(part) for part in (self._keeper.run(), self._aborts.run())]
        for task in behind:
            task.add_done_callback(self._complain)
        try:
            await self._fetch_all()
            if self._slots:
                await asyncio.wait(self._slots)
        finally:
            for task in (*behind, *self._slots):
                task.cancel()
            await asyncio.gather(*behind, *self._slots, return_exceptions=True)
            await self._pipe.close()
            for client in (self._blocking, self._listening):
                await client.aclose()

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
                if taken < wanted and not self._stopping.is_set() and await self._wait_for_work(found[-1]):
                    burst = _WOKEN_BURST
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
        self._complain(task)

    def _complain(self, task: asyncio.Task[None]) -> None:
        """A task that should only ever be cancelled, or end well, has failed."""
        if not task.cancelled() and task.exception() is not None:
            self._log.error("worker.task_failed", exc_info=task.exception())

    async def _wait_for_work(self, last: Next) -> bool:
        """Block until a job is there, a delayed one is due, or the rate limit lets go; whether somebody has said so."""
        if last.limited_for > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(last.limited_for / 1000, LONGEST_WAIT.total_seconds())):
                    await self._stopping.wait()
            return False
        wait = IDLE_WAIT.total_seconds()
        if last.delayed_until:
            wait = min((last.delayed_until - now_ms()) / 1000, LONGEST_WAIT.total_seconds())
        woken = False
        while wait > 0 and not self._stopping.is_set():
            self._waiting = asyncio.create_task(self._marked(max(wait, 0.001)))
            try:
                due = await self._waiting
            except asyncio.CancelledError:
                if not self._stopping.is_set():
                    raise
                return False
            finally:
                self._waiting = None
            woken = due is not None
            # A marker with a time says when the next delayed job is due.
            wait = min((due - now_ms()) / 1000, LONGEST_WAIT.total_seconds()) if due else 0
        return woken

    async def _marked(self, seconds: float) -> int | None:
        """The time of BullMQ's marker, 0 for at once, None when there was none for so long."""
        async with away():
            answer = await asked(self._blocking.bzpopmin(self._marker, seconds))
        return int(float(answer[2])) if answer else None

    async def _work(self, delivery: Delivery | None) -> None:
        while delivery is not None:
            held = delivery
            self._keeper.hold(held)
            try:
                delivery = await self._attempts.run(held)
            finally:
                self._keeper.let_go(held)
