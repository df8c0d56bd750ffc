"""What the recorder reads from the event streams of all queues."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import orjson
import pytest
import pytest_asyncio

from bullflow.engine.connection import connect
from bullflow.engine.keys import bell_stream
from bullflow.engine.lookup import with_details
from bullflow.engine.stream import Batch, EventStreams
from bullflow.errors import EngineAway
from bullflow.flow.facts import BEFORE_ALL, Fact, FactId, FactKind, Json
from support.queues import JOBS, Bull, hands_on, tree

LONG = timedelta(seconds=20)
BLINK = timedelta(milliseconds=1)


@pytest_asyncio.fixture
async def streams(bull: Bull) -> AsyncIterator[EventStreams]:
    client = connect(bull.url, "reader", block=LONG)
    yield EventStreams(client, bull.prefix)
    await client.aclose()


async def read_batches(streams: EventStreams, *queues: str) -> list[list[Fact]]:
    """The facts of these queues, read until there is nothing new."""
    at: dict[str, FactId] = dict.fromkeys(queues, BEFORE_ALL)
    batches: list[list[Fact]] = []
    while (batch := await streams.read(at, BLINK)).read:
        batches.append([fact for _, fact in batch.facts])
        at.update(batch.read)
    return batches


async def read_all(streams: EventStreams, *queues: str) -> list[Fact]:
    return [fact for batch in await read_batches(streams, *(queues or (JOBS,))) for fact in batch]


async def run_all(bull: Bull, *, result: str = "null", queue: str = JOBS) -> None:
    """Complete every job of a queue by hand."""
    async with hands_on(bull, queue) as hands:
        while (delivery := (await hands.take("token")).delivery) is not None:
            await hands.complete(delivery, result, fetch_next=False)


async def test_the_life_of_a_flow_can_be_read(bull: Bull, streams: EventStreams) -> None:
    child = tree("child")
    root = tree("root", child)
    await bull.add(root)
    await run_all(bull, result='{"n":1}')

    facts = await read_all(streams)

    assert [fact.kind.value for fact in facts if fact.job_id == child.job.job_id] == [
        "added",
        "waiting",
        "active",
        "completed",
    ]
    assert [fact.kind.value for fact in facts if fact.job_id == root.job.job_id] == [
        "added",
        "waiting-children",
        "waiting",
        "active",
        "completed",
    ]
    assert [fact.result for fact in facts if fact.kind is FactKind.COMPLETED] == [Json('{"n":1}')] * 2
    assert [fact.id for fact in facts] == sorted(fact.id for fact in facts)


async def test_jobs_of_others_are_read_past(bull: Bull, streams: EventStreams) -> None:
    foreign = await bull.queue().add("foreign", {"n": 1})
    ours = tree("ours")
    await bull.queue().add("foreign", {}, {"jobId": "an-id-of-their-own-1"})
    await bull.queue().add("foreign", {}, {"jobId": f"{ours.job.job_id}-and-more"})
    await bull.add(ours)
    await run_all(bull)

    batch = await streams.read({JOBS: BEFORE_ALL}, LONG)

    assert {fact.job_id for _, fact in batch.facts} == {ours.job.job_id}
    assert "completed" in await bull.history(foreign.id)
    newest = await bull.client.xrevrange(bull.key("events"), count=1)
    assert str(batch.read[JOBS]) == newest[0][0]


async def test_facts_name_the_queue_that_they_were_read_from(bull: Bull, streams: EventStreams) -> None:
    child = tree("child", queue="other")
    root = tree("root", child)
    await bull.add(root)

    batch = await streams.read({JOBS: BEFORE_ALL, "other": BEFORE_ALL}, LONG)

    assert {(queue, fact.job_id) for queue, fact in batch.facts} == {
        (JOBS, root.job.job_id),
        ("other", child.job.job_id),
    }


async def test_small_reads_give_the_same_and_no_parent_overtakes_its_child(bull: Bull, streams: EventStreams) -> None:
    roots = [tree("root", *(tree("child", queue="other") for _ in range(5)), queue="third") for _ in range(5)]
    await bull.add(*roots)
    await run_all(bull, queue="other")
    await run_all(bull, queue="third")
    small = EventStreams(bull.client, bull.prefix, count=7)

    batches = await read_batches(small, "third", "other")

    facts = [fact for batch in batches for fact in batch]
    whole = await read_all(streams, "third", "other")
    assert sorted((fact.job_id, fact.id) for fact in facts) == sorted((fact.job_id, fact.id) for fact in whole)
    newest = 0
    for batch in batches:
        assert min(fact.at for fact in batch) >= newest
        newest = max(fact.at for fact in batch)


async def woken(streams: EventStreams, at: Mapping[str, FactId], act: Any, bull: Bull) -> Batch:
    """What a read gives that was waiting already when something happened."""
    reading = asyncio.create_task(streams.read(at, LONG))
    await blocked(bull, "reader")
    await act()
    async with asyncio.timeout(2):
        return await reading


async def blocked(bull: Bull, name: str) -> None:
    """Return when the engine says that this client waits for something."""
    async with asyncio.timeout(10):
        while True:
            clients = await bull.client.client_list()
            if any(client["name"] == name and "b" in client["flags"] for client in clients):
                return


async def test_a_waiting_read_wakes_at_once_for_news(bull: Bull, streams: EventStreams) -> None:
    flow = tree("root")

    batch = await woken(streams, {JOBS: BEFORE_ALL}, lambda: bull.add(flow), bull)

    assert batch.facts
    assert batch.facts[0][1].job_id == flow.job.job_id


async def test_a_waiting_read_wakes_at_once_for_the_bell(bull: Bull, streams: EventStreams) -> None:
    batch = await woken(streams, {JOBS: BEFORE_ALL}, lambda: bull.add(tree("root", queue="new")), bull)

    assert batch.new_queues
    assert not batch.facts
    assert not (await streams.read({JOBS: BEFORE_ALL}, BLINK)).new_queues


async def test_a_bell_is_heard_from_the_moment_on_that_was_asked_for(bull: Bull, streams: EventStreams) -> None:
    await bull.client.xadd(bell_stream(bull.prefix), {"queues": "1"})
    await streams.hear_bell_from_now()

    assert not (await streams.read({}, BLINK)).new_queues
    await bull.client.xadd(bell_stream(bull.prefix), {"queues": "1"})
    assert (await streams.read({}, BLINK)).new_queues


async def test_a_read_without_news_ends_with_its_time(streams: EventStreams) -> None:
    batch = await streams.read({JOBS: FactId(1, 2)}, BLINK)

    assert (batch.facts, batch.read, batch.new_queues) == ((), {}, False)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('{"a": [1, null]}', '{"a": [1, null]}'),
        ("not json", '"not json"'),
        ("{broken", '"{broken"'),
        ("NaN", '"NaN"'),
        ("", "null"),
        ("[" * 3000, orjson.dumps("[" * 3000).decode()),
    ],
)
async def test_a_result_that_is_not_json_becomes_a_string(
    bull: Bull, streams: EventStreams, written: str, read: str
) -> None:
    await bull.add(tree("root"))
    await run_all(bull, result=written)

    facts = await read_all(streams)

    assert facts[-1].kind is FactKind.COMPLETED
    assert facts[-1].result == Json(read)


async def test_bytes_that_are_no_text_do_not_stop_the_reading(bull: Bull, streams: EventStreams) -> None:
    flow = tree("root")
    event = {"event": "completed", "jobId": flow.job.job_id, "returnvalue": b"\xff\xfe"}
    await bull.client.xadd(bull.key("events"), event)

    facts = await read_all(streams)

    assert facts[0].result == Json('"��"')


async def test_entries_that_mean_nothing_are_read_past(bull: Bull, streams: EventStreams) -> None:
    flow = tree("root")
    key = bull.key("events")
    await bull.client.xadd(key, {"event": "drained"})
    await bull.client.xadd(key, {"event": "invented", "jobId": flow.job.job_id})
    await bull.client.xadd(key, {"something": "else"})
    last = await bull.client.xadd(key, {"event": "delayed", "jobId": flow.job.job_id, "delay": "soon"})

    batch = await streams.read({JOBS: BEFORE_ALL}, LONG)

    assert [fact.kind for _, fact in batch.facts] == [FactKind.DELAYED]
    assert batch.facts[0][1].until is None
    assert str(batch.read[JOBS]) == last


async def test_progress_and_the_end_of_a_delay_are_told(bull: Bull, streams: EventStreams) -> None:
    flow = tree("root")
    await bull.add(flow, tree("late", delay=60_000))
    async with hands_on(bull) as queue:
        delivery = (await queue.take("token")).delivery
        assert delivery is not None
        await queue.progress(delivery.job_id, '{"percent":40}')

    facts = await read_all(streams)

    assert [fact.progress for fact in facts if fact.kind is FactKind.PROGRESS] == [Json('{"percent":40}')]
    (until,) = [fact.until for fact in facts if fact.kind is FactKind.DELAYED]
    assert until is not None


async def reasons(bull: Bull, streams: EventStreams) -> list[Fact]:
    at = {JOBS: BEFORE_ALL}
    batch = await streams.read(at, LONG)
    return list((await with_details(bull.client, bull.prefix, batch.facts)).facts)


async def test_a_failure_is_told_with_its_stack_and_attempt(bull: Bull, streams: EventStreams) -> None:
    await bull.add(tree("root", attempts=5))
    async with hands_on(bull) as queue:
        delivery = (await queue.take("token")).delivery
        assert delivery is not None
        await queue.fail(delivery, "broken", ["first stack", "last stack"], fetch_next=False)

    fact = (await reasons(bull, streams))[-1]

    assert (fact.kind, fact.reason, fact.stack, fact.attempts_made) == (FactKind.FAILED, "broken", "last stack", 1)


@pytest.mark.parametrize("later", [True, False], ids=["after a pause", "at once"])
async def test_an_attempt_that_is_to_be_repeated_is_told_with_its_reason(
    bull: Bull, streams: EventStreams, later: bool
) -> None:
    await bull.add(tree("root", attempts=5), tree("fresh", delay=60_000))
    async with hands_on(bull) as queue:
        delivery = (await queue.take("token")).delivery
        assert delivery is not None
        if later:
            await queue.retry_later(delivery, "broken", ["a stack"], 60_000)
        else:
            await queue.retry_now(delivery, "broken", ["a stack"])
    await streams.read({JOBS: BEFORE_ALL}, LONG)

    facts = await reasons(bull, streams)

    told = [fact for fact in facts if fact.reason is not None]
    assert [(fact.reason, fact.stack, fact.attempts_made) for fact in told] == [("broken", "a stack", 1)]


async def test_a_failed_job_that_is_gone_keeps_the_reason_of_its_event(bull: Bull, streams: EventStreams) -> None:
    await bull.add(tree("root"))
    async with hands_on(bull) as queue:
        delivery = (await queue.take("token")).delivery
        assert delivery is not None
        await queue.fail(delivery, "broken", ["a stack"], fetch_next=False)
    await bull.client.delete(bull.key(delivery.job_id))

    fact = (await reasons(bull, streams))[-1]

    assert (fact.reason, fact.stack, fact.attempts_made) == ("broken", None, None)


async def test_a_stack_that_is_garbage_is_left_out(bull: Bull) -> None:
    fact = Fact(id=FactId(1, 1), kind=FactKind.FAILED, job_id=tree("root").job.job_id)
    fields: dict[Any, Any] = {"failedReason": "why", "stacktrace": "{", "atm": "x"}
    await bull.client.hset(bull.key(fact.job_id), mapping=fields)

    (told,) = (await with_details(bull.client, bull.prefix, [(JOBS, fact)])).facts

    assert (told.reason, told.stack, told.attempts_made) == ("why", None, None)


async def test_an_engine_that_is_gone_is_said_to_be_away(prefix: str) -> None:
    client = connect("unix:///tmp/no-such-valkey.sock", "test")

    with pytest.raises(EngineAway):
        await EventStreams(client, prefix).read({}, BLINK)
    await client.aclose()


@pytest.mark.parametrize(
    ("kept", "read", "has_lost"), [(2, 4, False), (2, 2, True), (0, 4, True), (0, 5, False), (9, 1, False)]
)
async def test_a_stream_that_was_trimmed_behind_what_was_read_has_lost_something(
    bull: Bull, streams: EventStreams, kept: int, read: int, has_lost: bool
) -> None:
    for n in range(1, 6):
        await bull.client.xadd(bull.key("events"), {"event": "x"}, id=f"{n}-0")
    await bull.client.xtrim(bull.key("events"), maxlen=kept, approximate=False)

    faults = await streams.faults({JOBS: FactId(read, 0)})

    assert faults.gone_back == frozenset()
    assert (JOBS in faults.trimmed) is has_lost
