"""Recovery: a flow of which the engine has lost something goes on."""

from collections.abc import Mapping, Sequence

from bullflow.flow import ending
from bullflow.flow.audit import Drift
from bullflow.flow.explain import amount
from bullflow.flow.record import Changes, FlowRecord, FlowState, JobState
from bullflow.flow.retry import begin_anew
from bullflow.flow.states import FLOW_ENDED

LOST = "the engine has lost it, and nothing waits for it any more"


def recover(
    flow: FlowState, drift: Drift, open_jobs: Sequence[JobState], delays: Mapping[str, int], now: int, *, all_gone: bool
) -> Changes | None:
    """What a parent waits for begins anew, and all those parents; None when nothing differs any more.

    A new run fences off whatever is left of the old one, which is withdrawn from the engine first, unless it is
    `all_gone`. A job below one that has ended, or of a flow that has, is not dispatched any more: it is cancelled if
    it is lost; in a flow that has ended also if it may wait for what has come already.
    """
    if flow.dispatch_due or flow.withdraw_due:
        return None  # it is being seen to
    missing = {job.job_id for job in (*drift.lost, *drift.stuck)}
    still = [job for job in open_jobs if job.job_id in drift.went_on]
    missed = [job for job in still if job.job_id in missing]
    wait_in_vain = still if drift.ended_again else []
    if flow.status in FLOW_ENDED:
        missed = wait_in_vain or missed
        return ending.drop(flow, missed, now, LOST) if missed else None
    wanted = _wanted(open_jobs)
    if not wait_in_vain and not any(job.id in wanted for job in missed):
        return ending.drop(flow, missed, now, LOST) if missed else None
    others = [job for job in open_jobs if job.id not in wanted]
    record = FlowRecord(flow)
    record.recover(now, {"jobs": len(wanted), "reason": _reason(drift)})
    again = begin_anew(record, [job for job in open_jobs if job.id in wanted], others, delays, now)
    dropped = ending.drop_in(record, [job for job in others if job in missed], now, LOST)
    record.withdraw_due = not all_gone
    return record.changes([*again, *dropped])


def _wanted(open_jobs: Sequence[JobState]) -> set[str]:
    """The root and what is open below what is open. `open_jobs` come in tree order, but for jobs that were added."""
    wanted: set[str] = set()
    for job in sorted(open_jobs, key=lambda job: job.depth):
        if job.is_root or job.parent_id in wanted:
            wanted.add(job.id)
    return wanted


def _reason(drift: Drift) -> str:
    if drift.lost:
        return f"the engine has lost {amount(len(drift.lost), 'job')} of it"
    if drift.stuck:
        return f"in the engine {amount(len(drift.stuck), 'job')} of it waited for nothing"
    return f"the engine has forgotten that {amount(len(drift.ended_again), 'job')} of it had ended"
