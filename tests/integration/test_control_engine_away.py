"""Flows that are cancelled, late, retried, deleted and explained while the engine is away."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from support.eventually import eventually
from support.queues import connected
from support.servers import SqliteServer, Valkey
from support.service import Service, running, settings_for
from support.shapes import problem_of
from support.stage import QUEUE, Stage, job, statuses


@pytest.fixture
def engine(tmp_path: Path) -> Valkey:
    """An engine of the test's own, which runs while the test says so and forgets nothing between."""
    return Valkey(tmp_path / "engine")


@pytest_asyncio.fixture
async def service(
    sqlite: SqliteServer, engine: Valkey, prefix: str, data_dir: Path, stage: Stage
) -> AsyncIterator[Service]:
    """A service whose worker runs one job at a time. It ends with an engine, for whose answer the worker may wait."""
    settings = settings_for(sqlite.new_database(), engine.url, prefix, data_dir)
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(running(settings, [stage.worker(concurrency=1)]))
        async with engine:
            await stack.aclose()


async def a_flow_with_one_job_running(service: Service, stage: Stage) -> str:
    """`running` runs, `next` waits behind it, `late` is delayed, and the root waits for them."""
    flow = await service.create(
        job("sum", "root", job("hold", "running"), job("value", "next"), job("value", "late", delay=200))
    )
    await stage.started("running")

    async def recorded() -> bool:
        return (await statuses(service, flow.id))["running"] == "active"

    await eventually(recorded)
    return flow.id


ALL = ("root", "running", "next", "late")


async def nothing_is_left(service: Service, flow_id: str) -> None:
    """Wait until no job of the flow waits in the engine."""
    jobs = (await service.client.jobs(flow_id, limit=500)).items
    async with connected(service.settings.redis_url or "", service.settings.prefix) as bull:

        async def gone() -> bool:
            states = [await bull.state(one.job_id, QUEUE) for one in jobs]
            return set(states) <= {"unknown", "failed", "completed"}

        await eventually(gone)


def assert_unavailable(answer: httpx.Response) -> None:
    """The engine is away, and trying again later may help."""
    assert "engine" in problem_of(answer, 503).detail
    assert int(answer.headers["retry-after"]) >= 1


async def succeeds(act: Callable[[], Awaitable[httpx.Response]], status: int) -> None:
    """Try again, as the answer has said, until it works."""

    async def done() -> bool:
        answer = await act()
        assert answer.status_code in (status, 503), answer.text
        return answer.status_code == status

    await eventually(done)


# --- cancelled ---------------------------------------------------------------------------------------


async def test_of_a_flow_that_is_cancelled_meanwhile_nothing_starts_when_the_engine_is_back(
    service: Service, engine: Valkey, stage: Stage
) -> None:
    async with engine:
        flow_id = await a_flow_with_one_job_running(service, stage)

    answer = await service.http.post(f"/flows/{flow_id}/cancel")
    again = await service.http.post(f"/flows/{flow_id}/cancel")

    assert (answer.status_code, again.status_code) == (202, 202)
    assert answer.json()["status"] == again.json()["status"] == "cancelled"
    assert await statuses(service, flow_id) == dict.fromkeys(ALL, "cancelled")
    log = await service.log_of(flow_id)
    async with engine:
        await nothing_is_left(service, flow_id)
        assert (await service.run(job("value", "other"))).status == "completed"
        assert stage.aborted == {"running": "cancelled"}
        assert await service.log_of(flow_id) == log
    assert stage.starts == {"running": 1, "other": 1}


async def test_a_flow_that_is_created_and_cancelled_meanwhile_never_runs(
    service: Service, engine: Valkey, stage: Stage
) -> None:
    flow = await service.create(job("sum", "root", job("value", "leaf")))

    assert (await service.http.post(f"/flows/{flow.id}/cancel")).json()["status"] == "cancelled"

    async with engine:
        assert (await service.run(job("value", "other"))).status == "completed"
    assert stage.starts == {"other": 1}
    assert [entry.event for entry in await service.log_of(flow.id) if entry.id is None] == [
        "flow.created", "flow.cancelled",
    ]  # fmt: skip


async def test_of_a_flow_whose_deadline_passes_meanwhile_nothing_starts_when_the_engine_is_back(
    service: Service, engine: Valkey, stage: Stage
) -> None:
    async with engine:
        blocker = await service.create(job("hold", "running"))
        await stage.started("running")
        flow = await service.create({**job("sum", "root", job("value", "next")), "deadline": 900})

        async def dispatched() -> bool:
            return any(entry.event == "flow.dispatched" for entry in await service.log_of(flow.id))

        await eventually(dispatched)

    late = await service.client.wait(flow.id, timeout=10)

    assert late.status == "failed"
    assert "deadline" in (late.error.message if late.error else "")
    async with engine:
        await nothing_is_left(service, flow.id)
        stage.release("running")
        assert (await service.client.wait(blocker.id, timeout=20)).status == "completed"
    assert stage.starts == {"running": 1}


# --- retried -----------------------------------------------------------------------------------------


