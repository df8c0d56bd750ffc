"""Keeps the locks of a worker's running jobs, hears which are to be aborted, and finds the jobs of dead workers.

A lock is renewed at every half of its time. One that is lost means that another worker has the job, or
will; the job's handler is told, and what it returns will be ignored.

A job is withdrawn by BullMQ's field `defa` in its hash: no further attempt of it is run, by whatever
worker. So that a running attempt ends too, messages name the jobs at once; as messages may be lost, each
renewal asks for the field as well, and so does whoever has missed some.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from structlog.typing import FilteringBoundLogger

from bullflow.clock import milliseconds
from bullflow.engine.delivery import Delivery
from bullflow.engine.keys import CANCELLED
from bullflow.engine.queue import Queue
from bullflow.errors import EngineAway, EngineRefused
from bullflow.loop import Complaints, Pauses, Wake, side_by_side


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperOptions:
    """As in BullMQ: a lock lives 30 s; a look every 30 s finds jobs whose locks have run out since the one before."""

    lock: timedelta = timedelta(seconds=30)
    stalled_check: timedelta = timedelta(seconds=30)
    max_stalled: int = 3


class Keeper:
    """The jobs that a worker holds. `lost` is told of each whose lock is gone, `abort` of each that is withdrawn."""

    def __init__(
        self,
        queue: Queue,
        options: KeeperOptions,
        *,
        lost: Callable[[Delivery], None],
        abort: Callable[[Delivery, str], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._queue = queue
        self._options = options
        self._lost = lost
        self._abort = abort
        self._log = log
        self._held: dict[str, Delivery] = {}
        self._look = Wake()

    def hold(self, delivery: Delivery) -> None:
        """Keep this job's lock. One that is given out again while it runs here was lost before."""
        before = self._held.pop(delivery.job_id, None)
        if before is not None:
            self._lost(before)
        self._held[delivery.job_id] = delivery

    def let_go(self, delivery: Delivery) -> None:
        if self._held.get(delivery.job_id) is delivery:
            del self._held[delivery.job_id]

    def heard(self, news: Any) -> None:
        """Abort those of the jobs in a message that are held here; None says that messages may have been missed."""
        if news is None:
            self._look.ring()
            return
        for job_id in news["jobs"]:
            delivery = self._held.get(job_id)
            if delivery is not None:
                self._abort(delivery, CANCELLED)

    async def run(self) -> None:
        """Look after the locks until cancelled."""
        await side_by_side(
            self._repeat(self._renew, rest=partial(self._look.heard, self._options.lock / 2)),
            self._repeat(self._rescue, rest=partial(asyncio.sleep, self._options.stalled_check.total_seconds())),
        )

    async def _renew(self) -> None:
        held = dict(self._held)
        if not held:
            return
        # Asked for at the same time, both go out in one round trip.
        lost, withdrawn = await asyncio.gather(
            self._queue.extend_locks({job_id: delivery.token for job_id, delivery in held.items()}),
            self._queue.withdrawn(list(held)),
        )
        for job_id in lost:
            if self._held.get(job_id) is held[job_id]:
                self.let_go(held[job_id])
                self._lost(held[job_id])
        for job_id, reason in withdrawn.items():
            if self._held.get(job_id) is held[job_id]:
                self._abort(held[job_id], reason)

    async def _rescue(self) -> None:
        every_ms = milliseconds(self._options.stalled_check)
        for job_id in await self._queue.rescue_stalled(self._options.max_stalled, every_ms):
            self._log.warning("worker.stalled_job_rescued", job_id=job_id)

    async def _repeat(self, act: Callable[[], Awaitable[None]], *, rest: Callable[[], Awaitable[None]]) -> None:
        pauses, complaints = Pauses(), Complaints("worker.locks", self._log)
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
                await rest()
