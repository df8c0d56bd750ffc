"""How far the record is behind what the engine has told."""

from uuid import uuid4

import pytest

from bullflow.engine import lag
from bullflow.engine.connection import connect
from bullflow.engine.keys import grown_stream
from bullflow.engine.lag import recorder_lag
from bullflow.engine.stream import GROWN
from bullflow.errors import EngineAway
from bullflow.flow.facts import BEFORE_ALL, FactId
from support.queues import JOBS, Bull, tree

AGE = 5_000
OURS = "019ab3c1-7d7a-7000-8000-000000000000-1"


def ours() -> str:
    return f"{uuid4()}-1"


async def engine_now(bull: Bull) -> int:
    seconds, microseconds = await bull.client.time()
    return int(seconds * 1000 + microseconds // 1000)


async def told(bull: Bull, *entries: tuple[str, str], queue: str = JOBS, age: int = AGE) -> FactId:
    """Have the engine tell these events of these jobs as if so many milliseconds ago; the last one's id."""
    at = await engine_now(bull) - age
    for n, (event, job_id) in enumerate(entries):
        fields = {"returnvalue": "jobId", "event": event, "jobId": job_id}
        await bull.client.xadd(bull.key("events", queue), fields, id=f"{at}-{n}")
    return FactId(at, len(entries) - 1)


async def measured(bull: Bull, **positions: FactId) -> int:
    return await recorder_lag(bull.client, bull.prefix, positions)


async def test_where_nothing_was_told_nothing_is_behind(bull: Bull) -> None:
    assert await measured(bull) == 0
    assert await measured(bull, jobs=BEFORE_ALL, video=FactId(7, 0)) == 0


async def test_the_lag_is_the_age_of_the_first_entry_that_is_still_to_be_recorded(bull: Bull) -> None:
    at = await told(bull, ("added", "1"), ("waiting", ours()), ("active", ours()))
    await told(bull, ("completed", ours()), age=AGE // 2)
    before = await engine_now(bull)

    whole = await measured(bull, jobs=BEFORE_ALL)
    rest = await measured(bull, jobs=at)

    after = await engine_now(bull)
    assert before - at.ms <= whole <= after - at.ms
    assert AGE // 2 <= rest < whole


async def test_what_is_recorded_is_not_behind(bull: Bull) -> None:
    at = await told(bull, ("added", ours()), ("waiting", ours()))

    assert await measured(bull, jobs=at) == 0


@pytest.mark.parametrize(
    ("event", "job_id"),
    [
        ("completed", "1"),
        ("completed", f"{OURS}-and-more"),
        ("drained", ""),
        ("retries-exhausted", OURS),
        ("no-such-event", OURS),
    ],
)
async def test_what_the_record_does_not_go_by_is_not_behind(bull: Bull, event: str, job_id: str) -> None:
    await told(bull, (event, job_id))

    assert await measured(bull, jobs=BEFORE_ALL) == 0


async def test_lines_and_growth_are_recorded_too(bull: Bull) -> None:
    await told(bull, ("log", ours()), queue="lines")
    await bull.client.xadd(grown_stream(bull.prefix), {"growth": "{}"}, id=f"{await engine_now(bull) - AGE}-0")

    assert await measured(bull, lines=BEFORE_ALL) >= AGE
    assert await recorder_lag(bull.client, bull.prefix, {GROWN: BEFORE_ALL}) >= AGE


async def test_of_several_queues_the_one_that_is_furthest_behind_counts(bull: Bull) -> None:
    await told(bull, ("waiting", ours()), queue="a", age=100)
    await told(bull, ("waiting", ours()), queue="b", age=AGE)
    recorded = await told(bull, ("waiting", ours()), queue="c", age=2 * AGE)

    assert AGE <= await measured(bull, a=BEFORE_ALL, b=BEFORE_ALL, c=recorded) < 2 * AGE


async def test_what_bullmq_itself_tells_of_a_flow_is_behind_until_it_is_recorded(bull: Bull) -> None:
    await bull.add(tree("root", tree("child")))
    newest = await bull.client.xrevrange(bull.key("events"), count=1)

    assert await measured(bull, jobs=FactId.parse(newest[0][0])) == 0
    first = await bull.client.xrange(bull.key("events"), count=1)
    before = await engine_now(bull)
    assert await measured(bull, jobs=BEFORE_ALL) >= before - FactId.parse(first[0][0]).ms


async def test_few_entries_are_looked_at_so_a_crowd_of_others_can_hide_one_of_ours(
    bull: Bull, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag, "MOST_ENTRIES", 3)
    await told(bull, *[("waiting", "1")] * 3, ("waiting", ours()))
    await told(bull, *[("waiting", "1")] * 2, ("waiting", ours()), queue="video")

    assert await measured(bull, jobs=BEFORE_ALL) == 0
    assert await measured(bull, video=BEFORE_ALL) >= AGE


async def test_of_very_many_queues_those_are_looked_at_that_were_recorded_last(
    bull: Bull, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag, "MOST_QUEUES", 2)
    for queue in ("old", "a", "b"):
        await told(bull, ("waiting", ours()), queue=queue, age={"old": 3 * AGE}.get(queue, AGE))

    assert AGE <= await measured(bull, old=BEFORE_ALL, a=FactId(1, 0), b=FactId(2, 0)) < 3 * AGE


async def test_it_costs_one_round_trip_and_does_not_bring_what_jobs_have_returned(bull: Bull) -> None:
    key = bull.key("events")
    for _ in range(20):
        await bull.client.xadd(key, {"event": "completed", "jobId": "1", "returnvalue": "x" * 100_000})
    sent = (await bull.client.info("stats"))["total_net_output_bytes"]

    await measured(bull, jobs=BEFORE_ALL)

    assert (await bull.client.info("stats"))["total_net_output_bytes"] - sent < 100_000


async def test_an_engine_that_is_away_is_said_to_be_away() -> None:
    nowhere = connect("unix:///tmp/no-such-valkey.sock", "test")

    with pytest.raises(EngineAway):
        await recorder_lag(nowhere, "none", {JOBS: BEFORE_ALL})
