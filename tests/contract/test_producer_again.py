"""A flow's second run: what ended is laid as BullMQ would have left it, what runs on is hung below the new parent."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from bullflow import Job, Worker
from bullflow.engine.delivery import Delivery
from bullflow.engine.producer import Producer
from bullflow.engine.queue import Queue
from bullflow.engine.transaction import Transaction
from bullflow.flow.facts import Json
from bullflow.flow.plan import Branch, StoredJob, unfinished
from bullflow.flow.states import JobStatus
from bullflow.flow.tree import run_id
from support.queues import JOBS, Bull, bullmqs_own_worker, hands_on, stored, working

POLICIES: dict[str, dict[str, Any]] = {
    "fail": {"failParentOnFailure": True},
    "wait": {},
    "ignore": {"ignoreDependencyOnFailure": True},
    "continue": {"continueParentOnFailure": True},
    "remove": {"removeDependencyOnFailure": True},
}


class Store:
    """A flow as the store has it: its jobs by keys, in tree order."""

    def __init__(self) -> None:
        self.jobs: dict[str, StoredJob] = {}
        self.add("root")

    def add(
        self, key: str, below: str | None = None, *, name: str | None = None, queue: str = JOBS, **opts: Any
    ) -> "Store":
        parent = None if below is None else self.jobs[below].id
        self.jobs[key] = stored(
            name or key, queue=queue, data={"key": key}, parent_id=parent, position=len(self.jobs), opts=opts
        )
        return self

    def child(self, key: str, below: str = "root", policy: str = "fail", **more: Any) -> "Store":
        """A child that fails its parent unless `policy` says otherwise."""
        return self.add(key, below, **{**POLICIES[policy], **more})

    def ends(self, key: str, status: JobStatus, *, result: Any = None, reason: str | None = None) -> None:
        """What became of the present run of a job is recorded."""
        self.jobs[key] = replace(
            self.jobs[key],
            status=status,
            result=Json(orjson.dumps(result).decode()) if status is JobStatus.COMPLETED else None,
            error=None if reason is None else {"message": reason, "stack": None, "attempt": 1},
        )

    def again(self, *keys: str) -> None:
        for key in keys:
            job = self.jobs[key]
            self.jobs[key] = replace(
                job, job_id=run_id(job.id, job.run + 1), status=JobStatus.WAITING, result=None, error=None
            )

    def branch(self) -> Branch:
        branch = unfinished(self.jobs.values())
        assert branch is not None
        return branch

    def id(self, key: str) -> str:
        """The BullMQ id of the present run of a job."""
        return self.jobs[key].job_id


class Flow:
    """A flow in the store and in the engine."""

    def __init__(self, bull: Bull, store: Store, queue: Queue) -> None:
        self.bull = bull
        self.store = store
        self.queue = queue
        self.held: dict[str, Delivery] = {}

    def key(self, name: str, part: str = "") -> str:
        """The engine's key of a job's present run."""
        job = self.store.jobs[name]
        return self.bull.key(job.job_id, job.queue_name) + part

    async def dispatch(self) -> bool:
        """Whether the flow was added."""
        return bool(await self.bull.producer().add([self.store.branch()]))

    async def take(self, times: int = 1) -> None:
        for _ in range(times):
            delivery = (await self.queue.take("token")).delivery
            assert delivery is not None
            self.held[next(key for key in self.store.jobs if self.store.id(key) == delivery.job_id)] = delivery

    async def complete(self, key: str, result: Any) -> None:
        """In the engine only."""
        await self.queue.complete(self.held.pop(key), orjson.dumps(result).decode(), fetch_next=False)

    async def fail(self, key: str, reason: str = "broken") -> None:
        await self.queue.fail(self.held.pop(key), reason, [], fetch_next=False)

    async def run_once(self, **outcomes: Any) -> None:
        """The whole first run, recorded: those fail that have an exception, and the root because of them."""
        await self.dispatch()
        while (delivery := (await self.queue.take("token")).delivery) is not None:
            key = next(key for key in self.store.jobs if self.store.id(key) == delivery.job_id)
            self.held[key] = delivery
            if delivery.deferred_failure or isinstance(outcomes.get(key), Exception):
                reason = delivery.deferred_failure or str(outcomes[key])
                await self.fail(key, reason)
                self.store.ends(key, JobStatus.FAILED, reason=reason)
            elif key in outcomes:
                await self.complete(key, outcomes[key])
                self.store.ends(key, JobStatus.COMPLETED, result=outcomes[key])
        assert self.store.jobs["root"].status is JobStatus.FAILED

    async def dependencies(self, key: str = "root") -> set[str]:
        """The BullMQ ids of those that a job waits for."""
        members = await self.bull.client.smembers(self.key(key, ":dependencies"))
        return {member.rpartition(":")[2] for member in members}

    async def state(self, key: str) -> str:
        job = self.store.jobs[key]
        return await self.bull.state(job.job_id, job.queue_name)


@asynccontextmanager
async def a_flow(bull: Bull, store: Store, *, queue: str = JOBS) -> AsyncIterator[Flow]:
    async with hands_on(bull, queue) as hands:
        yield Flow(bull, store, hands)


@asynccontextmanager
async def a_worker(bull: Bull) -> AsyncIterator[list[tuple[str, Mapping[str, Any]]]]:
    """Ours, whose jobs return their keys; what each run was given: values and failures of its children by name."""
    worker, ran = Worker(JOBS, concurrency=1), list[tuple[str, Mapping[str, Any]]]()

    async def run(job: Job) -> Any:
        values = {name: list(job.children.all(name)) for name in job.children}
        failures = {f"{name}!": list(reasons) for name, reasons in job.children.failures.items()}
        ran.append((job.data["key"], {**values, **failures}))
        return job.data["key"]

    for name in ("root", "bad", "value", "middle", "slow", "good"):
        worker.task(name)(run)
    async with working(bull, worker):
        yield ran


class Overtaken(Producer):
    """Something happens each time between its look and its adding."""

    def __init__(self, bull: Bull, meanwhile: Callable[[], Awaitable[None]]) -> None:
        super().__init__(bull.client, bull.prefix, keep=timedelta(hours=1), stream_length=1_000)
        self._meanwhile = meanwhile
        self.looks = 0

    async def _look(self, transaction: Transaction, branches: Sequence[Branch]) -> Any:
        found = await super()._look(transaction, branches)
        self.looks += 1
        await self._meanwhile()
        return found


# --- what has ended ----------------------------------------------------------------------------------


async def test_values_of_children_that_completed_in_the_first_run_reach_the_second(bull: Bull) -> None:
    store = Store().child("value").child("bad")
    async with a_flow(bull, store) as flow:
        await flow.run_once(value={"n": [1, None]}, bad=ValueError("broken"))
        store.again("root", "bad")

        assert await flow.dispatch()

    assert await bull.client.hgetall(flow.key("root", ":processed")) == {flow.key("value"): '{"n":[1,null]}'}
    assert await flow.dependencies() == {store.id("bad")}
    async with a_worker(bull) as ran:
        assert (await bull.ended(store.id("root")))["event"] == "completed"
    assert ran == [("bad", {}), ("root", {"value": [{"n": [1, None]}], "bad": ["bad"]})]
    assert await bull.history(store.id("value")) == ["added", "waiting", "active", "completed"]


async def test_values_of_the_first_run_reach_bullmqs_own_worker(bull: Bull) -> None:
    store = Store().child("value").child("bad")
    async with a_flow(bull, store) as flow:
        await flow.run_once(value="kept", bad=ValueError("broken"))
        store.again("root", "bad")
        await flow.dispatch()
    values: dict[str, Any] = {}

    async def process(job: Any, _: str) -> Any:
        if job.name == "root":
            values.update(await job.getChildrenValues())
        return job.name

    async with bullmqs_own_worker(bull, process):
        await bull.ended(store.id("root"))

    assert values == {flow.key("value"): "kept", flow.key("bad"): "bad"}


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
@pytest.mark.parametrize(
    ("policy", "told"), [("ignore", {"value!": ["no matter"]}), ("continue", {"value!": ["no matter"]}), ("remove", {})]
)
async def test_failures_that_the_parent_is_to_run_in_spite_of_are_told_as_their_policy_says(
    bull: Bull, policy: str, told: dict[str, Any], status: JobStatus
) -> None:
    store = Store().child("value", policy=policy).child("bad")
    store.ends("value", status, reason="no matter")
    store.again("root", "bad")
    async with a_flow(bull, store) as flow:
        assert await flow.dispatch()

    async with a_worker(bull) as ran:
        assert (await bull.ended(store.id("root")))["event"] == "completed"

    assert ran == [("bad", {}), ("root", {"bad": ["bad"], **told})]


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
@pytest.mark.parametrize("policy", ["fail", "wait"])
async def test_a_parent_of_a_failure_that_does_not_run_again_fails_with_its_reason_when_the_others_are_done(
    bull: Bull, policy: str, status: JobStatus
) -> None:
    store = Store().child("good").child("value", policy=policy).child("bad")
    store.ends("good", JobStatus.COMPLETED, result=1)
    store.ends("value", status, reason="as before")
    store.again("root", "bad")
    async with a_flow(bull, store) as flow:
        await flow.dispatch()
        assert await flow.state("root") == "waiting-children"

    async with a_worker(bull) as ran:
        end = await bull.ended(store.id("root"))

    assert (end["event"], end["failedReason"]) == ("failed", f"child {flow.key('value')} failed")
    assert ran == [("bad", {})]
    assert await bull.client.zrange(flow.key("root", ":unsuccessful"), 0, -1) == [flow.key("value")]


async def test_a_parent_all_of_whose_children_have_ended_and_one_has_failed_fails_at_once(bull: Bull) -> None:
    store = Store().child("middle").child("value", "middle").child("good")
    store.ends("value", JobStatus.FAILED, reason="as before")
    store.again("root", "middle", "good")
    async with a_flow(bull, store) as flow:
        await flow.dispatch()

    async with a_worker(bull) as ran:
        middle, root = await bull.ended(store.id("middle")), await bull.ended(store.id("root"))

    assert middle["failedReason"] == f"child {flow.key('value')} failed"
    assert root["failedReason"] == f"child {flow.key('middle')} failed"
    assert {key for key, _ in ran} <= {"good"}


async def test_a_job_of_the_first_run_that_was_about_to_fail_does_so_and_disturbs_nobody(bull: Bull) -> None:
    """`middle` is doomed by its child and was not taken; the root failed because of another child."""
    store = Store().child("middle").child("value", "middle").child("bad")
    async with a_flow(bull, store) as flow:
        await flow.dispatch()
        await flow.take(2)
        await flow.fail("bad")
        await flow.take()
        await flow.fail("root")
        await flow.fail("value")
        first_run = store.id("middle")
        assert await flow.state("middle") == "waiting"
        store.again("root", "middle", "value", "bad")
        assert await flow.dispatch()

    async with a_worker(bull) as ran:
        assert (await bull.ended(store.id("root")))["event"] == "completed"

    assert (await bull.ended(first_run))["event"] == "failed"
    assert sorted(key for key, _ in ran) == ["bad", "middle", "root", "value"]
    assert dict(ran)["root"] == {"middle": ["middle"], "bad": ["bad"]}


# --- what runs on ------------------------------------------------------------------------------------


async def root_failed_beside(flow: Flow, *running: str) -> None:
    """The first run: `bad` and the root have failed, and these run on. The second is due."""
    await flow.dispatch()
    await flow.take(1 + len(running))
    await flow.fail("bad")
    await flow.take()
    await flow.fail("root")
    assert set(flow.held) == set(running)
    flow.store.again("root", "bad")


async def test_a_job_that_runs_on_is_hung_below_the_new_parent_and_its_value_arrives_there(bull: Bull) -> None:
    store = Store().child("slow").child("bad")
    async with a_flow(bull, store) as flow:
        await root_failed_beside(flow, "slow")
        before = await bull.job(store.id("slow"))

        assert await flow.dispatch()

        assert await flow.dependencies() == {store.id("bad"), store.id("slow")}
        hung = await bull.job(store.id("slow"))
        assert hung["parentKey"] == flow.key("root")
        assert orjson.loads(hung["parent"]) == orjson.loads(before["parent"]) | {"id": store.id("root")}
        assert {**hung, "parentKey": "", "parent": ""} == {**before, "parentKey": "", "parent": ""}
        await flow.complete("slow", "of the first run")
        assert await bull.client.hgetall(flow.key("root", ":processed")) == {flow.key("slow"): '"of the first run"'}

    async with a_worker(bull) as ran:
        assert (await bull.ended(store.id("root")))["event"] == "completed"
    assert ran == [("bad", {}), ("root", {"slow": ["of the first run"], "bad": ["bad"]})]
    assert (await bull.history(store.id("slow"))).count("active") == 1


@pytest.mark.parametrize(
    ("opts", "state"),
    [({"delay": 400}, "delayed"), ({"priority": 9}, "prioritized"), ({}, "waiting")],
    ids=["delayed", "prioritized", "waiting"],
)
async def test_a_job_that_has_not_started_yet_keeps_its_place(bull: Bull, opts: dict[str, Any], state: str) -> None:
    store = Store().child("bad").child("slow", **opts)
    async with a_flow(bull, store) as flow:
        await root_failed_beside(flow)
        added = (await bull.history(store.id("slow"))).count("added")

        assert await flow.dispatch()
        assert (await flow.state("slow"), added) == (state, 1)

    async with a_worker(bull) as ran:
        assert (await bull.ended(store.id("root")))["event"] == "completed"
    assert sorted(key for key, _ in ran) == ["bad", "root", "slow"]
    assert dict(ran)["root"] == {"slow": ["slow"], "bad": ["bad"]}
    assert (await bull.history(store.id("slow"))).count("added") == 1


async def test_a_branch_that_runs_on_keeps_all_that_is_below_it(bull: Bull) -> None:
    store = Store().child("middle").child("slow", "middle").child("bad")
    async with a_flow(bull, store) as flow:
        await root_failed_beside(flow, "slow")

        assert await flow.dispatch()

        assert await flow.dependencies() == {store.id("bad"), store.id("middle")}
        assert (await bull.job(store.id("slow")))["parentKey"] == flow.key("middle")
        assert await flow.dependencies("middle") == {store.id("slow")}
        await flow.complete("slow", 7)

    async with a_worker(bull) as ran:
        assert (await bull.ended(store.id("root")))["event"] == "completed"
    assert dict(ran)["middle"] == {"slow": [7]}
    assert dict(ran)["root"] == {"middle": ["middle"], "bad": ["bad"]}


async def test_what_runs_on_deep_in_the_tree_is_hung_below_its_own_new_parent(bull: Bull) -> None:
    store = Store().child("middle").child("slow", "middle").child("bad", "middle")
    async with a_flow(bull, store) as flow:
        await flow.dispatch()
        await flow.take(2)
        await flow.fail("bad")
        for key in ("middle", "root"):
            await flow.take()
            await flow.fail(key)
        store.again("root", "middle", "bad")

        assert await flow.dispatch()

        assert await flow.dependencies("middle") == {store.id("slow"), store.id("bad")}
        assert (await bull.job(store.id("slow")))["parentKey"] == flow.key("middle")
        await flow.complete("slow", 7)

    async with a_worker(bull) as ran:
        assert (await bull.ended(store.id("root")))["event"] == "completed"
    assert dict(ran)["middle"] == {"slow": [7], "bad": ["bad"]}


async def test_a_parent_whose_only_open_child_runs_on_waits_for_it(bull: Bull) -> None:
    store = Store().child("good").child("bad", policy="ignore").child("slow")
    async with a_flow(bull, store) as flow:
        await flow.dispatch()
        await flow.take(3)
        store.ends("good", JobStatus.COMPLETED, result=1)
        store.ends("bad", JobStatus.FAILED, reason="no matter")
        store.again("root")

        assert await flow.dispatch()

        assert await flow.state("root") == "waiting-children"
        assert await flow.dependencies() == {store.id("slow")}
        await flow.complete("slow", 2)

    async with a_worker(bull) as ran:
        assert (await bull.ended(store.id("root")))["event"] == "completed"
    assert ran == [("root", {"good": [1], "slow": [2], "bad!": ["no matter"]})]


@pytest.mark.parametrize(
    ("policy", "end", "told"),
    [
        ("fail", "failed", None),
        ("ignore", "completed", {"bad": ["bad"], "slow!": ["too slow"]}),
        ("remove", "completed", {"bad": ["bad"]}),
    ],
)
async def test_one_that_runs_on_and_fails_means_for_the_new_parent_what_its_policy_says(
    bull: Bull, policy: str, end: str, told: dict[str, Any] | None
) -> None:
    store = Store().child("slow", policy=policy).child("bad")
    async with a_flow(bull, store) as flow:
        await root_failed_beside(flow, "slow")
        await flow.dispatch()
        await flow.fail("slow", "too slow")

    async with a_worker(bull) as ran:
        ended = await bull.ended(store.id("root"))
    assert ended["event"] == end
    assert dict(ran).get("root") == told
    if end == "failed":
        assert ended["failedReason"] == f"child {flow.key('slow')} failed"


async def test_a_job_of_another_queue_that_runs_on_reaches_the_new_parent(bull: Bull) -> None:
    store = Store().child("slow", queue="far").child("bad")
    async with a_flow(bull, store) as flow, a_flow(bull, store, queue="far") as far:
        await flow.dispatch()
        await far.take()
        await flow.take()
        await flow.fail("bad")
        await flow.take()
        await flow.fail("root")
        store.again("root", "bad")

        assert await flow.dispatch()
        await far.complete("slow", "from afar")

    async with a_worker(bull) as ran:
        assert (await bull.ended(store.id("root")))["event"] == "completed"
    assert dict(ran)["root"] == {"slow": ["from afar"], "bad": ["bad"]}


async def test_a_third_run_hangs_it_once_more(bull: Bull) -> None:
    store = Store().child("slow").child("bad")
    async with a_flow(bull, store) as flow:
        await root_failed_beside(flow, "slow")
        await flow.dispatch()
        await flow.take()
        await flow.fail("bad")
        await flow.take()
        await flow.fail("root")
        store.again("root", "bad")

        assert await flow.dispatch()
        assert store.id("root").endswith("-3")
        assert await flow.dependencies() == {store.id("slow"), store.id("bad")}
        await flow.complete("slow", 1)

    async with a_worker(bull) as ran:
        assert (await bull.ended(store.id("root")))["event"] == "completed"
    assert dict(ran)["root"] == {"slow": [1], "bad": ["bad"]}


async def test_one_that_tells_of_its_progress_all_the_while_does_not_hold_the_flow_back(bull: Bull) -> None:
    store = Store().child("slow").child("bad")
    async with a_flow(bull, store) as flow:
        await root_failed_beside(flow, "slow")

        async def chat() -> None:
            await flow.queue.progress(store.id("slow"), "50")
            await flow.queue.log(store.id("slow"), "half of it", 100)

        producer = Overtaken(bull, chat)
        added = await producer.add([store.branch()])

        assert [branch.job.job_id for branch in added] == [store.id("root")]
        assert producer.looks == 1
        assert await flow.dependencies() == {store.id("slow"), store.id("bad")}
        hung = await bull.job(store.id("slow"))
        assert (hung["parentKey"], hung["progress"]) == (flow.key("root"), "50")


async def test_a_flow_whose_jobs_never_rest_is_left_out_and_does_not_hold_back_others(bull: Bull) -> None:
    store, other = Store().child("slow").child("bad"), Store()
    async with a_flow(bull, store) as flow:
        await root_failed_beside(flow, "slow")

        async def next_attempt() -> None:
            await flow.queue.retry_now(flow.held.pop("slow"), "broken", [])
            await flow.take()

        added = await Overtaken(bull, next_attempt).add([store.branch(), other.branch()])

        assert [branch.job.job_id for branch in added] == [other.id("root")]
        assert await bull.state(other.id("root")) == "waiting"
        assert await bull.job(store.id("root")) == {}
        assert await flow.dispatch()
        assert await flow.dependencies() == {store.id("slow"), store.id("bad")}


# --- what has just ended -----------------------------------------------------------------------------


@pytest.mark.parametrize("end", [JobStatus.COMPLETED, JobStatus.FAILED])
async def test_one_that_has_just_ended_holds_the_flow_back_until_that_is_recorded(bull: Bull, end: JobStatus) -> None:
    store = Store().child("slow", policy="ignore").child("bad")
    async with a_flow(bull, store) as flow:
        await root_failed_beside(flow, "slow")
        await (flow.complete("slow", 1) if end is JobStatus.COMPLETED else flow.fail("slow", "too slow"))
        events = await bull.events()

        assert not await flow.dispatch()
        assert await bull.job(store.id("root")) == {}
        assert await bull.job(store.id("bad")) == {}
        assert await bull.events() == events
        store.ends("slow", end, result=1, reason=None if end is JobStatus.COMPLETED else "too slow")
        assert await flow.dispatch()

    async with a_worker(bull) as ran:
        assert (await bull.ended(store.id("root")))["event"] == "completed"
    told = {"slow": [1]} if end is JobStatus.COMPLETED else {"slow!": ["too slow"]}
    assert dict(ran)["root"] == {"bad": ["bad"], **told}


async def test_one_that_ends_deep_below_one_that_runs_on_holds_it_back_too(bull: Bull) -> None:
    store = Store().child("middle").child("slow", "middle").child("bad")
    async with a_flow(bull, store) as flow:
        await root_failed_beside(flow, "slow")
        await flow.complete("slow", 1)

        assert not await flow.dispatch()


async def test_one_that_ends_while_the_flow_is_being_added_holds_it_back(bull: Bull) -> None:
    """Between the producer's look and its adding."""
    store = Store().child("slow").child("bad")
    async with a_flow(bull, store) as flow:
        await root_failed_beside(flow, "slow")

        async def end() -> None:
            if "slow" in flow.held:
                await flow.complete("slow", 1)

        producer = Overtaken(bull, end)
        assert await producer.add([store.branch()]) == []

    assert producer.looks == 2
    assert await bull.job(store.id("root")) == {}


