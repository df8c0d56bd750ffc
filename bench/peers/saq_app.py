"""SAQ: client, and worker in a process of its own.

It has no trees: the client waits for the children, then adds the parent. What only a client remembers
is lost with it; the other peers keep the tree in the engine.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis
from saq.job import TERMINAL_STATUSES, Status
from saq.queue.redis import RedisQueue

from bench.peers.work import CHILDREN, answer, check, checked_sum

URL, CONCURRENCY = "BENCH_SAQ_URL", "BENCH_SAQ_CONCURRENCY"
PATIENCE = 20
LOOK_AGAIN_AFTER = 5


async def child(_context: Any, *, n: int) -> int:
    return n


async def parent(_context: Any, *, values: Sequence[int]) -> int:
    return checked_sum(values)


def settings() -> dict[str, Any]:
    """What SAQ's command asks a module for."""
    return {
        "queue": _queue(os.environ[URL]),
        "functions": [child, parent],
        "concurrency": int(os.environ[CONCURRENCY]),
        # It takes a job that a worker has just fetched for a lost one, and ends it: none is to come during the run.
        "timers": {"sweep": 3600},
    }


def _queue(url: str) -> RedisQueue:
    # SAQ's own `from_url` knows no Unix socket.
    return RedisQueue(Redis.from_url(url))


@asynccontextmanager
async def _running(url: str, concurrency: int) -> AsyncIterator[RedisQueue]:
    """A queue whose worker has answered."""
    process = subprocess.Popen(  # noqa: ASYNC220 - before anything is measured
        [sys.executable, "-m", "saq", "bench.peers.saq_app.settings"],
        env={**os.environ, URL: url, CONCURRENCY: str(concurrency)},
        stdout=sys.stderr,
    )
    queue = _queue(url)
    try:
        await _swept(queue)
        # As long as somebody listens, the queue stays subscribed.
        listening = asyncio.create_task(queue.listen(["nobody"], lambda *_: False, timeout=None))
        await asyncio.sleep(0.2)
        check([await _flow(queue)], 1)
        yield queue
        listening.cancel()
    finally:
        await queue.disconnect()
        process.terminate()
        process.wait(30)


async def _swept(queue: RedisQueue) -> None:
    """Return when the worker has looked for lost jobs, as it does at its start."""
    while not await queue.redis.exists("saq:default:sweep"):  # noqa: ASYNC110 - it is not announced
        await asyncio.sleep(0.05)


async def _flow(queue: RedisQueue) -> Any:
    values = await _results(queue, "child", [{"n": n} for n in range(CHILDREN)])
    (result,) = await _results(queue, "parent", [{"values": values}])
    return result


async def _results(queue: RedisQueue, name: str, arguments: Sequence[dict[str, Any]]) -> list[Any]:
    """What these jobs return. SAQ's own `map` asks twice a second; this hears of the ends, so it is faster."""
    keys = [uuid4().hex for _ in arguments]
    ended: set[str] = set()

    def heard(key: str, status: Status) -> bool:
        if status in TERMINAL_STATUSES:
            ended.add(key)
        return len(ended) == len(keys)

    async def hear() -> None:
        with suppress(TimeoutError):
            await queue.listen(keys, heard, timeout=LOOK_AGAIN_AFTER)

    async with asyncio.timeout(PATIENCE):
        hearing = asyncio.create_task(hear())
        await asyncio.sleep(0)
        await asyncio.gather(*(queue.enqueue(name, key=key, **kw) for key, kw in zip(keys, arguments, strict=True)))
        await hearing
        # Now and then it does not hear of one.
        while not all(job and job.status in TERMINAL_STATUSES for job in await queue.jobs(keys)):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_AGAIN_AFTER)
    return [job and job.result for job in await queue.jobs(keys)]


async def burst(*, url: str, flows: int, concurrency: int) -> dict[str, Any]:
    """As many flows are under way as the worker runs jobs."""
    async with _running(url, concurrency) as queue:
        waiting = iter(range(flows))
        results: list[Any] = []

        async def submit() -> None:
            for _ in waiting:
                results.append(await _flow(queue))  # noqa: PERF401 - all submitters share it

        start = time.perf_counter()
        await asyncio.gather(*(submit() for _ in range(concurrency)))
        check(results, flows)
        return {"seconds": time.perf_counter() - start}


async def lone(*, url: str, runs: int, concurrency: int) -> dict[str, Any]:
    whole = []
    async with _running(url, concurrency) as queue:
        for _ in range(runs):
            start = time.perf_counter()
            check([await _flow(queue)], 1)
            whole.append(time.perf_counter() - start)
            await asyncio.sleep(0.01)
    return {"whole": whole}


if __name__ == "__main__":
    answer(
        {"burst": lambda **wish: asyncio.run(burst(**wish)), "lone": lambda **wish: asyncio.run(lone(**wish))},
    )
