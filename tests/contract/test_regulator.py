"""The regulator has the engine go by what is set, whatever happened to either of them."""

from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec, TypeVar

import pytest
import pytest_asyncio

from bullflow.engine.connection import connect
from bullflow.engine.control import queue_rules
from bullflow.errors import EngineAway
from bullflow.flow.queues import QueueLimits, QueueRules, RateLimit
from bullflow.regulator import Regulator
from bullflow.store import queues, streams
from bullflow.store.database import Database
from bullflow.store.queues import SetQueue
from bullflow.store.transaction import Transaction
from support.queues import JOBS, Bull

P = ParamSpec("P")
T = TypeVar("T")

LIMITS = QueueLimits(concurrency=2, rate=RateLimit(max=10, duration=1_000))


class Desk:
    """Where an operator sets rules for the queues of one engine."""

    def __init__(self, database: Database, bull: Bull) -> None:
        self.database = database
        self.bull = bull
        self.regulator = Regulator(database, bull.client, bull.prefix)

    async def set(self, *, paused: bool | None = None, limits: QueueLimits | None = None, name: str = JOBS) -> SetQueue:
        async with self.database.write() as transaction:
            await streams.know(transaction, [name])
            if paused is not None:
                queue = await queues.set_paused(transaction, name, paused)
            if limits is not None:
                queue = await queues.set_limits(transaction, name, limits)
        return queue

    async def due(self) -> list[str]:
        async with self.database.read() as snapshot:
            return [queue.name for queue in await queues.all_set(snapshot) if queue.due]

    async def rules(self, name: str = JOBS) -> QueueRules:
        return (await queue_rules(self.bull.client, self.bull.prefix, [name]))[name]


@pytest_asyncio.fixture
async def desk(database: Database, bull: Bull) -> Desk:
    return Desk(database, bull)


async def test_what_is_due_is_applied_and_then_not_due_any_more(desk: Desk) -> None:
    await desk.set(paused=True)
    await desk.set(limits=LIMITS, name="other")

    assert await desk.regulator.run_once() == 2
    assert await desk.regulator.run_once() == 0

    assert await desk.rules() == QueueRules(paused=True)
    assert await desk.rules("other") == QueueRules(limits=LIMITS)
    assert await desk.due() == []


async def test_rules_that_a_wiped_engine_has_lost_come_back(desk: Desk) -> None:
    await desk.set(paused=True, limits=LIMITS)
    await desk.regulator.run_once()
    await desk.bull.client.delete(desk.bull.key("meta"))

    await desk.regulator.run_once()

    assert await desk.rules() == QueueRules(paused=True, limits=LIMITS)


@pytest.mark.parametrize("paused", [True, False])
async def test_what_somebody_has_changed_behind_our_back_is_put_right_without_haste(desk: Desk, paused: bool) -> None:
    await desk.set(paused=paused)
    await desk.regulator.run_once()
    await (desk.bull.queue().resume() if paused else desk.bull.queue().pause())

    assert await desk.regulator.run_once() == 0

    assert (await desk.rules()).paused is paused


async def test_a_queue_for_which_nothing_was_set_is_left_to_others(desk: Desk) -> None:
    await desk.set(paused=False, name="other")
    await desk.bull.queue().pause()

    await desk.regulator.run_once()

    assert await desk.rules() == QueueRules(paused=True)


async def test_rules_that_hold_are_not_written_again(desk: Desk) -> None:
    await desk.set(paused=True)
    await desk.regulator.run_once()
    before = await desk.bull.calls()

    await desk.regulator.run_once()

    after = await desk.bull.calls()
    assert after["eval"] == before["eval"]
    assert after.get("hset") == before.get("hset")


async def test_rules_stay_due_while_the_engine_is_away(desk: Desk) -> None:
    queue = await desk.set(paused=True)
    regulator = Regulator(desk.database, connect("unix:///tmp/no-such-valkey.sock", "test"), "none")

    with pytest.raises(EngineAway):
        await regulator.run_once()
    with pytest.raises(EngineAway):
        await regulator.apply(queue)

    assert await desk.due() == [JOBS]


async def test_whoever_applies_older_rules_last_goes_on_to_the_newer_ones(desk: Desk) -> None:
    older = await desk.set(paused=True, limits=LIMITS)
    newer = await desk.set(paused=False, limits=QueueLimits(concurrency=7))
    await desk.regulator.apply(newer)
    assert await desk.due() == []

    await desk.regulator.apply(older)

    assert await desk.rules() == newer.rules
    assert await desk.due() == []


class Interrupted(Database):
    """A store before whose second reading something else happens."""

    between: Callable[[], Awaitable[object]]
    reads = 0

    async def look(
        self, read: Callable[Concatenate[Transaction, P], Awaitable[T]], *rest: P.args, **more: P.kwargs
    ) -> T:
        self.reads += 1
        if self.reads == 2:
            await self.between()
        return await super().look(read, *rest, **more)


async def test_without_rules_the_store_is_read_once_and_the_engine_not_asked(database: Database) -> None:
    counting = Interrupted(database.url)
    regulator = Regulator(counting, connect("unix:///tmp/no-such-valkey.sock", "test"), "none")

    done = await regulator.run_once()
    await counting.close()

    assert (done, counting.reads) == (0, 1)


async def test_what_is_set_between_two_looks_is_not_taken_back_for_a_moment(desk: Desk) -> None:
    await desk.regulator.apply(await desk.set(paused=False))
    slow = Interrupted(desk.database.url)

    async def somebody_pauses() -> None:
        await desk.regulator.apply(await desk.set(paused=True))

    slow.between = somebody_pauses
    await desk.bull.queue().pause()  # a difference that makes the regulator look twice

    await Regulator(slow, desk.bull.client, desk.bull.prefix).run_once()
    await slow.close()

    assert [event["event"] for event in await desk.bull.events()] == ["paused"]
