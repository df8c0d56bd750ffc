"""The work that is measured: children that return their number, a parent that checks what it got.

The noted kind does the same, and says when.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from bullflow import Job, Worker

CHILDREN = 10
QUEUE = "bench"
NOBODYS = "bench-nobody"
"""A queue without workers: its jobs wait."""

worker = Worker(QUEUE, concurrency=100)


@worker.task("child")
async def child(job: Job) -> int:
    return int(job.data)


@worker.task("parent")
async def parent(job: Job) -> int:
    return sum(_checked(job.children.all("child"), job.data))


@worker.task("noted-child")
async def noted_child(job: Job) -> float:
    return time.time()


@worker.task("noted-parent")
async def noted_parent(job: Job) -> dict[str, float]:
    """When it began, when the last of its children had returned, and when it returns itself."""
    began = time.time()
    last = max(_checked(job.children.all("noted-child"), job.data))
    return {"began": began, "last": last, "returned": time.time()}


@worker.task("ticking")
async def ticking_job(job: Job) -> None:
    """Says something else each second, for so many seconds."""
    for second in range(job.data):
        await job.progress(second % 100)
        await asyncio.sleep(1)


def _checked(values: Sequence[Any], children: int) -> Sequence[Any]:
    if len(values) != children:
        raise ValueError(f"{len(values)} values from {children} children")
    return values


def flow(children: int = CHILDREN, *, kind: str = "", queue: str = QUEUE) -> dict[str, Any]:
    """One parent and so many children; `kind` is "" or "noted-"."""
    return {
        "name": f"{kind}parent",
        "queueName": queue,
        "data": children,
        "children": [{"name": f"{kind}child", "queueName": queue, "data": number} for number in range(children)],
    }


def ticking(jobs: int, seconds: int) -> dict[str, Any]:
    """A parent of so many jobs, each of which reports its progress once a second for so long."""
    children = [{"name": "ticking", "queueName": QUEUE, "data": seconds} for _ in range(jobs)]
    return {"name": "ticking", "queueName": QUEUE, "data": 0, "children": children}
