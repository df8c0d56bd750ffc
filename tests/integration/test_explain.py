"""Explain says why each unfinished part of a flow is not running, and is right."""

from pathlib import Path

import pytest

from bullflow import AsyncClient
from bullflow.errors import NotFound
from bullflow.wire import ExplainedReason, Explanation
from support.eventually import eventually
from support.processes import processes
from support.servers import Valkey
from support.service import Service, running, settings_for
from support.stage import Stage, job, statuses

NOBODY = "nobody"


async def reasons(service: Service, flow_id: str) -> dict[str, ExplainedReason]:
    """The reasons by their codes, once the flow is in the engine."""

    async def told() -> Explanation | None:
        found = await service.client.explain(flow_id)
        return None if any(reason.reason == "not-dispatched" for reason in found.reasons) else found

    return {reason.reason.value: reason for reason in (await eventually(told)).reasons}


async def until(service: Service, flow_id: str, reason: str) -> ExplainedReason:
    async def told() -> ExplainedReason | None:
        return (await reasons(service, flow_id)).get(reason)

    return await eventually(told)


async def test_a_parent_waits_for_its_children_and_they_are_named(staged: Service, stage: Stage) -> None:
    flow = await staged.create(job("sum", "root", job("sum", "middle", job("hold", "long")), job("value", "done")))
    await stage.started("long")

    async def the_other_is_done() -> bool:
        return (await statuses(staged, flow.id))["done"] == "completed"

    await eventually(the_other_is_done)
    found = await until(staged, flow.id, "running")
    waits = (await reasons(staged, flow.id))["waits-for-children"]

    assert found.count == 1
    assert [held.name for held in found.jobs] == ["hold"]
    assert found.jobs[0].worker is not None
    assert waits.count == 2
    root, middle = waits.jobs
    assert root.waits_for is not None
    assert middle.waits_for is not None
    assert [child.id for child in root.waits_for.jobs] == [middle.id]
    assert [child.name for child in middle.waits_for.jobs] == ["hold"]
    await staged.client.cancel(flow.id)


async def test_a_queue_without_workers(staged: Service) -> None:
    flow = await staged.create(job("sum", "root", job("value", "lonely", queue=NOBODY)))

    found = await until(staged, flow.id, "no-worker")

    assert (found.count, found.queue_name) == (1, NOBODY)
    assert "bullflow worker" in found.detail


async def test_a_paused_queue(staged: Service) -> None:
    await staged.run(job("value", "first"))
    await staged.client.pause_queue("stage")
    flow = await staged.create(job("value", "held-up"))

    found = await until(staged, flow.id, "queue-paused")
    await staged.client.resume_queue("stage")

    assert found.count == 1
    assert (await staged.client.wait(flow.id, timeout=10)).status == "completed"


async def test_a_rate_limit_that_is_reached(staged: Service, stage: Stage) -> None:
    await staged.run(job("value", "first"))
    await staged.client.limit_queue("stage", rate_limit={"max": 1, "duration": 30_000})
    await staged.run(job("value", "second"))
    flow = await staged.create(job("value", "third"))

    found = await until(staged, flow.id, "rate-limited")

    assert "1 job in 30 s" in found.detail
    assert stage.starts["third"] == 0


async def test_a_concurrency_that_is_reached(staged: Service, stage: Stage) -> None:
    await staged.run(job("value", "first"))
    await staged.client.limit_queue("stage", concurrency=1)
    holding = await staged.create(job("hold", "long"))
    await stage.started("long")
    flow = await staged.create(job("value", "next"))

    found = await until(staged, flow.id, "concurrency-reached")
    stage.release("long")

    assert "1 job at once" in found.detail
    assert (await staged.client.wait(flow.id, timeout=10)).status == "completed"
    assert (await staged.client.wait(holding.id, timeout=10)).status == "completed"


async def test_a_delay_says_until_when(staged: Service) -> None:
    flow = await staged.create(job("value", "late", delay=60_000))

    found = await until(staged, flow.id, "delayed")

    assert found.until is not None
    assert found.until > flow.created_at


async def test_a_place_in_the_queue_is_counted(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage
) -> None:
    settings = settings_for(store_url, valkey.url, prefix, data_dir)
    async with running(settings, [stage.worker(concurrency=1)]) as service:
        first = await service.create(job("hold", "long"))
        await stage.started("long")
        others = [await service.create(job("value", f"other-{number}")) for number in range(3)]
        for other in others:
            await until(service, other.id, "waits-its-turn")
        flow = await service.create(job("value", "fourth"))

        found = await until(service, flow.id, "waits-its-turn")
        stage.release("long")
        await service.client.wait(first.id, timeout=10)
        await service.client.wait(flow.id, timeout=10)

    assert found.behind == 3
    assert "behind 3 jobs" in found.detail


async def test_a_flow_that_is_not_in_the_engine_yet_because_nothing_records(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path, tmp_path: Path
) -> None:
    with processes(tmp_path / "logs", database_url=store_url, redis_url=valkey.url, prefix=prefix) as started:
        _, url = started.start_ready("api", "--port", "0", "--data-dir", str(data_dir))
        async with AsyncClient(url) as client:
            flow = await client.create(job("sum", "root", job("value", "leaf")))

            found = await client.explain(flow.id)

    assert {reason.reason for reason in found.reasons} == {"not-dispatched"}
    assert all("no recorder is running" in reason.detail for reason in found.reasons)


async def test_equal_reasons_of_a_large_flow_are_told_once(staged: Service) -> None:
    flow = await staged.create(
        {
            "name": "root",
            "queueName": NOBODY,
            "children": [{"name": f"leaf-{number}", "queueName": NOBODY} for number in range(2_000)],
        }
    )

    found = await reasons(staged, flow.id)

    assert {code: reason.count for code, reason in found.items()} == {"no-worker": 2_000, "waits-for-children": 1}
    assert [held.name for held in found["no-worker"].jobs] == [f"leaf-{number}" for number in range(10)]
    (root,) = found["waits-for-children"].jobs
    assert root.waits_for is not None
    assert (root.waits_for.count, len(root.waits_for.jobs)) == (2_000, 10)


async def test_a_flow_that_has_ended_has_no_reasons_and_an_unknown_one_is_not_found(staged: Service) -> None:
    flow = await staged.run(job("value", "root"))

    assert (await staged.client.explain(flow.id)).reasons == []
    with pytest.raises(NotFound):
        await staged.client.explain("019ab3c1-7d7a-7000-8000-000000000000")
