"""How queues stand in the engine, and rules for them, with BullMQ's own queues and workers as witnesses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import bullmq
import pytest

from bullflow import Job, Worker
from bullflow.engine.connection import connect
from bullflow.engine.control import apply_rules, queue_facts, queue_rules
from bullflow.engine.keys import node_client_name
from bullflow.errors import EngineAway
from bullflow.flow.queues import QueueFacts, QueueLimits, QueueRules, RateLimit
from bullflow.flow.states import JobStatus
from support.eventually import eventually
from support.queues import JOBS, Bull, bullmqs_own_worker, hands_on, tree, working

PAUSED = QueueRules(paused=True)
FREE = QueueRules()
KINDS = ("ours", "bullmq's")


def limited(concurrency: int | None = None, most: int | None = None, duration: int = 60_000) -> QueueRules:
    rate = None if most is None else RateLimit(max=most, duration=duration)
    return QueueRules(limits=QueueLimits(concurrency=concurrency, rate=rate))


async def facts(bull: Bull, queue: str = JOBS) -> QueueFacts:
    return (await queue_facts(bull.client, bull.prefix, [queue]))[queue]


async def apply(bull: Bull, rules: QueueRules, queue: str = JOBS) -> None:
    await apply_rules(bull.client, bull.prefix, queue, rules)


async def add(bull: Bull, count: int = 1, queue: str = JOBS) -> list[str]:
    trees = [tree("work", queue=queue) for _ in range(count)]
    await bull.add(*trees)
    return [branch.job.job_id for branch in trees]


class Crew:
    """Two workers of one kind that work on the jobs until the test lets these go."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.begun = asyncio.Semaphore(0)
        self.may_end = asyncio.Event()

    async def work(self, *_: Any) -> str:
        self.running += 1
        self.most = max(self.most, self.running)
        self.begun.release()
        await self.may_end.wait()
        self.running -= 1
        return "done"

    @asynccontextmanager
    async def at_work(self, bull: Bull, kind: str) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for _ in range(2):
                await stack.enter_async_context(
                    working(bull, self.ours()) if kind == "ours" else bullmqs_own_worker(bull, self.work)
                )
            try:
                yield
            finally:
                self.may_end.set()

    def ours(self) -> Worker:
        worker = Worker(JOBS, concurrency=5)

        @worker.task("work")
        async def work(_: Job) -> str:
            return await self.work()

        return worker


class TestCounts:
    async def test_jobs_are_counted_as_bullmq_counts_them(self, bull: Bull) -> None:
        await bull.add(
            tree("done"), tree("broken"), tree("running"), tree("root", tree("child")), tree("first", priority=1)
        )
        await bull.add(*(tree("later", delay=60_000) for _ in range(2)), *(tree("more") for _ in range(3)))
        async with hands_on(bull) as queue:
            done, broken, _ = [(await queue.take("token")).delivery for _ in range(3)]
            assert done is not None
            assert broken is not None
            await queue.complete(done, "1", fetch_next=False)
            await queue.fail(broken, "no", [], fetch_next=False)

        counts = (await facts(bull)).counts

        assert counts == {
            JobStatus.WAITING: 4,
            JobStatus.WAITING_CHILDREN: 1,
            JobStatus.DELAYED: 2,
            JobStatus.PRIORITIZED: 1,
            JobStatus.ACTIVE: 1,
            JobStatus.COMPLETED: 1,
            JobStatus.FAILED: 1,
        }
        assert counts == await bull.queue().getJobCounts(*counts)

    async def test_each_queue_has_its_own_counts_and_all_come_in_one_round_trip(self, bull: Bull) -> None:
        await add(bull, 2)
        await add(bull, 3, "mein / Queue 🎬")
        before = await bull.calls()

        found = await queue_facts(bull.client, bull.prefix, [JOBS, "nobody's", "mein / Queue 🎬"])

        assert [queue.counts[JobStatus.WAITING] for queue in found.values()] == [2, 0, 3]
        assert (await bull.calls())["client|list"] == before.get("client|list", 0) + 1

    async def test_without_queues_nothing_is_asked(self) -> None:
        nowhere = connect("unix:///tmp/no-such-valkey.sock", "test")

        assert await queue_facts(nowhere, "none", []) == {}

    async def test_an_engine_that_is_away_is_said_to_be_away(self) -> None:
        nowhere = connect("unix:///tmp/no-such-valkey.sock", "test")

        with pytest.raises(EngineAway):
            await queue_facts(nowhere, "none", [JOBS])
        with pytest.raises(EngineAway):
            await queue_rules(nowhere, "none", [JOBS])
        with pytest.raises(EngineAway):
            await apply_rules(nowhere, "none", JOBS, PAUSED)


