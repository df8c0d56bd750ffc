"""A transaction whose statements run in threads.

`docs/decisions/0009-statements-in-threads.md` says why.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, CursorResult, Engine, Executable, ScalarResult
from sqlalchemy.exc import InvalidRequestError

from bullflow.store.postgres import Impatient
from bullflow.store.threads import Threads, Work

T = TypeVar("T")
_Parameters = Sequence[Mapping[str, Any]] | Mapping[str, Any] | None


class Transaction:
    """One transaction. Each statement runs whole in a thread, from compiling it to fetching its rows.

    The connection is taken, and the transaction begun, in the thread of its first statement. Each way into a thread and
    back costs more than most statements, so several that belong together go there as one piece of work (`run`), and
    those whose answers nobody wants are put off (`later`) and go along with the next one, or with the commit.
    """

    def __init__(self, engine: Engine, threads: Threads, begin: Callable[[Connection], None]) -> None:
        self.dialect = engine.dialect
        self._engine = engine
        self._threads = threads
        self._begin = begin
        self._open: Connection | None = None
        self._put_off: deque[Callable[[Connection], object]] = deque()

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do this whole in a thread, however many statements it takes. It leaves nothing to be fetched."""
        return await self._in_thread(lambda: work(self._connection()))

    def later(self, work: Callable[[Connection], object]) -> None:
        """Do this before whatever is asked next, or before the commit, which then raises what this raises."""
        self._put_off.append(work)

    async def execute(self, statement: Executable, parameters: _Parameters = None) -> CursorResult[Any]:
        """The statement's result, with all of its rows."""
        return await self.run(lambda connection: _whole(connection.execute(statement, parameters)))

    async def scalars(self, statement: Executable) -> ScalarResult[Any]:
        return (await self.execute(statement)).scalars()

    async def scalar(self, statement: Executable) -> Any:
        return (await self.execute(statement)).scalar()

    async def exec_driver_sql(self, statement: str, parameters: Any = None) -> CursorResult[Any]:
        """A statement in the driver's own words."""
        return await self.run(lambda connection: _whole(connection.exec_driver_sql(statement, parameters)))

    async def commit(self) -> None:
        """Keep what was written, and give the connection back."""
        if self._open is not None or self._put_off:
            await self._in_thread(lambda: self._end(self._connection(), commit=True))

    async def roll_back(self) -> None:
        """Keep nothing, and give the connection back."""
        self._put_off.clear()
        connection = self._open
        if connection is not None:
            await self._in_thread(lambda: self._end(connection, commit=False))

    def leave(self) -> Work[None] | None:
        """Keep nothing, and wait for nobody; what is returned, if anything, is over when the connection is back."""
        self._put_off.clear()
        connection = self._open
        return None if connection is None else self._threads.start(partial(self._leave, connection))

    def _leave(self, connection: Connection) -> None:
        with suppress(Exception):  # whoever has read what they wanted need not know; the pool looks at what it gets
            self._end(connection, commit=False)

    async def abandon(self) -> None:
        """Keep nothing. Why it ended is told, not that the way back failed too (SQLite goes it alone when full)."""
        with suppress(Exception):
            await self.roll_back()

    def _connection(self) -> Connection:
        """In a thread: the connection, on which all has been done that was put off."""
        connection = self._begun()
        while self._put_off:
            self._put_off.popleft()(connection)
        return connection

    def _begun(self) -> Connection:
        if self._open is None:
            connection = self._engine.connect()
            try:
                self._begin(connection)
            except BaseException:
                connection.close()
                raise
            self._open = connection
        return self._open

    def _end(self, connection: Connection, *, commit: bool) -> None:
        self._open = None
        with connection:
            if self.dialect.name != "sqlite":
                (connection.commit if commit else connection.rollback)()
            elif not connection.invalidated:
                connection.exec_driver_sql("COMMIT" if commit else "ROLLBACK")

    async def _in_thread(self, work: Callable[[], T]) -> T:
        doing = self._threads.start(work)
        try:
            return await doing.answer
        except asyncio.CancelledError:
            # Nobody else may touch the connection before the thread has let it go.
            self._hurry()
            await doing.over()
            raise

    def _hurry(self) -> None:
        connection = self._open
        if connection is not None and self.dialect.name != "sqlite":
            # Its thread may just have closed it, or found it broken.
            with suppress(InvalidRequestError, AttributeError):
                cast("Impatient", connection.connection.driver_connection).hurry()


class Look(Transaction):
    """One piece of work that needs no other: one way into a thread takes the connection, uses it and gives it back."""

    def __init__(self, engine: Engine, threads: Threads) -> None:
        super().__init__(engine, threads, lambda _connection: None)
        self._is_over = False

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do this, and nothing after it: what would come then is not seen in the same snapshot."""
        if self._is_over:
            raise RuntimeError("a look is over with what it has asked first")
        self._is_over = True
        return await self._in_thread(lambda: self._all_of(work))

    def _all_of(self, work: Callable[[Connection], T]) -> T:
        connection = self._begun()
        try:
            return work(connection)
        finally:
            self._open = None
            with suppress(Exception):  # as in `_leave`
                connection.close()


def _whole(result: CursorResult[Any]) -> CursorResult[Any]:
    return cast("CursorResult[Any]", result.freeze()()) if result.returns_rows else result
