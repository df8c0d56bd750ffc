"""What BullMQ's guide promises of flows, page by page, through our REST API."""

from typing import Any

from bullmq.redis_connection import loadScript

from bullflow.engine.connection import connect
from bullflow.engine.keys import queue_key
from bullflow.wire import Flow
from support.eventually import eventually
from support.service import Service
from support.stage import QUEUE, Stage, job, jobs_by_key, statuses


async def ended(service: Service, flow_id: str) -> Flow:
    return await service.client.wait(flow_id, timeout=15)


async def test_flows_a_parent_runs_when_all_its_children_have_completed(staged: Service, stage: Stage) -> None:
    flow = await staged.create(
        job("sum", "renovate", job("hold", "paint"), job("hold", "walls"), job("value", "floor", value=3))
    )
    await stage.started("paint")
    await stage.started("walls")

    stage.release("paint")

    async def painted() -> bool:
        return (await statuses(staged, flow.id))["paint"] == "completed"

    await eventually(painted)
    assert stage.starts["renovate"] == 0
    stage.release("walls")
    assert (await ended(staged, flow.id)).result == 3
    assert stage.starts["renovate"] == 1


async def test_adding_bulks_all_flows_are_added_or_none(staged: Service, stage: Stage) -> None:
    flows = [job("sum", f"car-{n}", job("value", f"engine-{n}", value=n), job("value", f"paint-{n}")) for n in (1, 2)]

    refused = await staged.http.post("/flows/bulk", json={"flows": [*flows, {"name": "no queue"}]})
    created = (await staged.http.post("/flows/bulk", json={"flows": flows})).json()["flows"]

    assert refused.status_code == 422
    assert [(await ended(staged, flow["id"])).result for flow in created] == [2, 3]
    assert len((await staged.client.flows()).items) == 2
    assert stage.starts["engine-1"] == 1


async def test_get_flow_tree_shows_jobs_below_jobs_to_the_depth_and_width_asked_for(staged: Service) -> None:
    leaves = [job("value", f"leaf-{number}") for number in range(4)]
    flow = await staged.run(job("sum", "root", job("sum", "middle", *leaves), job("value", "beside")))

    whole = await staged.client.tree(flow.id)
    cut = await staged.client.tree(flow.id, depth=2, max_children=1)

    middle, beside = whole.root.children
    assert [child.data["key"] for child in middle.children] == ["leaf-0", "leaf-1", "leaf-2", "leaf-3"]
    assert (beside.children, whole.root.more_children) == ([], 0)
    assert [child.data["key"] for child in cut.root.children] == ["middle"]
    assert (cut.root.more_children, cut.root.children[0].children, cut.root.children[0].more_children) == (1, [], 4)


async def test_fail_parent_a_failed_grandchild_fails_everything_above_it(staged: Service, stage: Stage) -> None:
    stage.broken.add("bad")
    flow = await staged.run(
        job("sum", "root", job("sum", "middle", job("value", "bad", failParentOnFailure=True)), job("value", "good"))
    )

    assert flow.status == "failed"
    assert await statuses(staged, flow.id) == {
        "root": "failed", "middle": "failed", "bad": "failed", "good": "completed",
    }  # fmt: skip
    assert stage.starts["middle"] == stage.starts["root"] == 0


async def test_ignore_dependency_the_parent_runs_and_is_told_why_the_child_failed(
    staged: Service, stage: Stage
) -> None:
    stage.broken.add("bad")
    flow = await staged.run(
        job("told", "root", job("value", "bad", ignoreDependencyOnFailure=True), job("value", "good", value=7))
    )

    assert flow.result == {"values": [7], "failures": ["bad is broken"]}


async def test_remove_dependency_the_parent_runs_and_is_not_told(staged: Service, stage: Stage) -> None:
    stage.broken.add("bad")
    flow = await staged.run(
        job("told", "root", job("value", "bad", removeDependencyOnFailure=True), job("value", "good", value=7))
    )

    assert flow.result == {"values": [7], "failures": []}


async def test_continue_parent_the_parent_runs_at_once_and_does_away_with_children_that_have_not_run(
    staged: Service, stage: Stage
) -> None:
    stage.broken.add("bad")
    flow = await staged.run(
        job(
            "tidy",
            "root",
            job("value", "bad", continueParentOnFailure=True),
            job("value", "never", delay=60_000),
        )
    )

    assert (flow.status, flow.result) == ("completed", ["bad is broken"])
    assert await statuses(staged, flow.id) == {"root": "completed", "bad": "failed", "never": "cancelled"}
    never = (await jobs_by_key(staged, flow.id))["never"]
    assert never.error is not None
    assert "removed from its queue" in never.error.message


async def test_remove_child_dependency_the_parent_does_not_wait_for_a_child_that_was_taken_from_it(
    staged: Service, stage: Stage
) -> None:
    flow = await staged.create(job("sum", "root", job("hold", "slow", value=9), job("value", "quick", value=2)))
    await stage.started("slow")
    jobs = await jobs_by_key(staged, flow.id)

    await take_from_parent(staged, jobs["slow"].job_id, jobs["root"].job_id)
    done = await ended(staged, flow.id)
    stage.release("slow")

    async def slow_is_done() -> bool:
        return (await statuses(staged, flow.id))["slow"] == "completed"

    await eventually(slow_is_done)
    assert (done.status, done.result) == ("completed", 2)


async def take_from_parent(service: Service, job_id: str, parent_job_id: str) -> None:
    """BullMQ's `job.removeChildDependency()`."""
    settings = service.settings
    client: Any = connect(settings.redis_url or "", "test")
    try:
        script = loadScript("removeChildDependency-1.lua")
        keys = [queue_key(settings.prefix, QUEUE, part) for part in (job_id, parent_job_id)]
        removed = await client.eval(script, 1, f"{settings.prefix}:{QUEUE}:", *keys)
        assert removed == 0
    finally:
        await client.aclose()
