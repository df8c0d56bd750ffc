"""Recovery: a flow of which the engine has lost something goes on."""

from collections.abc import Mapping, Sequence

from bullflow.flow import ending
from bullflow.flow.audit import Drift
from bullflow.flow.record import Changes, FlowRecord, FlowState, JobState
from bullflow.flow.retry import begin_anew
from bullflow.flow.states import FLOW_ENDED

LOST_AFTER_END = "the engine has lost it, and its flow had ended before"


def recover(
    flow: FlowState, drift: Drift, open_jobs: Sequence[JobState], delays: Mapping[str, int], now: int, *, all_gone: bool
) -> Changes | None:
    """All that has not ended begins anew, if what differed still does; None when nothing is to be done.

    A new run fences off whatever is left of the old one, which is withdrawn from the engine first, unless it is
    `all_gone`. Of a flow that has ended no job is dispatched any more, so those that are lost are cancelled, and all
    of them where one may wait for what has come already.
    """
    if flow.dispatch_due or flow.withdraw_due:
        return None  # it is being seen to
    missing = {job.job_id for job in (*drift.lost, *drift.stuck)}
    missed = [job for job in open_jobs if job.job_id in missing]
    if flow.status in FLOW_ENDED:
        missed = list(open_jobs) if drift.ended_again else missed
        return ending.drop(flow, missed, now, LOST_AFTER_END) if missed else None
    if not missed and not drift.ended_again:
        return None  # it only was not recorded yet
    record = FlowRecord(flow)
    record.recover(now, {"jobs": len(open_jobs), "reason": _reason(drift)})
    record.withdraw_due = not all_gone
    return record.changes(begin_anew(record, open_jobs, (), delays, now))


def _reason(drift: Drift) -> str:
    if drift.lost:
        return f"the engine has lost {_jobs(len(drift.lost))}"
    if drift.stuck:
        return f"in the engine {_jobs(len(drift.stuck))} waited for nothing"
    return f"the engine has forgotten that {_jobs(len(drift.ended_again))} had ended"


def _jobs(count: int) -> str:
    return f"{count} {'job' if count == 1 else 'jobs'} of it"
