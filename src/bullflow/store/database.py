"""The door to the database: connections, transactions, and what to do when it is away.

SQLite and Postgres differ in three things, and all three are settled here:

* SQLite has one writer. All writes of a process go through one connection, and a transaction takes
  the write lock when it begins (`BEGIN IMMEDIATE`), so it never finds at its end that it was too
  late, and other processes wait their turn in `busy_timeout`. Whoever waits in vain fails, and with it
  all who have waited behind it: nobody waits for the sum of their times.
* Reads see one snapshot: a deferred transaction on SQLite (with WAL, readers never wait for the
  writer), `REPEATABLE READ` on Postgres. A read of one statement needs none.
* Long lists of ids are sent as one parameter (`sql`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from bullflow.errors import Misconfigured, StoreAway
from bullflow.store import postgres
from bullflow.store.threads import Threads
from bullflow.store.transaction import Look, Transaction
from bullflow.store.trouble import away

P = ParamSpec("P")
T = TypeVar("T")

Dialect = Literal["sqlite", "postgresql"]

_SNAPSHOT = {"sqlite": "BEGIN", "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ"}

READERS = 8
WRITERS = 8
BUSY_SECONDS = 5
PLACE_SECONDS = 20

# The cache of pages is small: a commit on another connection empties it, and `malloc` keeps its size for each thread.
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -4096",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA journal_size_limit = 67108864",
)


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
    """The store's connections. `read` and `write` give one transaction each; a write commits when its block ends.

    `look` is a read of one statement.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.dialect = dialect_of(url)
        writers = 1 if self.dialect == "sqlite" else WRITERS
        self._writer = self._engine(writers, writes=True)
        self._reader = self._engine(READERS, writes=False)
        # As many threads as connections: whoever has a place here never waits for a connection in a thread.
        self._threads = Threads(writers + READERS, "bullflow-store")
        self._may_write = asyncio.Semaphore(writers)
        self._may_read = asyncio.Semaphore(READERS)
        self._leaving: set[asyncio.Future[None]] = set()
        self._trouble: str | None = None
        self._trouble_at = 0.0

    def _engine(self, size: int, *, writes: bool) -> Engine:
        if self.dialect == "postgresql":
            return postgres.engine_of(driver_url(self.url), size, writes=writes)
        return self._sqlite(size, writes=writes)

    def _sqlite(self, size: int, *, writes: bool) -> Engine:
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
            for pragma in (f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}", *_PRAGMAS):
                cursor.execute(pragma)
            if not writes:
                cursor.execute("PRAGMA query_only = ON")
            cursor.close()

        return engine

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        """One snapshot of the store. It ends behind the back of whoever has read, who need not wait for that."""
        async with away():
            await _take_place(self._may_read)
            transaction = Transaction(self._reader, self._threads, _begin_snapshot)
            try:
                yield transaction
            except BaseException:
                await transaction.abandon()
                raise
            finally:
                self._leave(transaction)

    async def look(
        self, read: Callable[Concatenate[Transaction, P], Awaitable[T]], *rest: P.args, **more: P.kwargs
    ) -> T:
        """What `read(transaction, *rest, **more)` finds with one statement. It takes half the ways into a thread."""
        async with away(), _place(self._may_read):
            return await read(Look(self._reader, self._threads), *rest, **more)

    def _leave(self, transaction: Transaction) -> None:
        left = transaction.leave()
        if left is None:
            self._may_read.release()
            return
        self._leaving.add(left.answer)
        left.answer.add_done_callback(self._has_left)

    def _has_left(self, leaving: asyncio.Future[None]) -> None:
        self._leaving.discard(leaving)
        self._may_read.release()

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
        asked_at = monotonic()
        async with self._noting_trouble(), away(), _place(self._may_write):
            if self._trouble is not None and self._trouble_at > asked_at:
                # Whoever was first in line has waited in vain, and for as long as this one.
                raise StoreAway(self._trouble)
            transaction = Transaction(self._writer, self._threads, begin)
            try:
                yield transaction
                await transaction.commit()
            except BaseException:
                await transaction.abandon()
                raise

    @asynccontextmanager
    async def _noting_trouble(self) -> AsyncIterator[None]:
        try:
            yield
        except StoreAway as error:
            self._trouble, self._trouble_at = error.reason, monotonic()
            raise
        self._trouble = None

    @property
    def trouble(self) -> str | None:
        """Why the last write has failed, until one does not."""
        return self._trouble

    async def close(self) -> None:
        if self._leaving:
            await asyncio.wait(self._leaving)
        self._writer.dispose()
        self._reader.dispose()
        self._threads.close()


async def _take_place(places: asyncio.Semaphore) -> None:
    """Take one of the connections' places; StoreAway when none becomes free, so that requests do not pile up."""
    try:
        async with asyncio.timeout(PLACE_SECONDS):
            await places.acquire()
    except TimeoutError:
        raise StoreAway(f"all of its connections have been busy for {PLACE_SECONDS} s") from None


@asynccontextmanager
async def _place(places: asyncio.Semaphore) -> AsyncIterator[None]:
    await _take_place(places)
    try:
        yield
    finally:
        places.release()


def _begin_itself(_connection: Connection) -> None:
    """Postgres begins with the first statement."""


def _begin_snapshot(connection: Connection) -> None:
    connection.exec_driver_sql(_SNAPSHOT[connection.dialect.name])


def _begin_durable(connection: Connection) -> None:
    _begin_immediate(connection, "FULL")


def _begin_replayable(connection: Connection) -> None:
    _begin_immediate(connection, "NORMAL")


def _begin_immediate(connection: Connection, synchronous: str) -> None:
    if connection.info.get("synchronous") != synchronous:
        connection.exec_driver_sql(f"PRAGMA synchronous = {synchronous}")
        connection.info["synchronous"] = synchronous
    connection.exec_driver_sql("BEGIN IMMEDIATE")
