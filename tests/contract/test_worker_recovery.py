"""Workers that die, locks that are lost, engines that go away: each job still ends, and once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from bullflow import Job, Worker
from bullflow.engine.delivery import read_delivery
from bullflow.engine.embedded import EmbeddedEngine
from bullflow.worker import worker as worker_module
from support.queues import JOBS, Bull, connected, hands_on, kill_engine, tree, working

SOON = timedelta(seconds=0.1)
SHORT_LOCK = timedelta(seconds=0.3)


def a_rescuer(**options: Any) -> Worker:
    """A worker that often looks for the jobs of those that have died."""
    return Worker(JOBS, **{"stalled_check": SOON, **options})


async def test_a_job_of_a_worker_that_has_vanished_is_done_by_another(bull: Bull) -> None:
    worker = a_rescuer()

    @worker.task("root")
    async def root(job: Job) -> int:
        return job.attempt

    branch = tree("root")
    await bull.add(branch)
    async with hands_on(bull, lock_ms=50) as vanished:
        assert (await vanished.take("token")).delivery is not None
    async with working(bull, worker):
        event = await bull.ended(branch.job.job_id)

    assert event["returnvalue"] == "1"
    history = ["added", "waiting", "active", "waiting", "stalled", "active", "completed"]
    assert await bull.history(branch.job.job_id) == history


async def test_a_job_of_a_worker_that_was_cancelled_is_done_by_another(
    bull: Bull, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "GRACE", SOON)
    # Who looks first says for how long nobody else will: the dying one must not say 30 s.
    dying, rescuer = a_rescuer(lock=SHORT_LOCK), a_rescuer()
    started = asyncio.Event()

    @dying.task("root")
    async def never(_: Job) -> None:
        started.set()
        await asyncio.Event().wait()

    @rescuer.task("root")
    async def root(_: Job) -> str:
        return "rescued"

    branch = tree("root")
    await bull.add(branch)
    async with working(bull, dying, stop_timeout=timedelta(0)) as stop:
        await started.wait()
        stop.set()
    async with working(bull, rescuer):
        event = await bull.ended(branch.job.job_id)

    assert event["returnvalue"] == '"rescued"'


async def test_a_job_that_kills_every_worker_fails_in_the_end(bull: Bull) -> None:
    worker = a_rescuer(max_stalled=2)
    worker.task("root")(lambda _: "never run")
    branch = tree("root", attempts=10)
    await bull.add(branch)
    await bull.client.hset(bull.key(branch.job.job_id), "stc", "2")
    async with hands_on(bull, lock_ms=50) as vanished:
        await vanished.take("token")
    async with working(bull, worker):
        event = await bull.ended(branch.job.job_id)

    assert event["failedReason"] == "job stalled more than allowable limit"


async def test_a_long_job_keeps_its_lock(bull: Bull) -> None:
    """It runs through several of its locks' lifetimes, while another worker looks for dead workers' jobs."""
    worker, rescuer = a_rescuer(lock=SHORT_LOCK), a_rescuer()
    started = asyncio.Event()
    go_on = asyncio.Event()

    @worker.task("root")
    async def root(job: Job) -> Any:
        started.set()
        await go_on.wait()
        return job.signal.reason

    rescuer.task("probe")(lambda _: None)
    branch = tree("root")
    async with working(bull, worker):
        await bull.add(branch)
        await started.wait()
        async with working(bull, rescuer):
            loop = asyncio.get_running_loop()
            end = loop.time() + 4 * SHORT_LOCK.total_seconds()
            while loop.time() < end:
                assert await bull.client.exists(bull.key(f"{branch.job.job_id}:lock"))
        go_on.set()
        event = await bull.ended(branch.job.job_id)

    assert event["returnvalue"] == "null"
    assert (await bull.history(branch.job.job_id)).count("active") == 1


async def test_a_handler_learns_that_its_lock_is_lost_and_its_late_result_changes_nothing(bull: Bull) -> None:
    worker = Worker(JOBS, lock=SHORT_LOCK)
    started = asyncio.Event()

    @worker.task("root")
    async def root(job: Job) -> str:
        started.set()
        reasons.append(await job.signal.wait())
        return "too late"

    @worker.task("after")
    async def after(_: Job) -> None: ...

    reasons: list[str] = []
    branch, probe = tree("root"), tree("after")
    async with working(bull, worker), hands_on(bull) as thief:
        await bull.add(branch)
        await started.wait()
        await bull.client.set(bull.key(f"{branch.job.job_id}:lock"), "stolen")
        await bull.add(probe)
        await bull.seen("completed", probe.job.job_id)
        assert await bull.state(branch.job.job_id) == "active"
        delivery = read_delivery(JOBS, branch.job.job_id, "stolen", await bull.job(branch.job.job_id))
        await thief.complete(delivery, '"in time"', fetch_next=False)

    assert reasons == ["lock lost"]
    ends = [event for event in await bull.events() if event["event"] == "completed"]
    assert [event["returnvalue"] for event in ends if event["jobId"] == branch.job.job_id] == ['"in time"']


async def test_a_job_that_comes_back_to_the_worker_that_lost_it_ends_once(bull: Bull) -> None:
    worker = a_rescuer(concurrency=2, lock=timedelta(seconds=2))
    runs: list[Job] = []
    second_runs, go_on = asyncio.Event(), asyncio.Event()

    @worker.task("root")
    async def root(job: Job) -> str:
        runs.append(job)
        if len(runs) == 1:
            return "first, " + await job.signal.wait()
        second_runs.set()
        await go_on.wait()
        return "second"

    branch, probe = tree("root"), tree("probe")
    worker.task("probe")(lambda _: None)
    async with working(bull, worker):
        await bull.add(branch)
        await bull.seen("active", branch.job.job_id)
        await bull.client.delete(bull.key(f"{branch.job.job_id}:lock"))
        await second_runs.wait()
        await bull.add(probe)
        await bull.seen("completed", probe.job.job_id)
        go_on.set()
        event = await bull.ended(branch.job.job_id)

    assert event["returnvalue"] == '"second"'
    assert [job.signal.reason for job in runs] == ["lock lost", None]
    assert (await bull.history(branch.job.job_id)).count("completed") == 1


async def test_scripts_that_are_forgotten_in_the_middle_of_a_job_are_loaded_again(bull: Bull) -> None:
    worker = Worker(JOBS)

    @worker.task("root")
    async def root(job: Job) -> None:
        await bull.client.script_flush()
        await job.progress(50)
        await bull.client.script_flush()

    branch = tree("root")
    async with working(bull, worker):
        await bull.add(branch)
        assert (await bull.ended(branch.job.job_id))["event"] == "completed"


class OwnEngine:
    """An engine that a test may kill and start again under the same address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engines: list[EmbeddedEngine] = []

    @property
    def url(self) -> str:
        return EmbeddedEngine(self._folder).url

    async def start(self) -> None:
        engine = EmbeddedEngine(self._folder)
        await engine.start()
        self._engines.append(engine)

    async def stop(self) -> None:
        for engine in self._engines:
            await engine.stop()
        self._engines.clear()


