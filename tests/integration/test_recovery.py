"""The engine forgets, wholly or in part: flows go on by themselves, and nothing that was recorded runs again."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from redis.asyncio import Redis

from bullflow.wire import Event
from support.eventually import eventually
from support.servers import Valkey
from support.service import Service, running, settings_for
from support.stage import Stage, job, jobs_by_key, statuses


@pytest_asyncio.fixture
async def own_valkey(data_dir: Path) -> AsyncIterator[Valkey]:
    """A Valkey that a test may wipe."""
    async with Valkey(data_dir / "engine") as server:
        yield server


@pytest_asyncio.fixture
async def engine(own_valkey: Valkey) -> AsyncIterator[Redis]:
    client = Redis.from_url(own_valkey.url, decode_responses=True)
    yield client
    await client.aclose()


@pytest_asyncio.fixture
async def lossy(store_url: str, own_valkey: Valkey, data_dir: Path, stage: Stage) -> AsyncIterator[Service]:
    """A service of the stage over an engine of its own."""
    async with running(settings_for(store_url, own_valkey.url, "bull", data_dir), [stage.worker()]) as service:
        yield service


async def becomes(service: Service, flow_id: str, wanted: dict[str, str]) -> None:
    """Return when the record shows these states of jobs."""

    async def so() -> bool:
        found = await statuses(service, flow_id)
        return all(found[key] == status for key, status in wanted.items())

    await eventually(so)


async def recovered(service: Service, flow_id: str) -> Event:
    """The entry of the log that tells of the recovery."""

    async def entry() -> Event | None:
        return next((entry for entry in await service.log_of(flow_id) if entry.event == "flow.recovered"), None)

    return await eventually(entry)


async def assert_log_is_sound(service: Service, flow_id: str) -> None:
    log = await service.log_of(flow_id)
    assert [entry.seq for entry in log] == list(range(1, len(log) + 1))
    ends = Counter(entry.job_id for entry in log if entry.event in ("job.completed", "job.failed", "job.cancelled"))
    assert set(ends.values()) <= {1}


async def test_a_flow_goes_on_after_the_engine_was_wiped_and_what_had_completed_does_not_run_again(
    lossy: Service, engine: Redis, stage: Stage
) -> None:
    flow = await lossy.create(
        job("sum", "root", job("sum", "left", job("value", "done", value=3), job("hold", "held")), job("value", "ok"))
    )
    await becomes(lossy, flow.id, {"done": "completed", "ok": "completed", "held": "active"})

    await engine.flushall()
    told = await recovered(lossy, flow.id)
    stage.release("held")
    ended = await lossy.client.wait(flow.id, timeout=20)

    assert told.data["jobs"] == 3
    assert told.data["reason"] == "the engine has lost 3 of its jobs"
    assert (ended.status, ended.result) == ("completed", 4)
    assert stage.starts == {"done": 1, "ok": 1, "held": 2, "left": 1, "root": 1}
    jobs = await jobs_by_key(lossy, flow.id)
    assert {key: int(found.job_id.rpartition("-")[2]) for key, found in jobs.items()} == {
        "root": 2, "left": 2, "done": 1, "held": 2, "ok": 1,
    }  # fmt: skip
    await assert_log_is_sound(lossy, flow.id)
