"""Flows of all kinds for the soak: they complete, fail, are retried, grow, are cancelled, and their jobs log."""

from typing import Any

from bullflow import Job, Worker

QUEUE = "soak"
ONCE = "soak-once"
"""A queue that is used at the beginning only: what has ended there must go as well."""
KINDS = ("plain", "failing", "ignoring", "growing", "cancelled")

worker = Worker(QUEUE, concurrency=50)
once = Worker(ONCE, concurrency=10)


@worker.task("leaf")
async def leaf(job: Job) -> Any:
    await job.log(f"leaf {job.data['n']}")
    return job.data


@once.task("leaf")
async def leaf_once(job: Job) -> Any:
    return job.data


@worker.task("bad")
async def bad(job: Job) -> None:
    raise ValueError(f"attempt {job.attempt} has failed")


@worker.task("root")
async def root(job: Job) -> int:
    return len(job.children.all("leaf"))


@worker.task("grows")
async def grows(job: Job) -> int:
    if "leaf" not in job.children:
        await job.add_children([_job("leaf", n) for n in range(3)])
    return len(job.children.all("leaf"))


def flow(number: int, *, queue: str = QUEUE) -> dict[str, Any]:
    """The flow of this number; its kind goes by that."""
    leaves = [_job("leaf", n, queue=queue) for n in range(3)]
    match KINDS[number % len(KINDS)]:
        case "failing":
            leaves.append(_job("bad", number, attempts=2, backoff=100))
        case "ignoring":
            leaves.append(_job("bad", number, ignoreDependencyOnFailure=True, removeOnFail=False))
        case "cancelled":
            leaves.append(_job("leaf", number, delay=600_000))
        case "growing":
            return {**_job("grows", number), "tags": ["grows"]}
    return {**_job("root", number, children=leaves), "tags": ["soak", f"tag-{number % 100}"]}


def _job(name: str, number: int, *, queue: str = QUEUE, children: Any = (), **opts: Any) -> dict[str, Any]:
    data = {"n": number, "text": "x" * 200}
    return {"name": name, "queueName": queue, "data": data, "opts": opts, "children": list(children)}
