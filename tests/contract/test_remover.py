"""Jobs that were taken back never run, whatever state they were in and whoever takes them, and nothing wakes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import orjson
import pytest

from bullflow import Job, UnrecoverableError, Worker
from bullflow.engine import remover as remover_module
from bullflow.engine.connection import connect
from bullflow.engine.delivery import Delivery
from bullflow.engine.keys import HAS_GROWN, aborts_channel, withdrawn_key
from bullflow.engine.producer import Producer
from bullflow.engine.queue import Queue
from bullflow.engine.remover import Remover
from bullflow.errors import EngineAway
from bullflow.flow.ending import Withdrawn
from bullflow.flow.plan import Branch
from support.eventually import eventually
from support.growing import PARENTS, a_parent, grown, page
from support.queues import JOBS, Bull, bullmqs_own_worker, hands_on, tree, working

ORIGIN = "the service"
Witness = Callable[[Bull], AbstractAsyncContextManager[list[str]]]


def remover(bull: Bull) -> Remover:
    return Remover(bull.client, bull.prefix, origin=ORIGIN)


def withdrawn(*branches: Branch, root: bool = True) -> list[Withdrawn]:
    """Whole branches in tree order, the first of which begins with a root unless it is said not to."""
    return [
        Withdrawn(
            job_id=branch.job.job_id,
            queue_name=branch.job.queue_name,
            is_root=root and branch is branches[0],
            is_parent=bool(branch.children),
        )
        for branch in _walk(branches)
    ]


def alone(branch: Branch) -> list[Withdrawn]:
    """The job of a branch without those below it."""
    return withdrawn(branch)[:1]


def _walk(branches: Iterable[Branch]) -> Iterable[Branch]:
    for branch in branches:
        yield branch
        yield from _walk(branch.children)


@asynccontextmanager
async def ours(bull: Bull) -> AsyncIterator[list[str]]:
    worker, ran = Worker(JOBS, concurrency=5), list[str]()

    @worker.task("root")
    @worker.task("child")
    @worker.task("other")
    async def run(job: Job) -> None:
        ran.append(job.name)

    async with working(bull, worker):
        yield ran


@asynccontextmanager
async def bullmqs(bull: Bull) -> AsyncIterator[list[str]]:
    ran: list[str] = []

    async def run(job: Any, _: str) -> None:
        ran.append(job.name)

    async with bullmqs_own_worker(bull, run):
        yield ran


@pytest.fixture(params=[ours, bullmqs], ids=["ours", "bullmqs"])
def witness(request: pytest.FixtureRequest) -> Witness:
    """A worker of either kind, which notes the names of the jobs that it runs."""
    found: Witness = request.param
    return found


# --- whatever state a job is in ----------------------------------------------------------------------


async def take(queue: Queue) -> Delivery:
    delivery = (await queue.take("token")).delivery
    assert delivery is not None
    return delivery


async def as_it_is(_bull: Bull, _root: Branch) -> None:
    """The state in which it was added."""


async def running_with_attempts_left(bull: Bull, root: Branch) -> None:
    async with hands_on(bull) as queue:
        delivery = await take(queue)
        await remover(bull).doom(alone(root))
        await queue.retry_now(delivery, "again", [])


async def running_with_attempts_left_later(bull: Bull, root: Branch) -> None:
    async with hands_on(bull) as queue:
        delivery = await take(queue)
        await remover(bull).doom(alone(root))
        await queue.retry_later(delivery, "again", [], 50)


async def waiting_for_its_next_attempt(bull: Bull, _root: Branch) -> None:
    async with hands_on(bull) as queue:
        await queue.retry_later(await take(queue), "again", [], 50)


async def with_a_worker_that_dies(bull: Bull, root: Branch) -> None:
    async with hands_on(bull) as queue:
        await take(queue)
        await remover(bull).doom(alone(root))
        await bull.client.delete(bull.key(f"{root.job.job_id}:lock"))

        async def rescued() -> bool:
            return root.job.job_id in await queue.rescue_stalled(10, 1)

        await eventually(rescued)


STATES: dict[str, tuple[dict[str, Any], bool, Callable[[Bull, Branch], Awaitable[None]]]] = {
    "waiting": ({}, False, as_it_is),
    "prioritized": ({"priority": 4}, False, as_it_is),
    "delayed": ({"delay": 50}, False, as_it_is),
    "waiting for children": ({}, True, as_it_is),
    "waiting for children, then delayed": ({"delay": 50}, True, as_it_is),
    "running": ({"attempts": 3}, False, running_with_attempts_left),
    "running, then delayed": ({"attempts": 3}, False, running_with_attempts_left_later),
    "delayed before its next attempt": ({"attempts": 3}, False, waiting_for_its_next_attempt),
    "running, and its worker dies": ({"attempts": 3}, False, with_a_worker_that_dies),
}


@pytest.mark.parametrize("state", STATES)
async def test_a_doomed_job_fails_without_being_run(bull: Bull, witness: Witness, state: str) -> None:
    opts, has_child, bring = STATES[state]
    root = tree("root", *([tree("child")] if has_child else []), **opts)
    await bull.add(root)
    await bring(bull, root)

    await remover(bull).doom(alone(root))
    async with witness(bull) as ran:
        end = await bull.ended(root.job.job_id)

    assert (end["event"], end["failedReason"]) == ("failed", "cancelled")
    assert ran == (["child"] if has_child else [])


async def test_a_doomed_job_that_runs_may_still_complete_and_wakes_nothing(bull: Bull) -> None:
    child = tree("child")
    root = tree("root", child)
    await bull.add(root)
    async with hands_on(bull) as queue:
        delivery = await take(queue)
        waiting = await remover(bull).doom(withdrawn(root))
        await remover(bull).remove(waiting)
        assert await bull.client.keys(f"{bull.key(root.job.job_id)}*") == []
        await queue.complete(delivery, "1", fetch_next=False)

    assert [job.job_id for job in waiting] == [root.job.job_id]
    assert await bull.history(child.job.job_id) == ["added", "waiting", "active", "completed"]
    assert await bull.history(root.job.job_id) == ["added", "waiting-children", "removed"]
    assert await bull.queue().getJobCounts("waiting", "waiting-children", "active") == {
        "waiting": 0, "waiting-children": 0, "active": 0,
    }  # fmt: skip


async def test_a_running_job_whose_last_attempt_fails_ends_alone(bull: Bull) -> None:
    child = tree("child", failParentOnFailure=True)
    root = tree("root", child)
    await bull.add(root)
    async with hands_on(bull) as queue:
        delivery = await take(queue)
        await remover(bull).remove(await remover(bull).doom(withdrawn(root)))
        await queue.fail(delivery, "aborted", [], fetch_next=False)

    assert await bull.state(child.job.job_id) == "failed"
    assert await bull.job(root.job.job_id) == {}


async def test_a_job_that_is_doomed_alone_is_nothing_to_its_parent_whatever_becomes_of_it(
    bull: Bull, witness: Witness
) -> None:
    """It waits, or runs with a worker that still completes it; neither fails the parent or gives it a value."""
    waits, runs = tree("child", failParentOnFailure=True), tree("child", queue="other", failParentOnFailure=True)
    root = tree("root", waits, runs)
    await bull.add(root)
    async with hands_on(bull, "other") as queue:
        delivery = await take(queue)
        await remover(bull).doom(withdrawn(waits, runs, root=False), alone=True)
        await queue.complete(delivery, "1", fetch_next=False)

    async with witness(bull) as ran:
        assert (await bull.ended(waits.job.job_id))["event"] == "failed"

    assert ran == []
    assert await bull.state(root.job.job_id) == "waiting-children"
    assert await bull.client.exists(*(bull.key(f"{root.job.job_id}:{part}") for part in ("processed", "failed"))) == 0


async def test_those_that_wait_are_told_from_those_that_run_have_ended_or_are_gone(bull: Bull) -> None:
    runs, done, failed, gone = tree("runs"), tree("done"), tree("failed"), tree("gone")
    waits = tree("waits", tree("child"), queue="other")
    await bull.add(runs, done, failed, waits)
    async with hands_on(bull) as queue:
        deliveries = [await take(queue) for _ in range(3)]
        await queue.complete(deliveries[1], "1", fetch_next=False)
        await queue.fail(deliveries[2], "broken", [], fetch_next=False)
        before = [await bull.job(branch.job.job_id) for branch in (done, failed)]

        waiting = await remover(bull).doom(withdrawn(runs, done, waits, failed, gone))

    assert waiting == withdrawn(runs, done, waits, failed, gone)[2:4]
    assert [await bull.job(branch.job.job_id) for branch in (done, failed, gone)] == [*before, {}]


async def test_a_job_that_has_begun_or_ended_since_it_was_doomed_is_not_removed(bull: Bull) -> None:
    begun, ended = tree("begun"), tree("ended")
    await bull.add(begun, ended)
    waiting = await remover(bull).doom([*alone(begun), *alone(ended)])
    async with hands_on(bull) as queue:
        held = {delivery.job_id: delivery for delivery in [await take(queue), await take(queue)]}
        await queue.fail(held[ended.job.job_id], "cancelled", [], fetch_next=False)

        await remover(bull).remove(waiting)

        await queue.fail(held[begun.job.job_id], "cancelled", [], fetch_next=False)
    assert len(waiting) == 2
    for branch in (begun, ended):
        assert (await bull.history(branch.job.job_id))[:4] == ["added", "waiting", "active", "failed"]


async def test_a_job_whose_worker_has_died_can_be_removed(bull: Bull) -> None:
    root = tree("root")
    await bull.add(root)
    async with hands_on(bull) as queue:
        await take(queue)
        await queue.rescue_stalled(10, 1)
        await bull.client.delete(bull.key(f"{root.job.job_id}:lock"))

        await remover(bull).remove(await remover(bull).doom(withdrawn(root)))

        assert await bull.client.exists(bull.key("stalled")) == 0
        assert await queue.rescue_stalled(10, 1) == []
    assert await bull.job(root.job.job_id) == {}
    assert await bull.history(root.job.job_id) == ["added", "waiting", "active", "removed"]
    assert await bull.client.exists(bull.key("active")) == 0


@pytest.mark.parametrize("has_grown", [True, False])
async def test_children_of_a_running_job_are_doomed_with_it_if_it_may_have_added_them(
    bull: Bull, witness: Witness, *, has_grown: bool
) -> None:
    """Nobody may have them in a record yet; here the job runs because of a child that failed."""
    grown = tree("child", tree("child", ignoreDependencyOnFailure=True))
    bad = tree("bad", continueParentOnFailure=True, priority=1)
    root = tree("root", grown, bad)
    await bull.add(root)
    async with hands_on(bull) as queue:
        held = {delivery.job_id: delivery for delivery in [await take(queue), await take(queue)]}
        await queue.retry_now(held.pop(grown.children[0].job.job_id), "later", [])
        await queue.fail(held.pop(bad.job.job_id), "broken", [], fetch_next=False)
        assert (await take(queue)).job_id == root.job.job_id
        if has_grown:
            await bull.client.hset(bull.key(root.job.job_id), HAS_GROWN, "1")

        assert await remover(bull).doom(alone(root)) == []

    async with witness(bull) as ran:
        ends = [await bull.ended(one.job.job_id) for one in (grown.children[0], grown)]
    assert [end.get("failedReason") for end in ends] == (["cancelled", "cancelled"] if has_grown else [None, None])
    assert ran == ([] if has_grown else ["child", "child"])


async def test_a_child_that_has_gone_on_to_the_next_run_of_its_parent_is_not_doomed(bull: Bull) -> None:
    child = tree("child")
    root = tree("root", child)
    await bull.add(root)
    await bull.client.hset(bull.key(root.job.job_id), HAS_GROWN, "1")
    await bull.client.hset(bull.key(child.job.job_id), "parentKey", bull.key(f"{root.job.id}-2"))

    await remover(bull).doom(alone(root))

    assert "defa" in await bull.job(root.job.job_id)
    assert "defa" not in await bull.job(child.job.job_id)


async def test_children_that_a_job_has_added_before_it_failed_are_doomed_with_it(bull: Bull, witness: Witness) -> None:
    """Nobody has them in a record yet when the job is cancelled late, its failure not being known either."""

    async def add(job: Job) -> None:
        await job.add_children([page(name="child", children=[page(name="child", ignoreDependencyOnFailure=True)])])
        raise UnrecoverableError("broken")

    root = tree("root", queue=PARENTS)
    await bull.add(root)
    async with working(bull, a_parent(add)):
        assert (await bull.ended(root.job.job_id, PARENTS))["event"] == "failed"
    ((above, below),) = [told["jobs"] for told in await grown(bull)]

    assert await remover(bull).doom(alone(root)) == []

    async with witness(bull) as ran:
        ends = [await bull.ended(f"{child['id']}-1") for child in (below, above)]
    assert ran == []
    assert [end["failedReason"] for end in ends] == ["cancelled", "cancelled"]


async def test_what_lies_in_too_long_a_queue_stays_there_and_fails(
    bull: Bull, monkeypatch: pytest.MonkeyPatch, witness: Witness
) -> None:
    monkeypatch.setattr(remover_module, "LONGEST_SEARCH", 2)
    root, others = tree("root"), [tree("other") for _ in range(2)]
    await bull.add(root, *others)

    await remover(bull).remove(await remover(bull).doom(withdrawn(root)))

    assert await bull.state(root.job.job_id) == "waiting"
    async with witness(bull) as ran:
        assert (await bull.ended(root.job.job_id))["failedReason"] == "cancelled"
        for other in others:
            await bull.ended(other.job.job_id)
    assert ran == ["other", "other"]


# --- nothing wakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("a_round", [1, 2, 1_000])
async def test_no_parent_wakes_because_its_children_are_removed(
    bull: Bull, monkeypatch: pytest.MonkeyPatch, a_round: int
) -> None:
    monkeypatch.setattr(remover_module, "JOBS_A_ROUND", a_round)
    monkeypatch.setattr(remover_module, "KEYS_A_SCRIPT", a_round)
    lowest = tree("lowest", tree("leaf"), tree("late", delay=60_000), queue="other")
    line = tree("line", tree("middle", lowest))
    wide = tree("wide", tree("leaf"), tree("leaf", priority=3))
    root = tree("root", line, wide)
    await bull.add(root)

    await remover(bull).remove(await remover(bull).doom(withdrawn(root)))

    for parent in (root, line, line.children[0], lowest, wide):
        history = await bull.history(parent.job.job_id, parent.job.queue_name)
        assert history == ["added", "waiting-children", "removed"]
    for branch in _walk([root]):
        assert await bull.client.keys(f"{bull.key(branch.job.job_id, branch.job.queue_name)}*") == []
    for queue in (JOBS, "other"):
        assert set((await bull.queue(queue).getJobCounts()).values()) == {0}


async def test_a_parent_that_is_not_withdrawn_goes_on_waiting_for_its_other_children(bull: Bull) -> None:
    stays = tree("stays")
    goes = tree("goes", tree("leaf"))
    root = tree("root", stays, goes)
    await bull.add(root)

    await remover(bull).remove(await remover(bull).doom(withdrawn(goes, root=False)))

    assert await bull.client.smembers(bull.key(f"{root.job.job_id}:dependencies")) == {bull.key(stays.job.job_id)}
    assert await bull.state(root.job.job_id) == "waiting-children"
    assert await bull.history(goes.job.job_id) == ["added", "waiting-children", "removed"]


async def test_jobs_of_other_flows_run_on(bull: Bull, witness: Witness) -> None:
    root, other = tree("root", tree("child")), tree("other")
    await bull.add(root, other)

    await remover(bull).remove(await remover(bull).doom(withdrawn(root)))
    async with witness(bull) as ran:
        assert (await bull.ended(other.job.job_id))["event"] == "completed"

    assert ran == ["other"]


# --- who is told, and who comes too late -------------------------------------------------------------


@asynccontextmanager
async def listening(bull: Bull) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """What is told on the channel of aborts, message by message."""
    client = connect(bull.url, "listener")
    async with client.pubsub(ignore_subscribe_messages=True) as messages:
        await messages.subscribe(aborts_channel(bull.prefix))

        async def subscribed() -> bool:
            return dict(await bull.client.pubsub_numsub(aborts_channel(bull.prefix))) != {
                aborts_channel(bull.prefix): 0
            }

        await eventually(subscribed)

        async def next_one() -> Any:
            async def heard() -> Any:
                return await messages.get_message(timeout=1)

            return orjson.loads((await eventually(heard))["data"])

        yield next_one
    await client.aclose()


async def test_workers_are_told_which_running_jobs_to_stop_and_only_those(bull: Bull) -> None:
    runs, waits = tree("runs"), tree("waits", tree("child"))
    await bull.add(waits, runs)
    async with hands_on(bull) as queue, listening(bull) as next_one:
        first, second = await take(queue), await take(queue)

        await remover(bull).doom(withdrawn(runs, waits))

        running = {first.job_id, second.job_id}
        told = await next_one()
        assert told["from"] == ORIGIN
        assert list(told["news"]) == ["jobs"]
        assert set(told["news"]["jobs"]) == running
        assert runs.job.job_id in running


async def test_where_nothing_runs_nobody_is_told(bull: Bull) -> None:
    idle, runs = tree("idle", delay=60_000), tree("runs")
    await bull.add(idle, runs)
    async with hands_on(bull) as queue, listening(bull) as next_one:
        await take(queue)

        await remover(bull).doom(withdrawn(idle))
        await remover(bull).doom(withdrawn(runs))

        assert (await next_one())["news"] == {"jobs": [runs.job.job_id]}


async def test_a_flow_that_was_withdrawn_before_it_was_added_is_kept_out(bull: Bull) -> None:
    root, other = tree("root", tree("child")), tree("other")

    assert await remover(bull).doom(withdrawn(root)) == []
    added = await bull.producer().add([root, other])

    assert added == [other]
    assert await bull.job(root.job.job_id) == {}
    assert await bull.job(root.children[0].job.job_id) == {}


async def test_a_flow_that_is_withdrawn_while_it_is_being_added_is_kept_out(bull: Bull) -> None:
    """Between the producer's look and its adding."""
    root = tree("root", tree("child"))
    looks: list[Any] = []

    class Overtaken(Producer):
        async def _look(self, transaction: Any, branches: Any) -> Any:
            looks.append(await super()._look(transaction, branches))
            if len(looks) == 1:
                await remover(bull).doom(withdrawn(root))
            return looks[-1]

    assert await Overtaken(bull.client, bull.prefix, keep=timedelta(hours=1), stream_length=1_000).add([root]) == []
    assert len(looks) == 2
    assert await bull.job(root.job.job_id) == {}


