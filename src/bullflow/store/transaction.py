"""A transaction whose statements run in threads.

`docs/decisions/0009-statements-in-threads.md` says why.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar, cast

import psycopg
from psycopg import sql
from sqlalchemy import Connection, CursorResult, Engine, Executable, ScalarResult
from sqlalchemy.exc import DBAPIError, InvalidRequestError

from bullflow.store.postgres import Impatient

T = TypeVar("T")
_Parameters = Sequence[Mapping[str, Any]] | Mapping[str, Any] | None


class Transaction:
    """One transaction. Each statement runs whole in a thread, from compiling it to fetching its rows.

    The connection is taken, and the transaction begun, in the thread of its first statement.
    """

    def __init__(self, engine: Engine, threads: ThreadPoolExecutor, begin: Callable[[Connection], None]) -> None:
        self.dialect = engine.dialect
        self._engine = engine
        self._threads = threads
        self._begin = begin
        self._open: Connection | None = None

    async def execute(self, statement: Executable, parameters: _Parameters = None) -> CursorResult[Any]:
        """The statement's result, with all of its rows."""
        return await self._in_thread(lambda: _whole(self._connection().execute(statement, parameters)))

    async def scalars(self, statement: Executable) -> ScalarResult[Any]:
        return (await self.execute(statement)).scalars()

    async def scalar(self, statement: Executable) -> Any:
        return (await self.execute(statement)).scalar()

    async def exec_driver_sql(self, statement: str, parameters: Any = None) -> CursorResult[Any]:
        """A statement in the driver's own words."""
        return await self._in_thread(lambda: _whole(self._connection().exec_driver_sql(statement, parameters)))

    async def copy(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows with Postgres's COPY."""
        await self._in_thread(lambda: _copy(self._connection(), table, columns, rows))

    async def end(self, *, commit: bool) -> None:
        """Keep what was written, or nothing, and give the connection back."""
        if self._open is not None:
            await self._in_thread(lambda: self._end(commit=commit))

    async def abandon(self) -> None:
        """Keep nothing. Why it ended is told, not that the way back failed too (SQLite goes it alone when full)."""
        with suppress(Exception):
            await self.end(commit=False)

    def _connection(self) -> Connection:
        if self._open is None:
            connection = self._engine.connect()
            try:
                self._begin(connection)
            except BaseException:
                connection.close()
                raise
            self._open = connection
        return self._open

    def _end(self, *, commit: bool) -> None:
        assert self._open is not None  # noqa: S101 - `end` has looked
        connection, self._open = self._open, None
        with connection:
            if self.dialect.name != "sqlite":
                (connection.commit if commit else connection.rollback)()
            elif not connection.invalidated:
                connection.exec_driver_sql("COMMIT" if commit else "ROLLBACK")

    async def _in_thread(self, work: Callable[[], T]) -> T:
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            # Nobody else may touch the connection before the thread has let it go.
            self._hurry()
            while not running.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({running})
            raise

    def _hurry(self) -> None:
        connection = self._open
        if connection is not None and self.dialect.name != "sqlite":
            with suppress(InvalidRequestError):  # its thread has just closed it, or found it broken
                cast("Impatient", connection.connection.driver_connection).hurry()


def _copy(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    if not connection.in_transaction():
        connection.begin()  # SQLAlchemy does not see what goes by it, and would have nothing to commit
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    into = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    try:
        with driver.cursor().copy(into) as sink:
            for row in rows:
                sink.write_row(row)
    except psycopg.Error as error:
        raise DBAPIError.instance(None, None, error, psycopg.Error, connection_invalidated=driver.broken) from error


def _whole(result: CursorResult[Any]) -> CursorResult[Any]:
    return cast("CursorResult[Any]", result.freeze()()) if result.returns_rows else result
