"""Flows as they are accepted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from bullflow.flow.states import FlowStatus, JobStatus
from bullflow.flow.tree import FlowRequest, NewJob
from bullflow.store.sql import insert_many
from bullflow.store.states import count_columns
from bullflow.store.tables import Flow, FlowJob, FlowTag
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
    def counts(self) -> dict[JobStatus, int]:
        counts = dict.fromkeys(JobStatus, 0)
        for job in self.jobs:
            counts[job.status] += 1
        return counts


async def add(connection: Transaction, flows: Sequence[NewFlow]) -> None:
    """Store accepted flows with all of their jobs."""
    await insert_many(connection, Flow, [_flow_row(flow) for flow in flows])
    tags = [{"tag": tag, "flow_id": flow.id} for flow in flows for tag in flow.request.tags]
    await insert_many(connection, FlowTag, tags)
    jobs = [_job_row(flow.id, flow.created_at, job) for flow in flows for job in flow.jobs]
    await insert_many(connection, FlowJob, jobs)


async def add_jobs(connection: Transaction, flow_id: str, jobs: Sequence[NewJob], created_at: int) -> None:
    """Store jobs that were added to a flow while it ran."""
    await insert_many(connection, FlowJob, [_job_row(flow_id, created_at, job) for job in jobs])


def _flow_row(flow: NewFlow) -> dict[str, Any]:
    root, request = flow.jobs[0], flow.request
    return {
        "id": flow.id,
        "user_id": flow.user_id,
        "root_id": root.id,
        "name": root.node.name,
        "queue_name": root.node.queue_name,
        "status": FlowStatus.WAITING.value,
        "last_seq": 1,
        "dispatch_due": True,
        "fail_fast": request.fail_fast,
        "deadline": None if request.deadline is None else flow.created_at + request.deadline,
        "time_limit": request.deadline,
        "tags": orjson.dumps(request.tags).decode(),
        "created_at": flow.created_at,
        "updated_at": flow.created_at,
        **count_columns(flow.counts),
    }


def _job_row(flow_id: str, created_at: int, job: NewJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "job_id": job.job_id,
        "flow_id": flow_id,
        "parent_id": job.parent_id,
        "position": job.position,
        "depth": job.depth,
        "run": 1,
        "name": job.node.name,
        "queue_name": job.node.queue_name,
        "data": job.node.data.text,
        "opts": orjson.dumps(job.node.opts).decode(),
        "priority": job.node.opts.get("priority", 0),
        "policy": job.policy.value,
        "status": job.status.value,
        "attempts_made": 0,
        "last_fact": "0-0",
        "created_at": created_at,
        "updated_at": created_at,
    }
