"""Flows and jobs as those rooms load them that decide what becomes of them.

Whoever changes a flow or its jobs holds the lock of the flow's row first (on SQLite: the one write
lock), so jobs need no locks of their own, and no two wait for each other crosswise as long as several
flows are locked in the order of their ids.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Connection, select

from bullflow.errors import NotFound
from bullflow.flow.facts import FactId, Json
from bullflow.flow.record import FlowState, JobState
from bullflow.flow.states import OPEN, FlowStatus, JobStatus
from bullflow.flow.tree import Policy
from bullflow.store.sql import Words, listed, one_of, one_of_listed
from bullflow.store.tables import COUNT_COLUMNS, Flow, FlowJob
from bullflow.store.transaction import Transaction

OPEN_STATUSES = [status.value for status in OPEN]


async def load_for_fold(
    connection: Transaction, job_ids: Sequence[str], children: Sequence[str] = ()
) -> tuple[list[JobState], list[FlowState]]:
    """The jobs with these BullMQ ids, `children` among them, and the locked flows of the former."""
    return await connection.run(lambda driver: _load_for_fold(driver, job_ids, children))


def _load_for_fold(
    driver: Connection, job_ids: Sequence[str], children: Sequence[str]
) -> tuple[list[JobState], list[FlowState]]:
    dialect = driver.dialect.name
    flows_of, jobs_of = _words_for_fold(dialect)
    found = [_flow_state(row) for row in flows_of.rows(driver, job_ids=listed(dialect, job_ids))]
    locked = {flow.id for flow in found}
    jobs = (_job_state(row) for row in jobs_of.rows(driver, job_ids=listed(dialect, [*job_ids, *children])))
    return [job for job in jobs if job.flow_id in locked], found


@cache
def _words_for_fold(dialect: str) -> tuple[Words, Words]:
    """Made once: they are the most frequent of all."""
    of_jobs = select(FlowJob.flow_id).where(one_of_listed(dialect, FlowJob.job_id, "job_ids"))
    flows = select(*_FLOW_STATE).where(Flow.id.in_(of_jobs)).order_by(Flow.id).with_for_update(of=Flow)
    jobs = select(*_JOB_STATE).where(one_of_listed(dialect, FlowJob.job_id, "job_ids"))
    return Words(flows, dialect), Words(jobs.order_by(FlowJob.flow_id, FlowJob.id), dialect)


async def flow(connection: Transaction, user_id: str | None, flow_id: str, *, lock: bool = True) -> FlowState:
    """One flow of this user (None: of anybody), locked until the transaction ends; raises NotFound."""
    query = select(*_FLOW_STATE).where(Flow.id == flow_id)
    if user_id is not None:
        query = query.where(Flow.user_id == user_id)
    if lock:
        query = query.with_for_update(of=Flow)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("flow", flow_id)
    return _flow_state(row)


async def flows(connection: Transaction, flow_ids: Sequence[str]) -> list[FlowState]:
    """Those of these flows that exist, of anybody, locked in the order of their ids until the transaction ends."""
    rows = await connection.execute(
        select(*_FLOW_STATE).where(one_of(connection, Flow.id, flow_ids)).order_by(Flow.id).with_for_update(of=Flow)
    )
    return [_flow_state(row) for row in rows]


async def open_jobs_of(connection: Transaction, flow_ids: Sequence[str]) -> dict[str, list[JobState]]:
    """The jobs of each of these flows that have not ended, in tree order."""
    rows = await connection.execute(
        select(*_JOB_STATE)
        .where(one_of(connection, FlowJob.flow_id, flow_ids), FlowJob.status.in_(OPEN_STATUSES))
        .order_by(FlowJob.flow_id, FlowJob.position)
    )
    found: dict[str, list[JobState]] = {flow_id: [] for flow_id in flow_ids}
    for row in rows:
        job = _job_state(row)
        found[job.flow_id].append(job)
    return found


async def open_jobs(connection: Transaction, flow_id: str) -> list[JobState]:
    """A flow's jobs that have not ended, in tree order."""
    return await _jobs_in(connection, flow_id, OPEN_STATUSES)


async def unfinished_jobs(connection: Transaction, flow_id: str) -> list[JobState]:
    """A flow's jobs that have not completed, in tree order."""
    return await _jobs_in(connection, flow_id, [*OPEN_STATUSES, JobStatus.FAILED.value, JobStatus.CANCELLED.value])


async def _jobs_in(connection: Transaction, flow_id: str, statuses: Sequence[str]) -> list[JobState]:
    rows = await connection.execute(
        select(*_JOB_STATE).where(FlowJob.flow_id == flow_id, FlowJob.status.in_(statuses)).order_by(FlowJob.position)
    )
    return [_job_state(row) for row in rows]