async def test_the_mark_is_of_one_run_and_goes_by_itself(bull: Bull) -> None:
    root = tree("root", tree("child"))
    await remover(bull).doom(withdrawn(root))
    mark = withdrawn_key(bull.prefix, root.job.job_id)
    own_id = root.job.id

    marks = await bull.client.keys(f"bullflow:{bull.prefix}:withdrawn:*")

    assert marks == [mark]
    assert mark.endswith(f":{own_id}-1")
    assert 3_500 < await bull.client.ttl(mark) <= 3_600


# --- again, and much ---------------------------------------------------------------------------------


async def test_all_of_it_twice_is_harmless(bull: Bull, witness: Witness) -> None:
    root, other = tree("root", tree("child"), tree("child", delay=60_000)), tree("other")
    await bull.add(root, other)
    jobs = withdrawn(root)

    for _ in range(2):
        waiting = await remover(bull).doom(jobs)
        await remover(bull).remove(waiting)
        await remover(bull).remove(jobs)
    await remover(bull).remove([])
    await remover(bull).doom([])

    assert waiting == []
    assert [await bull.job(job.job_id) for job in jobs] == [{}] * 3
    assert await bull.history(root.job.job_id) == ["added", "waiting-children", "removed"]
    async with witness(bull) as ran:
        await bull.ended(other.job.job_id)
    assert ran == ["other"]


