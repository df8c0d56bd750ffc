"""What both databases can do and say differently: long lists as one parameter, and rows that may be there."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    ColumnElement,
    Integer,
    Subquery,
    Text,
    all_,
    any_,
    bindparam,
    cast,
    column,
    func,
    insert,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute

from bullflow.store.tables import Base
from bullflow.store.transaction import Transaction


async def insert_many(connection: Transaction, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all name the same columns in the same order; on Postgres with COPY, ten times as fast."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        await connection.execute(insert(table), rows)
    else:
        await connection.copy(table.__tablename__, list(rows[0]), (tuple(row.values()) for row in rows))


async def insert_or_leave(
    connection: Transaction, table: type[Base], rows: Sequence[Mapping[str, Any]], *, key: Sequence[str]
) -> None:
    """Insert those of these rows whose `key` (column names) is not taken."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    await connection.execute(dialect.insert(table).on_conflict_do_nothing(index_elements=key), rows)


def one_of_listed(
    dialect: str, attribute: InstrumentedAttribute[Any] | ColumnElement[Any], name: str
) -> ColumnElement[bool]:
    """`attribute IN` the parameter of this name, for statements that are built once; `listed` makes its value."""
    if dialect == "sqlite":
        each = func.json_each(bindparam(name)).table_valued(column("value", Text))
        return attribute.in_(select(each.c.value))
    return attribute == any_(bindparam(name, type_=ARRAY(Text)))


def listed(dialect: str, values: Sequence[str]) -> Any:
    """A list as the one parameter that `one_of_listed` wants."""
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
    """`attribute NOT IN values`, with all values in one parameter; Postgres hashes them in these words only."""
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
