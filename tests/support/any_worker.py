"""The handlers of tests/node/worker.mjs once more, for bullflow's own worker."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from bullflow import Job, UnrecoverableError, Worker

WORK = "work"
"""The queue of those tests that need but one."""
LOCK = timedelta(seconds=0.6)
LOOK_EVERY = timedelta(seconds=0.1)


def python_worker(queue: str, **options: Any) -> Worker:
    """A worker with all handlers; `options` are those of `Worker`."""
    worker = Worker(queue, **{"concurrency": 10, **options})
    for name, handler in HANDLERS.items():
        worker.task(name)(handler)
    return worker


async def give(job: Job) -> Any:
    return job.data


async def nothing(_: Job) -> None: ...


async def add(job: Job) -> Any:
    return sum(_values(job))


async def take_stock(job: Job) -> Any:
    return {"values": sorted(_values(job)), "failures": _failures(job)}


async def go_on(job: Job) -> list[str]:
    await job.remove_unprocessed_children()
    return _failures(job)


async def fail_first(job: Job) -> int:
    if job.attempt <= job.data["times"]:
        raise RuntimeError(f"attempt {job.attempt}")
    return job.attempt


async def fail(job: Job) -> None:
    raise RuntimeError(job.data["reason"])


async def give_up(job: Job) -> None:
    raise UnrecoverableError(job.data["reason"])


def need_file(job: Job) -> Any:
    if not Path(job.data["path"]).exists():
        raise RuntimeError("no file")
    return sum(_values(job))


async def report(job: Job) -> str:
    for step in job.data["steps"]:
        await job.progress(step)
        await job.log(f"step {json.dumps(step, separators=(',', ':'))}")
    return "reported"


async def until_file(job: Job) -> str:
    path = Path(job.data["path"])
    await job.progress("waiting")
    while not path.exists():  # noqa: ASYNC110, ASYNC240 - a file announces nothing
        await asyncio.sleep(0.02)
    return "python"


def _values(job: Job) -> list[Any]:
    return [value for name in job.children for value in job.children.all(name)]


def _failures(job: Job) -> list[str]:
    return sorted(reason for reasons in job.children.failures.values() for reason in reasons)


HANDLERS = {
    "give": give,
    "nothing": nothing,
    "sum": add,
    "take-stock": take_stock,
    "go-on": go_on,
    "fail-first": fail_first,
    "fail": fail,
    "give-up": give_up,
    "need-file": need_file,
    "report": report,
    "until-file": until_file,
}
"""By the names of jobs."""


mortal = python_worker(WORK, lock=LOCK, stalled_check=LOOK_EVERY)
"""For a process of its own that will be killed."""
