"""BullMQ for Python: a FlowProducer and a Worker in one process."""

import asyncio
import time
from typing import Any

from bullmq import FlowProducer, Job
from bullmq import Worker as BullWorker
from redis.asyncio import Redis

from bench.peers.work import CHILDREN, answer, check, checked_sum

QUEUE = "bench"
GONE_SILENT = 10
"""Seconds for a flow of some milliseconds."""
FLOW = {
    "name": "parent",
    "queueName": QUEUE,
    "data": {},
    "children": [{"name": "child", "queueName": QUEUE, "data": {"n": n}} for n in range(CHILDREN)],
}


async def handle(job: Job, _token: str) -> int:
    if job.name == "child":
        return int(job.data["n"])
    return checked_sum(list((await job.getChildrenValues()).values()))


class Running:
    """A producer and a worker; `ends` says of each parent when it ended and what it returned."""

    def __init__(self, url: str, concurrency: int) -> None:
        self.ends: dict[str, asyncio.Future[int]] = {}
        self._producer = FlowProducer(opts={"connection": _connect(url)})
        self._worker = BullWorker(QUEUE, handle, {"connection": _connect(url), "concurrency": concurrency})
        self._worker.on("completed", self._completed)
        self._worker.on("failed", self._failed)

    def _completed(self, job: Job, result: int) -> None:
        if job.name == "parent":
            self._end(job.id).set_result(result)

    def _failed(self, job: Job, error: Exception) -> None:
        self._end(job.id).set_exception(error)

    def _end(self, job_id: str) -> "asyncio.Future[int]":
        """A worker may be done with it before its producer has been told its id."""
        return self.ends.setdefault(job_id, asyncio.get_running_loop().create_future())

    async def add(self) -> "asyncio.Future[int]":
        """Add a flow; the future is its result."""
        added = await self._producer.add(FLOW, {})
        return self._end(added["job"].id)

    async def close(self) -> None:
        await self._worker.close(force=True)
        await self._producer.close()


def _connect(url: str) -> Redis:
    return Redis.from_url(url, decode_responses=True)


async def burst(*, url: str, flows: int, clients: int, concurrency: int) -> dict[str, Any]:
    running = Running(url, concurrency)
    await (await running.add())
    waiting = iter(range(flows))
    results: list[asyncio.Future[int]] = []

    async def submit() -> None:
        for _ in waiting:
            results.append(await running.add())  # noqa: PERF401 - all submitters share it

    start = time.perf_counter()
    await asyncio.gather(*(submit() for _ in range(clients)))
    check(await asyncio.gather(*results), flows)
    seconds = time.perf_counter() - start
    await running.close()
    return {"seconds": seconds}


async def lone(*, url: str, runs: int, concurrency: int) -> dict[str, Any]:
    running = Running(url, concurrency)
    whole: list[float] = []
    while len(whole) < runs:
        start = time.perf_counter()
        try:
            async with asyncio.timeout(GONE_SILENT):
                check([await (await running.add())], 1)
        except TimeoutError:
            # Its worker goes silent now and then; what was measured before counts, and a new one goes on.
            await running.close()
            running = Running(url, concurrency)
            continue
        whole.append(time.perf_counter() - start)
        await asyncio.sleep(0.01)
    await running.close()
    return {"whole": whole}


if __name__ == "__main__":
    answer(
        {"burst": lambda **wish: asyncio.run(burst(**wish)), "lone": lambda **wish: asyncio.run(lone(**wish))},
    )
