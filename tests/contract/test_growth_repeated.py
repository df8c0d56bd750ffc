"""Runs that repeat one which has added children already: nothing is added twice, and each ends right."""

import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pytest

from bullflow import Job
from bullflow.engine.envelope import KEY
from bullflow.worker import worker as worker_module
from support.growing import PARENTS, a_parent, added, children, crawl, grown, page, result
from support.queues import Bull, tree, working

SOON = timedelta(seconds=0.1)


async def die_after(bull: Bull, flow: Any, handler: Any) -> None:
    """Let a worker run this handler of the flow's root and die while it has not returned."""
    reached = asyncio.Event()

    async def never_returns(job: Job) -> None:
        await handler(job)
        reached.set()
        await asyncio.Event().wait()

    dying = a_parent(never_returns, lock=SOON, stalled_check=SOON)
    await bull.add(flow)
    async with working(bull, dying, stop_timeout=timedelta(0)) as stop:
        await reached.wait()
        stop.set()


@pytest.fixture(autouse=True)
def little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "GRACE", SOON)


@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_a_job_whose_worker_dies_before_it_waits_is_run_again_and_adds_nothing_twice(
    bull: Bull, when: str
) -> None:
    """Whether its children end before it is run again, or while it waits for them."""
    root = tree("root", queue=PARENTS, data=[1, 2, 3])
    await die_after(bull, root, crawl)
    if when == "before":
        async with working(bull, children()):
            await bull.seen("completed", times=3)

    async with working(bull, a_parent(stalled_check=SOON), children()):
        event = await bull.ended(root.job.job_id, PARENTS)

    assert event["returnvalue"] == "[1,2,3]"
    assert (await added(bull), len(await grown(bull))) == (3, 1)


async def test_a_run_that_adds_what_a_dead_one_had_not_yet_added_adds_just_that(bull: Bull) -> None:
    """It sees none of the values of its phase, though one is there already."""
    root = tree("root", queue=PARENTS, data=[1, 2])
    seen: list[list[Any]] = []

    async def add_the_first(job: Job) -> None:
        await job.add_children([page(1)])

    async def add_both(job: Job) -> Any:
        seen.append(list(job.children.all("page")))
        if "page" not in job.children:
            await job.add_children([page(1)])
            await job.add_children([page(2)])
        return job.children.all("page")

    await die_after(bull, root, add_the_first)
    async with working(bull, children()):
        await bull.seen("completed")
    async with working(bull, a_parent(add_both, stalled_check=SOON), children()):
        event = await bull.ended(root.job.job_id, PARENTS)

    assert (event["returnvalue"], seen) == ("[1,2]", [[], [1, 2]])
    assert await added(bull) == 2


async def test_an_attempt_after_one_that_failed_adds_nothing_twice(bull: Bull) -> None:
    async def root(job: Job) -> Any:
        if "page" not in job.children:
            await job.add_children([page(value) for value in job.data])
            if job.attempt == 1:
                raise RuntimeError("not this time")
        return job.children.all("page")

    event = await result(bull, a_parent(root), children(), attempts=2)

    assert event["returnvalue"] == "[1,2,3]"
    assert (await added(bull), len(await grown(bull))) == (3, 1)


async def test_a_child_that_has_failed_meanwhile_is_not_put_back(bull: Bull) -> None:
    """BullMQ would, and the parent would wait for a job that has ended."""

    async def root(job: Job) -> Any:
        if not job.children.failures:
            await job.add_children([page(-1, ignoreDependencyOnFailure=True)])
            await bull.seen("failed")
            if job.attempt == 1:
                raise RuntimeError("not this time")
        return job.children.failures

    event = await result(bull, a_parent(root), children(), attempts=2)

    assert orjson.loads(event["returnvalue"]) == {"page": ["broken: -1"]}
    assert await added(bull) == 1


async def test_a_child_that_is_there_and_that_its_parent_knows_nothing_of_is_listed_and_not_added(bull: Bull) -> None:
    async def root(job: Job) -> Any:
        key = bull.key(job.job_id, PARENTS)
        if "page" not in job.children:
            before = await bull.client.hget(key, "opts")
            await job.add_children([page(value) for value in job.data])
            if job.attempt == 1:
                await bull.client.hset(key, "opts", before)
                raise RuntimeError("not this time")
        return job.children.all("page")

    event = await result(bull, a_parent(root), children(), attempts=2)

    assert event["returnvalue"] == "[1,2,3]"
    assert await added(bull) == 3


async def test_a_later_phase_that_is_repeated_adds_nothing_twice(bull: Bull) -> None:
    async def root(job: Job) -> Any:
        values = job.children.all("page")
        if len(values) < 4:
            await job.add_children([page(len(values)), page(len(values) + 1)])
            if len(values) == 2 and job.attempt == 1:
                raise RuntimeError("not this time")
        return values

    event = await result(bull, a_parent(root), children(), attempts=2)

    assert event["returnvalue"] == "[0,1,2,3]"
    assert (await added(bull), len(await grown(bull))) == (4, 2)
    own = orjson.loads((await bull.job(event["jobId"], PARENTS))["opts"])[KEY]
    assert len(own["children"]["page"]) == 4
    assert "grown" not in own
