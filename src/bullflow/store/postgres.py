"""Connections to Postgres that notice by themselves when nobody is there any more.

A statement's time limit is kept by the server, and the kernel only finds out whether what was sent has
arrived. A server that is stopped, or behind a line that swallows, takes everything and says nothing, and
libpq would wait for it for ever. So whoever waits here looks now and then whether it has been silent
for too long; and a connection that was closed while nobody used it is found out before it is used.
"""

import select
import threading
from collections.abc import Generator
from time import monotonic
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import QueuePool

T = TypeVar("T")

CONNECT_SECONDS = 5
LOCK_SECONDS = 5
STATEMENT_SECONDS = 10
SILENCE_SECONDS = STATEMENT_SECONDS + 2
HURRY_SECONDS = 1
IDLE_SECONDS = 5
"""How long a transaction may do nothing. A process that is stopped in the middle of one holds its locks, the lease
among them, and nobody could take over."""


class Impatient(psycopg.Connection[Any]):
    """A connection that is given up when the server has been silent for `SILENCE_SECONDS`, sooner in a `hurry`."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._hurry = threading.Event()

    def wait(self, gen: Generator[Any, Any, T], *arguments: Any, **more: Any) -> T:
        try:
            return super().wait(self._until_silent(gen), *arguments, **more)
        except _SilentError:
            self.close()
            raise

    def _until_silent(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """What psycopg waits for; it sends a zero whenever nothing has come for a tenth of a second."""
        heard_at = monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    heard_at = monotonic()
                elif monotonic() - heard_at > (HURRY_SECONDS if self._hurry.is_set() else SILENCE_SECONDS):
                    raise _SilentError(f"no answer within {monotonic() - heard_at:.0f} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            value: T = end.value
            return value

    def hurry(self) -> None:
        """Nobody needs the answer any more; from any thread."""
        self._hurry.set()

    def rested(self) -> None:
        self._hurry.clear()

    def is_left(self) -> bool:
        """Whether the server has hung up: on a connection that nobody uses, it has nothing else to say."""
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return bool(poll.poll(0))


class _SilentError(psycopg.OperationalError):
    """The server takes what is sent and does not answer."""


def engine_of(url: URL, size: int, *, writes: bool) -> Engine:
    """SQLAlchemy's engine with so many connections of ours. Those that do not write begin no transaction themselves."""
    engine = create_engine(
        url,
        isolation_level="READ COMMITTED" if writes else "AUTOCOMMIT",
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        hide_parameters=True,
        connect_args=_arguments(writes=writes),
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, more: Any) -> Impatient:
        return Impatient.connect(*arguments, **more)

    @event.listens_for(engine, "checkout")
    def look(connection: Impatient, _record: Any, _proxy: Any) -> None:
        connection.rested()
        if connection.is_left():
            raise InvalidatePoolError

    return engine


def _arguments(*, writes: bool) -> dict[str, Any]:
    options = {
        "default_transaction_read_only": "off" if writes else "on",
        # Postgres keeps the plans of statements that come again, and of its own look-ups of keys. One that was made
        # while a table was small reads it whole, also when it has grown, until somebody has analyzed it. All that
        # is asked here is found by an index.
        "enable_seqscan": "off",
        "statement_timeout": f"{STATEMENT_SECONDS}s",
        "lock_timeout": f"{LOCK_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
    }
    return {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "bullflow",
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": SILENCE_SECONDS * 1000,
        "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
    }
