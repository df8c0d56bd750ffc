"""Which queues there are, and how far the recorder has read their event streams."""

from collections.abc import Iterable, Mapping

from sqlalchemy import select

from bullflow.flow.facts import FactId
from bullflow.store import writing
from bullflow.store.sql import insert_or_leave
from bullflow.store.tables import StreamPosition
from bullflow.store.transaction import Transaction


async def know(connection: Transaction, queue_names: Iterable[str]) -> None:
    """Note queues that flows use, so that the recorder reads their streams from the beginning."""
    rows = [{"queue_name": name, "position": "0-0"} for name in sorted(set(queue_names))]
    await insert_or_leave(connection, StreamPosition, rows, key=["queue_name"])


async def positions(connection: Transaction) -> dict[str, FactId]:
    """Every known queue with the id of the last entry that was recorded."""
    rows = await connection.execute(select(StreamPosition.queue_name, StreamPosition.position))
    return {row.queue_name: FactId.parse(row.position) for row in rows}


async def advance(connection: Transaction, read: Mapping[str, FactId]) -> None:
    """Move the positions on, in the transaction that records what was read."""
    rows = [(queue, str(position)) for queue, position in read.items()]
    connection.later(lambda driver: writing.change(driver, StreamPosition, ("queue_name", "position"), rows))
