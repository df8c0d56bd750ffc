"""Transactions: whole or not at all, one snapshot to read, waiting in the queue to write."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bullflow.errors import StoreAway
from bullflow.store import streams
from bullflow.store.database import READERS, Database
from bullflow.store.transaction import Transaction
from support.servers import SqliteServer

LONG = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999999) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(0.5)",
}


class OnPurposeError(Exception):
    pass


async def test_a_write_is_kept_when_its_block_ends(database: Database) -> None:
    async with database.write() as transaction:
        await streams.know(transaction, ["video"])

    assert await _queues(database) == ["video"]


async def test_a_write_whose_block_raises_leaves_nothing(database: Database) -> None:
    with pytest.raises(OnPurposeError):
        await _know_and_fail(database, "video")

    assert await _queues(database) == []


async def test_after_a_write_that_failed_the_next_one_is_clean(database: Database) -> None:
    with pytest.raises(OnPurposeError):
        await _know_and_fail(database, "video")

    async with database.write() as transaction:
        await streams.know(transaction, ["audio"])

    assert await _queues(database) == ["audio"]


async def test_a_way_back_that_fails_hides_not_why_it_was_taken(database: Database) -> None:
    async def go_back_twice() -> None:
        async with database.write() as transaction:
            await streams.know(transaction, ["video"])
            await transaction.exec_driver_sql("ROLLBACK")  # as SQLite does by itself when the disk is full
            raise OnPurposeError

    with pytest.raises(OnPurposeError):
        await go_back_twice()

    async with database.write() as transaction:
        await streams.know(transaction, ["audio"])
    assert await _queues(database) == ["audio"]


async def test_a_write_that_is_cancelled_in_a_statement_leaves_nothing_and_no_lock(database: Database) -> None:
    begun = asyncio.Event()

    async def slow() -> None:
        async with database.write() as transaction:
            await streams.know(transaction, ["video"])
            begun.set()
            await transaction.execute(text(LONG[database.dialect]))

    writing = asyncio.create_task(slow())
    await begun.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await writing

    async with database.write() as transaction:
        await streams.know(transaction, ["audio"])
    assert await _queues(database) == ["audio"]
    assert cancelled.tb, "the trace holds the open statement, as that of a task in a group does"


async def test_a_read_that_is_cancelled_in_a_statement_is_only_cancelled(database: Database) -> None:
    begun = asyncio.Event()

    async def slow() -> None:
        async with database.read() as snapshot:
            await snapshot.execute(text("SELECT 1"))
            begun.set()
            await snapshot.execute(text(LONG[database.dialect]))

    reading = asyncio.create_task(slow())
    await begun.wait()
    reading.cancel()

    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await _queues(database) == []


async def test_a_read_sees_one_moment(database: Database) -> None:
    # They use the same connections.
    await asyncio.gather(*(database.look(streams.positions) for _ in range(READERS)))

    async with database.read() as snapshot:
        before = await streams.positions(snapshot)
        async with database.write() as transaction:
            await streams.know(transaction, ["video"])
        after = await streams.positions(snapshot)

    assert before == after == {}
    assert await _queues(database) == ["video"]


async def test_a_look_sees_what_was_committed_before_it(database: Database) -> None:
    before = await database.look(streams.positions)
    async with database.write() as transaction:
        await streams.know(transaction, ["video"])
    after = await database.look(streams.positions)

    assert (list(before), list(after)) == ([], ["video"])


async def test_a_look_asks_only_once(database: Database) -> None:
    async def twice(transaction: Transaction) -> None:
        await streams.positions(transaction)
        await streams.positions(transaction)

    with pytest.raises(RuntimeError, match="over"):
        await database.look(twice)


async def test_what_reads_cannot_write(database: Database) -> None:
    async def know(transaction: Transaction) -> None:
        await streams.know(transaction, ["video"])

    with pytest.raises(StoreAway, match="only be read"):
        await database.look(know)
    with pytest.raises(StoreAway, match="only be read"):
        async with database.read() as snapshot:
            await know(snapshot)

    assert await _queues(database) == []


async def test_more_looks_than_connections_all_give_theirs_back_also_when_they_fail(database: Database) -> None:
    async def fail(transaction: Transaction) -> None:
        await transaction.execute(text("SELECT nothing"))

    looks = [database.look(streams.positions if number % 2 else fail) for number in range(8 * READERS)]
    found = await asyncio.gather(*looks, return_exceptions=True)

    assert [isinstance(each, DBAPIError) for each in found] == [number % 2 == 0 for number in range(8 * READERS)]
    assert await _queues(database) == []


async def test_a_look_that_is_cancelled_gives_its_connection_back(database: Database) -> None:
    async def slow(transaction: Transaction) -> None:
        await transaction.execute(text(LONG[database.dialect]))

    looking = [asyncio.create_task(database.look(slow)) for _ in range(READERS)]
    await asyncio.sleep(0)
    for look in looking:
        look.cancel()
    await asyncio.wait(looking)

    assert all(look.cancelled() for look in looking)
    assert await _queues(database) == []


async def test_what_is_not_yet_committed_is_seen_by_nobody_else(database: Database) -> None:
    async with database.write() as transaction:
        await streams.know(transaction, ["video"])

        assert await _queues(database) == []


@pytest.mark.parametrize("replayable", [True, False])
async def test_what_was_written_is_there_for_the_next_process(store_url: str, replayable: bool) -> None:
    first, second = Database(store_url), Database(store_url)
    async with first.write(replayable=replayable) as transaction:
        await streams.know(transaction, ["video"])
    await first.close()

    assert await _queues(second) == ["video"]
    await second.close()


async def test_replayable_writes_do_not_loosen_the_others(sqlite: SqliteServer) -> None:
    database = Database(sqlite.new_database())

    levels = [await _synchronous(database, replayable=replayable) for replayable in (False, True, False, True)]

    normal, full = 1, 2
    assert levels == [full, normal, full, normal]
    await database.close()


async def test_many_writers_of_two_processes_all_get_their_turn(store_url: str) -> None:
    first, second = Database(store_url), Database(store_url)

    async def write(database: Database, number: int) -> None:
        async with database.write() as transaction:
            await streams.know(transaction, [f"queue-{number:02}"])

    async with asyncio.TaskGroup() as tasks:
        for number in range(40):
            tasks.create_task(write(first if number % 2 else second, number))

    assert len(await _queues(first)) == 40
    await first.close()
    await second.close()


async def test_a_writer_waits_while_another_process_holds_the_lock_of_sqlite(sqlite: SqliteServer) -> None:
    url = sqlite.new_database()
    database = Database(url)

    async def write() -> None:
        async with database.write() as transaction:
            await streams.know(transaction, ["ours"])

    async with _lock_held_elsewhere(url) as let_go:
        writing = asyncio.create_task(write())
        done, _ = await asyncio.wait({writing}, timeout=0.2)
        assert not done
        let_go.set()
        await writing

    assert await _queues(database) == ["ours", "theirs"]
    await database.close()


async def _know_and_fail(database: Database, queue: str) -> None:
    async with database.write() as transaction:
        await streams.know(transaction, [queue])
        raise OnPurposeError


async def _queues(database: Database) -> list[str]:
    async with database.read() as snapshot:
        return sorted(await streams.positions(snapshot))


async def _synchronous(database: Database, *, replayable: bool) -> int:
    async with database.write(replayable=replayable) as transaction:
        return await transaction.scalar(text("PRAGMA synchronous")) or 0


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("INSERT INTO stream_positions VALUES ('theirs', '0-0')")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""


@asynccontextmanager
async def _lock_held_elsewhere(url: str) -> AsyncIterator[asyncio.Event]:
    """Another process with the write lock, until the event is set."""
    path = url.removeprefix("sqlite:///")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, path, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"held\n"
    let_go = asyncio.Event()

    async def obey() -> None:
        await let_go.wait()
        await process.communicate(b"\n")

    obeying = asyncio.create_task(obey())
    try:
        yield let_go
    finally:
        let_go.set()
        await obeying
