"""What a handler may return: JSON, and not too much of it."""

from dataclasses import dataclass
from typing import Any

import pytest

from bullflow import Worker
from support.queues import JOBS, Bull, Event, tree, working


async def returned(bull: Bull, result: Any, **settings: Any) -> Event:
    """How a job has ended whose handler returns this, in a worker that has done another one after it."""
    worker = Worker(JOBS)
    worker.task("root")(lambda _: result)
    worker.task("after")(lambda _: None)
    branch, after = tree("root", attempts=3), tree("after")
    async with working(bull, worker, **settings):
        await bull.add(branch, after)
        event = await bull.ended(branch.job.job_id)
        await bull.seen("completed", after.job.job_id)
    assert (await bull.history(branch.job.job_id)).count("active") == 1
    return event


@dataclass
class Plain:
    n: int


@pytest.mark.parametrize(
    ("result", "written"),
    [(None, "null"), ("é", '"é"'), ([1, 2.5], "[1,2.5]"), (Plain(1), '{"n":1}'), (float("nan"), "null")],
)
async def test_results_are_json(bull: Bull, result: Any, written: str) -> None:
    assert (await returned(bull, result))["returnvalue"] == written


@pytest.mark.parametrize("result", [object(), {1: 2}, 2**70, "\ud800", {"deep": {1}}, [b"bytes"]])
async def test_a_result_that_is_not_json_fails_the_job_for_good(bull: Bull, result: Any) -> None:
    assert (await returned(bull, result))["failedReason"].startswith("The result of root is not JSON: ")


async def test_a_result_may_be_as_large_as_the_settings_say(bull: Bull) -> None:
    assert (await returned(bull, "x" * 98, max_result_bytes=100))["event"] == "completed"


@pytest.mark.parametrize("result", ["x" * 99, "é" * 50])
async def test_a_result_that_is_too_large_fails_the_job_for_good(bull: Bull, result: str) -> None:
    reason = (await returned(bull, result, max_result_bytes=100))["failedReason"]

    size = len(result.encode()) + 2
    assert reason.startswith(f"The result of root is {size} bytes; it may have 100 (BULLFLOW_MAX_RESULT_BYTES).")
