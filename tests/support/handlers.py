"""Workers for tests that run in processes of their own. What ran where is noted in the file `BULLFLOW_TEST_NOTES`."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from bullflow import Job, Worker

# Jobs of a worker that was killed are found within seconds, not within a minute.
worker = Worker("sums", concurrency=10, lock=timedelta(seconds=3), stalled_check=timedelta(seconds=1), max_stalled=100)


def note(line: str) -> None:
    path = os.environ.get("BULLFLOW_TEST_NOTES")
    if path:
        # One write of one short line: what several processes append does not mix.
        with Path(path).open("a") as notes:
            notes.write(f"{line}\n")


@worker.task("number")
async def number(job: Job) -> Any:
    note(f"{os.getpid()} number {job.job_id}")
    return job.data["value"]


@worker.task("sum")
async def add(job: Job) -> Any:
    note(f"{os.getpid()} sum {job.job_id}")
    return sum(job.children.all("number")) + sum(job.children.all("sum"))


@worker.task("until-file")
async def until_file(job: Job) -> str:
    """Runs until the file of its data exists."""
    note(f"{os.getpid()} until-file {job.job_id}")
    path = Path(job.data["path"])
    while not path.exists():  # noqa: ASYNC110, ASYNC240 - a file announces nothing
        await asyncio.sleep(0.02)
    return "done"


def a_sum_of(*values: int) -> dict[str, Any]:
    """A flow whose result is the sum of these values."""
    return {
        "name": "sum",
        "queueName": "sums",
        "children": [{"name": "number", "queueName": "sums", "data": {"value": value}} for value in values],
    }
