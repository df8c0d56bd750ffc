"""A database that is locked, full or killed: nothing is taken that cannot be kept, it is told, and all goes on."""

import asyncio
import resource
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
import pytest_asyncio

from bullflow import AsyncClient
from bullflow.store import database as database_module
from bullflow.store import postgres as postgres_module
from bullflow.wire import Readiness
from support.eventually import eventually
from support.handlers import a_sum_of
from support.locking import locked
from support.processes import processes
from support.servers import PostgresServer, SqliteServer, Valkey
from support.service import JSON, Service, running, settings_for
from support.shapes import problem_of
from support.stage import Stage, job

WORKER = "tests.support.handlers:worker"
LOCKED = "somebody else keeps it locked"


@pytest.fixture
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds, small enough for a test."""
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 1)
    monkeypatch.setattr(postgres_module, "LOCK_SECONDS", 1)


def assert_away(answer: httpx.Response, words: str) -> None:
    found = problem_of(answer, 503)
    assert words in found.detail
    assert "database is locked" not in answer.text
    assert int(answer.headers["retry-after"]) >= 1


async def until_ready(http: httpx.AsyncClient) -> None:
    async def ready() -> bool:
        return (await http.get("/readyz")).status_code == 200

    await eventually(ready)


# --- locked -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("impatience")
async def test_while_somebody_keeps_it_locked_requests_are_refused_in_plain_words_and_the_recorder_waits(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage
) -> None:
    settings = settings_for(store_url, valkey.url, prefix, data_dir)
    async with running(settings, [stage.worker()]) as service:
        held = await service.create(job("sum", "root", job("hold", "held"), job("value", "leaf")))
        await stage.started("held")

        async def recorded() -> bool:
            return (await service.client.get(held.id)).status == "active"

        await eventually(recorded)
        async with locked(store_url, "flows", "flow_jobs", "leases", "users"):
            stage.release("held")
            await stage.started("root")
            begun = monotonic()
            answers = await asyncio.gather(*(service.http.post("/flows", json=job("value", f"{n}")) for n in range(8)))
            answers.append(await service.http.post(f"/flows/{held.id}/cancel"))
            assert monotonic() - begun < 8
            for answer in answers:
                assert_away(answer, LOCKED)
            assert (await service.client.get(held.id)).status == "active"
            told = await service.http.get("/readyz")
            assert told.status_code == 503
            assert LOCKED in Readiness.model_validate_json(told.content).store

        assert (await service.client.wait(held.id, timeout=20)).status == "completed"
        await until_ready(service.http)
        assert len((await service.client.flows()).items) == 1
        await assert_is_well(service)
    assert stage.starts == {"held": 1, "leaf": 1, "root": 1, "after": 1}


async def assert_is_well(service: Service) -> None:
    flow = await service.run(job("value", "after"))
    assert flow.status == "completed"
    log = await service.log_of(flow.id)
    assert [entry.seq for entry in log] == list(range(1, len(log) + 1))


async def test_with_the_settings_of_every_day_a_lock_costs_a_request_seconds_and_not_the_sum_of_all(
    sqlite: SqliteServer, valkey: Valkey, prefix: str, data_dir: Path
) -> None:
    url = sqlite.new_database()
    async with running(settings_for(url, valkey.url, prefix, data_dir)) as service:
        await until_ready(service.http)
        async with locked(url):
            begun = monotonic()
            answers = await asyncio.gather(*(service.http.post("/flows", json=job("value", f"{n}")) for n in range(30)))
            took = monotonic() - begun
        for answer in answers:
            assert_away(answer, LOCKED)
        assert took < 11


# --- full -------------------------------------------------------------------------------------------------


async def test_a_process_whose_files_cannot_grow_refuses_flows_shows_what_there_is_and_heals(
    sqlite: SqliteServer, valkey: Valkey, prefix: str, tmp_path: Path
) -> None:
    """A limit of the process stands for a full disk: every further byte of the database's files is refused."""
    url = sqlite.new_database()
    with processes(tmp_path / "logs", database_url=url, redis_url=valkey.url, prefix=prefix) as run:
        up, address = run.start_ready("up", WORKER, "--port", "0", "--data-dir", str(tmp_path / "data"))
        async with AsyncClient(address) as client, httpx.AsyncClient(base_url=address, headers=JSON) as http:
            first = await client.create(a_sum_of(1, 2))
            assert (await client.wait(first.id, timeout=20)).result == 3
            free = resource.prlimit(up.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(up.pid, resource.RLIMIT_FSIZE, (20_000, free[1]))

            async def refused() -> httpx.Response | None:
                answer = await http.post("/flows", json={**a_sum_of(1), "data": "x" * 50_000})
                return answer if answer.status_code == 503 else None

            answer = await eventually(refused)
            assert_away(answer, "disk")
            before = (await client.flows()).items
            assert_away(await http.post("/flows", json=a_sum_of(5)), "disk")
            told = await http.get("/readyz")
            assert told.status_code == 503
            assert "disk" in Readiness.model_validate_json(told.content).store
            assert (await client.flows()).items == before
            assert (await client.get(first.id)).result == 3

            resource.prlimit(up.pid, resource.RLIMIT_FSIZE, free)
            await until_ready(http)
            last = await client.create(a_sum_of(3, 4))
            assert (await client.wait(last.id, timeout=20)).result == 7
        assert up.stop() == 0


# --- killed -----------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def mortal() -> AsyncIterator[PostgresServer]:
    server = await asyncio.to_thread(PostgresServer, durable=True)
    with server:
        yield server


async def test_a_postgres_that_is_killed_and_started_again_loses_nothing_and_costs_no_error_afterwards(
    mortal: PostgresServer, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage
) -> None:
    settings = settings_for(mortal.new_database(), valkey.url, prefix, data_dir)
    async with running(settings, [stage.worker()]) as service:
        await until_ready(service.http)
        held = await service.create(job("sum", "root", job("hold", "held"), job("value", "leaf")))
        await stage.started("held")

        await asyncio.to_thread(mortal.kill)
        stage.release("held")
        assert_away(await service.http.post("/flows", json=job("value", "never")), "database")
        told = Readiness.model_validate_json((await service.http.get("/readyz")).content)
        assert told.store != "ok"
        assert (told.recorder_lag, told.dispatch_backlog) == (None, None)
        await asyncio.to_thread(mortal.start)

        answers: list[Any] = [await service.http.post("/flows", json=job("value", f"{n}")) for n in range(5)]
        assert [answer.status_code for answer in answers] == [201] * 5
        assert (await service.client.wait(held.id, timeout=20)).status == "completed"
        for answer in answers:
            assert (await service.client.wait(answer.json()["id"], timeout=20)).status == "completed"
        await assert_is_well(service)
    assert stage.starts["held"] == 1
    assert "never" not in stage.starts


async def test_a_postgres_that_is_killed_unseen_costs_nobody_an_error(
    mortal: PostgresServer, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage
) -> None:
    settings = settings_for(mortal.new_database(), valkey.url, prefix, data_dir)
    async with running(settings, [stage.worker()]) as service:
        await service.run(job("value", "before"))
        await asyncio.to_thread(mortal.kill)
        await asyncio.to_thread(mortal.start)

        await assert_is_well(service)
