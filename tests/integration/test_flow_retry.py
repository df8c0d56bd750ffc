"""A retry runs again just what failed or was cancelled, and what depends on it."""

import pytest

from bullflow.errors import ApiError, NotFound
from bullflow.flow.states import ENDED
from support.eventually import eventually
from support.service import Service
from support.stage import Stage, job, jobs_by_key, statuses


async def failed_flow(staged: Service, stage: Stage) -> str:
    """A flow of two branches, one of which has failed at `bad`."""
    stage.broken.add("bad")
    flow = await staged.create(
        job(
            "sum",
            "root",
            job("sum", "left", job("value", "good", value=3), job("value", "bad", value=4)),
            job("sum", "right", job("value", "fine", value=5)),
        )
    )
    await staged.client.wait(flow.id, timeout=10)

    async def all_have_ended() -> bool:
        return set((await statuses(staged, flow.id)).values()) <= ENDED

    await eventually(all_have_ended)  # the other branch may end after the flow
    return flow.id


async def test_only_what_failed_and_its_ancestors_run_again_and_reuse_the_results_of_the_others(
    staged: Service, stage: Stage
) -> None:
    flow_id = await failed_flow(staged, stage)
    stage.broken.clear()

    await staged.client.retry(flow_id)
    ended = await staged.client.wait(flow_id, timeout=10)

    assert (ended.status, ended.result, ended.error) == ("completed", 12, None)
    assert stage.starts == {"good": 1, "bad": 2, "fine": 1, "left": 1, "right": 1, "root": 1}
    jobs = await jobs_by_key(staged, flow_id)
    assert {key: found.job_id.rpartition("-")[2] for key, found in jobs.items()} == {
        "root": "2", "left": "2", "good": "1", "bad": "2", "right": "1", "fine": "1",
    }  # fmt: skip


async def test_a_failed_parent_names_the_child_and_the_job_that_failed_first(staged: Service, stage: Stage) -> None:
    flow_id = await failed_flow(staged, stage)

    jobs = await jobs_by_key(staged, flow_id)
    flow = await staged.client.get(flow_id)

    assert jobs["bad"].error is not None
    assert (jobs["bad"].error.message, jobs["bad"].error.attempt) == ("bad is broken", 1)
    assert "ValueError: bad is broken" in (jobs["bad"].error.stack or "")
    left, root = jobs["left"].error, jobs["root"].error
    assert left is not None
    assert root is not None
    assert left.message == 'child "value" failed: bad is broken'
    assert (left.child_id, left.origin_id) == (jobs["bad"].id, jobs["bad"].id)
    assert root.message == 'child "sum" failed: child "value" failed: bad is broken'
    assert (root.child_id, root.origin_id) == (jobs["left"].id, jobs["bad"].id)
    assert flow.error == root


async def test_the_log_of_a_retried_flow_goes_on_without_a_gap_and_has_two_ends(staged: Service, stage: Stage) -> None:
    flow_id = await failed_flow(staged, stage)
    stage.broken.clear()

    await staged.client.retry(flow_id)
    await staged.client.wait(flow_id, timeout=10)

    log = await staged.log_of(flow_id)
    assert [entry.seq for entry in log] == list(range(1, len(log) + 1))
    flow_events = [entry.event for entry in log if entry.id is None]
    assert flow_events == [
        "flow.created", "flow.dispatched", "flow.failed", "flow.retried", "flow.dispatched", "flow.completed",
    ]  # fmt: skip
    retried = next(entry.seq for entry in log if entry.event == "flow.retried")
    assert [(entry.event, entry.data["run"]) for entry in log[retried : retried + 3]] == [("job.waiting", 2)] * 3


async def test_a_dry_run_shows_what_would_run_again_and_changes_nothing(staged: Service, stage: Stage) -> None:
    flow_id = await failed_flow(staged, stage)
    before = await staged.client.get(flow_id)

    plan = await staged.client.retry_plan(flow_id)

    jobs = await jobs_by_key(staged, flow_id)
    assert {planned.id for planned in plan.again.jobs} == {jobs[key].id for key in ("root", "left", "bad")}
    assert {planned.id for planned in plan.reused.jobs} == {jobs[key].id for key in ("good", "right")}
    assert (plan.again.count, plan.reused.count) == (3, 2)
    assert await staged.client.get(flow_id) == before


async def test_a_retry_may_fail_again_and_be_retried_again(staged: Service, stage: Stage) -> None:
    flow_id = await failed_flow(staged, stage)

    await staged.client.retry(flow_id)
    assert (await staged.client.wait(flow_id, timeout=10)).status == "failed"
    stage.broken.clear()
    await staged.client.retry(flow_id)

    assert (await staged.client.wait(flow_id, timeout=10)).result == 12
    assert stage.starts["bad"] == 3
    assert stage.starts["good"] == 1