async def failed_below(connection: Transaction, parents: Sequence[str]) -> list[JobState]:
    """The children of these jobs that have failed and for which, as BullMQ has it, their parents wait for ever."""
    rows = await connection.execute(
        select(*_JOB_STATE)
        .where(
            one_of(connection, FlowJob.parent_id, parents),
            FlowJob.status == JobStatus.FAILED.value,
            FlowJob.policy == Policy.WAIT.value,
        )
        .order_by(FlowJob.flow_id, FlowJob.position)
    )
    return [_job_state(row) for row in rows]


async def job_with_those_above(connection: Transaction, flow_id: str, job_id: str) -> list[JobState]:
    """A job of a flow and every job above it, the root first; raises NotFound."""
    line = (
        select(FlowJob.id, FlowJob.parent_id)
        .where(FlowJob.id == job_id, FlowJob.flow_id == flow_id)
        .cte(recursive=True)
    )
    line = line.union_all(select(FlowJob.id, FlowJob.parent_id).join(line, FlowJob.id == line.c.parent_id))
    rows = await connection.execute(
        select(*_JOB_STATE).where(FlowJob.id.in_(select(line.c.id))).order_by(FlowJob.depth)
    )
    found = [_job_state(row) for row in rows]
    if not found:
        raise NotFound("job", job_id)
    return found


async def place_of_growth(
    connection: Transaction, flow_id: str, parent_job_id: str, ids: Sequence[str]
) -> tuple[JobState | None, list[str], int]:
    """The job of this run, if the flow has it; which of these ids the flow has; and its first free position."""
    parents = await connection.execute(
        select(*_JOB_STATE).where(FlowJob.job_id == parent_job_id, FlowJob.flow_id == flow_id)
    )
    parent = parents.one_or_none()
    known = await connection.scalars(select(FlowJob.id).where(one_of(connection, FlowJob.id, ids)))
    last = await connection.scalar(
        select(FlowJob.position).where(FlowJob.flow_id == flow_id).order_by(FlowJob.position.desc()).limit(1)
    )
    return None if parent is None else _job_state(parent), list(known), -1 if last is None else last + 1


async def flow_of(connection: Transaction, user_id: str, job_id: str) -> str:
    """The id of the flow that a job of this user belongs to; raises NotFound."""
    flow_id = await connection.scalar(
        select(FlowJob.flow_id)
        .join(Flow, Flow.id == FlowJob.flow_id)
        .where(FlowJob.id == job_id, Flow.user_id == user_id)
    )
    if flow_id is None:
        raise NotFound("job", job_id)
    return str(flow_id)


_JOB_STATE = (
    FlowJob.id,
    FlowJob.job_id,
    FlowJob.flow_id,
    FlowJob.parent_id,
    FlowJob.name,
    FlowJob.depth,
    FlowJob.priority,
    FlowJob.policy,
    FlowJob.worker,
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
    Flow.id,
    Flow.status,
    Flow.last_seq,
    Flow.dispatch_due,
    Flow.withdraw_due,
    Flow.fail_fast,
    Flow.updated_at,
    Flow.finished_at,
    Flow.error,
    Flow.user_id,
    Flow.stored_bytes,
    *(getattr(Flow, name) for name in COUNT_COLUMNS.values()),
)


# Ten times as fast as asking the enumeration for the member with a value.
_JOB_STATUS = {status.value: status for status in JobStatus}
_FLOW_STATUS = {status.value: status for status in FlowStatus}
_POLICY = {policy.value: policy for policy in Policy}


def _job_state(row: Any) -> JobState:
    # A row is taken apart at once: looking up its columns by their names costs several times all the rest.
    (
        key,
        job_id,
        flow_id,
        parent_id,
        name,
        depth,
        priority,
        policy,
        worker,
        status,
        attempts_made,
        last_fact,
        updated_at,
        started_at,
        finished_at,
        error,
        progress,
    ) = row
    return JobState(
        id=key,
        job_id=job_id,
        flow_id=flow_id,
        parent_id=parent_id,
        name=name,
        depth=depth,
        priority=priority,
        policy=_POLICY[policy],
        worker=worker,
        status=_JOB_STATUS[status],
        attempts_made=attempts_made,
        last_fact=FactId.parse(last_fact),
        updated_at=updated_at,
        started_at=started_at,
        finished_at=finished_at,
        error=mapping(error),
        progress=None if progress is None else Json(progress),
    )


def _flow_state(row: Any) -> FlowState:
    (
        key,
        status,
        last_seq,
        dispatch_due,
        withdraw_due,
        fail_fast,
        updated_at,
        finished_at,
        error,
        user_id,
        stored,
        *counts,
    ) = row
    return FlowState(
        id=key,
        status=_FLOW_STATUS[status],
        last_seq=last_seq,
        dispatch_due=bool(dispatch_due),
        withdraw_due=bool(withdraw_due),
        fail_fast=bool(fail_fast),
        counts=dict(zip(COUNT_COLUMNS, counts, strict=True)),
        updated_at=updated_at,
        finished_at=finished_at,
        error=mapping(error),
        user_id=user_id,
        stored_bytes=stored,
    )


def mapping(text: str | None) -> Mapping[str, Any] | None:
    """What was kept as JSON."""
    return None if text is None else orjson.loads(text)
