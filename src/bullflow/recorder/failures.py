"""What final failures bring with them, decided in the transaction that records them."""

from collections import defaultdict

from bullflow.flow import ending
from bullflow.flow.record import Changes, JobState
from bullflow.flow.states import JobStatus
from bullflow.store import decisions, states
from bullflow.store.transaction import Transaction


async def after_failures(transaction: Transaction, changes: Changes, now: int) -> list[Changes]:
    """Write down what else ends because of the failures among these changes. It is rare, so whole flows are read."""
    flows = {flow.id: flow for flow in changes.flows}
    failed: defaultdict[str, list[JobState]] = defaultdict(list)
    for job in changes.jobs:
        if job.status is JobStatus.FAILED and ending.brings_more(flows[job.flow_id], job):
            failed[job.flow_id].append(job)
    # A job that now waits for children it has added may wait for one that had failed before it began to wait.
    waiting = [job.id for job in changes.jobs if job.status is JobStatus.WAITING_CHILDREN]
    for child in await states.failed_below(transaction, waiting) if waiting else ():
        failed[child.flow_id].append(child)
    more = []
    for flow_id, jobs in failed.items():
        decided = ending.after_failures(flows[flow_id], jobs, await states.open_jobs(transaction, flow_id), now)
        if decided is not None:
            await decisions.end(transaction, decided)
            more.append(decided)
    return more
