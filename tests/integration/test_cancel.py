"""A flow that is cancelled: nothing of it starts any more, what runs is told, and the record has one end."""

import asyncio

import pytest

from bullflow.errors import ApiError, NotFound
from bullflow.flow.states import LogEvent
from support.eventually import eventually
from support.service import Service
from support.stage import Stage, job, statuses


async def test_a_cancelled_flow_starts_no_further_job_and_its_running_handlers_hear_of_it(
    staged: Service, stage: Stage
) -> None:
    flow = await staged.create(
        job("sum", "root", job("sum", "middle", job("hold", "running")), job("value", "later", delay=60_000))
    )
    await stage.started("running")

    cancelled = await staged.client.cancel(flow.id)

    assert cancelled.status == "cancelled"
    assert await statuses(staged, flow.id) == dict.fromkeys(("root", "middle", "running", "later"), "cancelled")

    async def heard() -> bool:
        return stage.aborted.get("running") == "cancelled"

    await eventually(heard, within=3)
    assert stage.starts == {"running": 1}


async def test_the_log_of_a_cancelled_flow_has_one_end_for_each_job_and_one_for_the_flow(
    staged: Service, stage: Stage
) -> None:
    flow = await staged.create(job("sum", "root", job("hold", "running")))
    await stage.started("running")

    await staged.client.cancel(flow.id)
    stage.release("running")
    other = await staged.run(job("value", "after"))

    assert other.status == "completed"
    log = await staged.log_of(flow.id)
    assert [entry.seq for entry in log] == list(range(1, len(log) + 1))
    ends = [entry.event for entry in log if entry.event not in ("flow.created", "flow.dispatched", "job.active")]
    assert ends == ["job.cancelled", "job.cancelled", "flow.cancelled"]
    assert (await staged.client.get(flow.id)).last_seq == len(log)


async def test_cancelling_twice_is_cancelling_once(staged: Service, stage: Stage) -> None:
    flow = await staged.create(job("hold", "running"))
    await stage.started("running")

    first, second = await asyncio.gather(staged.client.cancel(flow.id), staged.client.cancel(flow.id))
    third = await staged.client.cancel(flow.id)

    assert first.status == second.status == third.status == "cancelled"
    assert [entry.event for entry in await staged.log_of(flow.id)].count(LogEvent.FLOW_CANCELLED) == 1


async def test_a_flow_that_has_completed_cannot_be_cancelled(staged: Service) -> None:
    flow = await staged.run(job("value", "root"))

    with pytest.raises(ApiError, match="completed already") as refused:
        await staged.client.cancel(flow.id)

    assert refused.value.status == 409


async def test_an_unknown_flow_cannot_be_cancelled(staged: Service) -> None:
    with pytest.raises(NotFound):
        await staged.client.cancel("019ab3c1-7d7a-7000-8000-000000000000")


async def test_the_next_attempt_of_a_cancelled_job_does_not_start(staged: Service, stage: Stage) -> None:
    stage.broken.add("root")
    flow = await staged.create(job("value", "root", attempts=1_000, backoff=300))
    await stage.started("root")

    await staged.client.cancel(flow.id)
    starts = stage.starts["root"]
    await staged.run(job("value", "other", delay=700))

    assert stage.starts["root"] == starts


async def test_cancelling_races_with_completing_and_the_log_has_one_winner(staged: Service, stage: Stage) -> None:
    flows = [await staged.create(job("hold", f"race-{number}")) for number in range(10)]
    for number in range(10):
        await stage.started(f"race-{number}")

    async def race(number: int) -> None:
        stage.release(f"race-{number}")
        answer = await staged.http.post(f"/flows/{flows[number].id}/cancel")
        assert answer.status_code in (202, 409)

    await asyncio.gather(*map(race, range(10)))

    for flow in flows:
        ended = await staged.client.wait(flow.id, timeout=10)
        ends = [
            entry.event
            for entry in await staged.log_of(flow.id)
            if entry.event in ("flow.completed", "flow.cancelled", "job.completed", "job.cancelled")
        ]
        assert ends == [f"job.{ended.status}", f"flow.{ended.status}"]


async def test_what_goes_on_after_a_failure_can_be_cancelled_and_the_flow_stays_failed(
    staged: Service, stage: Stage
) -> None:
    stage.broken.add("bad")
    flow = await staged.create(job("sum", "root", job("value", "bad"), job("hold", "sibling")))
    await stage.started("sibling")
    await staged.client.wait(flow.id, timeout=10)

    after = await staged.client.cancel(flow.id)

    assert after.status == "failed"
    assert (await statuses(staged, flow.id))["sibling"] == "cancelled"
