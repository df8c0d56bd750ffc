"""Jobs that add children to themselves while they run, wait for them, and run again with their values."""

import asyncio
from typing import Any

import orjson
import pytest

from bullflow import Job
from bullflow.engine.envelope import KEY
from bullflow.engine.keys import HAS_GROWN, bell_stream, grown_stream
from bullflow.wire import Limits, read_growth
from support.growing import PARENTS, a_parent, added, children, crawl, crawl_in_a_thread, grown, page, result
from support.queues import JOBS, Bull, bullmqs_own_worker, tree, working


@pytest.mark.parametrize("handler", [crawl, crawl_in_a_thread])
async def test_a_job_runs_again_with_the_values_of_the_children_it_has_added(bull: Bull, handler: Any) -> None:
    root = tree("root", queue=PARENTS, data=[1, 2, 3])
    async with working(bull, a_parent(handler)):
        await bull.add(root)
        await bull.seen("waiting-children", root.job.job_id, PARENTS)
        async with working(bull, children()):
            event = await bull.ended(root.job.job_id, PARENTS)

    assert event["returnvalue"] == "[1,2,3]"
    history = ["added", "waiting", "active", "waiting-children", "waiting", "active", "completed"]
    assert await bull.history(event["jobId"], PARENTS) == history
    assert (await bull.job(event["jobId"], PARENTS))["atm"] == "1"


async def test_what_was_added_is_told_before_it_is_there(bull: Bull) -> None:
    root = tree("root", queue=PARENTS, data=[])

    async def add(job: Job) -> Any:
        if "sum" not in job.children:
            await job.add_children([page({"n": 1}, name="sum", children=[page(4, attempts=2)], priority=3)])
        return job.children.get("sum")

    async with working(bull, a_parent(add), children()):
        await bull.add(root)
        await bull.ended(root.job.job_id, PARENTS)

    (told,) = await grown(bull)
    read = read_growth(orjson.dumps(told).decode(), 0, Limits(jobs=2, depth=2, data_bytes=7))
    assert [(job.parent_id, job.node.data.text) for job in read.jobs] == [
        (root.job.id, '{"n":1}'),
        (read.jobs[0].id, "4"),
    ]
    above, below = told.pop("jobs")
    assert told == {"v": 1, "flow": root.job.flow_id, "parent": root.job.id, "parentJobId": root.job.job_id}
    assert above == {
        "id": above["id"],
        "parent": root.job.id,
        "name": "sum",
        "queueName": JOBS,
        "data": {"n": 1},
        "opts": {"priority": 3, "failParentOnFailure": True},
    }
    assert below == {
        "id": below["id"],
        "parent": above["id"],
        "name": "page",
        "queueName": JOBS,
        "data": 4,
        "opts": {"attempts": 2, "failParentOnFailure": True},
    }
    ((entry, _),) = await bull.client.xrange(grown_stream(bull.prefix))
    first = (await bull.client.xrange(bull.key("events"), count=1))[0][0]
    assert entry.partition("-")[0] <= first.partition("-")[0]


async def test_children_that_were_added_are_jobs_like_all_others(bull: Bull) -> None:
    async def add(job: Job) -> Any:
        if "page" not in job.children:
            await job.add_children([page(1, attempts=3, timeout=5_000, removeOnComplete=True)])
        return None

    root = tree("root", queue=PARENTS, data=[])
    async with working(bull, a_parent(add), children(), stream_length=5_000, engine_keep=120):
        await bull.add(root)
        await bull.ended(root.job.job_id, PARENTS)

    ((told,),) = [entry["jobs"] for entry in await grown(bull)]
    fields = await bull.job(f"{told['id']}-1")
    opts = orjson.loads(fields["opts"])
    assert opts[KEY] == {"v": 1, "flow": root.job.flow_id, "id": told["id"], "timeout": 5_000}
    assert (opts["attempts"], opts["fpof"], opts["removeOnComplete"]) == (3, True, {"age": 120, "limit": 0})
    assert fields["parentKey"] == bull.key(root.job.job_id, PARENTS)
    assert HAS_GROWN in await bull.job(root.job.job_id, PARENTS)
    assert await bull.client.hget(bull.key("meta"), "opts.maxLenEvents") == "5000"
    assert await bull.client.xlen(bell_stream(bull.prefix)) == 2


async def test_a_job_may_grow_again_and_again(bull: Bull) -> None:
    async def add(job: Job) -> Any:
        values = job.children.all("page")
        if len(values) < 3:
            await job.add_children([page(len(values))])
        return values

    event = await result(bull, a_parent(add), children())

    assert event["returnvalue"] == "[0,1,2]"
    assert await added(bull) == 3
    assert len({told["jobs"][0]["id"] for told in await grown(bull)}) == 3


