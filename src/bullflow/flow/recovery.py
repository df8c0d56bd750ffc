"""Recovery: a flow of which the engine has lost something goes on."""

from collections.abc import Collection, Mapping, Sequence

from bullflow.flow import ending
from bullflow.flow.record import Changes, FlowRecord, FlowState, JobState
from bullflow.flow.retry import begin_anew
from bullflow.flow.states import FLOW_ENDED

LOST_AFTER_END = "the engine has lost it, and its flow had ended before"


def recover(
    flow: FlowState,
    open_jobs: Sequence[JobState],
    lost: Collection[str],
    delays: Mapping[str, int],
    now: int,
    *,
    reason: str,
    all_gone: bool,
) -> Changes | None:
    """All that has not ended begins anew; None when nothing is to be done. `lost` are BullMQ ids.

    A new run fences off whatever is left of the old one, which is withdrawn from the engine first, unless it is
    `all_gone`. Of a flow that has ended no job is dispatched any more, so those that are lost are cancelled.
    """
    found = [job for job in open_jobs if job.job_id in lost]
    if flow.status in FLOW_ENDED:
        return ending.drop(flow, found, now, LOST_AFTER_END) if found else None
    record = FlowRecord(flow)
    record.recover(now, {"jobs": len(open_jobs), "reason": reason})
    record.withdraw_due = record.withdraw_due or not all_gone
    return record.changes(begin_anew(record, open_jobs, (), delays, now))
