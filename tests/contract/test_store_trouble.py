"""A database that is locked, full, silent or started again: StoreAway within a bounded time, and then as before."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from time import monotonic
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import select, text

from bullflow.errors import StoreAway
from bullflow.store import database as database_module
from bullflow.store import leases, streams
from bullflow.store import postgres as postgres_module
from bullflow.store.database import Database
from bullflow.store.leases import RECORDER, Held
from bullflow.store.postgres import Impatient
from bullflow.store.transaction import Transaction
from support.eventually import eventually
from support.lines import Line, line
from support.locking import locked
from support.servers import PostgresServer, SqliteServer

SOON = 4.0
"""Seconds that are less than what a database may keep somebody waiting, and enough on a busy machine."""


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds, small enough for a test."""
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 1)
    monkeypatch.setattr(postgres_module, "LOCK_SECONDS", 1)
    monkeypatch.setattr(postgres_module, "IDLE_SECONDS", 1)
    monkeypatch.setattr(postgres_module, "SILENCE_SECONDS", 2)
    monkeypatch.setattr(postgres_module, "HURRY_SECONDS", 0.3)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    try:
        yield database
    finally:
        await database.close()


@pytest_asyncio.fixture
async def far(postgres: PostgresServer) -> AsyncIterator[Line]:
    """A line to a Postgres of the test's own."""
    async with line(postgres.new_database()) as cable:
        yield cable


async def know(database: Database, queue: str) -> None:
    async with database.write() as transaction:
        await streams.know(transaction, [queue])


async def known(database: Database) -> list[str]:
    async with database.read() as snapshot:
        return sorted(await streams.positions(snapshot))


async def again(database: Database, queue: str) -> None:
    """Write, however often it takes."""

    async def done() -> bool:
        with suppress(StoreAway):
            await know(database, queue)
            return True
        return False

    await eventually(done)


async def assert_away(act: Awaitable[Any], words: str, *, within: float = SOON) -> None:
    begun = monotonic()
    with pytest.raises(StoreAway, match=words):
        await act
    assert monotonic() - begun < within


# --- locked -----------------------------------------------------------------------------------------------


async def test_a_database_that_somebody_keeps_locked_is_away_in_plain_words_and_nobody_waits_for_the_sum(
    store_url: str,
) -> None:
    async with opened(store_url) as database:
        async with locked(store_url, "stream_positions"):
            writes = [assert_away(know(database, f"queue-{n}"), "somebody else keeps it locked") for n in range(20)]
            await asyncio.gather(*writes)
            assert await known(database) == []

        await know(database, "video")
        assert await known(database) == ["video"]
        assert database.trouble is None


# --- full -------------------------------------------------------------------------------------------------


async def test_a_full_sqlite_is_away_can_be_read_and_is_written_again_when_there_is_room(sqlite: SqliteServer) -> None:
    async with opened(sqlite.new_database()) as database:
        await know(database, "video")
        async with database.write() as transaction:
            pages = await transaction.scalar(text("PRAGMA page_count"))
            await transaction.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        await assert_away(fill(database), "no room left")
        await assert_away(fill(database), "no room left")

        assert await known(database) == ["video"]
        async with database.write() as transaction:
            await transaction.exec_driver_sql("PRAGMA max_page_count = 100000")
        await fill(database)
        assert len(await known(database)) == 5_001


async def fill(database: Database) -> None:
    async with database.write() as transaction:
        await streams.know(transaction, [f"{'queue' * 20}-{n}" for n in range(5_000)])


# --- silent -----------------------------------------------------------------------------------------------


async def test_a_postgres_that_says_nothing_more_is_given_up_and_used_again_when_it_speaks(far: Line) -> None:
    async with opened(far.url) as database:
        await know(database, "video")
        await known(database)

        far.freeze()
        await assert_away(know(database, "never"), "no answer")
        # The connection of the last read may be on its way back still; dialling for another takes five seconds.
        await assert_away(known(database), "no answer|timeout expired", within=8)

        far.heal()
        await again(database, "audio")
        assert await known(database) == ["audio", "video"]


