"""When a job may not add children: what breaks a rule, jobs of no flow, withdrawn jobs, lost locks."""

import asyncio
from typing import Any

import pytest

from bullflow import Job, JobFailure
from bullflow.errors import Invalid
from support.growing import PARENTS, a_parent, added, children, crawl, grown, page, result
from support.queues import JOBS, Bull, tree, working


async def test_a_run_that_adds_no_child_completes(bull: Bull) -> None:
    async def root(job: Job) -> Any:
        await job.add_children([])
        return "done"

    assert (await result(bull, a_parent(root)))["returnvalue"] == '"done"'
    assert await grown(bull) == []


@pytest.mark.parametrize("handler", ["coroutine", "function"])
async def test_what_breaks_a_rule_is_told_to_the_handler_and_nothing_is_added(bull: Bull, handler: str) -> None:
    wrong = [{"name": "", "queueName": JOBS}, page(children=[{"name": "x"}]), page(parent="y")]
    pointers: list[str] = []

    async def coroutine(job: Job) -> Any:
        try:
            await job.add_children(wrong)
        except Invalid as error:
            pointers.extend(fault.pointer for fault in error.faults)

    def function(job: Job) -> Any:
        try:
            job.add_children(wrong)
        except Invalid as error:
            pointers.extend(fault.pointer for fault in error.faults)

    event = await result(bull, a_parent(coroutine if handler == "coroutine" else function))

    assert event["event"] == "completed"
    assert pointers == ["/0/name", "/1/children/0/queueName", "/2/opts/parent"]
    assert await grown(bull) == []


@pytest.mark.parametrize(
    ("children", "settings", "fault"),
    [
        ([page(1)] * 3, {"max_jobs": 2}, "/2: a flow may have at most 2 jobs"),
        ([page(children=[page()])], {"max_depth": 2}, "/0/children/0: a flow may be at most 2 levels deep"),
        ([page("x" * 50)], {"max_data_bytes": 20}, "/0/data: is 52 bytes; a job's data may have 20"),
        ([page("x" * 9), page("y" * 9)], {"max_body_bytes": 20}, "/: have 22 bytes of data; one call may add 20"),
        ({"name": "page"}, {}, "/: must be a list of jobs"),
        ([page(object())], {}, "/0/data: cannot be kept as JSON: Type is not JSON serializable: object"),
    ],
    ids=["jobs", "depth", "data", "all data", "no list", "no JSON"],
)
async def test_one_call_may_add_what_a_request_may_ask_for(
    bull: Bull, children: Any, settings: dict[str, Any], fault: str
) -> None:
    async def root(job: Job) -> Any:
        await job.add_children(children)

    flow = tree("root", queue=PARENTS)
    async with working(bull, a_parent(root), **settings):
        await bull.add(flow)
        event = await bull.ended(flow.job.job_id, PARENTS)

    assert event["failedReason"] == fault


async def test_a_job_of_no_flow_cannot_add_children(bull: Bull) -> None:
    async with working(bull, a_parent(crawl)):
        job = await bull.queue(PARENTS).add("root", [1])
        event = await bull.ended(job.id, PARENTS)

    assert event["failedReason"] == "only a job of a flow that bullflow has made can add children"


async def test_a_job_that_is_withdrawn_adds_nothing_more(bull: Bull) -> None:
    async def root(job: Job) -> Any:
        await bull.client.hset(bull.key(job.job_id, PARENTS), "defa", "cancelled")
        await job.add_children([page(1)])

    event = await result(bull, a_parent(root), attempts=5)

    assert event["failedReason"] == "cancelled"
    assert (await grown(bull), await added(bull)) == ([], 0)


async def test_a_job_that_is_withdrawn_after_it_has_grown_does_not_wait(bull: Bull) -> None:
    async def root(job: Job) -> Any:
        await job.add_children([page(1)])
        await bull.client.hset(bull.key(job.job_id, PARENTS), "defa", "cancelled")

    event = await result(bull, a_parent(root), attempts=5)

    assert event["failedReason"] == "cancelled"


async def test_a_job_whose_lock_is_lost_adds_nothing(bull: Bull) -> None:
    told: asyncio.Future[tuple[str, str | None]] = asyncio.get_running_loop().create_future()

    async def root(job: Job) -> Any:
        await bull.client.set(bull.key(f"{job.job_id}:lock", PARENTS), "stolen")
        try:
            await job.add_children([page(1)])
        except JobFailure as error:
            told.set_result((str(error), job.signal.reason))

    flow = tree("root", queue=PARENTS)
    async with working(bull, a_parent(root)):
        await bull.add(flow)
        assert await told == ("this attempt is over: lock lost", "lock lost")

    assert (await grown(bull), await added(bull)) == ([], 0)


async def test_a_job_that_has_added_children_and_was_cut_off_from_its_lock_does_not_wait(bull: Bull) -> None:
    worker = a_parent(concurrency=2)
    seen = asyncio.Event()

    @worker.task("late")
    async def late(job: Job) -> Any:
        await job.add_children([page(1)])
        await bull.client.set(bull.key(f"{job.job_id}:lock", PARENTS), "stolen")
        seen.set()

    flow, probe = tree("late", queue=PARENTS), tree("root", queue=PARENTS, data=[1])
    async with working(bull, worker, children()):
        await bull.add(flow)
        await seen.wait()
        await bull.add(probe)
        await bull.ended(probe.job.job_id, PARENTS)

    assert await bull.state(flow.job.job_id, PARENTS) == "active"
