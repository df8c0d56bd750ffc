"""Keeps the locks of a worker's running jobs, and finds the jobs of workers that have died.

A lock is renewed at every half of its time. One that is lost means that another worker has the job, or
will; the job's handler is told, and what it returns will be ignored.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from structlog.typing import FilteringBoundLogger

from bullflow.clock import milliseconds
from bullflow.engine.delivery import Delivery
from bullflow.engine.queue import Queue
from bullflow.errors import EngineAway, EngineRefused
from bullflow.loop import Complaints, Pauses, side_by_side


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperOptions:
    """As in BullMQ: a lock lives 30 s; a look every 30 s finds jobs whose locks have run out since the one before."""

    lock: timedelta = timedelta(seconds=30)
    stalled_check: timedelta = timedelta(seconds=30)
    max_stalled: int = 3


class Keeper:
    """The jobs that a worker holds. `lost` is told of each whose lock is gone."""

    def __init__(
        self, queue: Queue, options: KeeperOptions, *, lost: Callable[[Delivery], None], log: FilteringBoundLogger
    ) -> None:
        self._queue = queue
        self._options = options
        self._lost = lost
        self._log = log
        self._held: dict[str, Delivery] = {}

    def hold(self, delivery: Delivery) -> None:
        """Keep this job's lock. One that is given out again while it runs here was lost before."""
        before = self._held.pop(delivery.job_id, None)
        if before is not None:
            self._lost(before)
        self._held[delivery.job_id] = delivery

    def let_go(self, delivery: Delivery) -> None:
        if self._held.get(delivery.job_id) is delivery:
            del self._held[delivery.job_id]

    async def run(self) -> None:
        """Look after the locks until cancelled."""
        await side_by_side(
            self._every(self._options.lock / 2, self._renew, first=self._options.lock / 2),
            self._every(self._options.stalled_check, self._rescue, first=timedelta(0)),
        )

    async def _renew(self) -> None:
        held = dict(self._held)
        if not held:
            return
        for job_id in await self._queue.extend_locks({job_id: delivery.token for job_id, delivery in held.items()}):
            if self._held.get(job_id) is held[job_id]:
                self.let_go(held[job_id])
                self._lost(held[job_id])

    async def _rescue(self) -> None:
        every_ms = milliseconds(self._options.stalled_check)
        for job_id in await self._queue.rescue_stalled(self._options.max_stalled, every_ms):
            self._log.warning("worker.stalled_job_rescued", job_id=job_id)

    async def _every(self, period: timedelta, act: Callable[[], Awaitable[None]], *, first: timedelta) -> None:
        pauses, complaints = Pauses(), Complaints("worker.locks", self._log)
        await asyncio.sleep(first.total_seconds())
        while True:
            try:
                await act()
            except (EngineAway, EngineRefused) as error:
                # Again soon, not in a whole period, for by then the locks would have run out.
                complaints.about(error)
                await pauses.rest()
            else:
                complaints.over()
                pauses.reset()
                await asyncio.sleep(period.total_seconds())
