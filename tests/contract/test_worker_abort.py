"""Jobs that are withdrawn while they run: their handlers are told, and they fail without another attempt."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from bullflow import Job, Worker
from bullflow.engine.delivery import Delivery
from bullflow.engine.queue import Queue
from bullflow.worker import runner as runner_module
from bullflow.worker.runner import Runner
from support.aborting import running, tell, until_listening, waiting_worker, withdraw
from support.eventually import eventually
from support.queues import JOBS, Bull, tree, working

SHORT_LOCK = timedelta(seconds=0.3)


async def test_a_coroutine_is_cancelled_at_once_and_told_why(
    bull: Bull, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runner_module, "GRACE", timedelta(minutes=1))
    worker = Worker(JOBS)
    started = asyncio.Event()
    ends: list[Any] = []

    @worker.task("root")
    async def root(job: Job) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ends.append((job.signal.aborted, job.signal.reason))
            raise

    branch = tree("root", attempts=5)
    async with running(bull, worker, branch, started):
        await withdraw(bull, branch)
        await tell(bull, branch)
        event = await bull.ended(branch.job.job_id)

    assert event["failedReason"] == "cancelled"
    assert ends == [(True, "cancelled")]
    assert (await bull.history(branch.job.job_id)).count("active") == 1
    assert "defa" not in await bull.job(branch.job.job_id)
    assert caplog.records == []  # where asyncio would say that a callback has failed


async def test_a_function_is_left_to_heed_its_signal_and_what_it_returns_does_not_count(bull: Bull) -> None:
    worker = Worker(JOBS)
    started = asyncio.Event()
    loop = asyncio.get_running_loop()
    reasons: list[str | None] = []

    @worker.task("root")
    def root(job: Job) -> str:
        loop.call_soon_threadsafe(started.set)
        while not job.signal.aborted:
            threading.Event().wait(0.005)
        job.log("cleaning up")
        reasons.append(job.signal.reason)
        return "too late"

    branch = tree("root", attempts=5)
    async with running(bull, worker, branch, started):
        await tell(bull, branch)
        event = await bull.ended(branch.job.job_id)

    assert (event["event"], event["failedReason"], reasons) == ("failed", "cancelled", ["cancelled"])
    assert (await bull.queue().getJobLogs(branch.job.job_id))["logs"] == ["cleaning up"]


@pytest.mark.parametrize("limit", [None, 0.2], ids=["cancelled", "timed out"])
async def test_a_coroutine_that_is_stopped_while_it_waits_for_that_may_clean_up_undisturbed(
    bull: Bull, limit: float | None
) -> None:
    worker = Worker(JOBS)
    started = asyncio.Event()
    story: list[str] = []

    @worker.task("root", timeout=limit)
    async def root(job: Job) -> None:
        started.set()
        try:
            story.append(await job.signal.wait())
        except asyncio.CancelledError:
            story.append("stopped")
        await job.log("cleaning up") if limit is None else None
        await asyncio.sleep(0.05)
        story.append("clean")

    branch = tree("root")
    async with running(bull, worker, branch, started):
        if limit is None:
            await tell(bull, branch)
        await bull.ended(branch.job.job_id)

    assert story == ["stopped", "clean"]


@pytest.mark.parametrize("kind", ["returns", "raises"])
async def test_whatever_a_cancelled_coroutine_makes_of_it_the_job_was_cancelled(bull: Bull, kind: str) -> None:
    worker = Worker(JOBS)
    started = asyncio.Event()

    @worker.task("root")
    async def root(job: Job) -> str:
        started.set()
        try:
            return await job.signal.wait()
        except asyncio.CancelledError:
            if kind == "raises":
                raise ValueError("another end") from None
            return "another end"

    branch = tree("root", attempts=5)
    async with running(bull, worker, branch, started):
        await tell(bull, branch)
        event = await bull.ended(branch.job.job_id)

    assert (event["event"], event["failedReason"]) == ("failed", "cancelled")


@pytest.mark.parametrize("kind", ["coroutine", "function"])
async def test_a_handler_that_does_not_listen_keeps_its_slot_only_for_a_moment(
    bull: Bull, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "GRACE", timedelta(seconds=0.1))
    worker = Worker(JOBS, concurrency=1)
    started, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    @worker.task("coroutine")
    async def coroutine(_: Job) -> None:
        started.set()
        while not release.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    @worker.task("function")
    def function(_: Job) -> None:
        loop.call_soon_threadsafe(started.set)
        release.wait(30)

    worker.task("next")(lambda _: None)
    branch, after = tree(kind), tree("next")
    async with running(bull, worker, branch, started):
        await bull.add(after)
        await tell(bull, branch)
        event = await bull.ended(branch.job.job_id)
        await bull.seen("completed", after.job.job_id)
        release.set()

    assert event["failedReason"] == "cancelled"


async def test_a_job_may_be_withdrawn_over_and_over_while_it_ends(bull: Bull) -> None:
    worker = Worker(JOBS, lock=SHORT_LOCK)
    started, stopping, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @worker.task("root")
    async def root(_: Job) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopping.set()
            await go_on.wait()

    worker.task("next")(lambda _: None)
    branch, after = tree("root"), tree("next")
    async with running(bull, worker, branch, started):
        await withdraw(bull, branch, reason="again")
        await tell(bull, branch, branch)
        await stopping.wait()
        before = (await bull.calls())["hget"]

        async def renewed_again() -> bool:
            return (await bull.calls())["hget"] >= before + 2

        await eventually(renewed_again)
        go_on.set()
        event = await bull.ended(branch.job.job_id)
        await bull.add(after)
        await bull.seen("completed", after.job.job_id)

    assert event["failedReason"] == "cancelled"


async def test_only_those_jobs_are_aborted_that_are_meant(bull: Bull) -> None:
    worker = Worker(JOBS, concurrency=2)
    started, go_on = asyncio.Semaphore(0), asyncio.Event()

    @worker.task("root")
    async def root(job: Job) -> bool:
        started.release()
        await go_on.wait()
        return job.signal.aborted

    meant, other = tree("root"), tree("root")
    async with working(bull, worker):
        await until_listening(bull)
        await bull.add(meant, other)
        for _ in range(2):
            await started.acquire()
        await tell(bull, meant, tree("somewhere else"))
        assert (await bull.ended(meant.job.job_id))["failedReason"] == "cancelled"
        go_on.set()
        event = await bull.ended(other.job.job_id)

    assert event["returnvalue"] == "false"


async def test_a_job_that_is_withdrawn_before_it_starts_is_not_run(bull: Bull) -> None:
    started = asyncio.Event()
    branch = tree("root", attempts=5)
    await bull.add(branch)
    await withdraw(bull, branch)
    async with working(bull, waiting_worker(started)):
        event = await bull.ended(branch.job.job_id)

    assert event["failedReason"] == "cancelled"
    assert not started.is_set()


async def test_a_job_that_is_withdrawn_between_its_attempts_has_no_further_one(bull: Bull) -> None:
    worker = Worker(JOBS)
    attempts: list[int] = []

    @worker.task("root")
    async def root(job: Job) -> None:
        attempts.append(job.attempt)
        await bull.client.hset(bull.key(job.job_id), "defa", "cancelled")
        raise RuntimeError("try again")

    branch = tree("root", attempts=5)
    async with working(bull, worker):
        await bull.add(branch)
        event = await bull.ended(branch.job.job_id)

    assert (event["failedReason"], attempts) == ("cancelled", [1])


async def test_a_job_that_is_withdrawn_while_its_children_are_asked_for_is_not_run(
    bull: Bull, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking, aborted = asyncio.Event(), asyncio.Event()
    runs: list[Job] = []
    ask: Callable[[Queue, Delivery], Awaitable[Delivery]] = Queue.with_children
    abort: Callable[[Runner, Delivery, str], None] = Runner.abort

    async def ask_slowly(queue: Queue, delivery: Delivery) -> Delivery:
        asking.set()
        await aborted.wait()
        return await ask(queue, delivery)

    def abort_and_say_so(runner: Runner, delivery: Delivery, reason: str) -> None:
        abort(runner, delivery, reason)
        aborted.set()

    monkeypatch.setattr(Queue, "with_children", ask_slowly)
    monkeypatch.setattr(Runner, "abort", abort_and_say_so)
    worker = Worker(JOBS)
    worker.task("child")(lambda _: None)
    worker.task("root")(runs.append)
    root = tree("root", tree("child"))
    async with running(bull, worker, root, asking):
        await tell(bull, root)
        event = await bull.ended(root.job.job_id)

    assert event["failedReason"] == "cancelled"
    assert runs == []
