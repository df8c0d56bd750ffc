"""Time limits of attempts: what takes too long fails, whatever its handler makes of it."""

import asyncio
import threading
import time
from functools import partial

import pytest

from bullflow import Job, JobFailure, Worker
from support.queues import JOBS, Bull, tree, working


@pytest.mark.parametrize("whose", ["the handler's", "the job's"])
async def test_a_coroutine_that_takes_too_long_fails(bull: Bull, whose: str) -> None:
    worker = Worker(JOBS)
    seen: list[str | None] = []

    @worker.task("root", timeout=0.2 if whose == "the handler's" else 60)
    async def root(job: Job) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append(job.signal.reason)

    branch = tree("root", timeout=200) if whose == "the job's" else tree("root")
    async with working(bull, worker):
        await bull.add(branch)
        event = await bull.ended(branch.job.job_id)

    assert event["failedReason"] == "timed out after 0.2 s"
    assert seen == ["timed out"]


async def test_a_job_s_own_limit_may_be_longer_than_its_handler_s(bull: Bull) -> None:
    worker = Worker(JOBS)

    @worker.task("root", timeout=0.001)
    async def root(_: Job) -> None:
        await asyncio.sleep(0.05)

    branch = tree("root", timeout=60_000)
    async with working(bull, worker):
        await bull.add(branch)
        assert (await bull.ended(branch.job.job_id))["event"] == "completed"


@pytest.mark.usefixtures("little_grace")
async def test_a_coroutine_that_will_not_be_cancelled_fails_all_the_same(bull: Bull) -> None:
    worker = Worker(JOBS)
    let_go = asyncio.Event()

    @worker.task("root", timeout=0.05)
    async def root(_: Job) -> str:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        return "too late"

    branch = tree("root")
    async with working(bull, worker):
        await bull.add(branch)
        event = await bull.ended(branch.job.job_id)
        let_go.set()

    assert event["failedReason"] == "timed out after 0.05 s"
    assert (await bull.history(branch.job.job_id))[-3:] == ["active", "failed", "retries-exhausted"]


async def test_a_coroutine_that_ends_well_when_it_is_cancelled_has_timed_out_all_the_same(bull: Bull) -> None:
    worker = Worker(JOBS)

    @worker.task("root", timeout=0.05)
    async def root(job: Job) -> str:
        return await job.signal.wait()

    branch = tree("root")
    async with working(bull, worker):
        await bull.add(branch)
        assert (await bull.ended(branch.job.job_id))["failedReason"] == "timed out after 0.05 s"


async def test_a_timeout_counts_as_one_attempt(bull: Bull) -> None:
    worker = Worker(JOBS)

    @worker.task("root", timeout=0.05)
    async def root(job: Job) -> int:
        if job.attempt == 1:
            await asyncio.Event().wait()
        return job.attempt

    branch = tree("root", attempts=2)
    async with working(bull, worker):
        await bull.add(branch)
        assert (await bull.ended(branch.job.job_id))["returnvalue"] == "2"


@pytest.mark.usefixtures("little_grace")
async def test_a_function_that_takes_too_long_fails_and_its_thread_is_not_missed(
    bull: Bull, release: threading.Event
) -> None:
    worker = Worker(JOBS, concurrency=1)
    signals: list[bool] = []

    @worker.task("stuck", timeout=0.05)
    def stuck(job: Job) -> None:
        release.wait(30)
        signals.append(job.signal.aborted)

    @worker.task("quick", timeout=5)
    def quick(_: Job) -> str:
        return "done"

    branches = [tree("stuck"), tree("stuck"), tree("quick")]
    async with working(bull, worker):
        await bull.add(*branches)
        events = [await bull.ended(branch.job.job_id) for branch in branches]

    assert [event.get("failedReason") for event in events] == ["timed out after 0.05 s"] * 2 + [None]
    assert signals == []


async def test_a_function_hears_of_its_limit_and_the_next_attempt_waits_for_its_end(bull: Bull) -> None:
    worker = Worker(JOBS, concurrency=5)
    story: list[str] = []

    @worker.task("root", timeout=0.05)
    def root(job: Job) -> None:
        story.append(f"attempt {job.attempt}")
        while not job.signal.aborted:
            time.sleep(0.001)
        time.sleep(0.05)
        story.append(str(job.signal.reason))

    branch = tree("root", attempts=2)
    async with working(bull, worker):
        await bull.add(branch)
        event = await bull.ended(branch.job.job_id)

    assert event["failedReason"] == "timed out after 0.05 s"
    assert story == ["attempt 1", "timed out", "attempt 2", "timed out"]


@pytest.mark.usefixtures("little_grace")
async def test_a_thread_that_never_pauses_neither_keeps_its_slot_nor_stops_the_worker(
    bull: Bull, release: threading.Event
) -> None:
    worker = Worker(JOBS, concurrency=1)

    @worker.task("busy", timeout=0.05)
    def busy(_: Job) -> None:
        while not release.is_set():
            pass

    worker.task("next")(lambda _: "done")
    branch, after = tree("busy"), tree("next")
    async with working(bull, worker):
        await bull.add(branch, after)
        events = [await bull.ended(one.job.job_id) for one in (branch, after)]

    assert [event.get("failedReason") for event in events] == ["timed out after 0.05 s", None]


async def test_an_attempt_whose_time_is_over_reports_nothing_more(bull: Bull) -> None:
    worker = Worker(JOBS)
    refused: list[str] = []

    @worker.task("root", timeout=0.05)
    def root(job: Job) -> None:
        while not job.signal.aborted:
            time.sleep(0.001)
        reports = (partial(job.progress, 99), partial(job.log, "too late"), partial(job.add_children, []))
        for report in (*reports, job.remove_unprocessed_children):
            try:
                report()
            except JobFailure as error:
                refused.append(str(error))

    branch = tree("root")
    async with working(bull, worker):
        await bull.add(branch)
        await bull.ended(branch.job.job_id)

    assert refused == ["this attempt is over: timed out"] * 4
    assert (await bull.queue().getJobLogs(branch.job.job_id))["logs"] == []
    assert "progress" not in await bull.history(branch.job.job_id)
