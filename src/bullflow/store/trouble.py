"""What a database's errors mean: it is away for now, or we have asked for something wrong."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bullflow.errors import StoreAway

_LOCKED = "somebody else keeps it locked"
_SQLITE = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_FULL: "there is no room left for it on its disk",
    sqlite3.SQLITE_IOERR: "its disk takes nothing, or is full",
    sqlite3.SQLITE_READONLY: "it may only be read",
    sqlite3.SQLITE_CANTOPEN: "its file cannot be opened; its folder must be there, and writable",
}
_POSTGRES = {
    "25006": "it may only be read for now",
    "25P03": "a transaction was left alone for too long",
    "53100": "there is no room left for it on its disk",
    "53300": "all of its connections are taken by others",
    "55P03": _LOCKED,
    "57014": "a statement took too long",
}


@asynccontextmanager
async def away() -> AsyncIterator[None]:
    """A database that cannot be reached, is locked or shuts down is StoreAway; all other errors are faults of ours."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        if is_wrong(error):
            raise
        raise store_away(error) from error
    except DBAPIError as error:
        if error.connection_invalidated or _will_pass(error):
            raise store_away(error) from error
        raise
    except OSError as error:
        raise StoreAway(error) from error


def store_away(error: Exception) -> StoreAway:
    """The error of ours, in words that help whoever did not ask for SQLite or Postgres."""
    original = getattr(error, "orig", None) or error
    code = getattr(original, "sqlite_errorcode", None)
    words = _POSTGRES.get(_state(original)) if code is None else _SQLITE.get(code & 0xFF)
    return StoreAway(words or original)


def is_wrong(error: Exception) -> bool:
    """SQLite's driver calls a wrong statement operational as well; its code tells."""
    return getattr(getattr(error, "orig", None), "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR


def _will_pass(error: DBAPIError) -> bool:
    """Postgres is read-only for now, out of something, shutting down, or cannot be talked to."""
    return _state(error.orig) == "25006" or _state(error.orig).startswith(("08", "53", "57P0"))


def _state(error: BaseException | None) -> str:
    return getattr(error, "sqlstate", None) or ""
