"""Whether the service is alive and ready, and what it says while something is away."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from bullflow.http.server import listen
from bullflow.wire import CreatedFlow, Health, Readiness
from support.eventually import eventually
from support.servers import SqliteServer, Valkey
from support.service import Service, running, settings_for
from support.shapes import exactly
from support.stage import Stage, job


@pytest_asyncio.fixture
async def own_valkey(tmp_path: Path) -> AsyncIterator[Valkey]:
    """An engine that the test may stop."""
    engine = Valkey(tmp_path / "engine")
    await asyncio.to_thread(engine.start)
    yield engine
    await asyncio.to_thread(engine.stop)


async def readiness(service: Service) -> tuple[int, Readiness]:
    answer = await service.http.get("/readyz")
    return answer.status_code, exactly(Readiness, answer.json())


async def until(service: Service, status: int) -> Readiness:
    async def told() -> Readiness | None:
        found, body = await readiness(service)
        return body if found == status else None

    found = await eventually(told)
    assert found is not None
    return found


async def test_a_whole_service_is_alive_and_ready(store_url: str, valkey: Valkey, prefix: str, data_dir: Path) -> None:
    async with running(settings_for(store_url, valkey.url, prefix, data_dir)) as service:
        alive = await service.http.get("/healthz")

        assert alive.status_code == 200
        assert exactly(Health, alive.json()).status == "ok"
        ready = await until(service, 200)
        assert ready == Readiness(
            status="ready", store="ok", engine="ok", recorder="ok", recorder_lag=0, dispatch_backlog=0
        )


async def test_what_is_behind_is_measured_until_it_is_not(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage
) -> None:
    async with running(settings_for(store_url, valkey.url, prefix, data_dir), [stage.worker()]) as service:
        await until(service, 200)
        stage.broken.add("bad")
        # The last that the engine tells of a job that has failed for good is nothing that is recorded.
        await service.run(job("value", "bad", attempts=2))
        await service.create(job("value", "waits", queue="nobody"))

        async def nothing_is_behind() -> bool:
            _, body = await readiness(service)
            assert body.recorder_lag is not None
            assert body.recorder_lag < 20_000
            return (body.recorder_lag, body.dispatch_backlog) == (0, 0)

        await eventually(nothing_is_behind)


async def test_without_its_engine_the_service_accepts_flows_says_what_is_wrong_and_comes_back(
    sqlite: SqliteServer, own_valkey: Valkey, prefix: str, data_dir: Path
) -> None:
    async with running(settings_for(sqlite.new_database(), own_valkey.url, prefix, data_dir)) as service:
        await until(service, 200)
        await asyncio.to_thread(own_valkey.stop)

        wrong = await until(service, 503)
        assert (wrong.status, wrong.store) == ("not ready", "ok")
        assert "engine" in wrong.engine
        assert (await service.http.get("/healthz")).status_code == 200
        answer = await service.http.post("/flows", json={"name": "a", "queueName": "nobody"})
        assert answer.status_code == 201
        created = exactly(CreatedFlow, answer.json())
        _, behind = await readiness(service)
        assert (behind.recorder_lag, behind.dispatch_backlog) == (None, 1)
        assert (await service.client.get(created.id)).status == "waiting"

        await asyncio.to_thread(own_valkey.start)
        await until(service, 200)

        async def dispatched() -> bool:
            return "flow.dispatched" in [entry.event for entry in await service.log_of(created.id)]

        await eventually(dispatched)


async def test_the_listener_names_its_protocol_so_that_answers_go_out_at_once() -> None:
    with listen("127.0.0.1", 0) as listener:
        # What asyncio looks at before it turns off Nagle's algorithm, which costs 40 ms an answer.
        assert listener.proto == socket.IPPROTO_TCP
