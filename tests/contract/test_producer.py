"""The producer lays flows into BullMQ just as BullMQ's own producer would, and never twice."""

from datetime import timedelta
from typing import Any

import orjson
import pytest

from bullflow.engine.connection import connect
from bullflow.engine.envelope import KEY
from bullflow.engine.keys import bell_stream
from bullflow.engine.producer import Producer
from bullflow.errors import EngineAway
from bullflow.flow.plan import Branch
from support.layout import laid_out
from support.lines import line
from support.queues import JOBS, Bull, bullmqs_own_worker, completed, failed, hands_on, stored, tree


async def test_a_parent_waits_for_its_children(bull: Bull) -> None:
    child = tree("child")
    root = tree("root", child)

    await bull.add(root)

    assert await bull.state(root.job.job_id) == "waiting-children"
    assert await bull.state(child.job.job_id) == "waiting"
    assert await bull.client.smembers(bull.key(f"{root.job.job_id}:dependencies")) == {bull.key(child.job.job_id)}
    assert (await bull.job(child.job.job_id))["parentKey"] == bull.key(root.job.job_id)


async def test_options_reach_the_job(bull: Bull) -> None:
    asked: dict[str, Any] = {
        "attempts": 4,
        "backoff": {"type": "fixed", "delay": 250},
        "delay": 60_000,
        "priority": 7,
        "lifo": True,
        "continueParentOnFailure": True,
        "keepLogs": 9,
        "stackTraceLimit": 2,
    }
    child = tree("child", **asked)
    await bull.add(tree("root", child))

    job = await bull.queue().getJob(child.job.job_id)

    assert asked.items() <= job.opts.items()
    assert job.timestamp == child.job.created_at


async def test_a_time_limit_travels_in_the_envelope_alone(bull: Bull) -> None:
    flow = tree("root", timeout=1500)
    await bull.add(flow)

    opts = orjson.loads((await bull.job(flow.job.job_id))["opts"])

    assert "timeout" not in opts
    assert opts[KEY] == {"v": 1, "flow": flow.job.flow_id, "id": flow.job.id, "timeout": 1500}


async def test_how_long_ended_jobs_are_kept_is_the_operators_and_not_the_requests(bull: Bull) -> None:
    plain, picky = tree("plain"), tree("picky", removeOnFail=False, removeOnComplete={"age": 0})
    await bull.producer(keep=timedelta(minutes=2)).add([plain, picky])

    opts = [orjson.loads((await bull.job(branch.job.job_id))["opts"]) for branch in (plain, picky)]

    assert [one["removeOnComplete"] for one in opts] == [{"age": 120, "limit": 0}] * 2
    assert [one["removeOnFail"] for one in opts] == [{"age": 120, "limit": 0}] * 2


async def test_adding_twice_adds_nothing(bull: Bull) -> None:
    flow = tree("root", tree("child"), tree("later", delay=60_000), tree("child", queue="other"))
    await bull.add(flow)
    before = await laid_out(bull, bull.prefix)

    await bull.add(flow)

    after = await laid_out(bull, bull.prefix)
    counters_and_streams = {f"~:{queue}:{part}" for queue in (JOBS, "other") for part in ("id", "events")}
    assert {key for key in before | after if before.get(key) != after.get(key)} <= counters_and_streams
    assert [event["event"] for event in await bull.events()][-1] == "duplicated"


async def test_adding_again_in_the_middle_of_a_run_starts_nothing_twice(bull: Bull) -> None:
    root = tree("root", tree("first"), tree("second"))
    producer = bull.producer()
    started: list[str] = []
    async with hands_on(bull) as queue:
        await producer.add([root])
        while (delivery := (await queue.take("token")).delivery) is not None and len(started) < 9:
            started.append(delivery.name)
            await producer.add([root])
            await queue.complete(delivery, '"done"', fetch_next=False)
            await producer.add([root])

    assert started == ["first", "second", "root"]


async def test_adding_again_after_a_child_has_failed_leaves_its_parent_free_to_run(bull: Bull) -> None:
    """BullMQ itself, given the whole tree again, would have the parent wait for the failed child once more."""
    root = tree("root", tree("child", ignoreDependencyOnFailure=True))
    await bull.add(root)
    async with hands_on(bull) as queue:
        child = (await queue.take("token")).delivery
        assert child is not None
        parent = (await queue.fail(child, "broken", [], fetch_next=True)).delivery
        assert parent is not None
        await bull.add(root)
        await queue.complete(parent, '"done"', fetch_next=False)

    assert await bull.state(root.job.job_id) == "completed"


async def test_a_tree_that_is_sent_again_says_that_it_is_there(bull: Bull) -> None:
    """The recorder clears a flow's mark with the root's own event, whichever of both it gets to see."""
    flow = tree("root", tree("child"))
    await bull.add(flow)
    await bull.client.xtrim(bull.key("events"), maxlen=0)

    await bull.add(flow)

    assert await bull.history(flow.job.job_id) == ["duplicated"]


