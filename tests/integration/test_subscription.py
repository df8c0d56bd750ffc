"""One watcher between the log and the live entries, with a bounded outbox in front of it."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from bullflow.http import subscription as subscription_module
from bullflow.http.outbox import GivenUp, Outbox
from bullflow.http.subscription import Subscription
from support.rooms import CountingDatabase, Tail
from support.servers import SqliteServer

BOUND = 10


class Watch:
    """A subscription to one flow with an outbox for ten messages."""

    def __init__(self, tail: Tail, flow_id: str, subscription: Subscription, outbox: Outbox) -> None:
        self.tail, self.flow_id = tail, flow_id
        self.subscription, self.outbox = subscription, outbox

    async def take(self, messages: int) -> list[int]:
        return [int(await self.outbox.take()) for _ in range(messages)]

    async def tell(self, entries: int) -> None:
        await self.tail.tell(self.flow_id, entries)


@pytest_asyncio.fixture
async def tail(sqlite: SqliteServer) -> AsyncIterator[Tail]:
    database = CountingDatabase(sqlite.new_database())
    yield Tail(database)
    await database.close()


async def a_watch(tail: Tail, data_dir: Path, *, entries: int) -> Watch:
    rooms = await tail.rooms(data_dir, socket_buffer=BOUND)
    outbox, flow_id = Outbox(BOUND), await tail.flow(entries=entries)
    caller = await tail.submitter.caller()
    subscription = Subscription(rooms, caller, flow_id, outbox, wrap=lambda seq, _: b"%d" % seq, with_progress=True)
    return Watch(tail, flow_id, subscription, outbox)


async def test_a_log_longer_than_the_outbox_comes_whole_and_live_entries_follow(tail: Tail, data_dir: Path) -> None:
    watch = await a_watch(tail, data_dir, entries=45)
    assert await watch.subscription.join(0) == 45
    catching_up = asyncio.create_task(watch.subscription.catch_up())
    first = await watch.take(20)
    await watch.tell(7)
    second = await watch.take(32)
    await catching_up
    await watch.tell(3)

    assert first + second + await watch.take(3) == list(range(1, 56))
    assert not watch.outbox.is_given_up


async def test_who_has_just_caught_up_has_room_for_live_entries(tail: Tail, data_dir: Path) -> None:
    watch = await a_watch(tail, data_dir, entries=BOUND * 3)
    await watch.subscription.join(0)
    catching_up = asyncio.create_task(watch.subscription.catch_up())
    taken: list[int] = []
    while not catching_up.done():
        taken += await watch.take(1)
        await asyncio.sleep(0)  # lets it go on, and no more than that
    await watch.tell(BOUND // 2)

    assert not watch.outbox.is_given_up
    assert taken + await watch.take(BOUND * 3 + BOUND // 2 - len(taken)) == list(range(1, BOUND * 3 + BOUND // 2 + 1))


async def test_what_is_too_much_to_keep_aside_while_it_joins_is_read_from_the_log(tail: Tail, data_dir: Path) -> None:
    watch, more = await a_watch(tail, data_dir, entries=5), BOUND + 5
    await watch.subscription.join(0)
    rooms, outbox = await tail.rooms(data_dir, socket_buffer=BOUND), Outbox(BOUND)
    late = Subscription(
        rooms, await tail.submitter.caller(), watch.flow_id, outbox, wrap=lambda seq, _: b"%d" % seq, with_progress=True
    )
    tail.database.after_a_read = partial(watch.tell, more)
    await late.join(0)
    watch = Watch(tail, watch.flow_id, late, outbox)
    catching_up = asyncio.create_task(late.catch_up())

    assert await watch.take(5 + more) == list(range(1, 5 + more + 1))
    await catching_up


async def test_live_entries_that_are_too_many_to_be_kept_aside_are_read_from_the_log(
    tail: Tail, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription_module, "ENTRIES_A_READ", 7)
    watch = await a_watch(tail, data_dir, entries=20)
    await watch.subscription.join(3)
    catching_up = asyncio.create_task(watch.subscription.catch_up())
    first = await watch.take(1)
    for entries in (4, BOUND * 3, 2, BOUND):
        await watch.tell(entries)
    rest = await watch.take(20 + 6 + BOUND * 4 - 4)
    await catching_up

    assert first + rest == list(range(4, 20 + 6 + BOUND * 4 + 1))
    assert not watch.outbox.is_given_up


async def test_entries_that_come_between_joining_and_catching_up_come_once(tail: Tail, data_dir: Path) -> None:
    watch = await a_watch(tail, data_dir, entries=2)
    await watch.subscription.join(1)
    await watch.tell(2)
    await watch.subscription.catch_up()
    await watch.tell(1)

    assert await watch.take(4) == [2, 3, 4, 5]


async def test_who_does_not_take_live_entries_is_given_up_at_the_bound(tail: Tail, data_dir: Path) -> None:
    watch = await a_watch(tail, data_dir, entries=1)
    await watch.subscription.join(1)
    await watch.subscription.catch_up()
    await watch.tell(BOUND)
    assert not watch.outbox.is_given_up
    await watch.tell(1)

    await watch.outbox.given_up()
    with pytest.raises(GivenUp):
        await watch.outbox.take()


async def test_progress_is_left_out_while_the_watcher_is_behind(tail: Tail, data_dir: Path) -> None:
    watch = await a_watch(tail, data_dir, entries=1)
    await watch.subscription.join(1)
    watch.subscription.progress(watch.flow_id, b"-1")
    await watch.subscription.catch_up()
    watch.subscription.progress(watch.flow_id, b"-2")
    await watch.tell(BOUND // 2)
    watch.subscription.progress(watch.flow_id, b"-3")
    await watch.tell(1)

    assert await watch.take(BOUND // 2 + 2) == [-2, 2, 3, 4, 5, 6, 7]


async def test_who_has_left_hears_nothing(tail: Tail, data_dir: Path) -> None:
    watch = await a_watch(tail, data_dir, entries=1)
    await watch.subscription.join(1)
    await watch.subscription.catch_up()
    watch.subscription.leave()
    await watch.tell(3)
    watch.outbox.put(b"0")

    assert await watch.take(1) == [0]
