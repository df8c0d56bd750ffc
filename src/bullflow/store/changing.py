"""Writes down what was decided about flows and jobs: their new states, and what that adds to the log."""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection

from bullflow.flow.record import Changes, FlowState, JobState
from bullflow.flow.states import JobStatus
from bullflow.store import log, usage, writing
from bullflow.store.tables import COUNT_COLUMNS, Flow, FlowJob
from bullflow.store.transaction import Transaction


async def apply(connection: Transaction, changes: Changes) -> None:
    """Write down what was decided."""
    connection.later(lambda driver: _apply(driver, changes))


def _apply(driver: Connection, changes: Changes) -> None:
    writing.change(driver, FlowJob, _CHANGED_JOB, [_changed_job(job) for job in changes.jobs])
    writing.change(driver, Flow, _CHANGED_FLOW, [_changed_flow(flow) for flow in changes.flows])
    usage.write(driver, ((flow.user_id, flow.newly_stored) for flow in changes.flows))
    log.write(driver, changes.entries)


_CHANGED_JOB = (
    "id",
    "status",
    "attempts_made",
    "last_fact",
    "updated_at",
    "started_at",
    "finished_at",
    "result",
    "error",
    "progress",
    "worker",
)
_CHANGED_FLOW = (
    "id",
    "status",
    "last_seq",
    "dispatch_due",
    "withdraw_due",
    "updated_at",
    "finished_at",
    "error",
    "stored_bytes",
    *COUNT_COLUMNS.values(),
)


def _changed_job(job: JobState) -> writing.Row:
    # `result` is set once, when a run completes; before that it is null, so it need not be loaded.
    return (
        job.id,
        str(job.status),
        job.attempts_made,
        str(job.last_fact),
        job.updated_at,
        job.started_at,
        job.finished_at,
        job.result.text if job.result else None,
        text(job.error),
        job.progress.text if job.progress else None,
        job.worker,
    )


def _changed_flow(flow: FlowState) -> writing.Row:
    return (
        flow.id,
        str(flow.status),
        flow.last_seq,
        flow.dispatch_due,
        flow.withdraw_due,
        flow.updated_at,
        flow.finished_at,
        text(flow.error),
        flow.stored_bytes,
        *numbers(flow.counts),
    )


def numbers(counts: Mapping[JobStatus, int]) -> list[int]:
    """Numbers of jobs in the order of their columns."""
    return [counts.get(status, 0) for status in COUNT_COLUMNS]


def text(value: Mapping[str, Any] | None) -> str | None:
    """A mapping as it is kept."""
    return None if value is None else orjson.dumps(value).decode()
