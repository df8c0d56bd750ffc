"""The log of a flow: written in order, read after any `seq`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Connection, and_, select

from bullflow.clock import iso
from bullflow.flow.facts import Json
from bullflow.flow.record import Entry
from bullflow.store import writing
from bullflow.store.sql import Words, each_number, listed, one_of_listed
from bullflow.store.tables import Flow, LogEntry
from bullflow.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class LogItem:
    """An entry as it is read back; `data` is JSON text."""

    flow_id: str
    seq: int
    at: int
    event: str
    id: str | None
    job_id: str | None
    data: str


def encode(data: Mapping[str, Any]) -> str:
    """JSON for a mapping that may hold JSON already; instants under `until` become ISO 8601."""
    shown = {**data, "until": iso(data["until"])} if "until" in data else data
    return orjson.dumps(shown, default=_fragment, option=orjson.OPT_PASSTHROUGH_DATACLASS).decode()


def _fragment(value: Any) -> orjson.Fragment:
    if isinstance(value, Json):
        return orjson.Fragment(value.text)
    raise TypeError(f"{type(value).__name__} is not JSON")


def item_of(entry: Entry) -> LogItem:
    """An entry as it will be read back."""
    return _item(_row(entry))


async def append(connection: Transaction, entries: Iterable[Entry]) -> None:
    """Write entries; their numbers were given under the lock of their flow."""
    new = tuple(entries)
    if new:
        connection.later(lambda driver: write(driver, new))


def write(driver: Connection, entries: Iterable[Entry]) -> None:
    """The same as a part of a larger piece of work."""
    writing.insert(driver, LogEntry, _FIELDS, [_row(entry) for entry in entries])


async def after(connection: Transaction, flow_id: str, seq: int, limit: int) -> list[LogItem]:
    """Up to `limit` entries of one flow with a greater `seq`, oldest first."""
    rows = await connection.execute(
        select(*_COLUMNS).where(LogEntry.flow_id == flow_id, LogEntry.seq > seq).order_by(LogEntry.seq).limit(limit)
    )
    return [_item(row) for row in rows]


async def after_each(connection: Transaction, since: Mapping[str, int], limit: int) -> list[LogItem]:
    """Entries of several flows, each after its own `seq`; at most `limit` in all, ordered by flow and `seq`."""
    start = each_number(connection, since)
    rows = await connection.execute(
        select(*_COLUMNS)
        .join_from(start, LogEntry, and_(LogEntry.flow_id == start.c.key, LogEntry.seq > start.c.number))
        .order_by(LogEntry.flow_id, LogEntry.seq)
        .limit(limit)
    )
    return [_item(row) for row in rows]


async def last_seqs(connection: Transaction, flow_ids: Sequence[str]) -> dict[str, int]:
    """The number of the last entry of each of these flows that exists."""
    dialect = connection.dialect.name
    words, ids = _last_seqs(dialect), listed(dialect, flow_ids)
    return dict(await connection.run(lambda driver: words.rows(driver, flow_ids=ids)))


@cache
def _last_seqs(dialect: str) -> Words:
    return Words(select(Flow.id, Flow.last_seq).where(one_of_listed(dialect, Flow.id, "flow_ids")), dialect)


_FIELDS = tuple(LogItem.__dataclass_fields__)
_COLUMNS = tuple(getattr(LogEntry, name) for name in _FIELDS)


def _row(entry: Entry) -> writing.Row:
    return entry.flow_id, entry.seq, entry.at, str(entry.event), entry.id, entry.job_id, encode(entry.data)


def _item(row: Sequence[Any]) -> LogItem:
    return LogItem(**dict(zip(_FIELDS, row, strict=True)))
