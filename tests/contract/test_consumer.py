"""The order and the time in which a worker takes jobs, and with whom it shares a queue."""

import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pytest

from bullflow import Job, Worker
from bullflow.engine import consumer as consumer_module
from support.eventually import eventually
from support.queues import JOBS, Bull, bullmqs_own_worker, tree, working


def noting(notes: list[Any], *names: str, concurrency: int = 1, queue: str = JOBS) -> Worker:
    """A worker that writes down the data of its jobs in the order in which it gets them."""
    worker = Worker(queue, concurrency=concurrency)

    async def note(job: Job) -> Any:
        notes.append(job.data)
        return job.data

    for name in names or ("root",):
        worker.task(name)(note)
    return worker


async def test_jobs_come_in_the_order_in_which_they_were_added(bull: Bull) -> None:
    notes: list[int] = []
    await bull.add(*(tree("root", data=number) for number in range(20)))

    async with working(bull, noting(notes)):
        await bull.seen("completed", times=20)

    assert notes == list(range(20))


async def test_the_last_comes_first_where_that_is_asked_for(bull: Bull) -> None:
    notes: list[int] = []
    await bull.add(*(tree("root", data=number, lifo=True) for number in range(5)))

    async with working(bull, noting(notes)):
        await bull.seen("completed", times=5)

    assert notes == [4, 3, 2, 1, 0]


async def test_a_low_number_goes_before_a_high_one_and_none_before_all(bull: Bull) -> None:
    notes: list[int] = []
    await bull.add(*(tree("root", data=priority, priority=priority) for priority in (3, 1, 0, 2, 1)))

    async with working(bull, noting(notes)):
        await bull.seen("completed", times=5)

    assert notes == [0, 1, 1, 2, 3]


async def test_a_delayed_job_runs_when_it_is_due_and_not_before(bull: Bull) -> None:
    notes: list[str] = []
    late = tree("root", data="late", delay=300)
    async with working(bull, noting(notes)):
        await bull.until_idle()
        await bull.add(late, tree("root", data="now"))
        await bull.seen("completed", late.job.job_id)

    started = int((await bull.job(late.job.job_id))["processedOn"])
    assert notes == ["now", "late"]
    assert 300 <= started - late.job.created_at < 2_000


async def test_of_delayed_jobs_the_one_that_is_due_first_runs_first(bull: Bull) -> None:
    notes: list[str] = []
    second, first = tree("root", data="second", delay=60_000), tree("root", data="first", delay=150)
    async with working(bull, noting(notes)):
        await bull.until_idle()
        await bull.add(second)
        await bull.add(first)
        await bull.seen("completed", first.job.job_id)

    assert notes == ["first"]


async def test_a_delayed_job_that_nobody_announces_any_more_runs_when_it_is_due(bull: Bull) -> None:
    """Its marker may have been taken by a worker that has died."""
    late = tree("root", delay=300)
    await bull.add(late)
    await bull.client.delete(bull.key("marker"))

    async with working(bull, noting([])):
        await bull.seen("completed", late.job.job_id)

    started = int((await bull.job(late.job.job_id))["processedOn"])
    assert 300 <= started - late.job.created_at < 2_000


async def test_a_paused_queue_gives_nothing_until_it_goes_on(bull: Bull) -> None:
    notes: list[str] = []
    paused = tree("root", data="paused")
    elsewhere = tree("root", queue="elsewhere")
    await bull.queue().pause()
    async with working(bull, noting(notes), noting([], queue="elsewhere")):
        await bull.until_idle()
        await bull.add(paused, elsewhere)
        await bull.seen("completed", elsewhere.job.job_id, "elsewhere")
        await bull.until_idle()
        assert notes == []

        async with asyncio.timeout(3):
            await bull.queue().resume()
            await bull.seen("completed", paused.job.job_id)

    assert notes == ["paused"]


async def test_a_queue_with_a_rate_limit_is_kept_to_it(bull: Bull) -> None:
    await bull.queue().setGlobalRateLimit(2, 200)
    await bull.add(*(tree("root") for _ in range(5)))

    async with working(bull, noting([], concurrency=5)):
        await bull.seen("completed", times=5)

    entries = await bull.client.xrange(bull.key("events"))
    starts = [int(key.partition("-")[0]) for key, fields in entries if fields["event"] == "active"]
    assert starts[2] - starts[0] >= 190
    assert starts[4] - starts[2] >= 190


async def test_a_queue_with_a_limit_for_all_workers_is_kept_to_it(bull: Bull) -> None:
    await bull.queue().setGlobalConcurrency(2)
    running, most = 0, 0
    workers = [Worker(JOBS, concurrency=5) for _ in range(2)]

    async def count(_: Job) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1

    for worker in workers:
        worker.task("root")(count)
    async with working(bull, *workers):
        await bull.add(*(tree("root") for _ in range(20)))
        await bull.seen("completed", times=20)

    assert most == 2