@pytest_asyncio.fixture
async def own_engine(tmp_path: Path) -> AsyncIterator[OwnEngine]:
    engine = OwnEngine(tmp_path)
    yield engine
    await engine.stop()


@pytest_asyncio.fixture
async def own_bull(own_engine: OwnEngine, prefix: str) -> AsyncIterator[Bull]:
    async with connected(own_engine.url, prefix) as bull:
        yield bull


async def test_a_worker_waits_for_an_engine_that_is_not_there_yet(own_engine: OwnEngine, own_bull: Bull) -> None:
    worker = Worker(JOBS)
    worker.task("root")(lambda _: "done")
    branch = tree("root")
    async with working(own_bull, worker):
        await asyncio.sleep(0)
        await own_engine.start()
        await own_bull.add(branch)
        assert (await own_bull.ended(branch.job.job_id))["returnvalue"] == '"done"'


async def test_a_worker_outlives_its_engine_and_delivers_what_was_finished_meanwhile(
    own_engine: OwnEngine, own_bull: Bull
) -> None:
    worker = Worker(JOBS)
    started, go_on = asyncio.Event(), asyncio.Event()

    @worker.task("root")
    async def root(job: Job) -> str:
        started.set()
        await go_on.wait()
        await job.progress(99)
        await job.log("nobody hears this")
        return "finished meanwhile"

    worker.task("after")(lambda _: "done")
    branch, after = tree("root"), tree("after")
    await own_engine.start()
    async with working(own_bull, worker):
        await own_bull.add(branch)
        await started.wait()
        await kill_engine(own_bull)
        go_on.set()
        await own_engine.start()
        event = await own_bull.ended(branch.job.job_id)
        await own_bull.add(after)
        await own_bull.seen("completed", after.job.job_id)

    assert orjson.loads(event["returnvalue"]) == "finished meanwhile"
    assert await own_bull.history(branch.job.job_id) == ["added", "waiting", "active", "completed"]


async def test_an_idle_worker_outlives_its_engine(own_engine: OwnEngine, own_bull: Bull) -> None:
    worker = Worker(JOBS)
    worker.task("root")(lambda _: "done")
    await own_engine.start()
    async with working(own_bull, worker):
        await own_bull.until_idle()
        await kill_engine(own_bull)
        await own_engine.start()
        branch = tree("root")
        await own_bull.add(branch)
        assert (await own_bull.ended(branch.job.job_id))["returnvalue"] == '"done"'


async def test_a_worker_whose_engine_has_forgotten_everything_goes_on(own_engine: OwnEngine, own_bull: Bull) -> None:
    worker = Worker(JOBS)
    started, go_on = asyncio.Event(), asyncio.Event()

    @worker.task("root")
    async def root(_: Job) -> None:
        started.set()
        await go_on.wait()

    worker.task("after")(lambda _: "done")
    lost, after = tree("root"), tree("after")
    await own_engine.start()
    async with working(own_bull, worker):
        await own_bull.add(lost)
        await started.wait()
        await own_bull.client.flushall()
        go_on.set()
        await own_bull.add(after)
        await own_bull.seen("completed", after.job.job_id)

    assert await own_bull.history(lost.job.job_id) == []