async def test_a_flow_that_is_held_back_does_not_hold_back_others(bull: Bull) -> None:
    store, other = Store().child("slow").child("bad"), Store()
    async with a_flow(bull, store) as flow:
        await root_failed_beside(flow, "slow")
        await flow.complete("slow", 1)

        added = await bull.producer().add([store.branch(), other.branch()])

    assert [branch.job.job_id for branch in added] == [other.id("root")]
    assert await bull.state(other.id("root")) == "waiting"


# --- order, and again --------------------------------------------------------------------------------


async def test_children_of_one_name_come_in_the_order_of_the_request_whatever_became_of_them(bull: Bull) -> None:
    keys = ["first", "second", "third", "fourth"]
    store = Store()
    for key in keys:
        store.child(key, name="value")
    store.child("bad")
    async with a_flow(bull, store) as flow:
        await flow.dispatch()
        await flow.take(5)
        for key in ("second", "fourth"):
            await flow.complete(key, key)
            store.ends(key, JobStatus.COMPLETED, result=key)
        for key in ("third", "bad"):
            await flow.fail(key)
        await flow.take()
        await flow.fail("root")
        store.again("root", "third", "bad")

        await flow.dispatch()
        await flow.complete("first", "first")

    async with a_worker(bull) as ran:
        await bull.ended(store.id("root"))
    assert dict(ran)["root"] == {"value": keys, "bad": ["bad"]}


async def test_a_second_run_that_is_sent_twice_is_there_once(bull: Bull) -> None:
    store = Store().child("slow").child("good").child("bad")
    store.jobs["good"] = replace(store.jobs["good"], status=JobStatus.COMPLETED, result=Json("1"))
    async with a_flow(bull, store) as flow:
        await root_failed_beside(flow, "slow")
        assert await flow.dispatch()
        assert await flow.dispatch()
        await flow.complete("slow", 1)
        assert await flow.dispatch()
        assert await flow.dependencies() == {store.id("bad")}
        await flow.take()
        await flow.complete("bad", 2)
        assert await flow.state("root") == "waiting"
        assert await flow.dispatch()
        assert await flow.dependencies() == set()

    async with a_worker(bull) as ran:
        assert (await bull.ended(store.id("root")))["event"] == "completed"
    assert ran == [("root", {"slow": [1], "good": [1], "bad": [2]})]
    assert (await bull.history(store.id("root"))).count("added") == 1
    assert (await bull.history(store.id("bad"))).count("added") == 1