async def test_jobs_that_other_producers_add_are_done_too(bull: Bull) -> None:
    worker = Worker(JOBS)

    @worker.task("plain")
    async def plain(job: Job) -> Any:
        return [job.id, job.flow_id, job.data, dict(job.children)]

    async with working(bull, worker):
        await bull.until_idle()
        job = await bull.queue().add("plain", {"n": 1})
        event = await bull.seen("completed", job.id)

    assert event["returnvalue"] == f'["{job.id}",null,{{"n":1}},{{}}]'


@pytest.mark.parametrize(
    "opts",
    [
        {"attempts": "many", "backoff": {"type": "fixed", "delay": "soon"}},
        {"bullflow": {"v": 1, "children": {"a": 1}, "timeout": "x"}},
        {"bullflow": [], "keepLogs": "x", "stackTraceLimit": "y", "removeOnFail": "z"},
        {"removeOnFail": {"age": "x", "count": None}},
        {"timestamp": 1.5},
    ],
    ids=["numbers", "envelope", "limits", "keeping", "timestamp"],
)
async def test_a_job_with_senseless_options_ends_and_spares_the_worker(bull: Bull, opts: dict[str, Any]) -> None:
    worker = Worker(JOBS)

    @worker.task("strange")
    async def strange(job: Job) -> None:
        await job.log("strange")
        raise RuntimeError("broken")

    async with working(bull, worker):
        job = await bull.queue().add("strange", {})
        fields = await bull.ended(job.id)
        again = await bull.queue().add("strange", {}, {"jobId": "strange-1", "delay": 50})
        await bull.client.hset(bull.key(again.id), "opts", orjson.dumps({"attempts": 1, **opts}))
        await bull.client.hset(bull.key(again.id), "timestamp", str(opts.get("timestamp", 0)))
        event = await bull.ended(again.id)

    assert (fields["event"], event["event"], event["failedReason"]) == ("failed", "failed", "broken")


async def test_two_workers_share_a_queue_and_each_job_runs_once(bull: Bull) -> None:
    notes: list[int] = []
    workers = [noting(notes, concurrency=3) for _ in range(2)]
    async with working(bull, *workers):
        await bull.until_idle(workers=2)
        await bull.add(*(tree("root", data=number) for number in range(200)))
        await bull.seen("completed", times=200)

    assert sorted(notes) == list(range(200))
    assert sum(event["event"] == "active" for event in await bull.events()) == 200


async def test_bullmqs_own_worker_and_ours_share_a_queue_and_each_job_runs_once(bull: Bull) -> None:
    ours: list[int] = []
    theirs: list[int] = []
    worker = Worker(JOBS)
    both = {"ours": asyncio.Event(), "theirs": asyncio.Event()}

    @worker.task("root")
    async def root(job: Job) -> None:
        ours.append(job.data)
        both["ours"].set()
        await both["theirs"].wait()

    async def process(job: Any, _: str) -> None:
        theirs.append(job.data)
        both["theirs"].set()
        await both["ours"].wait()

    async with working(bull, worker), bullmqs_own_worker(bull, process):
        await bull.add(*(tree("root", data=number) for number in range(100)))
        await bull.seen("completed", times=100)

    assert sorted(ours + theirs) == list(range(100))
    assert ours
    assert theirs


async def test_a_parent_in_another_queue_wakes_the_worker_of_that_queue(bull: Bull) -> None:
    notes: list[str] = []
    root = tree("root", tree("child", data="child", queue="below"), data="root")
    async with working(bull, noting(notes), noting(notes, "child", queue="below")):
        await bull.until_idle()
        await bull.until_idle("below")
        async with asyncio.timeout(3):
            await bull.add(root)
            await bull.seen("completed", root.job.job_id)

    assert notes == ["child", "root"]


async def test_a_queue_s_name_may_hold_anything_that_the_api_lets_through(bull: Bull) -> None:
    notes: list[str] = []
    name = "Größe: 'x' 🎬 / \\"
    flow = tree("root", data="there", queue=name)
    async with working(bull, noting(notes, queue=name)):
        await bull.add(flow)
        await bull.seen("completed", flow.job.job_id, name)

    assert notes == ["there"]


async def test_a_queue_whose_script_is_forgotten_goes_on(bull: Bull) -> None:
    notes: list[int] = []
    async with working(bull, noting(notes)):
        for number in range(3):
            await bull.add(tree("root", data=number))
            await bull.seen("completed", times=number + 1)
            await bull.client.script_flush()

    assert notes == [0, 1, 2]


async def test_an_idle_worker_blocks_and_does_not_ask_over_and_over(
    bull: Bull, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "IDLE_WAIT", timedelta(seconds=0.3))
    loop = asyncio.get_running_loop()
    async with working(bull, Worker(JOBS, concurrency=50)):
        await bull.until_idle()
        before, since = await bull.calls(), loop.time()

        async def has_waited_again() -> dict[str, int] | None:
            calls = await bull.calls()
            return calls if calls["bzpopmin"] >= before["bzpopmin"] + 3 else None

        after = await eventually(has_waited_again)

    assert after is not None
    assert loop.time() - since > 0.6
    assert after["evalsha"] - before["evalsha"] <= 4