async def test_whoever_dies_between_dooming_and_removing_has_stopped_the_flow(bull: Bull, witness: Witness) -> None:
    root = tree("root", tree("child"), tree("child", priority=2))
    await bull.add(root)

    await remover(bull).doom(withdrawn(root))
    async with witness(bull) as ran:
        for child in root.children:
            await bull.ended(child.job.job_id)
    await remover(bull).remove(await remover(bull).doom(withdrawn(root)))

    assert ran == []
    assert await bull.job(root.job.job_id) == {}


async def test_a_wide_flow_is_removed(bull: Bull) -> None:
    root = tree("root", *(tree("leaf", priority=number % 2) for number in range(3_000)))
    other = tree("other")
    await bull.add(other, root)

    async with asyncio.timeout(10):
        waiting = await remover(bull).doom(withdrawn(root))
        await remover(bull).remove(waiting)

    assert len(waiting) == 3_001
    assert set((await bull.queue().getJobCounts("waiting", "prioritized", "waiting-children")).values()) == {0, 1}
    assert await bull.client.lrange(bull.key("wait"), 0, -1) == [other.job.job_id]
    assert await bull.job(root.job.job_id) == {}


async def test_an_engine_that_is_away_is_said_to_be_away() -> None:
    client = connect("unix:///tmp/no-such-valkey.sock", "test")
    away = Remover(client, "none", origin=ORIGIN)

    for act in (away.doom, away.remove):
        with pytest.raises(EngineAway):
            await act(withdrawn(tree("root")))
    await client.aclose()
