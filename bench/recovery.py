"""How long it takes until everything that was wiped from the engine is there again."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from bench.measure import Row
from bench.noop import NOBODYS
from bench.service import Running
from bullflow import AsyncClient

JOBS = 10_000
SHAPES = {
    "1 flow of 10,000 jobs": (1, 9_999),
    "1,000 flows of 10 jobs": (1_000, 9),
    "10,000 flows of 1 job": (10_000, 0),
}


async def recovery(running: Running) -> list[Row]:
    """Flows of several sizes, 10,000 jobs in all, each time after a FLUSHALL."""
    rows: list[Row] = []
    async with (
        AsyncClient(running.url, timeout=120) as client,
        Redis.from_url(running.engine_url) as engine,
    ):
        for title, (flows, children) in SHAPES.items():
            created = await _create(client, flows, children)
            leaves = flows * max(children, 1)
            await _until_waiting(engine, leaves)
            start = time.perf_counter()
            await engine.flushall()
            await _until_waiting(engine, leaves)
            rows.append((f"FLUSHALL to dispatched again: {title}", f"{time.perf_counter() - start:.1f} s"))
            if len(created) < JOBS:
                await asyncio.gather(*(client.cancel(flow_id) for flow_id in created))
                await _until_waiting(engine, 0)
    return rows


async def _create(client: AsyncClient, flows: int, children: int) -> Sequence[str]:
    child = {"name": "child", "queueName": NOBODYS}
    flow: dict[str, Any] = {"name": "parent", "queueName": NOBODYS, "children": [child] * children}
    created: list[str] = []
    for start in range(0, flows, 500):
        created += [made.id for made in await client.create_many([flow] * min(500, flows - start))]
    return created


async def _until_waiting(engine: Redis, jobs: int) -> None:
    key = f"bull:{NOBODYS}:wait"
    while await engine.llen(key) != jobs:  # noqa: ASYNC110 - the engine does not announce it
        await asyncio.sleep(0.02)
