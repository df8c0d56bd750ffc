"""The work that is measured: children that return their number, a parent that checks what it got."""

from typing import Any

from bullflow import Job, Worker

worker = Worker("bench", concurrency=100)


@worker.task("child")
async def child(job: Job) -> int:
    return int(job.data)


@worker.task("parent")
async def parent(job: Job) -> int:
    values = job.children.all("child")
    if len(values) != job.data:
        raise ValueError(f"{len(values)} values from {job.data} children")
    return sum(values)


def flow(children: int) -> dict[str, Any]:
    """One parent and so many children."""
    return {
        "name": "parent",
        "queueName": "bench",
        "data": children,
        "children": [{"name": "child", "queueName": "bench", "data": number} for number in range(children)],
    }
