"""An engine that answers and takes nothing: out of memory, or made a replica. Nothing is lost, and it is told."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bullflow.wire import Readiness
from support.eventually import eventually
from support.node import node_worker
from support.queues import connected
from support.servers import SqliteServer, Valkey
from support.service import Service, running, settings_for
from support.shapes import exactly
from support.stage import Stage, job, jobs_by_key

SOON: dict[str, Any] = {"lock": timedelta(seconds=3), "stalled_check": timedelta(seconds=1)}


async def fill(client: Any) -> None:
    await client.config_set("maxmemory", 1)


async def empty(client: Any) -> None:
    await client.config_set("maxmemory", 0)


async def demote(client: Any) -> None:
    await client.execute_command("REPLICAOF", "127.0.0.1", "1")


async def promote(client: Any) -> None:
    await client.execute_command("REPLICAOF", "NO", "ONE")


WORDS = {"full": "out of memory", "read-only": "only be read"}
BEGIN: dict[str, Callable[[Any], Awaitable[None]]] = {"full": fill, "read-only": demote}
END = {"full": empty, "read-only": promote}


@pytest.fixture(params=list(WORDS))
def trouble(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Valkey]:
    """An engine of the test's own."""
    async with Valkey(tmp_path / "engine") as own:
        yield own


@pytest_asyncio.fixture
async def service(
    sqlite: SqliteServer, engine: Valkey, prefix: str, data_dir: Path, stage: Stage
) -> AsyncIterator[Service]:
    settings = settings_for(sqlite.new_database(), engine.url, prefix, data_dir)
    async with running(settings, [stage.worker(concurrency=2, **SOON)]) as found:
        yield found


@asynccontextmanager
async def troubled(service: Service, trouble: str) -> AsyncIterator[None]:
    """The engine takes nothing in this block, and is well afterwards."""
    async with connected(service.settings.redis_url or "", service.settings.prefix) as bull:
        await BEGIN[trouble](bull.client)
        try:
            yield
        finally:
            await END[trouble](bull.client)


async def until_ready(service: Service) -> None:
    async def ready() -> bool:
        return (await service.http.get("/readyz")).status_code == 200

    await eventually(ready)


async def test_flows_are_taken_and_wait_in_the_store_and_what_runs_is_not_run_twice(
    service: Service, stage: Stage, trouble: str
) -> None:
    await until_ready(service)
    held = await service.create(job("sum", "root", job("hold", "held", value=5), job("value", "leaf")))
    await stage.started("held")

    async with troubled(service, trouble):
        answer = await service.http.post("/flows", json=job("sum", "late", job("value", "other", value=3)))
        assert answer.status_code == 201
        late = answer.json()["id"]
        readiness = await service.http.get("/readyz")
        assert readiness.status_code == 503
        assert WORDS[trouble] in exactly(Readiness, readiness.json()).engine
        for flow_id in (late, held.id):
            told = await service.client.explain(flow_id)
            assert WORDS[trouble] in told.engine
            assert any(WORDS[trouble] in reason.detail for reason in told.reasons)
        stage.release("held")
        cancelled = await service.create(job("value", "never"))
        assert (await service.client.cancel(cancelled.id)).applied is False

        async def has_ended() -> bool:
            return "held" in stage.aborted

        await eventually(has_ended)

    for flow_id in (late, held.id):
        ended = await service.client.wait(flow_id, timeout=20)
        assert ended.status == "completed"
    assert (await jobs_by_key(service, held.id))["held"].result == 5
    assert (await service.run(job("value", "after"))).status == "completed"
    await until_ready(service)
    assert stage.starts == {"held": 1, "leaf": 1, "root": 1, "other": 1, "late": 1, "after": 1}
    for flow_id in (late, held.id):
        log = await service.log_of(flow_id)
        assert [entry.seq for entry in log] == list(range(1, len(log) + 1))


async def test_a_result_is_kept_by_its_worker_for_longer_than_its_lock_while_the_engine_is_full(
    service: Service, engine: Valkey, stage: Stage
) -> None:
    """A lock is let live longer: nobody else gets the job, and its handler is not run twice."""
    held = await service.create(job("hold", "held", value=5))
    await stage.started("held")
    async with connected(engine.url, service.settings.prefix) as bull:
        lock = bull.key(f"{held.jobs[0].job_id}:lock", "stage")
        async with troubled(service, "full"):
            for _ in range(2):
                shortest = await bull.client.pttl(lock)

                async def renewed() -> bool:
                    nonlocal shortest
                    left = await bull.client.pttl(lock)
                    shortest = min(shortest, left)
                    return bool(left > shortest)

                await eventually(renewed)
            stage.release("held")

    ended = await service.client.wait(held.id, timeout=20)

    assert (ended.status, ended.result) == ("completed", 5)
    assert stage.starts == {"held": 1}


async def test_nodes_worker_ends_its_jobs_too_if_need_be_with_another_attempt(
    service: Service, engine: Valkey, tmp_path: Path, trouble: str
) -> None:
    """BullMQ for Node takes an end that the engine refuses for a failure of the attempt."""
    release = tmp_path / "release"
    options = {"concurrency": 2, "lockDuration": 1_000, "stalledInterval": 500, "maxStalledCount": 100}
    with node_worker(engine.url, service.settings.prefix, "node", tmp_path / "node.log", **options):
        held = await service.create(
            {
                "name": "until-file",
                "queueName": "node",
                "data": {"path": str(release)},
                "opts": {"attempts": 50, "backoff": 100},
            }
        )

        async def active() -> bool:
            return (await service.client.get(held.id)).status == "active"

        await eventually(active)
        async with troubled(service, trouble):
            late = await service.create({"name": "give", "queueName": "node", "data": 3})
            release.touch()
            assert (await service.http.get("/readyz")).status_code == 503

        for flow_id, result in ((held.id, "node"), (late.id, 3)):
            ended = await service.client.wait(flow_id, timeout=20)
            assert (ended.status, ended.result) == ("completed", result)
