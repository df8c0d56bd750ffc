"""Flows as they are accepted."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection

from bullflow.flow.states import FlowStatus, JobStatus
from bullflow.flow.tree import FlowRequest, NewJob
from bullflow.store import usage, writing
from bullflow.store.changing import numbers
from bullflow.store.tables import COUNT_COLUMNS, Flow, FlowJob, FlowTag
from bullflow.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFlow:
    """A flow that is about to be accepted. Its first log entry is written with it."""

    id: str
    user_id: str
    request: FlowRequest
    jobs: Sequence[NewJob]
    created_at: int

    @property
    def stored_bytes(self) -> int:
        return sum(job.node.data.size for job in self.jobs)

    @property
    def counts(self) -> dict[JobStatus, int]:
        counts = dict.fromkeys(JobStatus, 0)
        for job in self.jobs:
            counts[job.status] += 1
        return counts


async def add(connection: Transaction, flows: Sequence[NewFlow]) -> None:
    """Store accepted flows with all of their jobs."""
    connection.later(lambda driver: _write(driver, flows))


async def add_jobs(connection: Transaction, flow_id: str, jobs: Sequence[NewJob], created_at: int) -> None:
    """Store jobs that were added to a flow while it ran."""
    connection.later(
        lambda driver: writing.insert(driver, FlowJob, _JOB, [_job_row(flow_id, created_at, job) for job in jobs])
    )


def _write(driver: Connection, flows: Sequence[NewFlow]) -> None:
    writing.insert(driver, Flow, _FLOW, [_flow_row(flow) for flow in flows])
    tags = [(tag, flow.id) for flow in flows for tag in flow.request.tags]
    writing.insert(driver, FlowTag, ("tag", "flow_id"), tags)
    jobs = [_job_row(flow.id, flow.created_at, job) for flow in flows for job in flow.jobs]
    writing.insert(driver, FlowJob, _JOB, jobs)
    usage.write(driver, ((flow.user_id, flow.stored_bytes) for flow in flows))


_FLOW = (
    "id",
    "user_id",
    "root_id",
    "name",
    "queue_name",
    "status",
    "last_seq",
    "dispatch_due",
    "withdraw_due",
    "fail_fast",
    "deadline",
    "time_limit",
    "tags",
    "stored_bytes",
    "created_at",
    "updated_at",
    *COUNT_COLUMNS.values(),
)
_JOB = (
    "id",
    "job_id",
    "flow_id",
    "parent_id",
    "position",
    "depth",
    "run",
    "name",
    "queue_name",
    "data",
    "opts",
    "priority",
    "policy",
    "status",
    "attempts_made",
    "last_fact",
    "created_at",
    "updated_at",
)


def _flow_row(flow: NewFlow) -> writing.Row:
    root, request = flow.jobs[0], flow.request
    return (
        flow.id,
        flow.user_id,
        root.id,
        root.node.name,
        root.node.queue_name,
        str(FlowStatus.WAITING),
        1,
        True,
        False,
        request.fail_fast,
        None if request.deadline is None else flow.created_at + request.deadline,
        request.deadline,
        orjson.dumps(request.tags).decode(),
        flow.stored_bytes,
        flow.created_at,
        flow.created_at,
        *numbers(flow.counts),
    )


def _job_row(flow_id: str, created_at: int, job: NewJob) -> writing.Row:
    node = job.node
    return (
        job.id,
        job.job_id,
        flow_id,
        job.parent_id,
        job.position,
        job.depth,
        1,
        node.name,
        node.queue_name,
        node.data.text,
        orjson.dumps(node.opts).decode(),
        node.opts.get("priority", 0),
        str(job.policy),
        str(job.status),
        0,
        "0-0",
        created_at,
        created_at,
    )
