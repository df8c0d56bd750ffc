"""Changes to a job that only the holder of its lock may make, whatever comes between the look and the change."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from bullflow import telemetry
from bullflow.engine.connection import connect
from bullflow.engine.delivery import Delivery
from bullflow.engine.holding import Holding
from bullflow.engine.queue import LockLost
from bullflow.errors import JobCancelled
from bullflow.loop import Complaints
from support.queues import JOBS, Bull, hands_on, tree

MARK = "mark"


@pytest_asyncio.fixture
async def client(bull: Bull) -> AsyncIterator[Redis]:
    client = connect(bull.url, "holding")
    yield client
    await client.aclose()


class Heard(Complaints):
    """Notes what was complained about."""

    def __init__(self) -> None:
        super().__init__("test", telemetry.logger("test"))
        self.errors: list[Exception] = []

    def about(self, error: Exception) -> None:
        self.errors.append(error)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def holding(bull: Bull, client: Redis, heard: Heard) -> Holding:
    return Holding(client, bull.prefix, JOBS, heard)


@pytest_asyncio.fixture
async def delivery(bull: Bull) -> Delivery:
    await bull.add(tree("root", attempts=3))
    async with hands_on(bull) as hands:
        delivery = (await hands.take("token")).delivery
    assert delivery is not None
    return delivery


class Change:
    """Leaves a mark in the job's hash; `between` happens after the look, the first time."""

    def __init__(self, bull: Bull, delivery: Delivery, between: Callable[[str], Awaitable[Any]]) -> None:
        self._key = bull.key(delivery.job_id)
        self._between = between
        self.seen: list[Any] = []

    async def __call__(self, pipe: Any, opts: dict[str, Any]) -> None:
        self.seen.append(opts["attempts"])
        if len(self.seen) == 1:
            await self._between(self._key)
        pipe.hset(self._key, MARK, "1")


async def nothing(_: str) -> None: ...


async def test_a_change_is_made_with_the_job_s_options_at_hand(
    bull: Bull, holding: Holding, delivery: Delivery
) -> None:
    change = Change(bull, delivery, nothing)

    assert await holding.change(delivery, change) == [1]
    assert change.seen == [3]
    assert (await bull.job(delivery.job_id))[MARK] == "1"


async def test_a_change_that_something_harmless_has_overtaken_is_made_anew(
    bull: Bull, holding: Holding, delivery: Delivery, heard: Heard
) -> None:
    change = Change(bull, delivery, lambda key: bull.client.hset(key, "progress", "50"))

    await holding.change(delivery, change)

    assert (change.seen, heard.errors) == ([3, 3], [])
    assert (await bull.job(delivery.job_id))[MARK] == "1"


@pytest.mark.parametrize("when", ["before", "between"])
async def test_a_job_that_is_withdrawn_is_not_changed(
    bull: Bull, holding: Holding, delivery: Delivery, when: str
) -> None:
    change = Change(bull, delivery, lambda key: bull.client.hset(key, "defa", "a child has failed"))
    if when == "before":
        await bull.client.hset(bull.key(delivery.job_id), "defa", "a child has failed")

    with pytest.raises(JobCancelled, match="a child has failed"):
        await holding.change(delivery, change)
    assert MARK not in await bull.job(delivery.job_id)


@pytest.mark.parametrize("how", ["stolen", "run out", "with the job"])
async def test_a_job_whose_lock_is_lost_is_not_changed(
    bull: Bull, holding: Holding, delivery: Delivery, how: str
) -> None:
    async def lose(key: str) -> None:
        if how == "stolen":
            await bull.client.set(f"{key}:lock", "another")
        elif how == "run out":
            await bull.client.delete(f"{key}:lock")
        else:
            await bull.client.delete(key)

    with pytest.raises(LockLost):
        await holding.change(delivery, Change(bull, delivery, lose))
    assert MARK not in await bull.job(delivery.job_id)


async def test_a_change_whose_connection_is_cut_is_made_on_another(
    bull: Bull, holding: Holding, delivery: Delivery
) -> None:
    async def cut(_: str) -> None:
        clients = await bull.client.client_list()
        for one in (one for one in clients if one["name"] == "holding"):
            await bull.client.client_kill_filter(_id=one["id"])

    change = Change(bull, delivery, cut)

    await holding.change(delivery, change)

    assert len(change.seen) > 1
    assert (await bull.job(delivery.job_id))[MARK] == "1"
