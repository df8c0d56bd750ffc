"""What both databases can do and say differently: long lists as one parameter, and rows that may be there."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    ClauseElement,
    ColumnElement,
    Connection,
    Dialect,
    Integer,
    Subquery,
    Text,
    all_,
    any_,
    bindparam,
    cast,
    column,
    func,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import ARRAY, psycopg
from sqlalchemy.orm import InstrumentedAttribute

from bullflow.store import writing
from bullflow.store.tables import Base
from bullflow.store.transaction import Transaction

_DIALECTS: Mapping[str, Dialect] = {
    "sqlite": sqlite.dialect(),
    "postgresql": psycopg.dialect(),  # type: ignore[no-untyped-call]
}


class Words:
    """A statement that is sent often, put into a driver's own words once; its parameters have names.

    Both are for threads. Values are what the driver takes, and rows what it gives: nobody looks at them.
    """

    def __init__(self, statement: ClauseElement, dialect: str) -> None:
        compiled = statement.compile(dialect=_DIALECTS[dialect])
        self.text = str(compiled)
        self._places = getattr(compiled, "positiontup", None)
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}

    def parameters(self, values: Mapping[str, Any]) -> Any:
        if self._fixed:
            values = {**self._fixed, **values}
        return values if self._places is None else tuple(values[name] for name in self._places)

    def done(self, connection: Connection, **values: Any) -> int:
        """How many rows were changed."""
        return connection.exec_driver_sql(self.text, self.parameters(values)).rowcount

    def rows(self, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        """All rows. SQLAlchemy, which would ask for the name and type of each column, does not see them."""
        with writing.driver_of(connection) as driver:
            found: list[tuple[Any, ...]] = driver.execute(self.text, self.parameters(values)).fetchall()
        return found


async def insert_or_leave(
    connection: Transaction, table: type[Base], rows: Sequence[Mapping[str, Any]], *, key: Sequence[str]
) -> None:
    """Insert those of these rows, which all name the same columns in the same order, whose `key` is not taken."""
    if rows:
        columns, values = tuple(rows[0]), [tuple(row.values()) for row in rows]
        await connection.run(lambda driver: writing.insert_or_leave(driver, table, columns, values, key=tuple(key)))


def one_of_listed(
    dialect: str, attribute: InstrumentedAttribute[Any] | ColumnElement[Any], name: str
) -> ColumnElement[bool]:
    """`attribute IN` the parameter of this name, for statements that are built once; `listed` makes its value."""
    if dialect == "sqlite":
        each = func.json_each(bindparam(name)).table_valued(column("value", Text))
        return attribute.in_(select(each.c.value))
    return attribute == any_(bindparam(name, type_=ARRAY(Text)))


def none_of_listed(
    dialect: str, attribute: InstrumentedAttribute[Any] | ColumnElement[Any], name: str
) -> ColumnElement[bool]:
    """`attribute NOT IN` the parameter of this name; Postgres hashes them in these words only."""
    if dialect == "sqlite":
        return ~one_of_listed(dialect, attribute, name)
    return attribute != all_(bindparam(name, type_=ARRAY(Text)))


def listed(dialect: str, values: Sequence[str]) -> Any:
    """A list as the one parameter that `one_of_listed` and `none_of_listed` want."""
    return orjson.dumps(values).decode() if dialect == "sqlite" else list(values)


def one_of(
    connection: Transaction, attribute: InstrumentedAttribute[Any] | ColumnElement[Any], values: Sequence[str]
) -> ColumnElement[bool]:
    """`attribute IN values`, with all values in one parameter."""
    if connection.dialect.name == "sqlite":
        each = func.json_each(bindparam(None, orjson.dumps(values).decode())).table_valued(column("value", Text))
        return attribute.in_(select(each.c.value))
    return attribute == any_(bindparam(None, list(values), type_=ARRAY(Text)))


def none_of(
    connection: Transaction, attribute: InstrumentedAttribute[Any] | ColumnElement[Any], values: Sequence[str]
) -> ColumnElement[bool]:
    """`attribute NOT IN values`, with all values in one parameter; as for `none_of_listed`."""
    if connection.dialect.name == "sqlite":
        return ~one_of(connection, attribute, values)
    return attribute != all_(bindparam(None, list(values), type_=ARRAY(Text)))


def each_number(connection: Transaction, numbers: Mapping[str, int]) -> Subquery:
    """A table with the columns `key` and `number`, sent as one parameter."""
    text = bindparam(None, orjson.dumps(dict(numbers)).decode(), type_=Text)
    if connection.dialect.name == "sqlite":
        each = func.json_each(text).table_valued(column("key", Text), column("value", Integer))
    else:
        each = func.json_each_text(cast(text, JSON)).table_valued(column("key", Text), column("value", Text))
    return select(each.c.key, cast(each.c.value, Integer).label("number")).subquery("each_number")
