"""The work of the ring: results that follow from a job's own data and its children's values, and notes of every run.

Started as `bullflow worker chaos.handlers:one chaos.handlers:two`. worker.mjs does the same for Node.
"""

import asyncio
import hashlib
import os
import time
from datetime import timedelta
from typing import Any

from bullflow import Job, UnrecoverableError, Worker
from chaos.notes import noting
from chaos.shapes import NAMES, QUEUES

# Jobs of a worker that was killed are found within seconds, and any number of deaths is outlived.
SOON: dict[str, Any] = {"lock": timedelta(seconds=3), "stalled_check": timedelta(seconds=1), "max_stalled": 1_000}

one = Worker(QUEUES[0], concurrency=10, **SOON)
two = Worker(QUEUES[1], concurrency=10, **SOON)


async def in_the_loop(job: Job) -> dict[str, Any]:
    with noting(job.job_id, job.attempt):
        await asyncio.sleep(job.data["ms"] / 1_000)
        _fail_if_told(job)
        if job.data["alone"]:
            await job.remove_unprocessed_children()
        return _result(job)


def in_a_thread(job: Job) -> dict[str, Any]:
    with noting(job.job_id, job.attempt):
        time.sleep(job.data["ms"] / 1_000)
        _fail_if_told(job)
        if job.data["alone"]:
            job.remove_unprocessed_children()
        return _result(job)


def _fail_if_told(job: Job) -> None:
    fails = job.data["fails"]
    if fails < 0 and job.data["hopeless"]:
        raise UnrecoverableError(f"{job.data['label']} is hopeless")
    if fails < 0 or job.attempt <= fails:
        raise RuntimeError(f"{job.data['label']} fails at attempt {job.attempt}")


def _result(job: Job) -> dict[str, Any]:
    text = str(job.data["seed"])
    if not job.data["alone"]:
        given = ";".join(f"{name}={','.join(_hashes(job, name))}" for name in sorted(job.children))
        text += f"|{given}|{sum(map(len, job.children.failures.values()))}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return {"name": job.name, "label": job.data["label"], "hash": digest}


def _hashes(job: Job, name: str) -> list[str]:
    return sorted(value["hash"] for value in job.children.all(name))


for _name in NAMES:
    for _worker in (one, two):
        _worker.task(_name)(in_the_loop if _name < "d" else in_a_thread)

if "CHAOS_NOTES" not in os.environ:
    raise RuntimeError("CHAOS_NOTES must name the file for the notes")
