"""What a final failure means for the rest of a flow: its policies, failing fast, and the deadline."""

from typing import Any

import pytest

from bullflow.flow.states import JobStatus
from bullflow.wire import Flow
from support.eventually import eventually
from support.service import Service
from support.stage import Stage, job, jobs_by_key, statuses


async def ended(staged: Service, flow_id: str) -> Flow:
    return await staged.client.wait(flow_id, timeout=15)


async def test_a_failed_child_fails_its_parent_by_default_and_its_siblings_go_on(staged: Service, stage: Stage) -> None:
    stage.broken.add("bad")
    flow = await staged.create(job("sum", "root", job("value", "bad"), job("hold", "sibling")))

    assert (await ended(staged, flow.id)).status == "failed"
    stage.release("sibling")

    async def sibling_is_done() -> bool:
        return (await statuses(staged, flow.id))["sibling"] == "completed"

    await eventually(sibling_is_done)
    assert stage.starts["root"] == 0


@pytest.mark.parametrize("policy", ["ignoreDependencyOnFailure", "removeDependencyOnFailure"])
async def test_a_parent_runs_in_spite_of_a_child_whose_failure_is_ignored(
    staged: Service, stage: Stage, policy: str
) -> None:
    stage.broken.add("bad")
    opts: dict[str, Any] = {policy: True}
    flow = await staged.run(job("sum", "root", job("value", "bad", **opts), job("value", "good", value=7)))

    assert (flow.status, flow.result, flow.error) == ("completed", 7, None)
    assert await statuses(staged, flow.id) == {"root": "completed", "bad": "failed", "good": "completed"}


async def test_a_parent_that_bullmq_would_leave_waiting_ends_the_flow_with_the_reason(
    staged: Service, stage: Stage
) -> None:
    stage.broken.add("bad")
    flow = await staged.create(
        job(
            "sum",
            "root",
            job("sum", "middle", job("value", "bad", failParentOnFailure=False), job("hold", "sibling")),
        )
    )

    failed = await ended(staged, flow.id)

    jobs = await jobs_by_key(staged, flow.id)
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error.message == 'child "sum" failed: child "value" failed: bad is broken'
    assert failed.error.origin_id == jobs["bad"].id
    assert await statuses(staged, flow.id) == {
        "root": "failed", "middle": "failed", "bad": "failed", "sibling": "active",
    }  # fmt: skip
    stage.release("sibling")

    async def nothing_is_left() -> bool:
        flow_now = await staged.client.get(flow.id)
        return flow_now.counts[JobStatus.COMPLETED] == 1

    await eventually(nothing_is_left)
    assert stage.starts == {"bad": 1, "sibling": 1}


async def test_a_flow_with_a_bare_failure_can_be_retried(staged: Service, stage: Stage) -> None:
    stage.broken.add("bad")
    flow = await staged.create(
        job("sum", "root", job("value", "bad", value=2, failParentOnFailure=False), job("value", "good"))
    )
    await ended(staged, flow.id)
    await stage.started("good")
    stage.broken.clear()

    await staged.client.retry(flow.id)

    assert (await ended(staged, flow.id)).result == 3
    assert stage.starts == {"bad": 2, "good": 1, "root": 1}


async def test_a_flow_that_fails_fast_cancels_what_has_not_started(staged: Service, stage: Stage) -> None:
    stage.broken.add("bad")
    flow = await staged.create(
        {
            **job(
                "sum",
                "root",
                job("sum", "left", job("value", "bad")),
                job("sum", "right", job("hold", "running"), job("value", "later", delay=60_000)),
            ),
            "failFast": True,
        }
    )
    await stage.started("running")

    failed = await ended(staged, flow.id)

    assert failed.status == "failed"
    found = await statuses(staged, flow.id)
    assert found == {
        "root": "failed", "left": "failed", "bad": "failed",
        "right": "cancelled", "running": "active", "later": "cancelled",
    }  # fmt: skip
    stage.release("running")

    async def running_is_done() -> bool:
        return (await statuses(staged, flow.id))["running"] == "completed"

    await eventually(running_is_done)
    assert stage.starts == {"bad": 1, "running": 1}


async def test_an_ignored_failure_does_not_make_a_flow_fail_fast(staged: Service, stage: Stage) -> None:
    stage.broken.add("bad")
    flow = await staged.run(
        {
            **job("sum", "root", job("value", "bad", ignoreDependencyOnFailure=True), job("value", "late", delay=200)),
            "failFast": True,
        }
    )

    assert (flow.status, flow.result) == ("completed", 1)


async def test_a_flow_that_passes_its_deadline_fails_and_its_handlers_are_told(staged: Service, stage: Stage) -> None:
    flow = await staged.create({**job("sum", "root", job("hold", "slow")), "deadline": 700})
    await stage.started("slow")

    late = await ended(staged, flow.id)

    assert late.status == "failed"
    assert late.error is not None
    assert "deadline" in late.error.message
    assert await statuses(staged, flow.id) == {"root": "cancelled", "slow": "cancelled"}

    async def told() -> bool:
        return stage.aborted.get("slow") == "cancelled"

    await eventually(told, within=3)


async def test_a_flow_within_its_deadline_is_left_alone_and_a_retry_has_the_whole_time_again(
    staged: Service, stage: Stage
) -> None:
    stage.broken.add("bad")
    flow = await staged.create({**job("sum", "root", job("value", "bad")), "deadline": 60_000})
    failed = await ended(staged, flow.id)
    stage.broken.clear()

    await staged.client.retry(flow.id)
    done = await ended(staged, flow.id)

    assert done.status == "completed"
    assert failed.deadline is not None
    assert done.deadline is not None
    assert done.deadline > failed.deadline


async def test_attempts_are_counted_and_told_one_by_one_with_their_workers(staged: Service, stage: Stage) -> None:
    stage.broken.add("root")
    flow = await staged.run(job("value", "root", attempts=3, backoff=10))

    log = await staged.log_of(flow.id)
    attempts = [entry for entry in log if entry.event in ("job.active", "job.retrying", "job.failed")]
    assert [entry.event for entry in attempts] == [
        "job.active", "job.retrying", "job.active", "job.retrying", "job.active", "job.failed",
    ]  # fmt: skip
    assert [entry.data["attempt"] for entry in attempts[::2]] == [1, 2, 3]
    assert [entry.data["error"]["attempt"] for entry in attempts[1::2]] == [1, 2, 3]
    assert all(entry.data["worker"] for entry in attempts[::2])
    assert (await jobs_by_key(staged, flow.id))["root"].worker == attempts[-2].data["worker"]


async def test_an_unrecoverable_error_ends_a_job_at_once(staged: Service, stage: Stage) -> None:
    stage.broken.add("root!")
    flow = await staged.run(job("value", "root", attempts=5))

    assert flow.error is not None
    assert (flow.status, flow.error.message, stage.starts["root"]) == ("failed", "root is beyond repair", 1)
