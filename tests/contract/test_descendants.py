"""A handler that asks for all that is below its job gets it, by name, in the order of the tree."""

from typing import Any

import bullmq
import orjson
import pytest

from bullflow import Job, JobFailure, Worker
from bullflow.engine.below import Below, Found, Missing, Remains, refuse
from bullflow.engine.connection import connect
from bullflow.engine.envelope import Envelope
from bullflow.engine.pipe import Pipe
from bullflow.flow.plan import Branch
from support.growing import PARENTS, page
from support.queues import JOBS, Bull, hands_on, tree, working

BELOW = ("value", "middle", "other")
BROKEN = "broken"


def workers_below(*queues: str) -> list[Worker]:
    """Workers whose jobs return their data, or fail."""

    async def give(job: Job) -> Any:
        if job.data == BROKEN:
            raise RuntimeError(f"{job.name} is broken")
        return job.data

    found = [Worker(queue, concurrency=10) for queue in queues or (JOBS,)]
    for worker in found:
        for name in BELOW:
            worker.task(name)(give)
    return found


async def report(job: Job) -> Any:
    found = job.descendants
    return {"values": {name: found.all(name) for name in found}, "failures": found.failures}


def reporter(handler: Any = report) -> Worker:
    worker = Worker(PARENTS)
    worker.task("root", descendants=True)(handler)
    return worker


def root(*children: Branch, **opts: Any) -> Branch:
    return tree("root", *children, queue=PARENTS, **opts)


async def reported(bull: Bull, flow: Branch, *workers: Worker) -> Any:
    async with working(bull, reporter(), *(workers or workers_below())):
        await bull.add(flow)
        event = await bull.ended(flow.job.job_id, PARENTS)
    assert event["event"] == "completed", event
    return orjson.loads(event["returnvalue"])


def broken(name: str, *children: Branch) -> Branch:
    """A child that fails, which its parent does not mind."""
    return tree(name, *children, data=BROKEN, ignoreDependencyOnFailure=True)


async def test_all_values_below_are_there_by_name_in_the_order_of_the_tree(bull: Bull) -> None:
    flow = root(
        tree("middle", tree("value", data=1), tree("value", data=2), data="a"),
        tree("value", data=3),
        tree("other", tree("middle", tree("value", data=4), data="b"), data="c"),
        tree("middle", tree("value", data=5), data="d"),
    )

    assert await reported(bull, flow) == {
        "values": {"middle": ["a", "b", "d"], "value": [1, 2, 3, 4, 5], "other": ["c"]},
        "failures": {},
    }


async def test_children_stay_what_they_are(bull: Bull) -> None:
    async def look(job: Job) -> Any:
        return [dict(job.children), job.descendants["value"]]

    flow = root(tree("middle", tree("value", data=1), data=2))
    async with working(bull, reporter(look), *workers_below()):
        await bull.add(flow)
        event = await bull.ended(flow.job.job_id, PARENTS)

    assert orjson.loads(event["returnvalue"]) == [{"middle": 2}, 1]


async def test_a_tree_may_lie_in_many_queues(bull: Bull) -> None:
    flow = root(tree("middle", tree("value", data=1, queue="third"), data=2, queue="second"))

    found = await reported(bull, flow, *workers_below("second", "third"))

    assert found["values"] == {"middle": [2], "value": [1]}


async def test_a_wide_tree_is_read_whole(bull: Bull) -> None:
    flow = root(*(tree("middle", tree("value", data=number), data=0) for number in range(300)))

    assert (await reported(bull, flow))["values"]["value"] == list(range(300))


async def test_failures_that_were_ignored_are_told_and_what_was_below_them_is_there(bull: Bull) -> None:
    flow = root(tree("middle", broken("other", tree("value", data=1)), data=2), broken("value"))

    assert await reported(bull, flow) == {
        "values": {"middle": [2], "value": [1]},
        "failures": {"other": ["other is broken"], "value": ["value is broken"]},
    }


async def test_a_job_without_children_has_no_descendants(bull: Bull) -> None:
    assert await reported(bull, root()) == {"values": {}, "failures": {}}


