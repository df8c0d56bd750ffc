"""The door to the database: connections, transactions, and what to do when it is away.

SQLite and Postgres differ in three things, and all three are settled here:

* SQLite has one writer. All writes of a process go through one connection, and a transaction takes
  the write lock when it begins (`BEGIN IMMEDIATE`), so it never finds at its end that it was too
  late, and other processes wait their turn in `busy_timeout` instead of showing `database is locked`.
* Reads see one snapshot: a deferred transaction on SQLite (with WAL, readers never wait for the
  writer), `REPEATABLE READ` on Postgres.
* Long lists of ids are sent as one parameter, so that statements stay few and are prepared once.
"""

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import orjson
from sqlalchemy import (
    JSON,
    ColumnElement,
    Integer,
    Subquery,
    Text,
    any_,
    bindparam,
    cast,
    column,
    event,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.orm import InstrumentedAttribute

from bullflow.errors import Misconfigured, StoreAway

Dialect = Literal["sqlite", "postgresql"]

READERS = 8
WRITERS = 8
BUSY_SECONDS = 20

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -65536",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA journal_size_limit = 67108864",
)


def dialect_of(url: str) -> Dialect:
    return "sqlite" if url.startswith("sqlite:") else "postgresql"


def driver_url(url: str, *, sync: bool = False) -> URL:
    """SQLAlchemy's form of a plain `sqlite:///…` or libpq `postgresql://…` url."""
    if dialect_of(url) == "sqlite":
        return make_url(url).set(drivername="sqlite" if sync else "sqlite+aiosqlite")
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
        if self.dialect == "sqlite":
            self._writer = self._sqlite(1)
            self._reader = self._sqlite(READERS)
        else:
            self._writer = self._postgres(WRITERS, "READ COMMITTED")
            self._reader = self._postgres(READERS, "REPEATABLE READ")

    def _sqlite(self, size: int) -> AsyncEngine:
        engine = create_async_engine(
            driver_url(self.url),
            isolation_level="AUTOCOMMIT",
            pool_size=size,
            max_overflow=0,
            pool_timeout=BUSY_SECONDS,
        )

        @event.listens_for(engine.sync_engine, "connect")
        def prepare(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            for pragma in _PRAGMAS:
                cursor.execute(pragma)
            cursor.close()

        @event.listens_for(engine.sync_engine, "invalidate")
        def let_go(connection: Any, _record: Any, _error: BaseException | None) -> None:
            # Whoever is cancelled in the middle of a statement loses the connection. Closing it is not enough:
            # SQLite keeps the transaction, and with it the write lock, as long as a statement is open.
            connection.rollback()

        return engine

    def _postgres(self, size: int, isolation: Literal["READ COMMITTED", "REPEATABLE READ"]) -> AsyncEngine:
        return create_async_engine(
            driver_url(self.url),
            isolation_level=isolation,
            pool_size=size,
            max_overflow=0,
            pool_timeout=BUSY_SECONDS,
            pool_pre_ping=False,
            connect_args={"connect_timeout": 5, "application_name": "bullflow"},
        )

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One snapshot of the store."""
        async with _away(), self._reader.connect() as connection:
            if self.dialect == "sqlite":
                await connection.exec_driver_sql("BEGIN")
                try:
                    yield connection
                finally:
                    await _roll_back(connection)
            else:
                yield connection

    @asynccontextmanager
    async def write(self, *, replayable: bool = False) -> AsyncIterator[AsyncConnection]:
        """One transaction: all of the block is kept, or nothing.

        It is on the disk when the block ends. One that is `replayable` (the recorder's: what it writes stands in the
        engine's streams as well) is kept whole through any crash of a process, but SQLite may put it on the disk a
        moment later; after a power cut it is read from the stream again.
        """
        async with _away(), self._writer.connect() as connection:
            if self.dialect == "sqlite":
                await self._sync(connection, "NORMAL" if replayable else "FULL")
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    await _roll_back(connection)
                    raise
                await connection.exec_driver_sql("COMMIT")
            else:
                async with connection.begin():
                    yield connection

    async def _sync(self, connection: AsyncConnection, mode: str) -> None:
        if connection.info.get("synchronous") != mode:
            await connection.exec_driver_sql(f"PRAGMA synchronous = {mode}")
            connection.info["synchronous"] = mode

    async def close(self) -> None:
        await self._writer.dispose()
        await self._reader.dispose()


async def _roll_back(connection: AsyncConnection) -> None:
    """End SQLite's transaction; when a statement was cancelled, it has ended with its connection."""
    if not connection.invalidated:
        await connection.exec_driver_sql("ROLLBACK")


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
        if error.connection_invalidated:
            raise StoreAway(error.orig or error) from error
        raise
    except OSError as error:
        raise StoreAway(error) from error


def is_wrong(error: Exception) -> bool:
    """SQLite's driver calls a wrong statement operational as well; its code tells."""
    return getattr(getattr(error, "orig", None), "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR


def one_of(
    connection: AsyncConnection, attribute: InstrumentedAttribute[Any] | ColumnElement[Any], values: Sequence[str]
) -> ColumnElement[bool]:
    """`attribute IN values`, with all values in one parameter."""
    if connection.dialect.name == "sqlite":
        each = func.json_each(bindparam(None, orjson.dumps(values).decode())).table_valued(column("value", Text))
        return attribute.in_(select(each.c.value))
    return attribute == any_(bindparam(None, list(values), type_=ARRAY(Text)))


def each_number(connection: AsyncConnection, numbers: Mapping[str, int]) -> Subquery:
    """A table with the columns `key` and `number`, sent as one parameter."""
    text = bindparam(None, orjson.dumps(dict(numbers)).decode(), type_=Text)
    if connection.dialect.name == "sqlite":
        each = func.json_each(text).table_valued(column("key", Text), column("value", Integer))
    else:
        each = func.json_each_text(cast(text, JSON)).table_valued(column("key", Text), column("value", Text))
    return select(each.c.key, cast(each.c.value, Integer).label("number")).subquery("each_number")
