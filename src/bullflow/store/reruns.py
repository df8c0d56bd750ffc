"""What a retry needs beside states: delays, a new deadline, new data."""

from collections.abc import Sequence

import orjson
from sqlalchemy import select, update

from bullflow.flow.facts import Json
from bullflow.flow.states import JobStatus
from bullflow.store import usage
from bullflow.store.sql import none_of, one_of
from bullflow.store.tables import Flow, FlowJob
from bullflow.store.transaction import Transaction


async def delays(connection: Transaction, job_ids: Sequence[str]) -> dict[str, int]:
    """Milliseconds that these jobs wait before they run, of those that do."""
    rows = await connection.execute(
        select(FlowJob.id, FlowJob.opts).where(
            one_of(connection, FlowJob.id, job_ids), FlowJob.opts.contains('"delay"', autoescape=True)
        )
    )
    return {row.id: orjson.loads(row.opts).get("delay", 0) for row in rows}


async def completed_below(connection: Transaction, job_ids: Sequence[str]) -> dict[str, str]:
    """The ids and names of the completed children of these jobs that are not among them, in tree order."""
    rows = await connection.execute(
        select(FlowJob.id, FlowJob.name)
        .where(
            one_of(connection, FlowJob.parent_id, job_ids),
            FlowJob.status == JobStatus.COMPLETED.value,
            none_of(connection, FlowJob.id, job_ids),
        )
        .order_by(FlowJob.position)
    )
    return {row.id: row.name for row in rows}


async def begin(connection: Transaction, flow_id: str, now: int) -> None:
    """A flow that runs again has its whole time once more."""
    await connection.execute(
        update(Flow)
        .where(Flow.id == flow_id)
        .values(deadline=Flow.time_limit + now)
        .execution_options(synchronize_session=False)
    )


async def set_data(connection: Transaction, user_id: str, job_id: str, data: Json) -> None:
    """What the job of this user is given in its next run."""
    found = await connection.execute(select(FlowJob.flow_id, FlowJob.data).where(FlowJob.id == job_id))
    job = found.one()
    more = data.size - Json(job.data).size
    await connection.execute(update(FlowJob).where(FlowJob.id == job_id).values(data=data.text))
    await connection.execute(update(Flow).where(Flow.id == job.flow_id).values(stored_bytes=Flow.stored_bytes + more))
    connection.later(lambda driver: usage.write(driver, [(user_id, more)]))
