"""Lines between the parts are cut or go dead: what is away is told soon, and all goes on by itself when they heal."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest
import pytest_asyncio

from bullflow.engine import connection
from bullflow.store import postgres as postgres_module
from bullflow.wire import Readiness
from support.eventually import eventually
from support.lines import Line, line
from support.queues import Bull, working
from support.queues import connected as bull_at
from support.servers import PostgresServer, Valkey
from support.service import Service, running, settings_for
from support.shapes import exactly, problem_of
from support.stage import Stage, job, jobs_by_key

TROUBLES = ("cut", "frozen")
READY_WITHIN = 5.5


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds, small enough for a test."""
    monkeypatch.setattr(connection, "ANSWER_WITHIN", timedelta(seconds=2))
    monkeypatch.setattr(postgres_module, "SILENCE_SECONDS", 2)
    monkeypatch.setattr(postgres_module, "CONNECT_SECONDS", 3)


@pytest.fixture(params=TROUBLES)
def trouble(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def make(trouble: str, cable: Line) -> None:
    if trouble == "cut":
        await cable.cut()
    else:
        cable.freeze()


@pytest_asyncio.fixture
async def to_engine(valkey: Valkey) -> AsyncIterator[Line]:
    async with line(valkey.url) as cable:
        yield cable


@pytest_asyncio.fixture
async def to_store(postgres: PostgresServer) -> AsyncIterator[Line]:
    async with line(postgres.new_database()) as cable:
        yield cable


async def readiness(service: Service) -> tuple[int, Readiness]:
    begun = monotonic()
    answer = await service.http.get("/readyz")
    assert monotonic() - begun < READY_WITHIN
    return answer.status_code, exactly(Readiness, answer.json())


async def until_ready(service: Service) -> None:
    async def ready() -> bool:
        return (await readiness(service))[0] == 200

    await eventually(ready)


# --- the engine's line ------------------------------------------------------------------------------------


async def test_a_service_without_a_line_to_its_engine_takes_flows_tells_and_goes_on(
    store_url: str, to_engine: Line, prefix: str, data_dir: Path, stage: Stage, trouble: str
) -> None:
    settings = settings_for(store_url, to_engine.url, prefix, data_dir)
    async with running(settings, [stage.worker()]) as service:
        await until_ready(service)
        before = await service.create(job("sum", "first", job("hold", "held"), job("value", "leaf")))
        await stage.started("held")

        await make(trouble, to_engine)
        status, told = await readiness(service)
        assert (status, told.store) == (503, "ok")
        assert "engine" in told.engine
        answer = await service.http.post("/flows", json=job("sum", "second", job("value", "other")))
        assert answer.status_code == 201
        stage.release("held")
        explained = await service.client.explain(answer.json()["id"])
        assert explained.engine != "ok"
        assert {reason.reason for reason in explained.reasons} == {"not-dispatched"}

        to_engine.heal()
        for flow_id, result in ((before.id, 1), (answer.json()["id"], 1)):
            ended = await service.client.wait(flow_id, timeout=20)
            assert (ended.status, ended.result) == ("completed", result)
        await until_ready(service)
        log = [entry.event.value for entry in await service.log_of(before.id)]
        assert log.count("job.completed") == 3
    assert stage.starts["held"] == 1


async def test_a_cancellation_is_answered_soon_and_says_that_the_engine_does_not_know_yet(
    store_url: str,
    valkey: Valkey,
    to_engine: Line,
    prefix: str,
    data_dir: Path,
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The worker has a line of its own, so it runs on meanwhile."""
    monkeypatch.setattr(connection, "ANSWER_WITHIN", timedelta(seconds=10))
    settings = settings_for(store_url, to_engine.url, prefix, data_dir)
    async with running(settings) as service, bull_at(valkey.url, prefix) as bull, working(bull, stage.worker()):
        flow = await service.create(job("sum", "root", job("hold", "held")))
        await stage.started("held")
        to_engine.freeze()
        begun = monotonic()

        answer = await service.http.post(f"/flows/{flow.id}/cancel")

        assert monotonic() - begun < 5
        assert answer.status_code == 202
        assert (answer.json()["status"], answer.json()["applied"]) == ("cancelled", False)
        to_engine.heal()

        async def told() -> bool:
            return stage.aborted.get("held") == "cancelled"

        await eventually(told)
        again = await service.client.cancel(flow.id)
        assert (again.status, again.applied) == ("cancelled", True)


async def test_a_worker_that_loses_its_line_hands_in_its_results_when_it_is_back(
    staged: Service, to_engine: Line, trouble: str
) -> None:
    """The service's own workers have another queue."""
    far = Stage()
    bull = Bull(to_engine.url, staged.settings.prefix, None)
    async with working(bull, far.worker("far", lock=timedelta(seconds=30), concurrency=2)):
        flow = await staged.create(job("sum", "root", job("hold", "held", queue="far", value=7), job("value", "leaf")))
        await far.started("held")
        await make(trouble, to_engine)
        before = to_engine.dialled
        far.release("held")
        waiting = await staged.create(job("value", "next", queue="far", value=8))

        async def has_given_up() -> bool:
            return to_engine.dialled > before + 1

        await eventually(has_given_up)
        to_engine.heal()

        ended = await staged.client.wait(flow.id, timeout=20)
        assert (ended.status, ended.result) == ("completed", 1)
        assert (await jobs_by_key(staged, flow.id))["held"].result == 7
        assert (await staged.client.wait(waiting.id, timeout=20)).result == 8
    assert far.starts == {"held": 1, "next": 1}


# --- the store's line -------------------------------------------------------------------------------------


async def test_a_service_without_a_line_to_its_store_takes_nothing_says_why_and_goes_on(
    to_store: Line, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage, trouble: str
) -> None:
    settings = settings_for(to_store.url, valkey.url, prefix, data_dir)
    async with running(settings, [stage.worker()]) as service:
        await until_ready(service)
        before = await service.create(job("sum", "first", job("hold", "held"), job("value", "leaf")))
        await stage.started("held")

        await make(trouble, to_store)
        stage.release("held")
        begun = monotonic()
        answers = await asyncio.gather(*(service.http.post("/flows", json=job("value", "never")) for _ in range(12)))
        assert monotonic() - begun < 12
        for answer in answers:
            assert "database" in problem_of(answer, 503).detail
            assert int(answer.headers["retry-after"]) >= 1
        status, told = await readiness(service)
        assert (status, told.engine) == (503, "ok")
        assert told.store != "ok"

        to_store.heal()
        await until_ready(service)
        ended = await service.client.wait(before.id, timeout=20)
        assert (ended.status, ended.result) == ("completed", 1)
        assert (await service.run(job("value", "after"))).status == "completed"
        assert "never" not in stage.starts
        assert len((await service.client.flows()).items) == 2
