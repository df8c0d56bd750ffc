"""Long lists as one parameter, so that statements stay few and are prepared once."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import JSON, ColumnElement, Integer, Subquery, Text, any_, bindparam, cast, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute

from bullflow.store.transaction import Transaction


def one_of(
    connection: Transaction, attribute: InstrumentedAttribute[Any] | ColumnElement[Any], values: Sequence[str]
) -> ColumnElement[bool]:
    """`attribute IN values`, with all values in one parameter."""
    if connection.dialect.name == "sqlite":
        each = func.json_each(bindparam(None, orjson.dumps(values).decode())).table_valued(column("value", Text))
        return attribute.in_(select(each.c.value))
    return attribute == any_(bindparam(None, list(values), type_=ARRAY(Text)))


def each_number(connection: Transaction, numbers: Mapping[str, int]) -> Subquery:
    """A table with the columns `key` and `number`, sent as one parameter."""
    text = bindparam(None, orjson.dumps(dict(numbers)).decode(), type_=Text)
    if connection.dialect.name == "sqlite":
        each = func.json_each(text).table_valued(column("key", Text), column("value", Integer))
    else:
        each = func.json_each_text(cast(text, JSON)).table_valued(column("key", Text), column("value", Text))
    return select(each.c.key, cast(each.c.value, Integer).label("number")).subquery("each_number")