async def test_a_cancelled_flow_is_retried_when_the_engine_is_back_and_not_before(
    service: Service, engine: Valkey, stage: Stage
) -> None:
    async with engine:
        flow_id = await a_flow_with_one_job_running(service, stage)
    cancelled = (await service.http.post(f"/flows/{flow_id}/cancel")).json()
    log = await service.log_of(flow_id)

    job_id = (await service.client.jobs(flow_id)).items[2].id
    for path in (f"/flows/{flow_id}/retry", f"/jobs/{job_id}/retry"):
        assert_unavailable(await service.http.post(path))
    assert {**(await service.http.get(f"/flows/{flow_id}")).json(), "applied": False} == cancelled
    assert await service.log_of(flow_id) == log
    assert (await service.http.post(f"/flows/{flow_id}/retry", params={"dryRun": True})).json()["again"]["count"] == 4

    async with engine:
        await succeeds(lambda: service.http.post(f"/flows/{flow_id}/retry"), 202)
        await stage.started("running", 2)
        stage.release("running")
        ended = await service.client.wait(flow_id, timeout=20)

    assert (ended.status, ended.result) == ("completed", 2)
    assert stage.starts == {"running": 2, "next": 1, "late": 1, "root": 1}


async def test_a_failed_flow_of_which_nothing_is_left_in_the_engine_is_retried_meanwhile_and_runs_when_it_is_back(
    service: Service, engine: Valkey, stage: Stage
) -> None:
    stage.broken.add("bad")
    async with engine:
        flow = await service.run(job("sum", "root", job("value", "bad"), job("value", "good")))
    stage.broken.clear()

    answer = await service.http.post(f"/flows/{flow.id}/retry")

    assert (answer.status_code, answer.json()["status"]) == (202, "waiting")
    async with engine:
        ended = await service.client.wait(flow.id, timeout=20)
    assert (flow.status, ended.status) == ("failed", "completed")
    assert stage.starts["bad"] == 2


# --- deleted -----------------------------------------------------------------------------------------


async def test_a_cancelled_flow_is_deleted_when_the_engine_is_back_and_not_before(
    service: Service, engine: Valkey, stage: Stage
) -> None:
    async with engine:
        flow_id = await a_flow_with_one_job_running(service, stage)
    await service.http.post(f"/flows/{flow_id}/cancel")

    assert_unavailable(await service.http.delete(f"/flows/{flow_id}"))
    assert (await service.http.get(f"/flows/{flow_id}")).json()["status"] == "cancelled"

    async with engine:
        await succeeds(lambda: service.http.delete(f"/flows/{flow_id}"), 204)
        assert (await service.run(job("value", "other"))).status == "completed"
    assert (await service.http.get(f"/flows/{flow_id}")).status_code == 404
    assert stage.starts == {"running": 1, "other": 1}


async def test_a_flow_that_has_ended_by_itself_is_deleted_meanwhile(service: Service, engine: Valkey) -> None:
    async with engine:
        flow = await service.run(job("value", "root"))

    assert (await service.http.delete(f"/flows/{flow.id}")).status_code == 204
    assert (await service.http.get(f"/flows/{flow.id}")).status_code == 404


# --- explained ---------------------------------------------------------------------------------------


async def test_an_engine_that_is_away_is_the_reason_until_it_is_back(
    service: Service, engine: Valkey, stage: Stage
) -> None:
    async with engine:
        flow_id = await a_flow_with_one_job_running(service, stage)
        assert (await service.client.explain(flow_id)).engine == "ok"
    fresh = await service.create(job("sum", "root", job("value", "leaf")))

    found = await service.client.explain(flow_id)
    undispatched = await service.client.explain(fresh.id)

    reasons = {reason.reason.value: reason for reason in found.reasons}
    assert list(reasons) == ["engine-away", "waits-for-children"]
    assert found.engine != "ok"
    assert sum(reason.count for reason in found.reasons) == 4
    assert all("engine does not answer" in one.detail for one in found.reasons if one.reason == "engine-away")
    assert {reason.reason for reason in undispatched.reasons} == {"not-dispatched"}
    assert all("waits for the engine, which does not answer" in reason.detail for reason in undispatched.reasons)
    async with engine:

        async def back() -> bool:
            told = await service.client.explain(flow_id)
            return told.engine == "ok" and "engine-away" not in {reason.reason for reason in told.reasons}

        await eventually(back)
        stage.release("running")
        assert (await service.client.wait(flow_id, timeout=20)).status == "completed"


# --- read --------------------------------------------------------------------------------------------


async def test_all_that_is_read_of_flows_and_jobs_comes_without_the_engine(service: Service, engine: Valkey) -> None:
    async with engine:
        flow = await service.run(job("sum", "root", job("value", "leaf")))
        root = (await service.client.jobs(flow.id)).items[0]
        paths = ["/flows", *(f"/flows/{flow.id}{part}" for part in ("", "?wait=1", "/jobs", "/tree", "/events"))]
        paths += [f"/jobs/{root.id}", f"/jobs/{root.id}/logs"]
        before = [(await service.http.get(path)).json() for path in paths]

    for path, shown in zip(paths, before, strict=True):
        answer = await service.http.get(path)
        assert (answer.status_code, answer.json()) == (200, shown), path