class TestRules:
    async def test_rules_that_bullmq_itself_has_set_are_read(self, bull: Bull) -> None:
        queue = bull.queue()
        await queue.setGlobalConcurrency(3)
        await queue.setGlobalRateLimit(10, 2_000)
        await queue.pause()

        rules = (await facts(bull)).rules

        limits = QueueLimits(concurrency=3, rate=RateLimit(max=10, duration=2_000))
        assert rules == QueueRules(paused=True, limits=limits)
        assert await queue_rules(bull.client, bull.prefix, ["other", JOBS]) == {"other": FREE, JOBS: rules}

    async def test_rules_are_applied_as_bullmq_itself_would(self, bull: Bull) -> None:
        queue = bull.queue()

        await apply(bull, QueueRules(paused=True, limits=limited(3, 10, 2_000).limits))

        assert await queue.isPaused()
        assert await queue.getGlobalConcurrency() == 3
        assert await queue.getGlobalRateLimit() == {"max": 10, "duration": 2_000}

        await apply(bull, FREE)

        assert not await queue.isPaused()
        assert await queue.getGlobalConcurrency() is None
        assert await queue.getGlobalRateLimit() is None
        assert (await facts(bull)).rules == FREE

    async def test_what_else_stands_in_a_queues_meta_stays(self, bull: Bull) -> None:
        await add(bull)
        before = await bull.client.hgetall(bull.key("meta"))

        await apply(bull, PAUSED)
        await apply(bull, FREE)

        assert await bull.client.hgetall(bull.key("meta")) == before
        assert before["opts.maxLenEvents"]

    async def test_nonsense_in_a_queues_meta_counts_as_nothing(self, bull: Bull) -> None:
        await bull.client.hset(bull.key("meta"), mapping={"concurrency": "many", "max": "²", "duration": "-1"})

        assert (await facts(bull)).rules == FREE

    async def test_an_event_tells_of_a_change_and_only_of_a_change(self, bull: Bull) -> None:
        for rules in (FREE, PAUSED, PAUSED, limited(1), FREE):
            await apply(bull, rules)

        assert [event["event"] for event in await bull.events()] == ["paused", "resumed"]

    async def test_jobs_that_an_old_bullmq_has_put_aside_count_as_waiting_and_come_back(self, bull: Bull) -> None:
        aside = [f"job-{number}" for number in range(15_000)]
        await bull.client.rpush(bull.key("paused"), *aside)
        assert (await facts(bull)).counts[JobStatus.WAITING] == 15_000
        await bull.client.lpush(bull.key("wait"), "first")

        await apply(bull, FREE)

        assert await bull.client.lrange(bull.key("wait"), 0, -1) == ["first", *aside]


