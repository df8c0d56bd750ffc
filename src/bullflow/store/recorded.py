"""Which of the engine's ended jobs the store still has to hear of."""

from collections.abc import Sequence

from sqlalchemy import select

from bullflow.flow.states import OPEN
from bullflow.store.sql import one_of
from bullflow.store.tables import FlowJob
from bullflow.store.transaction import Transaction

_OPEN = frozenset(status.value for status in OPEN)


async def unrecorded(connection: Transaction, job_ids: Sequence[str]) -> tuple[set[str], set[str]]:
    """Those of these BullMQ ids whose jobs are open in the store, and those that it has never heard of.

    Of a job's earlier runs nothing is to be heard any more: the record ignores what they tell.
    """
    ids = {job_id: job_id.rpartition("-")[0] for job_id in job_ids}
    rows = await connection.execute(
        select(FlowJob.id, FlowJob.job_id, FlowJob.status).where(one_of(connection, FlowJob.id, list(ids.values())))
    )
    known = {row.id: row for row in rows}
    open_here = {row.job_id for row in known.values() if row.status in _OPEN}
    return open_here & ids.keys(), {job_id for job_id, own_id in ids.items() if own_id not in known}
