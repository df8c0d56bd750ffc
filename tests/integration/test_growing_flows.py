"""Children that a running job adds are part of the flow in the store like all others."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bullflow import Job, Worker
from bullflow.errors import JobFailure
from bullflow.flow.states import JobStatus
from support.eventually import eventually
from support.servers import Valkey
from support.service import running, settings_for
from support.stage import QUEUE, Stage, job, jobs_by_key, statuses

FARM = "farm"


def farmer(stage: Stage) -> Worker:
    """`grow` adds the children that its data asks for, waits for them, and sums their values."""
    worker = Worker(FARM, concurrency=5)

    @worker.task("grow")
    async def grow(job: Job) -> Any:
        stage.starts[job.data["key"]] += 1
        if job.data["adds"] and "value" not in job.children and "hold" not in job.children:
            await job.add_children(job.data["adds"])
            return None
        return sum(job.children.all("value")) + sum(job.children.all("hold"))

    @worker.task("overgrow")
    async def overgrow(job: Job) -> None:
        for _ in range(2):
            await job.add_children([{"name": "value", "queueName": QUEUE, "data": {"key": "x"}}] * 6)

    @worker.task("late")
    async def late(job: Job) -> None:
        """Tries to add children after it was cancelled."""
        stage.starts["late"] += 1
        with suppress(asyncio.CancelledError):
            await job.signal.wait()
        try:
            await job.add_children([{"name": "value", "queueName": QUEUE, "data": {"key": "too-late"}}])
        except JobFailure as refused:
            stage.aborted["late"] = str(refused)
            raise

    return worker


def grow(*adds: dict[str, Any], key: str = "root") -> dict[str, Any]:
    return {"name": "grow", "queueName": FARM, "data": {"key": key, "adds": list(adds)}}


@pytest.fixture
def workers(stage: Stage) -> list[Worker]:
    return [stage.worker(), farmer(stage)]


async def test_added_children_are_recorded_with_their_place_their_log_and_their_results(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage, workers: list[Worker]
) -> None:
    async with running(settings_for(store_url, valkey.url, prefix, data_dir), workers) as service:
        flow = await service.run(
            grow(job("value", "one", value=1), job("value", "two", value=20), job("value", "three", value=300))
        )

        assert (flow.status, flow.result) == ("completed", 321)
        assert sum(flow.counts.values()) == 4
        jobs = await jobs_by_key(service, flow.id)
        root = jobs["root"]
        assert root.children == [jobs[key].id for key in ("one", "two", "three")]
        assert {(found.parent_id, found.status.value) for found in jobs.values()} == {
            (None, "completed"),
            (root.id, "completed"),
        }
        assert stage.starts == {"root": 2, "one": 1, "two": 1, "three": 1}
        log = await service.log_of(flow.id)
        assert [entry.seq for entry in log] == list(range(1, flow.last_seq + 1))
        first = [entry for entry in log if entry.id == jobs["one"].id]
        assert [entry.event for entry in first] == ["job.waiting", "job.active", "job.completed"]
        assert first[0].data["parentId"] == root.id


async def test_added_children_are_retried_and_cancelled_like_all_others(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage, workers: list[Worker]
) -> None:
    stage.broken.add("bad")
    async with running(settings_for(store_url, valkey.url, prefix, data_dir), workers) as service:
        flow = await service.run(grow(job("value", "good", value=1), job("value", "bad", value=2)))
        assert flow.status == "failed"
        assert flow.error is not None
        assert flow.error.origin_id == (await jobs_by_key(service, flow.id))["bad"].id
        stage.broken.clear()

        await service.client.retry(flow.id)
        ended = await service.client.wait(flow.id, timeout=10)

        assert (ended.status, ended.result) == ("completed", 3)
        assert stage.starts == {"root": 2, "good": 1, "bad": 2}

        growing = await service.create(grow(job("hold", "long")))
        await stage.started("long")
        await service.client.cancel(growing.id)

        async def all_are() -> bool:
            # What was added just before is recorded a moment later.
            return await statuses(service, growing.id) == {"root": "cancelled", "long": "cancelled"}

        await eventually(all_are)


async def test_a_flow_that_outgrows_its_limit_fails(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage, workers: list[Worker]
) -> None:
    settings = settings_for(store_url, valkey.url, prefix, data_dir, max_jobs=10)
    async with running(settings, workers) as service:
        flow = await service.run({"name": "overgrow", "queueName": FARM, "data": {"key": "root"}})

        assert flow.status == "failed"
        assert flow.error is not None
        assert "grown beyond 10 jobs" in flow.error.message


async def test_a_cancelled_job_adds_nothing(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage, workers: list[Worker]
) -> None:
    async with running(settings_for(store_url, valkey.url, prefix, data_dir), workers) as service:
        flow = await service.create({"name": "late", "queueName": FARM, "data": {"key": "root"}})
        await stage.started("late")

        await service.client.cancel(flow.id)

        async def refused() -> str | None:
            return stage.aborted.get("late")

        assert "cancelled" in str(await eventually(refused))
        assert stage.starts["too-late"] == 0
        assert await statuses(service, flow.id) == {"root": "cancelled"}


async def test_children_that_are_added_while_the_flow_is_cancelled_never_run(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage, workers: list[Worker]
) -> None:
    async with running(settings_for(store_url, valkey.url, prefix, data_dir), workers) as service:
        flows = []
        for number in range(10):
            flow = await service.create(grow(job("value", f"leaf-{number}", delay=1_500), key=f"root-{number}"))
            await stage.started(f"root-{number}")
            await service.client.cancel(flow.id)
            flows.append(flow)

        await service.run(job("value", "after", delay=2_000))

        assert [key for key in stage.starts if key.startswith("leaf")] == []
        for flow in flows:
            assert set((await statuses(service, flow.id)).values()) == {"cancelled"}


async def test_a_bare_failure_of_an_added_child_that_came_before_the_wait_ends_the_flow(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage
) -> None:
    worker = Worker(FARM, concurrency=5)
    failed = asyncio.Event()

    @worker.task("wait-and-see")
    async def wait_and_see(job: Job) -> None:
        await job.add_children([{"name": "fails", "queueName": FARM, "opts": {"failParentOnFailure": False}}])
        await failed.wait()

    @worker.task("fails")
    async def fails(job: Job) -> None:
        raise ValueError("no")

    async with running(settings_for(store_url, valkey.url, prefix, data_dir), [worker]) as service:
        flow = await service.create({"name": "wait-and-see", "queueName": FARM})

        async def child_has_failed() -> bool:
            return (await service.client.get(flow.id)).counts[JobStatus.FAILED] == 1

        await eventually(child_has_failed)
        failed.set()
        ended = await service.client.wait(flow.id, timeout=10)

    assert ended.status == "failed"
    assert ended.error is not None
    assert ended.error.message == 'child "fails" failed: no'


async def test_a_flow_that_grows_too_deep_fails_and_no_other_suffers(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage
) -> None:
    worker = Worker(FARM, concurrency=5)

    @worker.task("dig")
    async def dig(job: Job) -> None:
        if not job.children:
            await job.add_children([{"name": "dig", "queueName": FARM}])

    settings = settings_for(store_url, valkey.url, prefix, data_dir, max_depth=5)
    async with running(settings, [worker, stage.worker()]) as service:
        ended = await service.run({"name": "dig", "queueName": FARM})
        other = await service.run(job("value", "other"))

    assert ended.status == "failed"
    assert ended.error is not None
    assert "grown beyond 5 levels" in ended.error.message
    assert sum(ended.counts.values()) <= 7
    assert other.status == "completed"
