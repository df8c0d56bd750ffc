"""A handler that asks for it sees the values of grandchildren too, also of those that the engine has forgotten."""

from pathlib import Path
from typing import Any

import pytest

from bullflow import Job, Worker
from bullflow.engine.connection import connect
from bullflow.engine.keys import queue_key
from support.eventually import eventually
from support.servers import Valkey
from support.service import Service, running, settings_for
from support.stage import QUEUE, Stage, job, jobs_by_key, statuses

REPORTS = "reports"


def reporter() -> Worker:
    worker = Worker(REPORTS)

    @worker.task("report", descendants=True)
    async def report(job: Job) -> Any:
        below = job.descendants
        return {"value": list(below.all("value")), "sum": list(below.all("sum")), "failures": below.failures}

    return worker


def report(*children: dict[str, Any]) -> dict[str, Any]:
    return {"name": "report", "queueName": REPORTS, "data": {"key": "root"}, "children": list(children)}


@pytest.fixture
def workers(stage: Stage) -> list[Worker]:
    return [stage.worker(), reporter()]


async def forget(service: Service, job_id: str) -> None:
    """As the engine does it some time after a job has ended."""
    settings = service.settings
    client: Any = connect(settings.redis_url or "", "test")
    key = queue_key(settings.prefix, QUEUE, job_id)
    await client.zrem(queue_key(settings.prefix, QUEUE, "completed"), job_id)
    await client.delete(key, f"{key}:processed", f"{key}:failed")
    await client.aclose()


async def test_values_of_all_that_is_below_are_found_by_name_in_tree_order(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path, workers: list[Worker], stage: Stage
) -> None:
    stage.broken.add("bad")
    async with running(settings_for(store_url, valkey.url, prefix, data_dir), workers) as service:
        flow = await service.run(
            report(
                job("sum", "left", job("value", "one", value=1), job("value", "two", value=2)),
                job("value", "three", value=3),
                job("sum", "right", job("value", "four", value=4), job("value", "bad", ignoreDependencyOnFailure=True)),
            )
        )

    assert flow.result == {"value": [1, 2, 3, 4], "sum": [3, 4], "failures": {"value": ["bad is broken"]}}


async def test_what_the_engine_has_forgotten_is_asked_of_the_store(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path, workers: list[Worker], stage: Stage
) -> None:
    stage.broken.add("bad")
    async with running(settings_for(store_url, valkey.url, prefix, data_dir), workers) as service:
        flow = await service.create(
            report(
                job(
                    "sum",
                    "middle",
                    job("sum", "inner", job("value", "deep", value=5)),
                    job("value", "bad", ignoreDependencyOnFailure=True),
                    job("value", "shallow", value=7),
                ),
                job("hold", "slow", value=0),
            )
        )

        async def middle_is_done() -> bool:
            return (await statuses(service, flow.id))["middle"] == "completed"

        await eventually(middle_is_done)
        jobs = await jobs_by_key(service, flow.id)
        for key in ("middle", "inner", "deep", "shallow", "bad"):
            await forget(service, jobs[key].job_id)
        stage.release("slow")
        ended = await service.client.wait(flow.id, timeout=15)

    assert ended.error is None
    assert ended.result == {"value": [5, 7], "sum": [12, 5], "failures": {"value": ["bad is broken"]}}


async def test_children_are_known_by_name_when_the_engine_has_forgotten_them(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path, workers: list[Worker], stage: Stage
) -> None:
    async with running(settings_for(store_url, valkey.url, prefix, data_dir), workers) as service:
        flow = await service.create(
            job("sum", "root", job("value", "quick", value=8), job("value", "also", value=1), job("hold", "slow"))
        )

        async def quick_is_done() -> bool:
            found = await statuses(service, flow.id)
            return found["quick"] == found["also"] == "completed"

        await eventually(quick_is_done)
        jobs = await jobs_by_key(service, flow.id)
        await forget(service, jobs["quick"].job_id)
        await forget(service, jobs["also"].job_id)
        stage.release("slow")

        assert (await service.client.wait(flow.id, timeout=15)).result == 9
