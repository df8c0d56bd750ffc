"""Flows and jobs as the deciding rooms write and load them. Reading for users is in `views`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, bindparam, insert, literal, literal_column, select, update

from bullflow.flow.facts import FactId, Json
from bullflow.flow.fold import Changes, FlowState, JobState
from bullflow.flow.plan import StoredJob
from bullflow.flow.states import FlowStatus, JobStatus
from bullflow.flow.tree import FlowRequest, NewJob
from bullflow.store import log
from bullflow.store.sql import one_of
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
    def counts(self) -> dict[JobStatus, int]:
        counts = dict.fromkeys(JobStatus, 0)
        for job in self.jobs:
            counts[job.status] += 1
        return counts


async def add(connection: Transaction, flows: Sequence[NewFlow]) -> None:
    """Store accepted flows with all of their jobs."""
    await connection.execute(insert(Flow), [_flow_row(flow) for flow in flows])
    tags = [{"tag": tag, "flow_id": flow.id} for flow in flows for tag in flow.request.tags]
    if tags:
        await connection.execute(insert(FlowTag), tags)
    await connection.execute(insert(FlowJob), [_job_row(flow, job) for flow in flows for job in flow.jobs])


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
        "tags": orjson.dumps(request.tags).decode(),
        "created_at": flow.created_at,
        "updated_at": flow.created_at,
        **_counts(flow.counts),
    }


def _job_row(flow: NewFlow, job: NewJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "job_id": job.job_id,
        "flow_id": flow.id,
        "parent_id": job.parent_id,
        "position": job.position,
        "depth": job.depth,
        "run": 1,
        "name": job.node.name,
        "queue_name": job.node.queue_name,
        "data": job.node.data.text,
        "opts": orjson.dumps(job.node.opts).decode(),
        "priority": job.node.opts.get("priority", 0),
        "status": job.status.value,
        "attempts_made": 0,
        "last_fact": "0-0",
        "created_at": flow.created_at,
        "updated_at": flow.created_at,
    }


async def load_for_fold(connection: Transaction, job_ids: Sequence[str]) -> tuple[list[JobState], list[FlowState]]:
    """The jobs with these BullMQ ids and their flows, locked until the transaction ends.

    Everybody locks in the order of the flows, so that no two wait for each other.
    """
    rows = (
        await connection.execute(
            select(*_JOB_STATE, *_FLOW_STATE)
            .join(Flow, Flow.id == FlowJob.flow_id)
            .where(one_of(connection, FlowJob.job_id, job_ids))
            .order_by(FlowJob.flow_id, FlowJob.id)
            .with_for_update(of=(Flow, FlowJob))
        )
    ).all()
    jobs = [_job_state(row) for row in rows]
    flows = {row.flow_id: row for row in rows}
    return jobs, [_flow_state(row) for row in flows.values()]


_JOB_STATE = (
    FlowJob.id,
    FlowJob.job_id,
    FlowJob.flow_id,
    FlowJob.depth,
    FlowJob.priority,
    FlowJob.status,
    FlowJob.attempts_made,
    FlowJob.last_fact,
    FlowJob.updated_at,
    FlowJob.started_at,
    FlowJob.finished_at,
    FlowJob.error,
    FlowJob.progress,
)
_FLOW_STATE = (
    Flow.status.label("flow_status"),
    Flow.last_seq,
    Flow.dispatch_due,
    Flow.updated_at.label("flow_updated_at"),
    Flow.finished_at.label("flow_finished_at"),
    Flow.error.label("flow_error"),
    *(getattr(Flow, name) for name in COUNT_COLUMNS.values()),
)


def _job_state(row: Any) -> JobState:
    return JobState(
        id=row.id,
        job_id=row.job_id,
        flow_id=row.flow_id,
        depth=row.depth,
        priority=row.priority,
        status=JobStatus(row.status),
        attempts_made=row.attempts_made,
        last_fact=FactId.parse(row.last_fact),
        updated_at=row.updated_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        error=_mapping(row.error),
        progress=None if row.progress is None else Json(row.progress),
    )


def _flow_state(row: Any) -> FlowState:
    return FlowState(
        id=row.flow_id,
        status=FlowStatus(row.flow_status),
        last_seq=row.last_seq,
        dispatch_due=row.dispatch_due,
        counts={status: getattr(row, name) for status, name in COUNT_COLUMNS.items()},
        updated_at=row.flow_updated_at,
        finished_at=row.flow_finished_at,
        error=_mapping(row.flow_error),
    )


async def apply(connection: Transaction, changes: Changes) -> None:
    """Write down what a fold has changed."""
    if changes.jobs:
        await connection.execute(_UPDATE_JOB, [_changed_job(job) for job in changes.jobs])
    if changes.flows:
        await connection.execute(_UPDATE_FLOW, [_changed_flow(flow) for flow in changes.flows])
    await log.append(connection, changes.entries)


_CHANGED_JOB = (
    "status",
    "attempts_made",
    "last_fact",
    "updated_at",
    "started_at",
    "finished_at",
    "result",
    "error",
    "progress",
)
_CHANGED_FLOW = (
    "status",
    "last_seq",
    "dispatch_due",
    "updated_at",
    "finished_at",
    "error",
    *COUNT_COLUMNS.values(),
)
_UPDATE_JOB = (
    update(FlowJob)
    .where(FlowJob.id == bindparam("key"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGED_JOB})
    .execution_options(synchronize_session=False)
)
_UPDATE_FLOW = (
    update(Flow)
    .where(Flow.id == bindparam("key"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGED_FLOW})
    .execution_options(synchronize_session=False)
)


def _changed_job(job: JobState) -> dict[str, Any]:
    # `result` is set once, when a run completes; before that it is null, so it need not be loaded.
    return {
        "key": job.id,
        "new_status": job.status.value,
        "new_attempts_made": job.attempts_made,
        "new_last_fact": str(job.last_fact),
        "new_updated_at": job.updated_at,
        "new_started_at": job.started_at,
        "new_finished_at": job.finished_at,
        "new_result": job.result.text if job.result else None,
        "new_error": _text(job.error),
        "new_progress": job.progress.text if job.progress else None,
    }


def _changed_flow(flow: FlowState) -> dict[str, Any]:
    return {
        "key": flow.id,
        "new_status": flow.status.value,
        "new_last_seq": flow.last_seq,
        "new_dispatch_due": flow.dispatch_due,
        "new_updated_at": flow.updated_at,
        "new_finished_at": flow.finished_at,
        "new_error": _text(flow.error),
        **{f"new_{name}": count for name, count in _counts(flow.counts).items()},
    }


async def to_dispatch(connection: Transaction, skip: Sequence[str], limit: int) -> dict[str, int]:
    """The oldest flows that are not known to be in the engine, without those in `skip`, with their numbers of jobs."""
    jobs = sum((getattr(Flow, name) for name in COUNT_COLUMNS.values()), start=literal(0))
    rows = await connection.execute(
        select(Flow.id, jobs.label("jobs"))
        .where(_DUE, ~one_of(connection, Flow.id, skip))
        .order_by(Flow.id)
        .limit(limit)
    )
    return {row.id: row.jobs for row in rows}


# SQLite uses the index of due flows only for its very words; SQLAlchemy would write `dispatch_due = 1`.
_DUE: ColumnElement[bool] = literal_column("flows.dispatch_due")


async def jobs_to_dispatch(connection: Transaction, flow_ids: Sequence[str]) -> list[StoredJob]:
    """All jobs of those of these flows that are due, flow by flow, in tree order."""
    rows = await connection.execute(
        select(*_STORED_JOB)
        .join(Flow, Flow.id == FlowJob.flow_id)
        .where(one_of(connection, FlowJob.flow_id, flow_ids), Flow.dispatch_due)
        .order_by(FlowJob.flow_id, FlowJob.position)
    )
    return [_stored_job(row) for row in rows]


_STORED_JOB = (
    FlowJob.id,
    FlowJob.job_id,
    FlowJob.flow_id,
    FlowJob.parent_id,
    FlowJob.name,
    FlowJob.queue_name,
    FlowJob.data,
    FlowJob.opts,
    FlowJob.status,
    FlowJob.created_at,
    FlowJob.result,
    FlowJob.error,
)


def _stored_job(row: Any) -> StoredJob:
    return StoredJob(
        id=row.id,
        job_id=row.job_id,
        flow_id=row.flow_id,
        parent_id=row.parent_id,
        name=row.name,
        queue_name=row.queue_name,
        data=Json(row.data),
        opts=orjson.loads(row.opts),
        status=JobStatus(row.status),
        created_at=row.created_at,
        result=None if row.result is None else Json(row.result),
        error=_mapping(row.error),
    )


def _counts(counts: Mapping[JobStatus, int]) -> dict[str, int]:
    return {name: counts.get(status, 0) for status, name in COUNT_COLUMNS.items()}


def _mapping(text: str | None) -> Mapping[str, Any] | None:
    return None if text is None else orjson.loads(text)


def _text(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
