"""What a worker does with a queue, against BullMQ's own scripts."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from bullflow.engine.connection import connect
from bullflow.engine.delivery import Delivery
from bullflow.engine.pipe import Pipe
from bullflow.engine.queue import LockLost, Queue
from bullflow.errors import EngineRefused, JobFailure
from bullflow.flow.plan import Branch
from support.queues import Bull, completed, failed, hands_on, tree


@pytest_asyncio.fixture
async def queue(bull: Bull) -> AsyncIterator[Queue]:
    async with hands_on(bull) as hands:
        yield hands


async def taken(bull: Bull, queue: Queue, *branches: Branch, token: str = "token") -> Delivery:
    await bull.add(*branches)
    delivery = (await queue.take(token)).delivery
    assert delivery is not None
    return delivery


async def test_a_job_is_taken_with_its_lock(bull: Bull, queue: Queue) -> None:
    flow = tree("root", data={"n": 1}, attempts=3)

    delivery = await taken(bull, queue, flow)

    assert (delivery.name, delivery.data, delivery.attempts) == ("root", {"n": 1}, 3)
    assert delivery.attempts_made == 0
    assert delivery.envelope.id == flow.job.id
    assert await bull.client.get(bull.key(f"{flow.job.job_id}:lock")) == "token"
    assert (await bull.job(flow.job.job_id))["pb"] == "hands"
    assert await bull.state(flow.job.job_id) == "active"


async def test_an_empty_queue_gives_nothing(queue: Queue) -> None:
    answer = await queue.take("token")

    assert (answer.delivery, answer.limited_for, answer.delayed_until) == (None, 0, 0)


async def test_a_queue_of_delayed_jobs_says_when_the_next_is_due(bull: Bull, queue: Queue) -> None:
    flow = tree("later", delay=60_000)
    await bull.add(flow)

    answer = await queue.take("token")

    event = await bull.seen("delayed", flow.job.job_id)
    assert answer.delivery is None
    assert answer.delayed_until == int(event["delay"])


async def test_a_queue_at_its_rate_limit_says_for_how_long(bull: Bull, queue: Queue) -> None:
    await bull.queue().setGlobalRateLimit(1, 60_000)
    await taken(bull, queue, tree("first"), tree("second"))

    answer = await queue.take("token")

    assert answer.delivery is None
    assert 0 < answer.limited_for <= 60_000


async def test_a_job_completes_and_brings_the_next(bull: Bull, queue: Queue) -> None:
    first, second = tree("first"), tree("second")
    delivery = await taken(bull, queue, first, second)

    answer = await queue.complete(delivery, '{"n":1}', fetch_next=True)

    assert answer.delivery is not None
    assert answer.delivery.job_id == second.job.job_id
    assert (await bull.job(first.job.job_id))["returnvalue"] == '{"n":1}'
    assert (await bull.seen("completed", first.job.job_id))["returnvalue"] == '{"n":1}'


async def test_a_job_completes_and_brings_none_when_none_is_wanted(bull: Bull, queue: Queue) -> None:
    delivery = await taken(bull, queue, tree("first"), tree("second"))

    assert (await queue.complete(delivery, "1", fetch_next=False)).delivery is None
    assert await bull.queue().getWaitingCount() == 1


async def test_what_children_have_left_is_given_to_the_parent(bull: Bull, queue: Queue) -> None:
    good, spared = tree("good"), tree("spared", ignoreDependencyOnFailure=True)
    ended = [completed("earlier", [1]), failed("broken", "earlier too", continueParentOnFailure=True)]
    root = tree("root", good, spared, ended=ended)
    delivery = await taken(bull, queue, root)
    second = (await queue.complete(delivery, '{"n":1}', fetch_next=True)).delivery
    assert second is not None
    parent = (await queue.fail(second, "no luck", [], fetch_next=True)).delivery
    assert parent is not None

    parent = await queue.with_children(parent)

    assert parent.values == {good.job.job_id: {"n": 1}, ended[0].job_id: [1]}
    assert parent.failures == {spared.job.job_id: "no luck", ended[1].job_id: "earlier too"}


async def test_a_value_of_a_child_that_is_not_json_is_given_as_text(bull: Bull, queue: Queue) -> None:
    delivery = await taken(bull, queue, tree("root", tree("child")))
    parent = (await queue.complete(delivery, "{not json", fetch_next=True)).delivery
    assert parent is not None

    assert list((await queue.with_children(parent)).values.values()) == ["{not json"]


async def test_a_failed_job_keeps_its_reason_and_stacks(bull: Bull, queue: Queue) -> None:
    flow = tree("root")
    await queue.fail(await taken(bull, queue, flow), "broken", ["one", "two"], fetch_next=False)

    fields = await bull.job(flow.job.job_id)

    assert fields["failedReason"] == "broken"
    assert orjson.loads(fields["stacktrace"]) == ["one", "two"]
    assert await bull.state(flow.job.job_id) == "failed"


@pytest.mark.parametrize("policy", ["failParentOnFailure", "continueParentOnFailure", "removeDependencyOnFailure"])
async def test_a_failed_child_wakes_its_parent_by_its_policy(bull: Bull, queue: Queue, policy: str) -> None:
    options: dict[str, Any] = {policy: True}
    root = tree("root", tree("child", **options))
    delivery = await taken(bull, queue, root)

    parent = (await queue.fail(delivery, "broken", [], fetch_next=True)).delivery

    assert parent is not None
    assert parent.job_id == root.job.job_id
    assert (parent.deferred_failure is not None) == (policy == "failParentOnFailure")


async def test_a_failed_child_without_a_policy_leaves_its_parent_waiting(bull: Bull, queue: Queue) -> None:
    root = tree("root", tree("child"))

    await queue.fail(await taken(bull, queue, root), "broken", [], fetch_next=False)

    assert await bull.state(root.job.job_id) == "waiting-children"


@pytest.mark.parametrize("lifo", [True, False], ids=["lifo", "fifo"])
async def test_a_job_to_be_tried_again_goes_to_its_end_of_the_queue(bull: Bull, queue: Queue, lifo: bool) -> None:
    delivery = await taken(bull, queue, tree("first", attempts=2, lifo=lifo))
    await bull.add(tree("second"))

    await queue.retry_now(delivery, "broken", ["stack"])

    names = [(await queue.take(token)).delivery for token in ("a", "b")]
    assert [one.name for one in names if one] == (["first", "second"] if lifo else ["second", "first"])
    again = next(one for one in names if one and one.name == "first")
    assert (again.attempts_made, again.stacks) == (1, ["stack"])


async def test_a_job_to_be_tried_later_is_delayed(bull: Bull, queue: Queue) -> None:
    flow = tree("root", attempts=2)
    delivery = await taken(bull, queue, flow)

    await queue.retry_later(delivery, "broken", ["stack"], 60_000)

    assert await bull.state(flow.job.job_id) == "delayed"
    fields = await bull.job(flow.job.job_id)
    assert (fields["failedReason"], fields["atm"]) == ("broken", "1")


async def test_a_parent_that_still_has_children_cannot_complete(bull: Bull, queue: Queue) -> None:
    delivery = await taken(bull, queue, tree("root"))
    await bull.client.sadd(bull.key(f"{delivery.job_id}:dependencies"), bull.key("a-late-child"))

    with pytest.raises(JobFailure, match="has children that have not ended"):
        await queue.complete(delivery, "1", fetch_next=False)


async def end_in_every_way(queue: Queue, delivery: Delivery) -> None:
    for ending in (
        queue.complete(delivery, "1", fetch_next=False),
        queue.fail(delivery, "broken", [], fetch_next=False),
        queue.retry_now(delivery, "broken", []),
        queue.retry_later(delivery, "broken", [], 1000),
    ):
        with pytest.raises(LockLost):
            await ending


async def test_a_job_whose_lock_is_gone_cannot_be_ended(bull: Bull, queue: Queue) -> None:
    delivery = await taken(bull, queue, tree("root"))
    await bull.client.delete(bull.key(f"{delivery.job_id}:lock"))

    await end_in_every_way(queue, delivery)

    assert await bull.state(delivery.job_id) == "active"


async def test_a_job_that_somebody_else_has_cannot_be_ended(bull: Bull, queue: Queue) -> None:
    delivery = await taken(bull, queue, tree("root"))
    await bull.client.set(bull.key(f"{delivery.job_id}:lock"), "another token")

    await end_in_every_way(queue, delivery)


async def test_a_job_that_the_engine_has_forgotten_cannot_be_ended(bull: Bull, queue: Queue) -> None:
    delivery = await taken(bull, queue, tree("root"))
    await bull.client.delete(bull.key(delivery.job_id))

    await end_in_every_way(queue, delivery)


async def test_locks_are_renewed_and_lost_ones_named(bull: Bull) -> None:
    async with hands_on(bull, lock_ms=5_000) as queue:
        first = await taken(bull, queue, tree("first"), tree("second"))
        second = (await queue.take("other")).delivery
        assert second is not None
        lock = bull.key(f"{first.job_id}:lock")
        await bull.client.pexpire(lock, 1_000)
        await bull.client.set(bull.key(f"{second.job_id}:lock"), "stolen")

        lost = await queue.extend_locks({first.job_id: first.token, second.job_id: second.token, "gone": "x"})

    assert lost == [second.job_id, "gone"]
    assert await bull.client.pttl(lock) > 4_000


async def test_a_job_without_a_lock_is_put_back_by_the_second_look(bull: Bull, queue: Queue) -> None:
    delivery = await taken(bull, queue, tree("root"))
    await bull.client.delete(bull.key(f"{delivery.job_id}:lock"))

    rescued = []
    for _ in range(2):
        rescued += await queue.rescue_stalled(3, 60_000)
        await bull.client.delete(bull.key("stalled-check"))

    assert rescued == [delivery.job_id]
    again = (await queue.take("again")).delivery
    assert again is not None
    assert again.job_id == delivery.job_id


async def test_only_one_look_in_a_period_finds_anything(bull: Bull, queue: Queue) -> None:
    delivery = await taken(bull, queue, tree("root"))
    await bull.client.delete(bull.key(f"{delivery.job_id}:lock"))

    assert [await queue.rescue_stalled(3, 60_000) for _ in range(3)] == [[], [], []]


async def test_a_job_that_was_rescued_too_often_comes_with_its_failure(bull: Bull, queue: Queue) -> None:
    delivery = await taken(bull, queue, tree("root"))
    await bull.client.hset(bull.key(delivery.job_id), "stc", "3")
    await bull.client.delete(bull.key(f"{delivery.job_id}:lock"))
    for _ in range(2):
        await queue.rescue_stalled(3, 60_000)
        await bull.client.delete(bull.key("stalled-check"))

    again = (await queue.take("again")).delivery

    assert again is not None
    assert again.deferred_failure == "job stalled more than allowable limit"


async def test_only_the_last_lines_of_a_log_are_kept(bull: Bull, queue: Queue) -> None:
    job = await taken(bull, queue, tree("root"))
    for number in range(5):
        await queue.log(job.job_id, f"line {number}", 2)

    assert (await bull.queue().getJobLogs(job.job_id))["logs"] == ["line 3", "line 4"]


async def test_a_job_that_is_gone_leaves_no_log_behind(bull: Bull, queue: Queue) -> None:
    await queue.log("gone", "a late line", 2)

    assert not await bull.client.exists(bull.key("gone:logs"))


async def test_commands_of_many_callers_all_get_their_own_answers(bull: Bull, queue: Queue) -> None:
    pipe = Pipe(connect(bull.url, "pipe"))

    answers = [pipe.call("ECHO", str(number)) for number in range(2_000)]

    assert [await answer for answer in answers] == [str(number) for number in range(2_000)]
    await pipe.close()


async def test_a_refusal_reaches_only_the_caller_that_it_is_meant_for(bull: Bull) -> None:
    pipe = Pipe(connect(bull.url, "pipe"))
    await bull.client.set(f"{bull.prefix}:text", "no number")

    good, bad = pipe.call("ECHO", "hello"), pipe.call("INCR", f"{bull.prefix}:text")

    with pytest.raises(EngineRefused, match="not an integer"):
        await bad
    assert await good == "hello"
    await pipe.close()


async def test_a_forgotten_script_is_loaded_again(bull: Bull, queue: Queue) -> None:
    await queue.take("token")
    await bull.client.script_flush()

    assert (await taken(bull, queue, tree("root"))).name == "root"
