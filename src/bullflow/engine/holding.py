"""What only the holder of a job's lock may change about the job.

The lock and the job's hash are read under WATCH, and the changes follow in one MULTI: either the lock is
ours and nobody has withdrawn the job, and all of it happens, or none. Whatever comes between (a renewal of
the lock, progress, a line of the log) makes the MULTI fail, and it is built anew.

While the engine is away it is tried again until it is back: these are steps that a job cannot go on
without. A step whose answer was lost may have been done, so each must be such that a second time changes nothing.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import orjson
from bullmq.redis_connection import loadScript
from redis.asyncio import Redis
from redis.exceptions import WatchError

from bullflow.engine.connection import away
from bullflow.engine.delivery import Delivery
from bullflow.engine.insist import insist
from bullflow.engine.keys import queue_key
from bullflow.engine.queue import LockLost
from bullflow.errors import JobCancelled
from bullflow.loop import Complaints

Fill = Callable[[Any, dict[str, Any]], Awaitable[None]]
"""Queues commands in a pipeline, knowing the job's options as they are in its hash."""


class Holding:
    """The jobs of one queue that this worker holds."""

    def __init__(self, client: Redis, prefix: str, queue_name: str, complaints: Complaints) -> None:
        self._client = client
        self._base = queue_key(prefix, queue_name, "")
        self._complaints = complaints
        self._remove = client.register_script(loadScript("removeUnprocessedChildren-2.lua"))

    async def remove_unprocessed_children(self, delivery: Delivery) -> None:
        """Remove the children that no worker has taken, with all below them; raises LockLost, JobCancelled."""

        async def remove(pipe: Any, _: dict[str, Any]) -> None:
            keys = [f"{self._base}{part}" for part in (delivery.job_id, "meta")]
            await self._remove(keys, [self._base, delivery.job_id], client=pipe)

        await self.change(delivery, remove)

    async def change(self, delivery: Delivery, fill: Fill) -> list[Any]:
        """The answers to what `fill` has queued; raises LockLost, and JobCancelled for a job that is to fail."""
        return await insist(partial(self._change, delivery, fill), self._complaints)

    async def _change(self, delivery: Delivery, fill: Fill) -> list[Any]:
        key = f"{self._base}{delivery.job_id}"
        while True:
            async with away(), self._client.pipeline(transaction=True) as pipe:
                await pipe.watch(key, f"{key}:lock")
                lock = await pipe.get(f"{key}:lock")
                opts, withdrawn = await pipe.hmget(key, "opts", "defa")
                if lock != delivery.token or opts is None:
                    raise LockLost(f"{delivery.job_id}: its lock is gone")
                if withdrawn:
                    raise JobCancelled(str(withdrawn))
                pipe.multi()  # type: ignore[no-untyped-call]
                await fill(pipe, orjson.loads(opts))
                try:
                    return list(await pipe.execute())
                except WatchError:
                    continue
