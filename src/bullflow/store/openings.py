"""The unfinished part of a flow in groups, for `explain`: sizes by counting, jobs by example."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from bullflow.flow.explain import Example, Group, OpenChildren
from bullflow.flow.states import JobStatus
from bullflow.store.sql import one_of
from bullflow.store.states import OPEN_STATUSES
from bullflow.store.tables import FlowJob
from bullflow.store.transaction import Transaction

_EXAMPLE = (
    FlowJob.id,
    FlowJob.job_id,
    FlowJob.name,
    FlowJob.status,
    FlowJob.queue_name,
    FlowJob.worker,
    FlowJob.started_at,
)


async def groups(connection: Transaction, flow_id: str, examples: int) -> list[Group]:
    """A flow's open jobs by state and queue, each group with its first jobs in tree order."""
    kind = [FlowJob.status, FlowJob.queue_name]
    place = func.row_number().over(partition_by=kind, order_by=FlowJob.position).label("place")
    count = func.count().over(partition_by=kind).label("count")
    ranked = (
        select(*_EXAMPLE, FlowJob.position, place, count)
        .where(FlowJob.flow_id == flow_id, FlowJob.status.in_(OPEN_STATUSES))
        .subquery()
    )
    rows = await connection.execute(select(ranked).where(ranked.c.place <= examples).order_by(ranked.c.position))
    found: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in rows:
        found[row.status, row.queue_name].append(row)
    return [
        Group(
            status=JobStatus(status),
            queue_name=queue_name,
            count=of_kind[0].count,
            examples=[_example(row) for row in of_kind],
        )
        for (status, queue_name), of_kind in found.items()
    ]


async def open_children(connection: Transaction, parents: Sequence[str], examples: int) -> dict[str, OpenChildren]:
    """The children of these jobs that have not ended, counted, the first of each."""
    place = func.row_number().over(partition_by=FlowJob.parent_id, order_by=FlowJob.position).label("place")
    count = func.count().over(partition_by=FlowJob.parent_id).label("count")
    ranked = (
        select(*_EXAMPLE, FlowJob.parent_id, FlowJob.position, place, count)
        .where(one_of(connection, FlowJob.parent_id, parents), FlowJob.status.in_(OPEN_STATUSES))
        .subquery()
    )
    rows = await connection.execute(select(ranked).where(ranked.c.place <= examples).order_by(ranked.c.position))
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.parent_id].append(row)
    return {
        parent: OpenChildren(count=children[0].count, first=[_example(row) for row in children])
        for parent, children in found.items()
    }


def _example(row: Any) -> Example:
    return Example(
        id=row.id,
        job_id=row.job_id,
        name=row.name,
        status=JobStatus(row.status),
        queue_name=row.queue_name,
        worker=row.worker,
        started_at=row.started_at,
    )