async def test_values_of_ended_children_are_there_for_our_worker(bull: Bull) -> None:
    done, spared, fatal = completed("done", {"n": 1}), failed("spared", "no", ignoreDependencyOnFailure=True), None
    fatal = failed("fatal", "never", failParentOnFailure=True)
    root = tree("root", ended=[done, spared, fatal])
    await bull.add(root)

    async with hands_on(bull) as queue:
        taken = (await queue.take("token")).delivery
        assert taken is not None
        delivery = await queue.with_children(taken)

    assert delivery.values == {done.job_id: {"n": 1}}
    assert delivery.failures == {spared.job_id: "no"}
    assert delivery.envelope.children == {"done": (done.job_id,), "spared": (spared.job_id,), "fatal": (fatal.job_id,)}


async def test_values_of_ended_children_are_there_for_bullmqs_own_worker(bull: Bull) -> None:
    done, far = completed("done", [1, None]), completed("far", "text", queue="other")
    root = tree("root", tree("child"), ended=[done, far])
    await bull.add(root)
    values: dict[str, Any] = {}

    async def process(job: Any, _: str) -> Any:
        if job.name == "root":
            values.update(await job.getChildrenValues())
        return job.name

    async with bullmqs_own_worker(bull, process):
        await bull.seen("completed", root.job.job_id)

    assert values == {
        bull.key(done.job_id): [1, None],
        bull.key(far.job_id, "other"): "text",
        bull.key(root.children[0].job.job_id): "child",
    }


async def test_a_child_that_fails_in_spite_of_an_ended_sibling_still_fails_its_parent(bull: Bull) -> None:
    child = tree("child", failParentOnFailure=True)
    root = tree("root", child, ended=[completed("done", 1)])
    await bull.add(root)

    async with hands_on(bull) as queue:
        taken = (await queue.take("token")).delivery
        assert taken is not None
        parent = (await queue.fail(taken, "broken", [], fetch_next=True)).delivery

    assert parent is not None
    assert parent.job_id == root.job.job_id
    assert "failed" in str(parent.deferred_failure)


async def test_several_trees_go_in_one_transaction(bull: Bull) -> None:
    trees = [tree("root", tree("child")) for _ in range(20)]
    before = (await bull.calls()).get("exec", 0)

    await bull.add(*trees)

    assert (await bull.calls())["exec"] == before + 1
    assert await bull.queue().getJobCounts("waiting", "waiting-children") == {"waiting": 20, "waiting-children": 20}


async def test_more_trees_than_one_transaction_should_hold_go_in_several(bull: Bull) -> None:
    before = (await bull.calls()).get("exec", 0)

    await bull.producer(batch=4).add([tree("root", tree("child")) for _ in range(5)])

    assert (await bull.calls())["exec"] == before + 3
    assert await bull.queue().getWaitingCount() == 5


async def test_a_tree_of_ten_thousand_jobs_lands_whole(bull: Bull) -> None:
    root = tree("root", *(tree("middle", *(tree("leaf") for _ in range(99))) for _ in range(100)))
    assert root.size == 10_001

    await bull.add(root)

    counts = await bull.queue().getJobCounts("waiting", "waiting-children")
    assert counts == {"waiting": 9_900, "waiting-children": 101}


async def test_the_event_streams_get_their_length(bull: Bull) -> None:
    await bull.producer(stream_length=5_000).add([tree("root", tree("child", queue="other"))])

    lengths = [await bull.client.hget(bull.key("meta", queue), "opts.maxLenEvents") for queue in (JOBS, "other")]

    assert lengths == ["5000", "5000"]


async def test_the_bell_rings_for_a_queue_that_is_new(bull: Bull) -> None:
    producer = bull.producer()

    await producer.add([tree("root")])
    await producer.add([tree("root")])
    await producer.add([tree("root", queue="new")])

    assert await bull.client.xlen(bell_stream(bull.prefix)) == 2


async def test_an_engine_that_has_forgotten_the_scripts_is_given_them(bull: Bull) -> None:
    producer = bull.producer()
    await producer.add([tree("first")])
    await bull.client.script_flush()

    await producer.add([tree("second"), tree("root", tree("child"), tree("late", delay=5), tree("urgent", priority=1))])

    counts = await bull.queue().getJobCounts("waiting", "waiting-children", "delayed", "prioritized")
    assert counts == {"waiting": 3, "waiting-children": 1, "delayed": 1, "prioritized": 1}


async def test_a_lone_flow_takes_two_round_trips(bull: Bull) -> None:
    async with line(bull.url) as way:
        producer = Producer(connect(way.url, "test"), bull.prefix, keep=timedelta(hours=1), stream_length=1_000)
        await producer.add([tree("first")])
        before = way.passed

        await producer.add([tree("root", tree("child"))])

        assert way.passed == before + 4  # there and back, twice
        await producer.close()


async def test_an_engine_that_is_away_is_said_to_be_away() -> None:
    client = connect("unix:///tmp/no-such-valkey.sock", "test")
    producer = Producer(client, "none", keep=timedelta(hours=1), stream_length=1_000)

    with pytest.raises(EngineAway):
        await producer.add([tree("root")])
    await client.aclose()


async def test_names_with_spaces_and_other_scripts_go_through_whole(bull: Bull) -> None:
    job = stored("schön 🎬", queue="mein queue", data={"ключ": "\u0000 null"})
    await bull.add(Branch(job=job, children=(), ended=()))

    async with hands_on(bull, "mein queue") as queue:
        delivery = (await queue.take("token")).delivery

    assert delivery is not None
    assert (delivery.name, delivery.data) == ("schön 🎬", {"ключ": "\u0000 null"})
