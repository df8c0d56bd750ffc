"""Growth: children that a running job has added, taken into the record of its flow.

The worker adds them to the engine, because it knows nothing else, and tells of them in a stream of our
own in the same transaction. So they are known here before anything that becomes of them; and a
recorder that dies reads of them again. What a worker tells is not trusted: it has to fit the flow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bullflow.flow.record import Changes, FlowRecord, FlowState, JobState
from bullflow.flow.states import JobStatus, LogEvent, first_status
from bullflow.flow.tree import NewJob, Node, run_id


@dataclass(frozen=True, slots=True, kw_only=True)
class GrownJob:
    """One job that was added. `parent_id` is the job that added it, or another of those added with it."""

    id: str
    parent_id: str
    node: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What one run of a job has added at once, parents before their children. `at` is milliseconds."""

    at: int
    flow_id: str
    parent_job_id: str
    jobs: Sequence[GrownJob]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """The new jobs, with the changes of the flow that tell of them."""

    jobs: Sequence[NewJob]
    changes: Changes


def grow(flow: FlowState, parent: JobState, growth: Growth, known: Sequence[str], position: int) -> Grown | None:
    """Take in what a job of this flow has added, from `position` on; None when there is nothing new, or nothing right.

    `known` are the ids of those that are in the record already.
    """
    new = _placed(parent, growth, frozenset(known), position)
    if not new:
        return None
    record = FlowRecord(flow)
    queues = {job.id: job.node.queue_name for job in new}
    for job in new:
        record.store(job.node.data)
    for state in (_state(job, growth, flow.id) for job in new):
        record.add(state.status)
        event = LogEvent.JOB_DELAYED if state.status is JobStatus.DELAYED else LogEvent.JOB_WAITING
        record.write(growth.at, event, job=state, data=_told(state, queues[state.id]))
    return Grown(jobs=new, changes=record.changes(()))


def _placed(parent: JobState, growth: Growth, known: frozenset[str], position: int) -> list[NewJob]:
    """The new jobs at the end of the flow's order, each below a job that is known by then."""
    depths = {parent.id: parent.depth}
    parents = {job.parent_id for job in growth.jobs}
    new: list[NewJob] = []
    for job in growth.jobs:
        if job.parent_id not in depths or job.id in depths:
            continue
        depths[job.id] = depths[job.parent_id] + 1
        if job.id in known:
            continue
        opts = job.node.opts
        status = first_status(
            has_children=job.id in parents, delay=opts.get("delay", 0), priority=opts.get("priority", 0)
        )
        new.append(
            NewJob(
                id=job.id,
                parent_id=job.parent_id,
                position=position + len(new),
                depth=depths[job.id],
                node=job.node,
                status=status,
            )
        )
    return new


def _state(job: NewJob, growth: Growth, flow_id: str) -> JobState:
    return JobState(
        id=job.id,
        job_id=run_id(job.id, 1),
        flow_id=flow_id,
        parent_id=job.parent_id,
        name=job.node.name,
        depth=job.depth,
        priority=job.node.opts.get("priority", 0),
        policy=job.policy,
        status=job.status,
        updated_at=growth.at,
    )


def _told(job: JobState, queue_name: str) -> dict[str, object]:
    return {"status": job.status.value, "name": job.name, "queueName": queue_name, "parentId": job.parent_id}