async def test_one_run_may_add_children_in_several_steps(bull: Bull) -> None:
    async def add(job: Job) -> Any:
        if "page" not in job.children:
            await job.add_children([page(name="sum", children=[page(3), page(4)])])
            await asyncio.gather(job.progress(1), *(job.add_children([page(n)]) for n in range(9)))
            await job.add_children([])
            return None
        return [job.children["sum"], *job.children.all("page")]

    event = await result(bull, a_parent(add), children())

    assert event["returnvalue"] == "[7,0,1,2,3,4,5,6,7,8]"
    assert await added(bull) == 12
    assert await bull.client.xlen(bell_stream(bull.prefix)) == 2


async def test_children_with_children_of_their_own_run_from_the_leaves_up(bull: Bull) -> None:
    async def add(job: Job) -> Any:
        if "sum" not in job.children:
            below = page(name="sum", children=[page(3), page(4)])
            await job.add_children([page(name="sum", children=[page(1), below]), page(5)])
        return [job.children.all("sum"), job.children.all("page")]

    event = await result(bull, a_parent(add), children())

    assert orjson.loads(event["returnvalue"]) == [[1], [5]]
    assert await added(bull) == 6


async def test_a_child_that_was_added_may_grow_itself(bull: Bull) -> None:
    worker = children()

    @worker.task("node")
    async def node(job: Job) -> Any:
        if job.data > 0 and "node" not in job.children:
            await job.add_children([page(job.data - 1, name="node") for _ in range(2)])
        return 1 + sum(job.children.all("node"))

    async def root(job: Job) -> Any:
        if "node" not in job.children:
            await job.add_children([page(2, name="node")])
        return job.children.get("node")

    event = await result(bull, a_parent(root), worker)

    assert event["returnvalue"] == "7"


async def test_children_that_were_asked_for_with_the_flow_stand_beside_those_that_were_added(bull: Bull) -> None:
    async def root(job: Job) -> Any:
        values = job.children.all("page")
        if len(values) == 1:
            await job.add_children([page(value) for value in job.data])
        return values

    flow = tree("root", tree("page", data=9), queue=PARENTS, data=[1, 2])
    async with working(bull, a_parent(root), children()):
        await bull.add(flow)
        event = await bull.ended(flow.job.job_id, PARENTS)

    assert event["returnvalue"] == "[9,1,2]"


async def test_children_that_have_ended_before_their_parent_waits_are_not_waited_for(bull: Bull) -> None:
    runs: list[int] = []

    async def root(job: Job) -> Any:
        runs.append(len(job.children))
        if "page" not in job.children:
            await job.add_children([page(value) for value in job.data])
            await bull.seen("completed", times=3)
        return job.children.all("page")

    event = await result(bull, a_parent(root), children())

    assert (event["returnvalue"], runs) == ("[1,2,3]", [0, 1])
    assert await bull.history(event["jobId"], PARENTS) == ["added", "waiting", "active", "completed"]


async def test_bullmqs_own_worker_runs_children_that_were_added(bull: Bull) -> None:
    async def process(job: Any, _: str) -> Any:
        return job.data * 2

    async with bullmqs_own_worker(bull, process):
        event = await result(bull, a_parent())

    assert event["returnvalue"] == "[2,4,6]"


async def test_a_child_that_was_added_and_fails_fails_its_parent(bull: Bull) -> None:
    event = await result(bull, a_parent(), children(), data=[1, -1, 2], attempts=5)

    ((told,),) = [[job for job in entry["jobs"] if job["data"] == -1] for entry in await grown(bull)]
    assert event["failedReason"] == f"child {bull.key(told['id'])}-1 failed"
    assert (await bull.history(event["jobId"], PARENTS)).count("failed") == 1


async def test_a_child_that_has_failed_before_its_parent_waits_fails_it_in_the_same_words(bull: Bull) -> None:
    async def root(job: Job) -> Any:
        await job.add_children([page(-1)])
        await bull.seen("failed")
        return "too late"

    event = await result(bull, a_parent(root), children(), attempts=5)

    ((told,),) = [entry["jobs"] for entry in await grown(bull)]
    assert event["failedReason"] == f"child {bull.key(told['id'])}-1 failed"
    assert (await bull.history(event["jobId"], PARENTS)).count("active") == 1


async def test_a_parent_hears_of_failures_that_it_is_to_ignore(bull: Bull) -> None:
    async def root(job: Job) -> Any:
        if not job.children.failures:
            await job.add_children([page(-1, ignoreDependencyOnFailure=True), page(1)])
        return [job.children.failures, job.children.all("page")]

    event = await result(bull, a_parent(root), children())

    assert orjson.loads(event["returnvalue"]) == [{"page": ["broken: -1"]}, [1]]
