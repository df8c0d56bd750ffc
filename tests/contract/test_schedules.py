"""BullMQ's job schedulers go on when one of our workers takes their jobs."""

import asyncio
from itertools import pairwise
from typing import Any

import orjson
import pytest
from bullmq.backends.redis_backend import RedisBackend
from redis.exceptions import ConnectionError as Gone

from bullflow import Job, Worker
from support.queues import JOBS, Bull, bullmqs_own_worker, working


def a_worker(notes: list[Any]) -> Worker:
    worker = Worker(JOBS)

    @worker.task("tick")
    async def tick(job: Job) -> None:
        notes.append(job.data)

    return worker


@pytest.mark.parametrize("repeat", [{"every": 100}, {"pattern": "* * * * * *"}], ids=["every", "pattern"])
async def test_a_scheduler_goes_on_after_each_of_its_jobs(bull: Bull, repeat: dict[str, Any]) -> None:
    notes: list[Any] = []
    async with working(bull, a_worker(notes)):
        await bull.queue().upsertJobScheduler("clock", repeat, "tick", {"n": 1})
        await bull.seen("completed", times=3)

    assert notes[:3] == [{"n": 1}] * 3
    ids = [event["jobId"] for event in await bull.events() if event["event"] == "completed"]
    assert len(set(ids)) == len(ids)
    if "every" in repeat:
        instants = [int(job_id.rpartition(":")[2]) for job_id in ids]
        assert all(later > earlier and (later - earlier) % 100 == 0 for earlier, later in pairwise(instants))


async def test_a_scheduler_with_a_limit_ends_there(bull: Bull) -> None:
    notes: list[Any] = []
    async with working(bull, a_worker(notes)):
        await bull.queue().upsertJobScheduler("clock", {"every": 50, "limit": 2}, "tick")
        await bull.seen("completed", times=2)
        await bull.until_idle()

    assert len(notes) == 2
    assert await bull.queue().getDelayedCount() == 0


async def test_a_scheduler_that_is_removed_ends(bull: Bull) -> None:
    worker, queue = Worker(JOBS), bull.queue()
    runs: list[str] = []

    @worker.task("tick")
    async def tick(job: Job) -> None:
        runs.append(job.job_id)
        await queue.removeJobScheduler("clock")

    async with working(bull, worker):
        await queue.upsertJobScheduler("clock", {"every": 50}, "tick")
        await bull.seen("completed")
        await bull.until_idle()

    assert len(runs) == 1
    assert await queue.getDelayedCount() == 0


@pytest.mark.parametrize(
    "repeat",
    [
        None,
        {"pattern": "never"},
        {"pattern": "* * * * * *", "tz": "Nowhere/City"},
        {"pattern": "* * * * * *", "tz": "America"},
        {"every": 50, "count": "x"},
    ],
    ids=["none", "pattern", "zone", "directory", "count"],
)
async def test_a_scheduler_that_makes_no_sense_does_not_disturb_its_job(bull: Bull, repeat: Any) -> None:
    notes: list[Any] = []
    job = await bull.queue().upsertJobScheduler("clock", {"every": 50}, "tick", 1)
    await bull.client.hset(bull.key(job.id), "opts", orjson.dumps({"attempts": 1, "repeat": repeat}))
    async with working(bull, a_worker(notes)):
        assert (await bull.ended(job.id))["event"] == "completed"

    assert notes == [1]


async def test_a_scheduler_goes_on_when_the_engine_is_back(bull: Bull, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[Any] = []
    update = RedisBackend.updateJobSchedulerNextMillis
    refused: list[Any] = []

    async def update_the_second_time(*args: Any) -> Any:
        if not refused:
            refused.append(args)
            raise Gone("gone for a moment")
        return await update(*args)

    monkeypatch.setattr(RedisBackend, "updateJobSchedulerNextMillis", update_the_second_time)
    async with working(bull, a_worker(notes)):
        await bull.queue().upsertJobScheduler("clock", {"every": 50}, "tick")
        await bull.seen("completed", times=2)

    assert refused


async def test_bullmqs_own_worker_and_ours_take_turns_with_a_scheduler(bull: Bull) -> None:
    notes: dict[str, asyncio.Event] = {"ours": asyncio.Event(), "theirs": asyncio.Event()}
    worker = Worker(JOBS)

    @worker.task("tick")
    async def tick(_: Job) -> None:
        notes["ours"].set()
        await notes["theirs"].wait()

    async def process(_: Any, __: str) -> None:
        notes["theirs"].set()
        await notes["ours"].wait()

    async with working(bull, worker), bullmqs_own_worker(bull, process):
        await bull.queue().upsertJobScheduler("clock", {"every": 50}, "tick")
        await bull.seen("completed", times=4)

    assert all(event.is_set() for event in notes.values())