class TestPausing:
    @pytest.mark.parametrize("kind", KINDS)
    async def test_nothing_of_a_paused_queue_begins_until_it_is_resumed(self, bull: Bull, kind: str) -> None:
        crew = Crew()
        await apply(bull, PAUSED)
        ids = await add(bull, 3)
        async with crew.at_work(bull, kind):
            await self._have_all_looked(bull)
            assert {await bull.state(job_id) for job_id in ids} == {"waiting"}
            assert crew.most == 0

            crew.may_end.set()
            await apply(bull, FREE)

            for job_id in ids:
                assert (await bull.ended(job_id))["event"] == "completed"

    @pytest.mark.parametrize("kind", KINDS)
    async def test_what_runs_when_a_queue_is_paused_may_end_and_is_the_last(self, bull: Bull, kind: str) -> None:
        crew = Crew()
        async with crew.at_work(bull, kind):
            (running,) = await add(bull)
            await crew.begun.acquire()
            await apply(bull, PAUSED)
            waiting = await add(bull, 2)

            crew.may_end.set()
            assert (await bull.ended(running))["event"] == "completed"

            await self._have_all_looked(bull)
            assert {await bull.state(job_id) for job_id in waiting} == {"waiting"}

    async def test_resuming_wakes_a_worker_at_once(self, bull: Bull) -> None:
        await apply(bull, PAUSED)
        await add(bull)
        assert await bull.client.zrange(bull.key("marker"), 0, -1) == []

        await apply(bull, FREE)

        assert await bull.client.zrange(bull.key("marker"), 0, -1) == ["0"]

    async def _have_all_looked(self, bull: Bull) -> None:
        """Both workers have looked for a job that they may take, and wait for one."""

        async def both_wait() -> bool:
            names = [client for client in await bull.client.client_list() if client["name"].startswith(bull.prefix)]
            return len([one for one in names if one["cmd"] == "bzpopmin" and "b" in one["flags"]]) == 2

        await eventually(both_wait)


class TestLimits:
    @pytest.mark.parametrize("kind", KINDS)
    async def test_global_concurrency_holds_for_all_workers_together(self, bull: Bull, kind: str) -> None:
        crew = Crew()
        await apply(bull, limited(concurrency=1))
        ids = await add(bull, 6)
        async with crew.at_work(bull, kind):
            await crew.begun.acquire()
            assert (await facts(bull)).counts[JobStatus.ACTIVE] == 1
            crew.may_end.set()
            for job_id in ids:
                await bull.ended(job_id)

        assert crew.most == 1

    @pytest.mark.parametrize("kind", KINDS)
    async def test_a_rate_limit_holds_for_all_workers_together(self, bull: Bull, kind: str) -> None:
        crew = Crew()
        crew.may_end.set()
        await apply(bull, limited(most=2))
        await add(bull, 5)
        async with crew.at_work(bull, kind):
            await bull.seen("completed", times=2)
            limit = await facts(bull)

        assert limit.limited_for is not None
        assert 0 < limit.limited_for <= 60_000
        assert limit.counts[JobStatus.WAITING] == 3
        assert limit.counts[JobStatus.COMPLETED] == 2

    async def test_below_its_limit_a_queue_is_not_limited(self, bull: Bull) -> None:
        await apply(bull, limited(most=2))
        await add(bull, 3)
        async with hands_on(bull) as queue:
            assert (await queue.take("token")).delivery is not None
            assert (await facts(bull)).limited_for is None
            assert (await queue.take("token")).delivery is not None
            held = await queue.take("token")

        assert held.delivery is None
        assert 0 < ((await facts(bull)).limited_for or 0) <= held.limited_for

    async def test_a_limit_that_is_lifted_or_changed_holds_nothing_back(self, bull: Bull) -> None:
        await add(bull, 4)
        async with hands_on(bull) as queue:
            for rules in (limited(most=1), limited(most=1, duration=50_000), FREE):
                await apply(bull, rules)
                assert (await queue.take("token")).delivery is not None

    async def test_applying_the_same_limit_again_gives_nothing_away(self, bull: Bull) -> None:
        await apply(bull, limited(most=1))
        await add(bull, 2)
        async with hands_on(bull) as queue:
            assert (await queue.take("token")).delivery is not None
            await apply(bull, limited(most=1))
            assert (await queue.take("token")).delivery is None

    async def test_a_worker_that_calls_for_a_pause_itself_is_seen(self, bull: Bull) -> None:
        await bull.queue().rateLimit(60_000)

        assert 0 < ((await facts(bull)).limited_for or 0) <= 60_000

    async def test_what_a_workers_own_limiter_has_counted_is_not_taken_for_a_limit(self, bull: Bull) -> None:
        await bull.client.set(bull.key("limiter"), 5, px=60_000)

        assert (await facts(bull)).limited_for is None

    async def test_a_count_that_never_ends_holds_nothing_back(self, bull: Bull) -> None:
        """BullMQ's scripts see it the same way."""
        await apply(bull, limited(most=1))
        await bull.client.set(bull.key("limiter"), 5)
        await add(bull)

        assert (await facts(bull)).limited_for is None
        async with hands_on(bull) as queue:
            assert (await queue.take("token")).delivery is not None


