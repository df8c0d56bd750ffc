"""What has ended leaves the engine after its time, if the store has it, and whatever else happens in the queue."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from bullflow import Job, Worker, sweeper, telemetry
from bullflow.clock import milliseconds, now_ms
from bullflow.engine.ended import Ended
from bullflow.engine.keys import grown_stream
from bullflow.engine.stream import GROWN
from bullflow.flow.facts import FactId, FactKind, Json
from bullflow.flow.plan import unfinished
from bullflow.store import backlog, streams
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.sweeper import Sweeper
from support.any_worker import WORK
from support.both_kinds import at_work
from support.flows import HandClock, Submitter, node, record
from support.ledger import a_fact
from support.queues import JOBS, Bull, hands_on, tree, working

KEEP = timedelta(hours=1)


def sweeper_of(database: Database, bull: Bull, after: timedelta = KEEP * 2) -> Sweeper:
    """A sweeper that looks so long after now."""
    clock = HandClock(now_ms() + milliseconds(after))
    return Sweeper(database, Ended(bull.client, bull.prefix), keep=KEEP, clock=clock, log=telemetry.logger("sweeper"))


async def ended(database: Database, bull: Bull, count: int = 1, *, recorded: bool = True) -> list[NewFlow]:
    """Flows of one job, which has completed in the engine; in the store as well if it is `recorded`."""
    flows = await Submitter(database, HandClock(now_ms())).all(*(node("root", queue=JOBS) for _ in range(count)))
    async with database.read() as snapshot:
        for flow in flows:
            branch = unfinished(await backlog.jobs_to_dispatch(snapshot, [flow.id]))
            assert branch is not None
            await bull.add(branch)
    async with hands_on(bull) as queue:
        for flow in flows:
            delivery = (await queue.take("token")).delivery
            assert delivery is not None
            assert delivery.job_id == flow.jobs[0].job_id
            await queue.log(delivery.job_id, "a line", 10)
            await queue.complete(delivery, "1", fetch_next=False)
    if recorded:
        await record(database, [a_fact(FactKind.COMPLETED, 5, flow.jobs[0].job_id, result=Json("1")) for flow in flows])
    return flows


async def job_keys(bull: Bull) -> set[str]:
    """The BullMQ ids of jobs of which anything lies in the engine, ended or not."""
    keys = [key async for key in bull.client.scan_iter(f"{bull.prefix}:*", count=1_000)]
    hashes = {key.split(":")[2] for key in keys if "-" in key.split(":")[2]}
    return hashes - {"waiting-children", "stalled-check"} | await on_shelves(bull)


async def on_shelves(bull: Bull, queue: str = JOBS) -> set[str]:
    return {
        job_id for name in ("completed", "failed") for job_id in await bull.client.zrange(bull.key(name, queue), 0, -1)
    }


def ids(flows: list[NewFlow]) -> set[str]:
    return {flow.jobs[0].job_id for flow in flows}


# --- what goes and what stays ------------------------------------------------------------------------


async def test_a_recorded_job_goes_when_its_time_is_over_though_nothing_else_ends_in_its_queue(
    database: Database, bull: Bull
) -> None:
    flows = await ended(database, bull, 3)

    await sweeper_of(database, bull, KEEP * 0.9).run_once()
    assert await job_keys(bull) == ids(flows)

    assert await sweeper_of(database, bull).run_once() == 0
    assert await job_keys(bull) == set()


async def test_a_job_that_nobody_has_recorded_stays_however_old_it_is(database: Database, bull: Bull) -> None:
    unrecorded = await ended(database, bull, recorded=False)
    await ended(database, bull)
    sweeping = sweeper_of(database, bull, KEEP * 1_000)

    await sweeping.run_once()
    assert await job_keys(bull) == ids(unrecorded)

    await record(database, [a_fact(FactKind.COMPLETED, 5, unrecorded[0].jobs[0].job_id, result=Json("1"))])
    await sweeping.run_once()
    assert await job_keys(bull) == set()


async def test_a_job_of_a_flow_that_was_deleted_goes(database: Database, bull: Bull) -> None:
    (flow,) = await ended(database, bull)
    async with database.write() as transaction:
        await streams.know(transaction, [JOBS])
        await transaction.exec_driver_sql("DELETE FROM flows")

    await sweeper_of(database, bull).run_once()

    assert await job_keys(bull) == set(), flow.id


async def test_an_unknown_job_stays_while_it_may_have_been_added_by_another_that_is_not_recorded_yet(
    database: Database, bull: Bull
) -> None:
    flows = await ended(database, bull)
    async with database.write() as transaction:
        await transaction.exec_driver_sql("DELETE FROM flows")
    entry = await bull.client.xadd(grown_stream(bull.prefix), {"growth": "{}"})
    sweeping = sweeper_of(database, bull)

    await sweeping.run_once()
    assert await job_keys(bull) == ids(flows)

    async with database.write() as transaction:
        await streams.know(transaction, [GROWN])
        await streams.advance(transaction, {GROWN: FactId.parse(entry)})
    await sweeping.run_once()
    assert await job_keys(bull) == set()


async def test_what_was_added_after_its_time_keeps_nobody(database: Database, bull: Bull) -> None:
    """A service in which jobs are added all the time is swept as well."""
    await ended(database, bull)
    async with database.write() as transaction:
        await transaction.exec_driver_sql("DELETE FROM flows")
    after = now_ms() + milliseconds(KEEP) * 3
    await bull.client.xadd(grown_stream(bull.prefix), {"growth": "{}"}, id=f"{after}-0")

    await sweeper_of(database, bull).run_once()

    assert await job_keys(bull) == set()


async def test_jobs_of_others_stay_and_hold_ours_up_nowhere(
    database: Database, bull: Bull, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "JOBS_A_PAGE", 2)
    others = bull.queue()
    async with hands_on(bull) as queue:
        for _ in range(5):
            await others.add("other", {})
            delivery = (await queue.take("token")).delivery
            assert delivery is not None
            await queue.complete(delivery, "1", fetch_next=False)
    await ended(database, bull, 3)
    unrecorded = await ended(database, bull, recorded=False)
    await ended(database, bull, 2)
    sweeping = sweeper_of(database, bull)

    await sweeping.run_once()
    assert await on_shelves(bull) == {"1", "2", "3", "4", "5"} | ids(unrecorded)
    assert (await bull.job("1"))["name"] == "other"

    await record(database, [a_fact(FactKind.COMPLETED, 5, unrecorded[0].jobs[0].job_id, result=Json("1"))])
    await sweeping.run_once()
    assert await on_shelves(bull) == {"1", "2", "3", "4", "5"}


@pytest.mark.parametrize("a_page", [1, 2, 3, 500])
async def test_jobs_that_have_ended_in_one_millisecond_are_all_looked_at(
    database: Database, bull: Bull, monkeypatch: pytest.MonkeyPatch, a_page: int
) -> None:
    monkeypatch.setattr(sweeper, "JOBS_A_PAGE", a_page)
    others = {f"other-{n}" for n in range(4)}
    unrecorded, recorded = ids(await ended(database, bull, 2, recorded=False)), ids(await ended(database, bull, 5))
    at_once = dict.fromkeys(others | unrecorded | recorded, 7)
    await bull.client.zadd(bull.key("completed"), at_once)
    await bull.client.zadd(bull.key("completed"), {"other-0": 6, "other-1": 8})
    later = ids(await ended(database, bull))

    await sweeper_of(database, bull).run_once()

    assert await on_shelves(bull) == others | unrecorded, later


async def test_a_job_that_somebody_has_put_back_into_its_queue_is_left_alone(database: Database, bull: Bull) -> None:
    (flow,) = await ended(database, bull)
    shelves = Ended(bull.client, bull.prefix)
    (shelf,) = await shelves.shelves([JOBS], now_ms())
    await bull.client.zrem(bull.key("completed"), flow.jobs[0].job_id)

    await shelves.remove(shelf, [flow.jobs[0].job_id])

    assert await bull.job(flow.jobs[0].job_id)


async def test_a_parent_that_still_waits_for_a_job_is_not_woken_by_its_going(database: Database, bull: Bull) -> None:
    child = tree("child", failParentOnFailure=False)
    parent = tree("parent", child)
    await bull.add(parent)
    async with hands_on(bull) as queue:
        delivery = (await queue.take("token")).delivery
        assert delivery is not None
        await queue.fail(delivery, "bad", [], fetch_next=False)
    async with database.write() as transaction:
        await streams.know(transaction, [JOBS])

    await sweeper_of(database, bull).run_once()

    assert await on_shelves(bull) == set()
    assert await bull.state(parent.job.job_id) == "waiting-children"


# --- BullMQ itself removes nothing -------------------------------------------------------------------


async def test_no_worker_of_either_kind_removes_what_has_ended(bull: Bull, kind: str, tmp_path: Path) -> None:
    """Not even what is old enough, nor what asks for it itself: nobody may have recorded it yet."""
    hasty = bull.producer(keep=timedelta(0))
    trees = [tree("give", queue=WORK, removeOnComplete=True, removeOnFail=True) for _ in range(3)]
    trees += [tree("fail-first", queue=WORK, data={"times": 1}, removeOnFail={"count": 0}) for _ in range(3)]
    async with at_work(kind, bull, tmp_path):
        for one in trees:
            await hasty.add([one])
            await bull.ended(one.job.job_id, WORK)

    assert await on_shelves(bull, WORK) == {one.job.job_id for one in trees}


# --- events ------------------------------------------------------------------------------------------


async def test_old_events_go_as_far_as_they_were_read(database: Database, bull: Bull) -> None:
    await ended(database, bull)
    stream = bull.key("events")
    await bull.client.delete(stream)
    for n in range(1, 1_001):
        await bull.client.xadd(stream, {"event": "progress", "n": n}, id=f"{n}-0")
    sweeping = sweeper_of(database, bull)

    await sweeping.run_once()
    assert await bull.client.xlen(stream) == 1_000

    async with database.write() as transaction:
        await streams.advance(transaction, {JOBS: FactId(500, 0)})
    await sweeping.run_once()
    left = [key for key, _ in await bull.client.xrange(stream)]
    assert 501 <= len(left) <= 700
    assert "500-0" in left, "a stream whose oldest entry is newer than what was read has lost some"

    young = [await bull.client.xadd(stream, {"event": "progress"}) for _ in range(500)]
    async with database.write() as transaction:
        await streams.advance(transaction, {JOBS: FactId.parse(young[-1])})
    await sweeper_of(database, bull, KEEP / 2).run_once()
    left = [key for key, _ in await bull.client.xrange(stream)]
    assert left[-500:] == young
    assert len(left) <= 600


def a_growing_worker() -> Worker:
    worker = Worker("grows")

    @worker.task("root")
    async def root(job: Job) -> Any:
        if "give" not in job.children:
            await job.add_children([{"name": "give", "queueName": WORK, "data": 1, "opts": {"removeOnComplete": True}}])
        return None

    return worker


async def test_jobs_that_others_have_added_are_kept_for_the_sweeper_too(bull: Bull, kind: str, tmp_path: Path) -> None:
    root = tree("root", queue="grows")
    async with working(bull, a_growing_worker()), at_work(kind, bull, tmp_path):
        await bull.add(root)
        await bull.ended(root.job.job_id, "grows")

    (child,) = await on_shelves(bull, WORK)
    assert orjson.loads((await bull.job(child, WORK))["opts"])["removeOnComplete"]["limit"] == 0
