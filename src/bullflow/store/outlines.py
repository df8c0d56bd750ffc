"""A flow's jobs at a glance: all of them, and nothing of them that may be large."""

from functools import cache
from typing import NamedTuple

from sqlalchemy import bindparam, select

from bullflow.store.sql import Words
from bullflow.store.tables import FlowJob
from bullflow.store.transaction import Transaction


class OutlinedJob(NamedTuple):
    """A job without its payloads. A tuple, because a flow has up to 10,000 that are read at once."""

    id: str
    parent_id: str | None
    name: str
    queue_name: str
    status: str
    attempts_made: int
    run: int
    created_at: int
    started_at: int | None
    finished_at: int | None
    worker: str | None


async def outline(connection: Transaction, flow_id: str) -> list[OutlinedJob]:
    """All jobs of one flow in tree order. The caller has checked whose flow it is."""
    words = _outline(connection.dialect.name)
    rows = await connection.run(lambda driver: words.rows(driver, flow_id=flow_id))
    return list(map(OutlinedJob._make, rows))


@cache
def _outline(dialect: str) -> Words:
    # No limit: whoever has accepted the flow, and what it has grown by, has seen to it that it is bounded.
    columns = (getattr(FlowJob, name) for name in OutlinedJob._fields)
    of_flow = select(*columns).where(FlowJob.flow_id == bindparam("flow_id"))
    return Words(of_flow.order_by(FlowJob.position), dialect)
