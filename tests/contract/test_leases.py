"""One holder at a time, and a fence against the one before."""

import asyncio
from datetime import timedelta

import pytest

from bullflow.errors import LeadershipLost
from bullflow.store import leases, streams
from bullflow.store.database import Database
from bullflow.store.leases import Held
from support.flows import START

TERM = timedelta(seconds=15)
LATER = START + 15_000


async def test_the_first_who_asks_holds_the_lease(database: Database) -> None:
    held = await _acquire(database, "first")

    assert held == Held("recorder", "first", 1)
    assert await _is_held(database, START)


async def test_nobody_else_gets_it_before_it_expires(database: Database) -> None:
    await _acquire(database, "first")

    assert await _acquire(database, "second", LATER - 1) is None
    assert await _is_held(database, LATER - 1)


async def test_an_expired_lease_goes_to_the_next_with_a_larger_token(database: Database) -> None:
    first = await _acquire(database, "first")
    assert not await _is_held(database, LATER)

    second = await _acquire(database, "second", LATER)

    assert first is not None
    assert second is not None
    assert second.token > first.token
    assert await _acquire(database, "first", LATER) is None


async def test_a_holder_that_renews_keeps_it(database: Database) -> None:
    held = await _acquire(database, "first")
    assert held is not None

    await _hold(database, held, LATER - 1)

    assert await _acquire(database, "second", LATER) is None
    assert await _acquire(database, "second", LATER + 14_998) is None
    assert await _acquire(database, "second", LATER + 14_999) is not None


async def test_a_holder_that_was_replaced_loses_what_it_wanted_to_write(database: Database) -> None:
    first = await _acquire(database, "first")
    assert first is not None
    await _acquire(database, "second", LATER)

    with pytest.raises(LeadershipLost):
        await _write_as(database, first, "zombie", LATER + 1)

    async with database.read() as snapshot:
        assert await streams.positions(snapshot) == {}


async def test_a_holder_that_is_replaced_does_not_shorten_the_lease_of_the_new_one(database: Database) -> None:
    first = await _acquire(database, "first")
    assert first is not None
    await _acquire(database, "second", LATER)

    await _release(database, first)
    with pytest.raises(LeadershipLost):
        await _hold(database, first, START - 100_000)

    assert await _is_held(database, LATER + 14_999)


async def test_the_same_name_that_asks_again_fences_its_older_self(database: Database) -> None:
    before = await _acquire(database, "first")
    after = await _acquire(database, "first", START + 1)
    assert before is not None
    assert after is not None

    await _hold(database, after, START + 2)
    with pytest.raises(LeadershipLost):
        await _hold(database, before, START + 2)


async def test_a_holder_that_is_late_but_was_not_replaced_goes_on(database: Database) -> None:
    held = await _acquire(database, "first")
    assert held is not None

    await _write_as(database, held, "video", LATER + 1_000_000)

    assert await _is_held(database, LATER + 1_000_000)


async def test_a_lease_that_is_given_back_is_free_at_once(database: Database) -> None:
    held = await _acquire(database, "first")
    assert held is not None

    await _release(database, held)

    assert not await _is_held(database, START)
    assert await _acquire(database, "second", START) == Held("recorder", "second", 2)


async def test_leases_with_other_names_are_others(database: Database) -> None:
    await _acquire(database, "first")

    assert await _acquire(database, "second", name="janitor") == Held("janitor", "second", 1)
    assert not await _is_held(database, START, name="nothing")


async def test_of_many_who_ask_at_once_one_wins(store_url: str) -> None:
    stores = [Database(store_url) for _ in range(3)]

    for now in (START, LATER):
        answers = await asyncio.gather(
            *(
                _acquire(store, f"{now}-{place}-{number}", now)
                for place, store in enumerate(stores)
                for number in range(4)
            )
        )
        assert len([held for held in answers if held]) == 1

    for store in stores:
        await store.close()


async def _acquire(database: Database, holder: str, now: int = START, name: str = "recorder") -> Held | None:
    async with database.write() as transaction:
        return await leases.acquire(transaction, name, holder, now, TERM)


async def _hold(database: Database, held: Held, now: int) -> None:
    async with database.write() as transaction:
        leases.hold(transaction, held, now, TERM)


async def _write_as(database: Database, held: Held, queue: str, now: int) -> None:
    async with database.write(replayable=True) as transaction:
        await streams.know(transaction, [queue])
        leases.hold(transaction, held, now, TERM)


async def _release(database: Database, held: Held) -> None:
    async with database.write() as transaction:
        await leases.release(transaction, held)


async def _is_held(database: Database, now: int, name: str = "recorder") -> bool:
    async with database.read() as snapshot:
        return await leases.is_held(snapshot, name, now)
