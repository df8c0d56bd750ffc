"""Many rows written at once, in the drivers' own words.

SQLAlchemy looks at each value of each row, which costs more than writing it. Nothing that is written here needs that,
so the statements are made once and the rows go to the driver as they are: tuples in the order of the columns. On
Postgres new rows are sent with COPY, and changes as JSON in one parameter, so that there is one statement for any
number of rows; arrays would be taken apart value by value in Python, and a statement a row costs several times as much.
"""

# ruff: noqa: S608 - the statements are made of the names of our own tables and columns, and of nothing else

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

import orjson
from psycopg import sql
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from bullflow.store.tables import Base

Row = tuple[Any, ...]

_POSTGRES = postgresql.dialect()  # type: ignore[no-untyped-call]

MOST_BYTES = 8 * 1024 * 1024
"""So much JSON goes into one statement: results may be large, and a parameter has its limit."""


def insert(connection: Connection, table: type[Base], columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """New rows."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_insert_in_sqlite(table, columns), rows)
    else:
        _copy(connection, table.__tablename__, columns, rows)


def insert_or_leave(
    connection: Connection, table: type[Base], columns: tuple[str, ...], rows: Sequence[Row], *, key: tuple[str, ...]
) -> None:
    """Those of these rows whose key is not taken."""
    leave = f" ON CONFLICT ({', '.join(key)}) DO NOTHING"
    if connection.dialect.name == "sqlite":
        if rows:
            connection.exec_driver_sql(_insert_in_sqlite(table, columns) + leave, rows)
    else:
        for each in _as_json(columns, rows):
            connection.exec_driver_sql(_insert_in_postgres(table, columns) + leave, (each,))


def change(connection: Connection, table: type[Base], columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Rows that are there: the first column is the key that finds a row, the others are set."""
    if connection.dialect.name == "sqlite":
        if rows:
            connection.exec_driver_sql(_change_in_sqlite(table, columns), [(*values, key) for key, *values in rows])
    else:
        for each in _as_json(columns, rows):
            connection.exec_driver_sql(_change_in_postgres(table, columns), (each,))


@cache
def _insert_in_sqlite(table: type[Base], columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table.__tablename__} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


@cache
def _insert_in_postgres(table: type[Base], columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table.__tablename__} ({', '.join(columns)}) SELECT * FROM {_rows_of(table, columns)}"


@cache
def _change_in_sqlite(table: type[Base], columns: tuple[str, ...]) -> str:
    key, *others = columns
    return f"UPDATE {table.__tablename__} SET {', '.join(f'{name} = ?' for name in others)} WHERE {key} = ?"


@cache
def _change_in_postgres(table: type[Base], columns: tuple[str, ...]) -> str:
    key, *others = columns
    changes = ", ".join(f"{name} = given.{name}" for name in others)
    name = table.__tablename__
    return f"UPDATE {name} SET {changes} FROM {_rows_of(table, columns)} WHERE {name}.{key} = given.{key}"


@cache
def _rows_of(table: type[Base], columns: tuple[str, ...]) -> str:
    """The rows of one parameter."""
    types = ", ".join(f"{name} {table.__table__.c[name].type.compile(_POSTGRES)}" for name in columns)
    return f"json_to_recordset(%s::json) AS given({types})"


def _as_json(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """All rows as JSON, in as many texts as they need."""
    texts: list[bytes] = []
    size = 0
    for row in rows:
        texts.append(orjson.dumps(dict(zip(columns, row, strict=True))))
        size += len(texts[-1])
        if size >= MOST_BYTES:
            yield _array(texts)
            texts, size = [], 0
    if texts:
        yield _array(texts)


def _array(texts: Sequence[bytes]) -> str:
    return f"[{b','.join(texts).decode()}]"


def _copy(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    into = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with driver_of(connection) as driver, driver.cursor().copy(into) as sink:
        for row in rows:
            sink.write_row(row)


@contextmanager
def driver_of(connection: Connection) -> Iterator[Any]:
    """The driver's own connection, for what goes by SQLAlchemy; its errors come as SQLAlchemy tells them."""
    if not connection.in_transaction():
        connection.begin()  # SQLAlchemy does not see what goes by it, and would have nothing to commit
    dialect, driver = connection.dialect, connection.connection.driver_connection
    errors = dialect.loaded_dbapi.Error
    try:
        yield driver
    except errors as error:
        gone = dialect.is_disconnect(error, cast("Any", driver), None)
        raise DBAPIError.instance(None, None, error, errors, connection_invalidated=gone, dialect=dialect) from error
