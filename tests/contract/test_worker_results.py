"""What becomes of a job when its handler returns or raises, whatever it returns or raises."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from bullflow import Job, UnrecoverableError, Worker
from bullflow.flow.plan import Branch
from support.queues import JOBS, Bull, Event, completed, failed, tree, working

Handle = Callable[[Job], Any]


def a_worker(**handlers: Handle) -> Worker:
    worker = Worker(JOBS, concurrency=5)
    for name, handler in handlers.items():
        worker.task(name)(handler)
    return worker


async def run(bull: Bull, branch: Branch, **handlers: Handle) -> Event:
    """How a flow's root has ended."""
    async with working(bull, a_worker(**handlers)):
        await bull.add(branch)
        return await bull.ended(branch.job.job_id)


async def nothing(_: Job) -> None: ...


async def test_a_result_reaches_the_parent(bull: Bull) -> None:
    async def number(job: Job) -> Any:
        return job.data["value"]

    def add(job: Job) -> Any:
        return {"sum": sum(job.children.all("number")), "first": job.children["number"]}

    numbers = [tree("number", data={"value": value}) for value in (1, 2, 3)]
    event = await run(bull, tree("add", *numbers), number=number, add=add)

    assert orjson.loads(event["returnvalue"]) == {"sum": 6, "first": 1}


async def test_a_parent_sees_what_ended_in_an_earlier_run(bull: Bull) -> None:
    async def root(job: Job) -> Any:
        return [dict(job.children), job.children.failures]

    ended = [completed("done", {"n": 1}), failed("spared", "no", ignoreDependencyOnFailure=True)]
    event = await run(bull, tree("root", ended=ended), root=root)

    assert orjson.loads(event["returnvalue"]) == [{"done": {"n": 1}}, {"spared": ["no"]}]


async def test_a_handler_knows_its_job(bull: Bull) -> None:
    async def root(job: Job) -> Any:
        return [job.id, job.flow_id, job.job_id, job.name, job.queue_name, job.data, job.attempt]

    branch = tree("root", data=[1])
    event = await run(bull, branch, root=root)

    own = branch.job
    assert orjson.loads(event["returnvalue"]) == [own.id, own.flow_id, own.job_id, "root", JOBS, [1], 1]


async def test_a_failure_is_told_with_reason_and_stack(bull: Bull) -> None:
    async def root(_: Job) -> None:
        raise ValueError("too bad")

    branch = tree("root")
    event = await run(bull, branch, root=root)

    fields = await bull.job(branch.job.job_id)
    assert (event["event"], event["failedReason"]) == ("failed", "too bad")
    (stack,) = orjson.loads(fields["stacktrace"])
    assert "ValueError: too bad" in stack
    assert __file__ in stack


async def test_an_unknown_name_fails_the_job(bull: Bull) -> None:
    event = await run(bull, tree("nobody"), root=nothing)

    assert event["failedReason"] == "Unknown job name: nobody"


async def test_an_unrecoverable_error_ends_a_job_at_once(bull: Bull) -> None:
    async def root(_: Job) -> None:
        raise UnrecoverableError("no use")

    branch = tree("root", attempts=5)
    event = await run(bull, branch, root=root)

    assert event["failedReason"] == "no use"
    assert (await bull.history(branch.job.job_id)).count("active") == 1


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        (None, [0, 0]),
        (200, [200, 200]),
        ({"type": "fixed", "delay": 200}, [200, 200]),
        ({"type": "exponential", "delay": 200}, [200, 400]),
    ],
    ids=["none", "number", "fixed", "exponential"],
)
async def test_a_failing_job_is_tried_as_often_as_it_may_be(bull: Bull, backoff: Any, delays: list[int]) -> None:
    attempts: list[int] = []

    async def root(job: Job) -> None:
        attempts.append(job.attempt)
        raise RuntimeError(f"attempt {job.attempt}")

    branch = tree("root", attempts=3, **({"backoff": backoff} if backoff else {}))
    event = await run(bull, branch, root=root)

    assert attempts == [1, 2, 3]
    assert event["failedReason"] == "attempt 3"
    entries = await bull.client.xrange(bull.key("events"))
    told = [(int(key.partition("-")[0]), fields) for key, fields in entries]
    pauses = [int(fields["delay"]) - at for at, fields in told if fields["event"] == "delayed"]
    assert len(pauses) == len([delay for delay in delays if delay])
    assert all(delay - 150 < pause <= delay for pause, delay in zip(pauses, delays, strict=False))
    assert len(orjson.loads((await bull.job(branch.job.job_id))["stacktrace"])) == 3


