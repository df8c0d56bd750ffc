"""The same work through our producer and our worker without any store: what the store costs is the difference.

A program as the peers' are: flows are sent 16 at a time, results are read from the engine.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import uvloop
from redis.asyncio import Redis

from bench.noop import CHILDREN, QUEUE, flow, worker
from bench.peers.work import answer, check
from bullflow.clock import now_ms
from bullflow.engine.connection import connect
from bullflow.engine.producer import Producer
from bullflow.flow.plan import Branch, accepted
from bullflow.flow.tree import FlowRequest, lay_out
from bullflow.settings import Settings
from bullflow.together import Together
from bullflow.wire import Limits, read_flow

PREFIX = "bull"
LIMITS = Limits(jobs=10_000, depth=100, data_bytes=2**20)
MOST_TOGETHER = 64


async def burst(*, url: str, flows: int, clients: int, concurrency: int) -> dict[str, Any]:
    client = connect(url, "bench")
    producer = Producer(client, PREFIX, keep=timedelta(hours=1), stream_length=100_000)
    together: Together[Branch, str] = Together(lambda branches: _send(producer, branches), most=MOST_TOGETHER)
    stop = asyncio.Event()
    working = asyncio.create_task(worker.run(Settings(redis_url=url, concurrency=concurrency), stop=stop))
    await _send_all(together, 1, 1)
    await _until_ended(client, CHILDREN + 1)
    start = time.perf_counter()
    sent = await _send_all(together, flows, clients)
    await _until_ended(client, (flows + 1) * (CHILDREN + 1))
    results = await _results(client, sent)
    seconds = time.perf_counter() - start
    check(results, flows)
    stop.set()
    await working
    await producer.close()
    await client.aclose()
    return {"seconds": seconds}


async def _send(producer: Producer, branches: Sequence[Branch]) -> Sequence[str]:
    await producer.add(branches)
    return [branch.job.job_id for branch in branches]


async def _send_all(together: Together[Branch, str], flows: int, clients: int) -> list[str]:
    """The BullMQ ids of the parents."""
    request = read_flow(flow(), LIMITS)
    waiting = iter(range(flows))
    sent: list[str] = []

    async def submit() -> None:
        for _ in waiting:
            sent.append(await together.ask(_branch(request)))  # noqa: PERF401 - all submitters share it

    await asyncio.gather(*(submit() for _ in range(clients)))
    return sent


def _branch(request: FlowRequest) -> Branch:
    branch = accepted(str(uuid4()), lay_out(request.root, lambda: str(uuid4())), now_ms())
    assert branch is not None
    return branch


async def _until_ended(client: Redis, jobs: int) -> None:
    while await client.zcard(f"{PREFIX}:{QUEUE}:completed") < jobs:  # noqa: ASYNC110 - the end of many jobs has no event
        await asyncio.sleep(0.01)


async def _results(client: Redis, job_ids: Sequence[str]) -> list[int]:
    pipe = client.pipeline(transaction=False)
    for job_id in job_ids:
        pipe.hget(f"{PREFIX}:{QUEUE}:{job_id}", "returnvalue")
    return [int(value) for value in await pipe.execute()]


if __name__ == "__main__":
    answer({"burst": lambda **wish: uvloop.run(burst(**wish))})