class TestWorkers:
    async def test_our_worker_is_seen_once_with_its_name(self, bull: Bull) -> None:
        async with working(bull, Crew().ours(), Worker("other")):
            await bull.until_idle()
            await bull.until_idle("other")
            found = await queue_facts(bull.client, bull.prefix, [JOBS, "other", "nobody's"])

        assert [len(queue.workers) for queue in found.values()] == [1, 1, 0]
        (worker,) = found[JOBS].workers
        assert worker.name is not None
        assert worker.name.count(":") == 2
        assert worker.address
        assert worker.age >= worker.idle >= 0

    async def test_our_worker_is_seen_once_also_while_it_has_never_been_idle(self, bull: Bull) -> None:
        crew = Crew()
        await add(bull, 2)
        async with working(bull, crew.ours(), concurrency=1):
            await crew.begun.acquire()
            busy = await facts(bull)
            crew.may_end.set()
            await bull.until_idle()
            idle = await facts(bull)

        assert len(busy.workers) == 1
        assert [worker.name for worker in idle.workers] == [worker.name for worker in busy.workers]

    async def test_a_worker_that_has_gone_is_not_seen(self, bull: Bull) -> None:
        async with working(bull, Worker(JOBS)):
            await bull.until_idle()

        assert (await facts(bull)).workers == ()

    async def test_each_of_bullmqs_own_workers_is_seen_once(self, bull: Bull) -> None:
        crew = Crew()
        await add(bull)
        options = {"connection": bull.url, "prefix": bull.prefix}
        workers = [bullmq.Worker(JOBS, crew.work, {**options, **name}) for name in ({}, {}, {"name": "bob"})]
        try:
            await crew.begun.acquire()

            async def three() -> QueueFacts | None:
                found = await facts(bull)
                return found if len(found.workers) == 3 else None

            found = await eventually(three)
            assert found is not None
            assert sorted(worker.name or "" for worker in found.workers) == ["", "", "bob"]
        finally:
            for worker in workers:
                await worker.close(force=True)

    async def test_workers_for_node_are_seen_by_the_names_that_bullmq_gives_their_connections(self, bull: Bull) -> None:
        plain, encoded = node_client_name(bull.prefix, JOBS), node_client_name(bull.prefix, "other")
        assert plain == f"{bull.prefix}:am9icw=="
        names = (plain, f"{plain}:w:alice", f"{plain}:qe", f"{bull.prefix}x:am9icw==", "am9icw==", encoded)
        clients = [connect(bull.url, name) for name in names]
        for client in clients:
            await client.client_getname()

        found = await queue_facts(bull.client, bull.prefix, [JOBS, "other", "am9icw=="])

        for client in clients:
            await client.aclose()
        assert [worker.name for worker in found[JOBS].workers] == [None, "alice"]
        assert len(found["other"].workers) == 1
        # A queue whose name reads like another one's in base64 does not get that one's workers.
        assert found["am9icw=="].workers == ()
