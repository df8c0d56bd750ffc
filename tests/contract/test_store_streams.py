"""Queues are known once, and their positions move on."""

import asyncio

import pytest

from bullflow.flow.facts import FactId
from bullflow.store import streams
from bullflow.store.database import Database
from support.eventually import eventually
from support.flows import Submitter, both_wait, node


async def test_a_queue_that_is_known_twice_keeps_its_position(database: Database) -> None:
    await _know(database, "video", "audio")
    await _advance(database, {"video": FactId(5, 3)})

    await _know(database, "video", "video", "mail")

    assert await _positions(database) == {"audio": FactId(0, 0), "mail": FactId(0, 0), "video": FactId(5, 3)}


async def test_a_flow_on_a_known_queue_does_not_move_it_back(database: Database) -> None:
    await _know(database, "video")
    await _advance(database, {"video": FactId(1_790_000_000_000, 12)})

    await Submitter(database).one(node(queue="video"))

    assert await _positions(database) == {"video": FactId(1_790_000_000_000, 12)}


async def test_only_the_queues_that_were_read_move_on(database: Database) -> None:
    await _know(database, "a", "b", "c")

    await _advance(database, {"a": FactId(1, 0), "c": FactId(9_999_999_999_999, 2**64 - 1)})

    assert await _positions(database) == {
        "a": FactId(1, 0),
        "b": FactId(0, 0),
        "c": FactId(9_999_999_999_999, 2**64 - 1),
    }


async def test_a_queue_that_is_not_known_is_not_made_by_reading(database: Database) -> None:
    await _advance(database, {"stranger": FactId(1, 0)})

    assert await _positions(database) == {}


async def test_nothing_read_moves_nothing(database: Database) -> None:
    await _know(database, "video")

    await _advance(database, {})

    assert await _positions(database) == {"video": FactId(0, 0)}


@pytest.mark.parametrize("databases", ["postgres"], indirect=True)
async def test_two_processes_that_meet_new_queues_never_wait_for_each_other_crosswise(store_url: str) -> None:
    first, second = Database(store_url), Database(store_url)
    queues = [f"queue-{number}" for number in range(9)]

    async with first.write() as transaction:
        await streams.know(transaction, ["queue-4"])
        both = asyncio.gather(_know(first, *queues), _know(second, *reversed(queues)))
        await eventually(lambda: both_wait(second))
    await both

    assert sorted(await _positions(first)) == queues
    await first.close()
    await second.close()


async def _know(database: Database, *queues: str) -> None:
    async with database.write() as transaction:
        await streams.know(transaction, queues)


async def _advance(database: Database, read: dict[str, FactId]) -> None:
    async with database.write(replayable=True) as transaction:
        await streams.advance(transaction, read)


async def _positions(database: Database) -> dict[str, FactId]:
    async with database.read() as snapshot:
        return await streams.positions(snapshot)