async def test_whoever_is_cancelled_while_postgres_says_nothing_has_not_to_wait_for_it(
    far: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "SILENCE_SECONDS", 60)
    async with opened(far.url) as database:
        await know(database, "video")

        far.freeze()
        begun = monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await know(database, "never")
        assert monotonic() - begun < SOON

        far.heal()
        await again(database, "audio")
        assert await known(database) == ["audio", "video"]


async def test_a_line_that_was_cut_is_found_out_before_the_connection_is_used(far: Line) -> None:
    async with opened(far.url) as database:
        await know(database, "video")
        await known(database)
        await far.cut()
        await assert_away(know(database, "never"), "connection")

        far.heal()

        assert await known(database) == ["video"]
        await know(database, "audio")


async def test_connections_that_the_server_has_ended_meanwhile_cost_nobody_an_error(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    async with opened(url) as database:
        await know(database, "video")
        await known(database)
        with psycopg.connect(url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'bullflow'"
            )

        assert await known(database) == ["video"]
        await know(database, "audio")


async def test_a_postgres_without_a_free_connection_is_away(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
        other.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO crowded")
    async with opened(url.replace("postgres:@", "crowded:@")) as database:
        await assert_away(know(database, "never"), "too many connections")
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("ALTER ROLE crowded CONNECTION LIMIT -1")
        await know(database, "video")
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("REASSIGN OWNED BY crowded TO postgres")
            other.execute("DROP OWNED BY crowded")
            other.execute("DROP ROLE crowded")


# --- stopped in the middle --------------------------------------------------------------------------------


async def test_whoever_stops_in_the_middle_of_a_transaction_does_not_keep_its_rows_locked(
    postgres: PostgresServer,
) -> None:
    url = postgres.new_database()

    async def stop_in_the_middle() -> None:
        async with opened(url) as first, opened(url) as second, first.write() as transaction:
            await streams.know(transaction, ["video"])
            await again(second, "video")
            assert await known(second) == ["video"]
            await streams.know(transaction, ["never"])

    with pytest.raises(StoreAway):
        await stop_in_the_middle()


async def between_statements(transaction: Transaction) -> None:
    await transaction.execute(select(1))


async def copy_begun(transaction: Transaction) -> None:
    """In the middle of a COPY, for which Postgres has no time limit: the rest of it never comes."""

    def begin() -> None:
        driver = transaction._connection().connection.driver_connection
        assert isinstance(driver, Impatient)
        driver.pgconn.send_query(b"COPY stream_positions FROM STDIN")

    await transaction._in_thread(begin)


@pytest.mark.parametrize("where", [between_statements, copy_begun])
async def test_whoever_stops_in_the_middle_of_a_transaction_does_not_keep_the_lease(
    postgres: PostgresServer, where: Callable[[Transaction], Awaitable[None]]
) -> None:
    """As a process does that is stopped with SIGSTOP, or whose machine is."""
    url = postgres.new_database()
    term = timedelta(milliseconds=1)
    async with opened(url) as first, opened(url) as second:
        async with first.write() as transaction:
            held = await leases.acquire(transaction, RECORDER, "first", 0, term)
        assert held is not None

        async def taken_over() -> Held | None:
            with suppress(StoreAway):
                async with second.write() as transaction:
                    return await leases.acquire(transaction, RECORDER, "second", 10_000, term)
            return None

        async def stop_in_the_middle() -> None:
            async with first.write() as transaction:
                leases.hold(transaction, held, 0, term)
                await where(transaction)
                taken = await eventually(taken_over, within=9)
                assert taken.token > held.token
                leases.hold(transaction, held, 0, term)

        with pytest.raises(StoreAway):
            await stop_in_the_middle()