async def test_what_a_job_has_added_is_seen_when_it_has_waited_for_it(bull: Bull) -> None:
    seen: list[Any] = []

    async def grow(job: Job) -> Any:
        seen.append(job.descendants.all("value"))
        if "middle" not in job.children:
            await job.add_children([page(0, name="middle", children=[page(1, name="value"), page(2, name="value")])])
            await bull.seen("completed", times=3)
            if job.attempt == 1:
                raise RuntimeError("once more")
        return None

    flow = root(attempts=2)
    async with working(bull, reporter(grow), *workers_below()):
        await bull.add(flow)
        await bull.ended(flow.job.job_id, PARENTS)

    assert seen == [(), (), (1, 2)]


async def test_trees_of_other_producers_are_read_too(bull: Bull) -> None:
    middle = {
        "name": "middle",
        "queueName": JOBS,
        "data": 1,
        "children": [{"name": "value", "queueName": JOBS, "data": 2}],
    }
    producer = bullmq.FlowProducer(opts={"connection": bull.client, "prefix": bull.prefix})
    async with working(bull, reporter(), *workers_below()):
        added = await producer.add({"name": "root", "queueName": PARENTS, "data": {}, "children": [middle]})
        event = await bull.ended(added["job"].id, PARENTS)

    assert orjson.loads(event["returnvalue"])["values"] == {"middle": [1], "value": [2]}


async def below(bull: Bull, flow: Branch, *forgotten: str, missing: Missing = refuse) -> Remains:
    """What is found below a job when the engine has forgotten these of those that have ended."""
    await bull.add(flow)
    async with working(bull, *workers_below()):
        await bull.seen("waiting", flow.job.job_id, PARENTS)
    for job_id in forgotten:
        await bull.client.delete(*(bull.key(f"{job_id}{part}") for part in ("", ":processed", ":failed")))
    async with hands_on(bull, PARENTS) as hands:
        delivery = (await hands.take("token")).delivery
    assert delivery is not None
    pipe = Pipe(connect(bull.url, "below"))
    try:
        return await Below(pipe, bull.prefix, PARENTS, missing).everything(delivery)
    finally:
        await pipe.close()


@pytest.mark.parametrize("level", [1, 2])
async def test_a_job_that_the_engine_has_forgotten_is_named(bull: Bull, level: int) -> None:
    leaf = tree("value", data=1)
    middle = tree("middle", leaf, data=2)
    gone = (middle if level == 1 else leaf).job.job_id

    with pytest.raises(JobFailure, match=f"^{gone}, which is below this job, is no longer in the engine$"):
        await below(bull, root(middle), gone)


async def test_what_the_engine_has_forgotten_may_be_known_to_somebody_else(bull: Bull) -> None:
    leaf = tree("value", data=1)
    middle = tree("middle", leaf, data=2)
    asked: list[str] = []

    async def remember(key: str) -> Found:
        asked.append(key)
        children = {bull.key(leaf.job.job_id): "1"} if key == bull.key(middle.job.job_id) else {}
        name = middle.job.name if children else leaf.job.name
        return Found(name=name, envelope=Envelope(), processed=children, failed={})

    found = await below(bull, root(middle), middle.job.job_id, leaf.job.job_id, missing=remember)

    assert asked == [bull.key(middle.job.job_id), bull.key(leaf.job.job_id)]
    assert found == Remains(
        names={"middle": (middle.job.job_id,), "value": (leaf.job.job_id,)},
        values={middle.job.job_id: 2, leaf.job.job_id: 1},
        failures={},
    )


async def test_a_handler_that_has_not_asked_for_descendants_is_told_how_to(bull: Bull) -> None:
    worker = Worker(PARENTS)
    worker.task("root")(lambda job: job.descendants)
    async with working(bull, worker):
        await bull.add(flow := root())
        event = await bull.ended(flow.job.job_id, PARENTS)

    assert event["failedReason"] == ('to see descendants, a handler says so: @worker.task("root", descendants=True)')
