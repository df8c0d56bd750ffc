"""What our commands leave in the engine is what BullMQ's own FlowProducer leaves there, whatever the options."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import bullmq
import msgpack
import orjson
import pytest

from bullflow.engine.adding import add_scripts, parent_of
from bullflow.engine.envelope import seal
from bullflow.engine.planter import Planter
from bullflow.flow.plan import Branch
from support.layout import laid_out
from support.queues import JOBS, Bull, stored, tree

KEPT_SECONDS = 3_600
FAILS: dict[str, Any] = {"failParentOnFailure": True}

OPTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "attempts": {"attempts": 3},
    "backoff as a number": {"attempts": 3, "backoff": 250},
    "backoff of no time": {"backoff": 0},
    "fixed backoff": {"backoff": {"type": "fixed", "delay": 50}},
    "exponential backoff": {"attempts": 9, "backoff": {"type": "exponential", "delay": 50, "jitter": 0.5}},
    "delay": {"delay": 60_000},
    "no delay": {"delay": 0},
    "priority": {"priority": 7},
    "no priority": {"priority": 0},
    "delay and priority": {"delay": 60_000, "priority": 2_097_151},
    "lifo": {"lifo": True},
    "not lifo": {"lifo": False, "priority": 1},
    "keepLogs": {"keepLogs": 5},
    "sizeLimit": {"sizeLimit": 100_000},
    "stackTraceLimit": {"stackTraceLimit": 0},
    "timestamp": {"timestamp": 1_700_000_000_000, "delay": 5},
    "timeout": {"timeout": 1_500},
    "removeOnComplete": {"removeOnComplete": True, "removeOnFail": {"age": 1, "count": 2}},
    "failParentOnFailure": {"failParentOnFailure": True},
    "not failParentOnFailure": {"failParentOnFailure": False},
    "ignoreDependencyOnFailure": {"ignoreDependencyOnFailure": True},
    "removeDependencyOnFailure": {"removeDependencyOnFailure": True, "failParentOnFailure": False},
    "continueParentOnFailure": {"continueParentOnFailure": True},
    "all of them": {
        "attempts": 2,
        "backoff": {"type": "fixed", "delay": 1},
        "delay": 1_000,
        "priority": 3,
        "lifo": True,
        "keepLogs": 1,
        "sizeLimit": 9,
        "stackTraceLimit": 2,
        "continueParentOnFailure": True,
    },
}


def as_node(branch: Branch, parent: dict[str, str] | None = None) -> dict[str, Any]:
    """The same tree in the words of BullMQ's own FlowProducer."""
    job = branch.job
    opts = seal(branch, KEPT_SECONDS)
    return {
        "name": job.name,
        "queueName": job.queue_name,
        "data": orjson.loads(job.data.text),
        "opts": opts if parent is None else {**opts, "parent": parent},
        "children": [as_node(child) for child in branch.children],
    }


async def both(bull: Bull, *flows: Branch, times: int = 1) -> tuple[dict[str, Any], dict[str, Any]]:
    """What lies there when these trees were added so often, in one step each: by us, and by BullMQ."""
    other = f"{bull.prefix}-bullmq"
    theirs = bullmq.FlowProducer(opts={"connection": bull.client, "prefix": other})
    producer = bull.producer()
    for _ in range(times):
        assert await producer.add(flows) == list(flows)
        await theirs.addBulk([as_node(flow) for flow in flows])
    return await laid_out(bull, bull.prefix), await laid_out(bull, other)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("times", [1, 2])
async def test_a_job_alone_lies_in_the_engine_as_bullmq_itself_would_lay_it(
    bull: Bull, options: dict[str, Any], times: int
) -> None:
    ours, reference = await both(bull, tree("alone", **options), times=times)

    assert ours == reference


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
async def test_so_do_a_child_and_a_parent(bull: Bull, options: dict[str, Any]) -> None:
    leaf, middle = tree("leaf", **options), tree("middle", tree("below", **FAILS), **options)

    ours, reference = await both(bull, tree("root", leaf, middle, tree("last", **FAILS), **options))

    assert ours == reference
    assert len([key for key in ours if key.endswith(":dependencies")]) == 2


async def test_so_do_several_trees_over_several_queues(bull: Bull) -> None:
    first = tree("root", tree("child", tree("leaf", queue="far"), queue="other", **FAILS), tree("child", priority=3))
    second = tree("root", tree("late", delay=60_000, queue="other"), queue="far", lifo=True)

    ours, reference = await both(bull, first, second, tree("alone", queue="other"))

    assert ours == reference


