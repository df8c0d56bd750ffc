"""Parents that are woken by a child's failure while other children have not ended."""

import asyncio
from typing import Any

import orjson
import pytest

from bullflow import Job, JobFailure, Worker
from bullflow.flow.plan import Branch
from support.queues import JOBS, Bull, hands_on, tree, working

NOT_YET = "Cannot complete job {}: it has children that have not ended"
LATER = "later"
"""A queue that nobody works on."""


def a_flow(*more: Branch, **opts: Any) -> Branch:
    """A root that is woken when its first child fails."""
    return tree("root", tree("fails", continueParentOnFailure=True), *more, **opts)


def a_worker() -> Worker:
    worker = Worker(JOBS)

    @worker.task("fails")
    async def fails(_: Job) -> None:
        raise RuntimeError("broken")

    return worker


async def test_a_parent_that_was_woken_early_cannot_complete_before_its_children_have_ended(bull: Bull) -> None:
    worker = a_worker()
    worker.task("root")(lambda job: job.children.failures)
    root = a_flow(tree("pending", queue=LATER))
    async with working(bull, worker):
        await bull.add(root)
        event = await bull.ended(root.job.job_id)

    assert event["failedReason"] == NOT_YET.format(root.job.job_id)


async def test_it_can_when_it_is_tried_again_after_they_have(bull: Bull) -> None:
    worker = a_worker()
    attempts: list[int] = []

    @worker.task("root")
    async def root(job: Job) -> Any:
        attempts.append(job.attempt)
        if job.attempt == 2:
            await job.remove_unprocessed_children()
        return job.children.failures

    flow = a_flow(tree("pending", queue=LATER), attempts=3)
    async with working(bull, worker):
        await bull.add(flow)
        event = await bull.ended(flow.job.job_id)

    assert (event["event"], attempts) == ("completed", [1, 2])
    stacks = orjson.loads((await bull.job(flow.job.job_id))["stacktrace"])
    assert stacks == [NOT_YET.format(flow.job.job_id)]


async def remove_in_a_coroutine(job: Job) -> Any:
    await job.remove_unprocessed_children()
    return job.children.failures


def remove_in_a_function(job: Job) -> Any:
    job.remove_unprocessed_children()
    return job.children.failures


@pytest.mark.parametrize("handler", [remove_in_a_coroutine, remove_in_a_function])
async def test_a_parent_that_removes_its_unprocessed_children_can_complete(bull: Bull, handler: Any) -> None:
    worker = a_worker()
    worker.task("root")(handler)
    pending = tree("pending", tree("below", queue=LATER), queue=LATER)
    root = a_flow(pending)
    async with working(bull, worker):
        await bull.add(root)
        event = await bull.ended(root.job.job_id)

    assert orjson.loads(event["returnvalue"]) == {"fails": ["broken"]}
    assert [event["event"] for event in await bull.events(LATER)].count("removed") == 2
    for gone in (pending, pending.children[0]):
        assert await bull.job(gone.job.job_id, LATER) == {}


async def test_a_child_that_is_being_processed_is_not_removed(bull: Bull) -> None:
    worker = a_worker()
    worker.task("root")(remove_in_a_coroutine)
    running = tree("running", queue=LATER)
    root = a_flow(running)
    await bull.add(root)
    async with hands_on(bull, LATER) as elsewhere, working(bull, worker):
        assert (await elsewhere.take("token")).delivery is not None
        event = await bull.ended(root.job.job_id)

    assert event["failedReason"] == NOT_YET.format(root.job.job_id)
    assert await bull.state(running.job.job_id, LATER) == "active"


@pytest.mark.parametrize("when", ["lock lost", "withdrawn"])
async def test_a_job_that_is_somebody_else_s_or_withdrawn_removes_nothing(bull: Bull, when: str) -> None:
    worker = a_worker()
    outcome: asyncio.Future[tuple[str, str | None]] = asyncio.get_running_loop().create_future()

    @worker.task("root")
    async def root(job: Job) -> None:
        key = bull.key(job.job_id)
        await (bull.client.set(f"{key}:lock", "stolen") if when == "lock lost" else bull.client.hset(key, "defa", "no"))
        try:
            await job.remove_unprocessed_children()
        except JobFailure as error:
            outcome.set_result((str(error), job.signal.reason))
            raise

    pending = tree("pending", queue=LATER)
    flow = a_flow(pending)
    async with working(bull, worker):
        await bull.add(flow)
        told = await outcome

    assert told == (("this attempt is over: lock lost", "lock lost") if when == "lock lost" else ("no", None))
    assert await bull.state(pending.job.job_id, LATER) == "waiting"


async def test_what_comes_between_does_not_keep_children_from_being_removed(bull: Bull) -> None:
    """Progress, which changes the job's hash just like a withdrawal, in the middle of the removal."""
    worker = a_worker()

    @worker.task("root")
    async def root(job: Job) -> None:
        await asyncio.gather(job.remove_unprocessed_children(), *(job.progress(number) for number in range(100)))

    flow = a_flow(tree("pending", queue=LATER))
    async with working(bull, worker):
        await bull.add(flow)
        assert (await bull.ended(flow.job.job_id))["event"] == "completed"
