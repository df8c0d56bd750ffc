"""The tail of the log: what it reads and what it hands out, whoever rings or forgets to."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial

import orjson
import pytest
import pytest_asyncio

from bullflow import loop, telemetry
from bullflow import notifier as tail_module
from bullflow.errors import NotFound, StoreAway
from bullflow.notifier import item_json
from bullflow.store import log
from bullflow.store.log import LogItem
from bullflow.store.views import FlowView
from support.eventually import eventually
from support.rooms import CountingDatabase, Tail, entry
from support.servers import SqliteServer

NOBODY = "019ab3c1-7d7a-7000-8000-000000000000"


class Ear:
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []
        self.texts: list[bytes] = []
        self.progressed: list[object] = []
        self.flows: list[FlowView] = []

    def entry(self, item: LogItem, text: bytes) -> None:
        self.heard.append((item.flow_id, item.seq))
        self.texts.append(text)

    def progress(self, flow_id: str, message: bytes) -> None:
        self.progressed.append(orjson.loads(message)["progress"])

    def summary(self, flow: FlowView, text: bytes) -> None:
        self.flows.append(flow)
        self.texts.append(text)

    @property
    def seqs(self) -> list[int]:
        return [seq for _, seq in self.heard]


@pytest_asyncio.fixture
async def tail(sqlite: SqliteServer) -> AsyncIterator[Tail]:
    database = CountingDatabase(sqlite.new_database())
    yield Tail(database)
    await database.close()


@pytest_asyncio.fixture
async def either(store_url: str) -> AsyncIterator[Tail]:
    """A tail on SQLite, then one on Postgres."""
    database = CountingDatabase(store_url)
    yield Tail(database)
    await database.close()


async def test_listeners_hear_what_comes_after_they_joined_once_and_in_order(either: Tail) -> None:
    one, other = await either.flow(entries=3), await either.flow(entries=5)
    early, late = Ear(), Ear()
    assert await either.follow(one, early) == 3
    assert await either.follow(other, early) == 5
    await either.tell(one, 2)
    assert await either.follow(one, late) == 5
    await either.tell(other, 1)
    await either.tell(one, 3)
    await either.notifier.run_once()

    assert early.heard == [(one, 4), (one, 5), (other, 6), (one, 6), (one, 7), (one, 8)]
    assert late.heard == [(one, 6), (one, 7), (one, 8)]


async def test_what_no_bell_announced_is_found_by_the_next_look(tail: Tail) -> None:
    flow_id, ear = await tail.flow(), Ear()
    await tail.follow(flow_id, ear)
    await tail.notifier.run_once()
    await tail.write(flow_id, 2)
    looking = loop.run(
        "notifier",
        tail.notifier.run_once,
        wake=tail.notifier.wake,
        interval=timedelta(milliseconds=10),
        log=telemetry.logger("test"),
    )
    task = asyncio.create_task(looking)

    async def found() -> bool:
        return ear.seqs == [2, 3]

    await eventually(found)
    task.cancel()
    await asyncio.wait({task})


async def test_a_bell_that_may_have_missed_some_makes_it_look_at_all_at_once(tail: Tail) -> None:
    flows = [await tail.flow() for _ in range(3)]
    ear = Ear()
    for flow_id in flows:
        await tail.follow(flow_id, ear)
        await tail.write(flow_id, 1)
    tail.notifier.hear({"flows": [[flows[0], 2]]})
    tail.notifier.hear(None)
    await tail.notifier.run_once()

    assert sorted(ear.heard) == [(flow_id, 2) for flow_id in sorted(flows)]


async def test_when_nobody_watches_nothing_is_read(tail: Tail) -> None:
    flow_id, ear = await tail.flow(), Ear()
    await tail.follow(flow_id, ear)
    tail.notifier.unfollow(flow_id, ear)
    await tail.notifier.run_once()
    tail.database.reads = 0
    tail.notifier.hear(None)
    await tail.tell(flow_id, 2)
    await tail.notifier.run_once()

    assert tail.database.reads == 0
    assert ear.heard == []


async def test_flows_that_nobody_watches_are_not_read(tail: Tail) -> None:
    watched, ear = await tail.flow(), Ear()
    other = await tail.flow()
    await tail.follow(watched, ear)
    await tail.notifier.run_once()
    tail.database.reads = 0
    tail.notifier.hear({"flows": [[other, 9]]})
    await tail.notifier.run_once()

    assert ear.heard == []
    assert tail.database.reads == 1, "the look at all that are watched"


async def test_what_was_written_in_this_process_is_handed_out_without_a_look_and_once(tail: Tail) -> None:
    flow_id, ear = await tail.flow(), Ear()
    await tail.follow(flow_id, ear)
    await tail.write(flow_id, 3)
    tail.database.reads = 0
    tail.notifier.written([entry(flow_id, 2), entry(flow_id, 3)])
    assert ear.seqs == [2, 3]
    assert tail.database.reads == 0

    tail.notifier.written([entry(flow_id, 3)])
    tail.notifier.written([entry(flow_id, 5)])  # what lies between was written by somebody else
    assert ear.seqs == [2, 3]
    tail.notifier.hear({"flows": [[flow_id, 4]]})
    await tail.notifier.run_once()

    assert ear.seqs == [2, 3, 4]
    async with tail.database.read() as snapshot:
        assert ear.texts == [item_json(item) for item in await log.after(snapshot, flow_id, 1, 10)]


async def test_what_comes_between_the_look_and_the_beginning_is_not_missed(tail: Tail) -> None:
    flow_id, ear = await tail.flow(), Ear()
    tail.database.after_a_read = partial(tail.tell, flow_id, 2)

    assert await tail.follow(flow_id, ear) == 1
    await tail.notifier.run_once()

    assert ear.seqs == [2, 3]


async def test_whoever_looks_before_another_has_begun_behind_that_looks_again(tail: Tail) -> None:
    """What lies between the two looks is handed to nobody."""
    flow_id, ear, other = await tail.flow(), Ear(), Ear()

    async def another_follows() -> None:
        await tail.write(flow_id, 2)
        await tail.follow(flow_id, other)

    tail.database.after_a_read = another_follows
    assert await tail.follow(flow_id, ear) == 3
    await tail.tell(flow_id, 1)

    assert (ear.seqs, other.seqs) == ([4], [4])


async def test_whoever_leaves_before_it_is_known_where_to_begin_leaves_nothing_behind(tail: Tail) -> None:
    flow_id, ear = await tail.flow(), Ear()

    async def leave() -> None:
        tail.notifier.unfollow(flow_id, ear)

    tail.database.after_a_read = leave
    assert await tail.follow(flow_id, ear) == 1
    await tail.tell(flow_id, 1)

    assert ear.heard == []


async def test_an_entry_is_read_and_written_out_once_however_many_watch(
    tail: Tail, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []

    def counted(item: LogItem) -> bytes:
        written.append(item.seq)
        return b"%d" % item.seq

    monkeypatch.setattr(tail_module, "item_json", counted)
    flow_id, ears = await tail.flow(), [Ear() for _ in range(100)]
    for ear in ears:
        await tail.follow(flow_id, ear)
    await tail.notifier.run_once()
    tail.database.reads = 0
    await tail.tell(flow_id, 5)

    assert written == [2, 3, 4, 5, 6]
    assert tail.database.reads == 1
    assert all(ear.seqs == written for ear in ears)
    assert all(text is ears[0].texts[n] for ear in ears for n, text in enumerate(ear.texts))


async def test_more_than_one_read_holds_comes_in_the_same_round(tail: Tail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail_module, "ENTRIES_A_READ", 4)
    flows, ear = [await tail.flow() for _ in range(3)], Ear()
    for flow_id in flows:
        await tail.follow(flow_id, ear)
        await tail.write(flow_id, 7)
    tail.notifier.hear({"flows": [[flow_id, 8] for flow_id in flows]})
    await tail.notifier.run_once()

    for flow_id in flows:
        assert [seq for flow, seq in ear.heard if flow == flow_id] == list(range(2, 9))


async def test_who_leaves_hears_no_more_and_the_others_do(tail: Tail) -> None:
    flow_id, left, stayed = await tail.flow(), Ear(), Ear()
    for ear in (left, stayed):
        await tail.follow(flow_id, ear)
    await tail.tell(flow_id, 1)
    tail.notifier.unfollow(flow_id, left)
    tail.notifier.unfollow(flow_id, left)
    await tail.tell(flow_id, 1)

    assert (left.seqs, stayed.seqs) == ([2], [2, 3])


async def test_a_flow_that_is_not_there_cannot_be_followed_and_leaves_no_trace(tail: Tail) -> None:
    with pytest.raises(NotFound):
        await tail.follow(NOBODY, Ear())
    tail.database.reads = 0
    await tail.notifier.run_once()

    assert tail.database.reads == 0


async def test_a_store_that_is_away_for_a_while_costs_no_entry(tail: Tail) -> None:
    flow_id, ear = await tail.flow(), Ear()
    await tail.follow(flow_id, ear)
    await tail.notifier.run_once()
    tail.database.is_away = True
    with pytest.raises(StoreAway):
        await tail.tell(flow_id, 2)
    with pytest.raises(StoreAway):
        await tail.follow(await tail.flow(), Ear())
    tail.database.is_away = False
    await tail.notifier.run_once()

    assert ear.seqs == [2, 3]


async def test_a_store_that_is_away_for_a_while_costs_no_summary(tail: Tail) -> None:
    flow_id, ear = await tail.flow(), Ear()
    tail.notifier.follow_all(await tail.submitter.user(), ear)
    tail.database.is_away = True
    with pytest.raises(StoreAway):
        await tail.tell(flow_id, 1)
    tail.database.is_away = False
    await tail.notifier.run_once()

    assert [(flow.id, flow.last_seq) for flow in ear.flows] == [(flow_id, 2)]


async def test_who_follows_all_flows_hears_of_changes_of_its_own_flows_alone(tail: Tail) -> None:
    mine, theirs, ear = await tail.flow(), await tail.flow(user="somebody"), Ear()
    me = await tail.submitter.user()
    tail.notifier.follow_all(me, ear)
    await tail.tell(theirs, 1)
    await tail.tell(mine, 1)
    tail.notifier.unfollow_all(me, ear)
    await tail.tell(mine, 1)

    assert [(flow.id, flow.last_seq) for flow in ear.flows] == [(mine, 2)]
    assert ear.heard == []


async def test_a_summary_is_serialised_once_for_all_who_follow_all_flows(tail: Tail) -> None:
    ears, me = [Ear(), Ear()], await tail.submitter.user()
    for ear in ears:
        tail.notifier.follow_all(me, ear)

    tail.notifier.hear({"flows": [[await tail.flow(), 1]]})
    await tail.notifier.run_once()

    (first,), (second,) = ears[0].texts, ears[1].texts
    assert first is second


async def test_who_follows_all_flows_gets_what_has_changed_while_bells_were_missed_and_no_more(either: Tail) -> None:
    me, ear, clock = await either.submitter.user(), Ear(), either.submitter.clock
    old, ended_long_ago = await either.flow(), await either.flow()
    await either.end(ended_long_ago)
    clock.forward(timedelta(hours=1))
    either.notifier.follow_all(me, ear)
    either.notifier.hear({"flows": []})
    clock.forward(timedelta(seconds=5))
    new, ended, theirs = await either.flow(), await either.flow(), await either.flow(user="somebody")
    await either.end(ended)
    clock.forward(timedelta(hours=1))
    either.notifier.hear(None)
    either.database.is_away = True
    with pytest.raises(StoreAway):
        await either.notifier.run_once()
    either.database.is_away = False
    either.notifier.hear({"flows": []})

    await either.notifier.run_once()
    await either.notifier.run_once()

    assert sorted(flow.id for flow in ear.flows) == sorted([new, ended])
    assert {old, theirs, ended_long_ago}.isdisjoint(flow.id for flow in ear.flows)


async def test_of_fast_progress_the_first_and_the_last_value_come_and_few_between(tail: Tail) -> None:
    flow_id, ear = await tail.flow(), Ear()
    await tail.follow(flow_id, ear)
    for percent in range(100):
        tail.notifier.hear({"progress": [[flow_id, "job", str(percent)], [NOBODY, "other", "1"]]})
    assert ear.progressed == [0]

    async def last() -> bool:
        return ear.progressed[-1] == 99

    await eventually(last)
    assert ear.progressed == [0, 99]


async def test_each_job_has_its_own_pace_of_progress(tail: Tail) -> None:
    flow_id, ear = await tail.flow(), Ear()
    await tail.follow(flow_id, ear)
    tail.notifier.hear({"progress": [[flow_id, f"job{n}", str(n)] for n in range(5)]})

    assert ear.progressed == [0, 1, 2, 3, 4]
