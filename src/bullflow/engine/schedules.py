"""Jobs of BullMQ's job schedulers, of which there is one at a time: whoever takes it adds the next.

No flow has such jobs; they come from other producers whose queues our workers share. Without this a
scheduler would end with the first of its jobs that one of our workers takes.
"""

from functools import cached_property, partial
from types import SimpleNamespace
from typing import Any

import bullmq
from bullmq.job_scheduler import JobScheduler
from redis.asyncio import Redis
from structlog.typing import FilteringBoundLogger

from bullflow.engine.connection import away
from bullflow.engine.delivery import Delivery
from bullflow.engine.insist import insist
from bullflow.loop import Complaints


class Schedules:
    """The job schedulers of one queue."""

    def __init__(
        self, client: Redis, prefix: str, queue_name: str, *, complaints: Complaints, log: FilteringBoundLogger
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._queue_name = queue_name
        self._complaints = complaints
        self._log = log

    async def go_on(self, delivery: Delivery) -> None:
        """Add the job that comes after this one; what makes that impossible is logged, and the job itself may run."""
        try:
            await insist(partial(self._add_next, delivery), self._complaints)
        except Exception as error:
            self._log.error("worker.scheduler_broken", scheduler=delivery.scheduler, error=repr(error))

    async def _add_next(self, delivery: Delivery) -> None:
        # BullMQ sees to it that it happens once, however often a job is taken.
        await self._scheduler.upsertJobScheduler(
            delivery.scheduler,
            delivery.opts.get("repeat"),
            delivery.name,
            delivery.data,
            delivery.opts,
            override=False,
            producer_id=delivery.job_id,
        )

    @cached_property
    def _scheduler(self) -> JobScheduler:
        queue = bullmq.Queue(self._queue_name, {"connection": self._client, "prefix": self._prefix})

        async def update(*args: Any) -> Any:
            async with away():
                return await queue.backend.updateJobSchedulerNextMillis(*args)

        scheduler = JobScheduler(queue)
        # Around the command alone: a time zone that cannot be read is an OSError too, and waiting will not mend it.
        scheduler.backend = SimpleNamespace(updateJobSchedulerNextMillis=update)
        return scheduler
