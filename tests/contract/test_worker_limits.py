"""Limits that a worker keeps: of jobs at once, and of its patience when it is to stop."""

import asyncio
import threading
from datetime import timedelta

import pytest

from bullflow import Job, Worker
from bullflow.worker import runner as runner_module
from bullflow.worker import worker as worker_module
from support.eventually import eventually
from support.queues import JOBS, Bull, tree, working


@pytest.mark.parametrize("kind", ["coroutines", "functions"])
async def test_no_more_jobs_run_at_once_than_allowed_and_that_many_do(bull: Bull, kind: str) -> None:
    worker = Worker(JOBS, concurrency=4)
    running, most = 0, 0
    guard = threading.Lock()
    together = threading.Barrier(4)

    def count(change: int) -> None:
        nonlocal running, most
        with guard:
            running += change
            most = max(most, running)

    @worker.task("function")
    def function(_: Job) -> None:
        count(1)
        together.wait(10)
        count(-1)

    full = asyncio.Event()

    @worker.task("coroutine")
    async def coroutine(_: Job) -> None:
        count(1)
        if running == 4:
            full.set()
        await full.wait()
        await asyncio.sleep(0)
        count(-1)

    branches = [tree("function" if kind == "functions" else "coroutine") for _ in range(40)]
    async with working(bull, worker):
        await bull.add(*branches)
        await bull.seen("completed", times=40)

    assert most == 4


async def test_the_settings_overrule_how_many_jobs_run_at_once(bull: Bull) -> None:
    worker = Worker(JOBS, concurrency=1)
    both = asyncio.Event()
    started: list[str] = []

    @worker.task("root")
    async def root(job: Job) -> None:
        started.append(job.id)
        if len(started) == 2:
            both.set()
        await both.wait()

    async with working(bull, worker, concurrency=2):
        await bull.add(tree("root"), tree("root"))
        await bull.seen("completed", times=2)


async def test_a_worker_that_stops_finishes_its_jobs_and_takes_no_other(bull: Bull) -> None:
    worker = Worker(JOBS, concurrency=2)
    started, go_on = asyncio.Semaphore(0), asyncio.Event()

    @worker.task("root")
    async def root(job: Job) -> str | None:
        started.release()
        await go_on.wait()
        return job.signal.reason

    branches = [tree("root") for _ in range(5)]
    async with working(bull, worker) as stop:
        await bull.add(*branches)
        for _ in range(2):
            await started.acquire()
        stop.set()
        await asyncio.sleep(0)
        go_on.set()

    events = await bull.events()
    assert [event["returnvalue"] for event in events if event["event"] == "completed"] == ["null", "null"]
    assert await bull.queue().getWaitingCount() == 3


async def test_an_idle_worker_stops_at_once(bull: Bull) -> None:
    before = asyncio.get_running_loop().time()
    async with working(bull, Worker(JOBS)) as stop:
        await bull.until_idle()
        stop.set()

    assert asyncio.get_running_loop().time() - before < 4


async def test_a_worker_at_a_rate_limit_stops_at_once(bull: Bull) -> None:
    worker = Worker(JOBS)
    worker.task("root")(lambda _: None)
    await bull.queue().setGlobalRateLimit(1, 60_000)
    await bull.queue().rateLimit(60_000)
    await bull.add(tree("root"))
    scripts = (await bull.calls())["evalsha"]
    before = asyncio.get_running_loop().time()

    async def has_asked() -> bool:
        # One look for stalled jobs, and one for the next job.
        return (await bull.calls())["evalsha"] >= scripts + 2

    async with working(bull, worker) as stop:
        await eventually(has_asked)
        stop.set()

    assert asyncio.get_running_loop().time() - before < 4
    assert await bull.queue().getWaitingCount() == 1


@pytest.mark.usefixtures("little_grace")
@pytest.mark.parametrize("kind", ["listens", "does not listen", "thread"])
async def test_a_job_that_outlasts_the_stop_is_told_and_left_to_others(
    bull: Bull, kind: str, release: threading.Event
) -> None:
    worker = Worker(JOBS)
    started, reasons = asyncio.Event(), []
    loop = asyncio.get_running_loop()

    @worker.task("listens")
    async def listens(job: Job) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            reasons.append(job.signal.reason)

    @worker.task("does not listen")
    async def does_not_listen(job: Job) -> None:
        started.set()
        while not release.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                reasons.append(job.signal.reason)

    @worker.task("thread")
    def thread(job: Job) -> None:
        loop.call_soon_threadsafe(started.set)
        while not job.signal.aborted:
            release.wait(0.01)
        reasons.append(job.signal.reason)
        release.wait(30)

    branch = tree(kind)
    async with working(bull, worker, stop_timeout=timedelta(seconds=0.1)) as stop:
        await bull.add(branch)
        await started.wait()
        stop.set()

    assert set(reasons) == {"shutting down"}
    assert await bull.state(branch.job.job_id) == "active"
    assert await bull.history(branch.job.job_id) == ["added", "waiting", "active"]
    release.set()


async def test_a_thread_that_has_outlasted_the_stop_is_not_waited_for_again(
    bull: Bull, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "GRACE", timedelta(seconds=0.1))
    monkeypatch.setattr(runner_module, "GRACE", timedelta(minutes=1))
    worker = Worker(JOBS)
    started = asyncio.Event()
    loop = asyncio.get_running_loop()

    @worker.task("root")
    def root(_: Job) -> None:
        loop.call_soon_threadsafe(started.set)
        release.wait(60)

    async with working(bull, worker, stop_timeout=timedelta(seconds=0.1)) as stop:
        await bull.add(tree("root"))
        await started.wait()
        stop.set()


async def test_a_job_that_heeds_the_signal_in_time_still_counts(bull: Bull) -> None:
    worker = Worker(JOBS)
    started = asyncio.Event()

    @worker.task("root")
    async def root(job: Job) -> str:
        started.set()
        return await job.signal.wait()

    branch = tree("root")
    async with working(bull, worker, stop_timeout=timedelta(seconds=0.05)) as stop:
        await bull.add(branch)
        await started.wait()
        stop.set()

    assert (await bull.ended(branch.job.job_id))["returnvalue"] == '"shutting down"'
