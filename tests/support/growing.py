"""Jobs that add children to themselves, and workers for both."""

from collections.abc import Sequence
from typing import Any

import orjson

from bullflow import Job, Worker
from bullflow.engine.keys import grown_stream
from support.queues import JOBS, Bull, Event, tree, working

PARENTS = "parents"
"""The queue of the jobs that grow; their children are in `JOBS`."""


def page(data: Any = None, *, children: Sequence[Any] = (), name: str = "page", **opts: Any) -> dict[str, Any]:
    """A child as a handler asks for it."""
    return {"name": name, "queueName": JOBS, "data": data, "opts": opts, "children": list(children)}


async def crawl(job: Job) -> Any:
    """Adds what its data asks for; then returns the values of its pages."""
    if "page" not in job.children:
        await job.add_children([page(value) for value in job.data])
        return "not yet"
    return job.children.all("page")


def crawl_in_a_thread(job: Job) -> Any:
    if "page" not in job.children:
        job.add_children([page(value) for value in job.data])
        return "not yet"
    return job.children.all("page")


def a_parent(handler: Any = crawl, **options: Any) -> Worker:
    worker = Worker(PARENTS, **options)
    worker.task("root")(handler)
    return worker


def children(**options: Any) -> Worker:
    """A worker whose pages return their data, and fail when it is negative."""
    worker = Worker(JOBS, **options)

    @worker.task("page")
    async def give(job: Job) -> Any:
        if isinstance(job.data, int) and job.data < 0:
            raise RuntimeError(f"broken: {job.data}")
        return job.data

    @worker.task("sum")
    async def add_up(job: Job) -> Any:
        return sum(job.children.all("page"))

    return worker


async def grown(bull: Bull) -> list[Any]:
    """What was told of children that were added, oldest first."""
    return [orjson.loads(fields["growth"]) for _, fields in await bull.client.xrange(grown_stream(bull.prefix))]


async def added(bull: Bull) -> int:
    """How often children were added in all."""
    return sum(event["event"] in ("added", "duplicated") for event in await bull.events())


async def result(bull: Bull, *workers: Worker, data: Any = (1, 2, 3), **opts: Any) -> Event:
    """How a root has ended that has grown."""
    root = tree("root", queue=PARENTS, data=list(data), **opts)
    async with working(bull, *workers):
        await bull.add(root)
        return await bull.ended(root.job.job_id, PARENTS)