async def test_a_job_that_succeeds_at_last_has_completed(bull: Bull) -> None:
    async def root(job: Job) -> int:
        if job.attempt < 3:
            raise RuntimeError("not yet")
        return job.attempt

    event = await run(bull, tree("root", attempts=3), root=root)

    assert (event["event"], event["returnvalue"]) == ("completed", "3")


@pytest.mark.parametrize("limit", [0, 2])
async def test_only_so_many_stacks_are_kept_as_the_job_wants(bull: Bull, limit: int) -> None:
    async def root(job: Job) -> None:
        raise RuntimeError(f"attempt {job.attempt}")

    branch = tree("root", attempts=4, stackTraceLimit=limit)
    await run(bull, branch, root=root)

    stacks = orjson.loads((await bull.job(branch.job.job_id))["stacktrace"])
    assert [stack.strip().splitlines()[-1] for stack in stacks] == [
        f"RuntimeError: attempt {number}" for number in (3, 4)[2 - limit :]
    ]


async def test_a_failed_child_fails_its_parent_without_running_it(bull: Bull) -> None:
    ran: list[str] = []

    async def child(_: Job) -> None:
        raise RuntimeError("broken")

    async def root(job: Job) -> None:
        ran.append(job.name)

    branch = tree("root", tree("child", failParentOnFailure=True), attempts=5)
    event = await run(bull, branch, child=child, root=root)

    assert event["event"] == "failed"
    assert branch.children[0].job.job_id in event["failedReason"]
    assert ran == []


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even that")


@pytest.mark.parametrize("kind", ["coroutine", "function"])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SystemExit(3), "3"),
        (BaseException("base"), "base"),
        (GeneratorExit(), "GeneratorExit"),
        (asyncio.CancelledError(), "the handler was cancelled"),
        (StopIteration(), "StopIteration"),
        (UnprintableError(), "UnprintableError"),
        (FileNotFoundError("\udcff.mp4"), "?.mp4"),
        (ValueError("x" * 100_000), "x" * 10_000),
        (BaseExceptionGroup("many", [SystemExit(1), ValueError("x")]), "many (2 sub-exceptions)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
async def test_whatever_a_handler_raises_the_worker_lives_on(
    bull: Bull, kind: str, error: BaseException, reason: str
) -> None:
    async def coroutine(_: Job) -> None:
        raise error

    def function(_: Job) -> None:
        raise error

    branch, after = tree("root"), tree("after")
    async with working(bull, a_worker(root=coroutine if kind == "coroutine" else function, after=nothing)):
        await bull.add(branch)
        event = await bull.ended(branch.job.job_id)
        await bull.add(after)
        await bull.seen("completed", after.job.job_id)

    assert event["event"] == "failed"
    assert reason in event["failedReason"]
    assert len(event["failedReason"]) <= 10_000


async def test_plain_functions_run_side_by_side_in_threads(bull: Bull) -> None:
    together = threading.Barrier(3, timeout=10)

    def root(_: Job) -> bool:
        together.wait()
        return threading.current_thread() is not threading.main_thread()

    branches = [tree("root") for _ in range(3)]
    async with working(bull, a_worker(root=root)):
        await bull.add(*branches)
        events = [await bull.ended(branch.job.job_id) for branch in branches]

    assert [event.get("returnvalue") for event in events] == ["true"] * 3


async def reports_of_a_coroutine(job: Job) -> None:
    await job.progress(40)
    await job.progress({"frames": [1, 2]})
    await job.log("one line")
    await job.log("\udcff and another")


def reports_of_a_function(job: Job) -> None:
    job.progress(40)
    job.progress({"frames": [1, 2]})
    job.log("one line")
    job.log("\udcff and another")


@pytest.mark.parametrize("root", [reports_of_a_coroutine, reports_of_a_function])
async def test_progress_and_log_lines_arrive(bull: Bull, root: Handle) -> None:
    branch = tree("root")
    event = await run(bull, branch, root=root)

    assert event["event"] == "completed"
    progress = [event["data"] for event in await bull.events() if event["event"] == "progress"]
    assert progress == ["40", '{"frames":[1,2]}']
    assert (await bull.queue().getJobLogs(branch.job.job_id))["logs"] == ["one line", "? and another"]


async def test_only_so_many_log_lines_are_kept_as_the_job_wants(bull: Bull) -> None:
    async def root(job: Job) -> None:
        for number in range(5):
            await job.log(f"line {number}")

    branch = tree("root", keepLogs=2)
    await run(bull, branch, root=root)

    assert (await bull.queue().getJobLogs(branch.job.job_id))["logs"] == ["line 3", "line 4"]