async def test_a_cancelled_flow_runs_again_from_where_it_was(staged: Service, stage: Stage) -> None:
    flow = await staged.create(
        job("sum", "root", job("value", "done", value=2), job("sum", "middle", job("hold", "long")))
    )
    await stage.started("long")
    await stage.started("done")
    await staged.client.cancel(flow.id)

    await staged.client.retry(flow.id)
    await stage.started("long", 2)
    stage.release("long")
    ended = await staged.client.wait(flow.id, timeout=10)

    assert ended.status == "completed"
    assert stage.starts["long"] == 2
    assert (await staged.log_of(flow.id))[-1].event == "flow.completed"


async def test_a_sibling_that_goes_on_is_not_run_again_and_its_value_reaches_the_new_run(
    staged: Service, stage: Stage
) -> None:
    stage.broken.add("bad")
    flow = await staged.create(
        job("sum", "root", job("value", "bad", value=4), job("sum", "branch", job("hold", "long", value=0)))
    )
    await stage.started("long")
    await staged.client.wait(flow.id, timeout=10)
    stage.broken.clear()

    await staged.client.retry(flow.id)
    await stage.started("bad", 2)
    stage.release("long")
    ended = await staged.client.wait(flow.id, timeout=10)

    assert (ended.status, ended.result) == ("completed", 4)
    assert stage.starts == {"bad": 2, "long": 1, "branch": 1, "root": 1}


async def test_a_single_job_is_retried_with_other_data(staged: Service, stage: Stage) -> None:
    flow_id = await failed_flow(staged, stage)
    bad = (await jobs_by_key(staged, flow_id))["bad"]

    await staged.client.retry_job(bad.id, data={"key": "better", "value": 40})
    ended = await staged.client.wait(flow_id, timeout=10)

    assert (ended.status, ended.result) == ("completed", 48)
    assert (await staged.client.job(bad.id)).data == {"key": "better", "value": 40}
    assert stage.starts["better"] == 1


async def test_a_single_job_that_is_retried_leaves_other_failures_alone_and_its_parent_names_them(
    staged: Service, stage: Stage
) -> None:
    stage.broken |= {"one", "two"}
    flow = await staged.create(job("sum", "root", job("value", "one", value=2), job("value", "two", value=3)))
    await staged.client.wait(flow.id, timeout=10)
    await stage.started("two")
    stage.broken.clear()
    jobs = await jobs_by_key(staged, flow.id)

    await staged.client.retry_job(jobs["one"].id)
    still = await staged.client.wait(flow.id, timeout=10)
    await staged.client.retry_job(jobs["two"].id)
    ended = await staged.client.wait(flow.id, timeout=10)

    assert still.error is not None
    assert (still.status, still.error.child_id) == ("failed", jobs["two"].id)
    assert (ended.status, ended.result) == ("completed", 5)
    assert stage.starts == {"one": 2, "two": 2, "root": 1}


async def test_a_failure_that_was_ignored_can_be_retried_by_itself_and_all_above_it_runs_again(
    staged: Service, stage: Stage
) -> None:
    stage.broken.add("spared")
    flow = await staged.create(
        job("sum", "root", job("value", "spared", value=2, ignoreDependencyOnFailure=True), job("value", "good"))
    )
    assert (await staged.client.wait(flow.id, timeout=10)).result == 1
    stage.broken.clear()

    with pytest.raises(ApiError, match="nothing to retry") as refused:
        await staged.client.retry(flow.id)
    await staged.client.retry_job((await jobs_by_key(staged, flow.id))["spared"].id)
    ended = await staged.client.wait(flow.id, timeout=10)

    assert refused.value.status == 409
    assert ended.result == 3
    assert stage.starts == {"spared": 2, "good": 1, "root": 2}


async def test_a_running_flow_a_completed_job_and_unknown_ones_are_not_retried(staged: Service, stage: Stage) -> None:
    running = await staged.create(job("sum", "root", job("value", "done"), job("hold", "long")))
    await stage.started("long")
    stage.broken.add("bad")
    failed = await staged.run(job("sum", "top", job("value", "bad"), job("value", "ok")))
    jobs = await jobs_by_key(staged, failed.id)

    for retry, reason in (
        (staged.client.retry(running.id), "it can be retried when it has ended"),
        (staged.client.retry_job(running.jobs[1].id), "it can be retried when it has ended"),
        (staged.client.retry_job(jobs["ok"].id), "only a job that has failed or was cancelled"),
    ):
        with pytest.raises(ApiError, match=reason) as refused:
            await retry
        assert refused.value.status == 409
    for unknown in (staged.client.retry(jobs["ok"].id), staged.client.retry_job(failed.id)):
        with pytest.raises(NotFound):
            await unknown
    assert (await statuses(staged, running.id))["long"] == "active"
    await staged.client.cancel(running.id)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [('{"data": 1, "more": 2}', "/more"), ("[]", ""), ('{"data": "%s"}' % ("x" * 1_100_000), "/data")],
    ids=["an unknown key", "no object", "too much data"],
)
async def test_a_retry_with_a_wrong_body_names_what_is_wrong(
    staged: Service, stage: Stage, body: str, pointer: str
) -> None:
    flow_id = await failed_flow(staged, stage)
    bad = (await jobs_by_key(staged, flow_id))["bad"]

    answer = await staged.http.post(f"/jobs/{bad.id}/retry", content=body)

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
    assert (await staged.client.get(flow_id)).status == "failed"