async def test_so_does_a_later_run(bull: Bull) -> None:
    child = Branch(job=stored("child", run=12, opts=FAILS), children=(), ended=())

    ours, reference = await both(bull, Branch(job=stored("root", run=12), children=(child,), ended=()))

    assert ours == reference
    assert f"~:{JOBS}:{child.job.job_id}" in ours


@pytest.mark.parametrize(
    "data",
    [None, True, 0, -1.5e300, 2**53, "schön 🎬", "\u0000\u2028", "", [], [[], {}], {"ключ": {"a": [1, None, '\\"']}}],
    ids=repr,
)
async def test_so_does_any_data(bull: Bull, data: Any) -> None:
    flow = tree("schön 🎬", tree("child"), queue="mein queue")
    job = stored("schön 🎬", queue="mein queue", data=data)

    ours, reference = await both(bull, flow, Branch(job=job, children=(), ended=()))

    assert ours == reference


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
async def test_so_does_what_is_added_below_a_job_that_is_there(bull: Bull, options: dict[str, Any]) -> None:
    """As a job that grows adds it."""
    root, sprout = tree("root", tree("child")), tree("sprout", tree("leaf", **FAILS), **options)
    other = f"{bull.prefix}-bullmq"
    theirs = bullmq.FlowProducer(opts={"connection": bull.client, "prefix": other})
    await bull.add(root)
    await theirs.add(as_node(root))
    planter = Planter(bull.prefix, keep=timedelta(seconds=KEPT_SECONDS), stream_length=1_000)

    async with bull.client.pipeline(transaction=True) as pipe:
        pipe.scripts |= {bull.client.register_script(source) for source in add_scripts().values()}
        for command in planter.plant([sprout], parent=parent_of(bull.prefix, JOBS, root.job.job_id)):
            pipe.execute_command(*command)
        await pipe.execute()
    await theirs.add(as_node(sprout, {"id": root.job.job_id, "queue": f"{other}:{JOBS}"}))

    ours, reference = await laid_out(bull, bull.prefix), await laid_out(bull, other)
    assert ours == reference
    assert f"~:{JOBS}:{sprout.job.job_id}" in ours[f"~:{JOBS}:{root.job.job_id}:dependencies"]


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
async def test_the_scripts_get_the_keys_and_arguments_that_bullmq_gives_them(
    bull: Bull, options: dict[str, Any]
) -> None:
    """Also those that make no difference today."""
    flow = tree("root", tree("child", **options), tree("middle", tree("leaf", queue="far", **FAILS), **options))
    theirs = bullmq.FlowProducer(opts={"connection": bull.client, "prefix": bull.prefix})
    called: list[Any] = []
    scripts = theirs.backend.connection.commands
    for name, script in list(scripts.items()):
        scripts[name] = partial(_record, called, script.sha)
    await theirs.add(as_node(flow))

    planted = Planter(bull.prefix, keep=timedelta(seconds=KEPT_SECONDS), stream_length=1_000).plant([flow])

    ours: list[Any] = [command for command in planted if command[0] == b"EVALSHA"]
    assert [(sha.decode(), [key.decode() for key in rest[: int(count)]]) for _, sha, count, *rest in ours] == [
        (sha, keys) for sha, keys, _ in called
    ]
    # BullMQ sends one argument more, which no script reads.
    assert not any("ARGV[4]" in source for source in add_scripts().values())
    assert [_read(command[-3:]) for command in ours] == [_read(args[:3]) for _, _, args in called]


async def _record(called: list[Any], sha: str, *, keys: list[str], args: list[Any], client: Any) -> None:
    called.append((sha, keys, args))


def _read(args: Sequence[Any]) -> list[Any]:
    """Packed arguments, data and options; what is None is not there, in Lua."""
    packed, data, opts = args
    there = {name: value for name, value in msgpack.unpackb(opts).items() if value is not None}
    return [msgpack.unpackb(packed), orjson.loads(data), there]


async def test_a_paused_queue_stays_paused(bull: Bull) -> None:
    for prefix in (bull.prefix, f"{bull.prefix}-bullmq"):
        await bullmq.Queue(JOBS, {"connection": bull.client, "prefix": prefix}).pause()

    ours, reference = await both(bull, tree("root", tree("child"), tree("first", priority=1)), tree("alone"))

    assert ours == reference
    assert f"~:{JOBS}:marker" not in ours


async def test_the_scripts_are_known_by_what_the_engine_calls_them(bull: Bull) -> None:
    assert [await bull.client.script_load(source) for source in add_scripts().values()] == list(add_scripts())
