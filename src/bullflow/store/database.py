"""The door to the database: connections, transactions, and what to do when it is away.

SQLite and Postgres differ in three things, and all three are settled here:

* SQLite has one writer. All writes of a process go through one connection, and a transaction takes
  the write lock when it begins (`BEGIN IMMEDIATE`), so it never finds at its end that it was too
  late, and other processes wait their turn in `busy_timeout` instead of showing `database is locked`.
* Reads see one snapshot: a deferred transaction on SQLite (with WAL, readers never wait for the
  writer), `REPEATABLE READ` on Postgres.
* Long lists of ids are sent as one parameter (`sql`).
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Literal

from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    event,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from bullflow.errors import Misconfigured, StoreAway
from bullflow.store.transaction import Transaction

Dialect = Literal["sqlite", "postgresql"]

READERS = 8
WRITERS = 8
BUSY_SECONDS = 20
STATEMENT_SECONDS = 30
PLACE_SECONDS = 20

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -16384",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA journal_size_limit = 67108864",
)


# A connection that died without a word is found within half a minute, and no statement of ours takes longer than that.
_POSTGRES = {
    "connect_timeout": 5,
    "application_name": "bullflow",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "options": f"-c statement_timeout={STATEMENT_SECONDS * 1000} -c idle_in_transaction_session_timeout=60000",
}


def dialect_of(url: str) -> Dialect:
    return "sqlite" if url.startswith("sqlite:") else "postgresql"


def driver_url(url: str) -> URL:
    """SQLAlchemy's form of a plain `sqlite:///…` or libpq `postgresql://…` url."""
    if dialect_of(url) == "sqlite":
        return make_url(url).set(drivername="sqlite")
    try:
        plain = make_url(_with_host(url))
    except ArgumentError as error:
        raise Misconfigured(f"the database url cannot be read: {error}") from None
    return plain.set(drivername="postgresql+psycopg")


def _with_host(url: str) -> str:
    """libpq allows an empty host in front of `?host=/socket`; SQLAlchemy's parser does not want the colon."""
    head, mark, rest = url.partition("://")
    return f"postgresql{mark}{rest.replace(':@', '@', 1)}" if head else url


class Database:
    """The store's connections. `read` and `write` give one transaction each; a write commits when its block ends."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.dialect = dialect_of(url)
        writers = 1 if self.dialect == "sqlite" else WRITERS
        self._writer = self._engine(writers, "READ COMMITTED")
        self._reader = self._engine(READERS, "REPEATABLE READ")
        # As many threads as connections: whoever has a place here never waits for a connection in a thread.
        self._threads = ThreadPoolExecutor(writers + READERS, thread_name_prefix="bullflow-store")
        self._may_write = asyncio.Semaphore(writers)
        self._may_read = asyncio.Semaphore(READERS)

    def _engine(self, size: int, isolation: Literal["READ COMMITTED", "REPEATABLE READ"]) -> Engine:
        return self._sqlite(size) if self.dialect == "sqlite" else self._postgres(size, isolation)

    def _sqlite(self, size: int) -> Engine:
        engine = create_engine(
            driver_url(self.url),
            isolation_level="AUTOCOMMIT",
            poolclass=QueuePool,
            pool_size=size,
            max_overflow=0,
            hide_parameters=True,
            connect_args={"check_same_thread": False, "cached_statements": 512},
        )

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            for pragma in _PRAGMAS:
                cursor.execute(pragma)
            cursor.close()

        return engine

    def _postgres(self, size: int, isolation: Literal["READ COMMITTED", "REPEATABLE READ"]) -> Engine:
        return create_engine(
            driver_url(self.url),
            isolation_level=isolation,
            poolclass=QueuePool,
            pool_size=size,
            max_overflow=0,
            hide_parameters=True,
            connect_args=_POSTGRES,
        )

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        """One snapshot of the store."""
        begin = _begin_snapshot if self.dialect == "sqlite" else _begin_itself
        async with _away(), _place(self._may_read):
            transaction = Transaction(self._reader, self._threads, begin)
            try:
                yield transaction
            except BaseException:
                await transaction.abandon()
                raise
            await transaction.end(commit=False)

    @asynccontextmanager
    async def write(self, *, replayable: bool = False) -> AsyncIterator[Transaction]:
        """One transaction: all of the block is kept, or nothing.

        It is on the disk when the block ends. One that is `replayable` (the recorder's: what it writes stands in the
        engine's streams as well) is kept whole through any crash of a process, but SQLite may put it on the disk a
        moment later; after a power cut it is read from the stream again.
        """
        begin: Callable[[Connection], None] = _begin_itself
        if self.dialect == "sqlite":
            begin = _begin_replayable if replayable else _begin_durable
        async with _away(), _place(self._may_write):
            transaction = Transaction(self._writer, self._threads, begin)
            try:
                yield transaction
            except BaseException:
                await transaction.abandon()
                raise
            await transaction.end(commit=True)

    async def close(self) -> None:
        self._writer.dispose()
        self._reader.dispose()
        self._threads.shutdown(wait=False)


@asynccontextmanager
async def _place(places: asyncio.Semaphore) -> AsyncIterator[None]:
    """One of the connections' places; StoreAway when none becomes free, so that requests do not pile up."""
    try:
        async with asyncio.timeout(PLACE_SECONDS):
            await places.acquire()
    except TimeoutError:
        raise StoreAway(f"all of its connections have been busy for {PLACE_SECONDS} s") from None
    try:
        yield
    finally:
        places.release()


def _begin_itself(_connection: Connection) -> None:
    """Postgres begins with the first statement."""


def _begin_snapshot(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _begin_durable(connection: Connection) -> None:
    _begin_immediate(connection, "FULL")


def _begin_replayable(connection: Connection) -> None:
    _begin_immediate(connection, "NORMAL")


def _begin_immediate(connection: Connection, synchronous: str) -> None:
    if connection.info.get("synchronous") != synchronous:
        connection.exec_driver_sql(f"PRAGMA synchronous = {synchronous}")
        connection.info["synchronous"] = synchronous
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@asynccontextmanager
async def _away() -> AsyncIterator[None]:
    """A database that cannot be reached, is locked or shuts down is StoreAway; all other errors are faults of ours."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        if is_wrong(error):
            raise
        raise StoreAway(getattr(error, "orig", None) or error) from error
    except DBAPIError as error:
        if error.connection_invalidated or _will_pass(error):
            raise StoreAway(error.orig or error) from error
        raise
    except OSError as error:
        raise StoreAway(error) from error


def _will_pass(error: DBAPIError) -> bool:
    """Postgres is read-only for now, out of something, shutting down, or cannot be talked to."""
    state = getattr(error.orig, "sqlstate", None) or ""
    return state == "25006" or state.startswith(("08", "53", "57P0"))


def is_wrong(error: Exception) -> bool:
    """SQLite's driver calls a wrong statement operational as well; its code tells."""
    return getattr(getattr(error, "orig", None), "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
