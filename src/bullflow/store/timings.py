"""The times of the newest jobs of one queue, read within fixed bounds however large the store is."""

from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, bindparam, select

from bullflow.flow.timing import TimedJob
from bullflow.store.sql import Words, listed, one_of_listed
from bullflow.store.tables import ALL_JOBS, Flow, FlowJob
from bullflow.store.transaction import Transaction

MOST_FLOWS = 500
MOST_JOBS = 5_000
MOST_READ = 50_000
"""Jobs of whatever queue in the flows that are read. Of a queue that few jobs use, there may be millions of others."""


async def newest_jobs(connection: Transaction, user_id: str, queue_name: str) -> list[TimedJob]:
    """The jobs of this queue in this user's newest flows, the newest flow first."""
    dialect = connection.dialect.name
    flows, jobs = _newest_flows(dialect), _jobs(dialect)

    def read(driver: Connection) -> list[tuple[Any, ...]]:
        ids = listed(dialect, _readable(flows.rows(driver, user_id=user_id, most=MOST_FLOWS)))
        return jobs.rows(driver, flow_ids=ids, queue_name=queue_name, most=MOST_JOBS)

    return list(map(TimedJob._make, await connection.run(read)))


def _readable(flows: Sequence[tuple[Any, ...]]) -> list[str]:
    """The first of these flows, up to the one in which the bound is reached."""
    read = accumulate(size for _, size in flows)
    return [flow_id for (flow_id, size), so_far in zip(flows, read, strict=True) if so_far - size < MOST_READ]


@cache
def _newest_flows(dialect: str) -> Words:
    newest = select(Flow.id, ALL_JOBS).where(Flow.user_id == bindparam("user_id"))
    return Words(newest.order_by(Flow.id.desc()).limit(bindparam("most")), dialect)


@cache
def _jobs(dialect: str) -> Words:
    columns = (getattr(FlowJob, name) for name in TimedJob._fields)
    of_queue = select(*columns).where(
        one_of_listed(dialect, FlowJob.flow_id, "flow_ids"), FlowJob.queue_name == bindparam("queue_name")
    )
    # Backwards through the index of tree order, so that nothing is sorted and the first rows are the answer.
    return Words(of_queue.order_by(FlowJob.flow_id.desc(), FlowJob.position.desc()).limit(bindparam("most")), dialect)
