"""Withdraws running jobs as the service does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from bullflow import Job, Worker
from bullflow.engine.keys import aborts_channel
from bullflow.flow.plan import Branch
from support.eventually import eventually
from support.queues import JOBS, Bull, working


async def withdraw(bull: Bull, *branches: Branch, reason: str = "cancelled") -> None:
    """What the service does first: no further attempt of these jobs is to run."""
    for branch in branches:
        await bull.client.hset(bull.key(branch.job.job_id), "defa", reason)


async def tell(bull: Bull, *branches: Branch) -> None:
    """What the service does then: workers learn which running jobs are meant."""
    await send(bull, {"from": "the service", "news": {"jobs": [branch.job.job_id for branch in branches]}})


async def send(bull: Bull, message: Any) -> None:
    await bull.client.publish(aborts_channel(bull.prefix), orjson.dumps(message))


async def until_listening(bull: Bull, *, but: int = 0) -> int:
    """Wait until a worker listens, on another connection than this one; returns the connection's id."""

    async def connection() -> int | None:
        clients = await bull.client.client_list()
        ours = (one for one in clients if one["name"].startswith("bullflow:aborts:") and int(one["sub"]))
        return next((int(one["id"]) for one in ours if int(one["id"]) != but), None)

    return await eventually(connection) or 0


@asynccontextmanager
async def running(bull: Bull, worker: Worker, branch: Branch, started: asyncio.Event) -> AsyncIterator[None]:
    """A worker that hears messages, and a job that has been started."""
    async with working(bull, worker):
        await until_listening(bull)
        await bull.add(branch)
        await started.wait()
        yield


def waiting_worker(started: asyncio.Event, **options: Any) -> Worker:
    """A worker whose handler goes on until it is stopped."""
    worker = Worker(JOBS, **options)

    @worker.task("root")
    async def root(_: Job) -> None:
        started.set()
        await asyncio.Event().wait()

    worker.task("next")(lambda _: None)
    return worker
