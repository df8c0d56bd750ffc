"""What a job's children have left for it, by the store."""

import orjson
from sqlalchemy import select

from bullflow.flow.facts import Json
from bullflow.flow.remains import Left
from bullflow.flow.states import JobStatus
from bullflow.flow.tree import Policy
from bullflow.store.tables import FlowJob
from bullflow.store.transaction import Transaction


async def of_job(connection: Transaction, job_id: str) -> tuple[str | None, list[Left]]:
    """The name of a job, and its completed or ignored children in tree order; no name for one that is not there."""
    name = await connection.scalar(select(FlowJob.name).where(FlowJob.id == job_id))
    rows = await connection.execute(
        select(FlowJob.name, FlowJob.queue_name, FlowJob.job_id, FlowJob.status, FlowJob.result, FlowJob.error)
        .where(FlowJob.parent_id == job_id, (FlowJob.status == _COMPLETED) | FlowJob.policy.in_(_IGNORED))
        .order_by(FlowJob.position)
    )
    return name, [
        Left(
            name=row.name,
            queue_name=row.queue_name,
            job_id=row.job_id,
            value=Json(row.result) if row.status == _COMPLETED else None,
            failure=None if row.status == _COMPLETED else _message(row.error),
        )
        for row in rows
        if row.status in (_COMPLETED, *_FAILED)
    ]


_COMPLETED = JobStatus.COMPLETED.value
_FAILED = (JobStatus.FAILED.value, JobStatus.CANCELLED.value)
_IGNORED = (Policy.IGNORE.value, Policy.CONTINUE.value)


def _message(error: str | None) -> str:
    return str(orjson.loads(error).get("message", "")) if error else ""
