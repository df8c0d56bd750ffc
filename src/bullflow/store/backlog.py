"""What is still to be done in the engine, and what is to be done at a time."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import orjson
from sqlalchemy import ColumnElement, and_, bindparam, func, literal, literal_column, or_, select, update
from sqlalchemy.orm import aliased

from bullflow.flow.ending import Withdrawn
from bullflow.flow.facts import Json
from bullflow.flow.plan import StoredJob
from bullflow.flow.states import JobStatus
from bullflow.flow.tree import run_id
from bullflow.store.sql import Words, listed, none_of_listed, one_of
from bullflow.store.states import OPEN_STATUSES, mapping
from bullflow.store.tables import ALL_JOBS, Flow, FlowJob
from bullflow.store.transaction import Transaction


async def to_dispatch(connection: Transaction, skip: Sequence[str], limit: int) -> dict[str, int]:
    """The oldest flows that are not known to be in the engine, without those in `skip`, with their numbers of jobs."""
    dialect = connection.dialect.name
    words, skipped = _to_dispatch(dialect), listed(dialect, skip)
    return dict(await connection.run(lambda driver: words.rows(driver, skip=skipped, most=limit)))


@cache
def _to_dispatch(dialect: str) -> Words:
    due = select(Flow.id, ALL_JOBS).where(_DUE, ~Flow.withdraw_due, none_of_listed(dialect, Flow.id, "skip"))
    return Words(due.order_by(Flow.id).limit(bindparam("most")), dialect)


async def how_many_to_dispatch(connection: Transaction, most: int) -> int:
    """How many flows are not known to be in the engine; they are counted up to `most`."""
    words = _how_many_to_dispatch(connection.dialect.name)
    ((found,),) = await connection.run(lambda driver: words.rows(driver, most=most))
    return int(found)


@cache
def _how_many_to_dispatch(dialect: str) -> Words:
    due = select(literal(1).label("one")).select_from(Flow).where(_DUE).limit(bindparam("most")).subquery()
    return Words(select(func.count()).select_from(due), dialect)


# SQLite uses the index of due flows only for its very words; SQLAlchemy would write `dispatch_due = 1`.
_DUE: ColumnElement[bool] = literal_column("flows.dispatch_due")


async def jobs_to_dispatch(connection: Transaction, flow_ids: Sequence[str]) -> list[StoredJob]:
    """The jobs of those of these flows that are due that have not ended, and the children of such, in tree order."""
    parent = aliased(FlowJob)
    rows = await connection.execute(
        select(*_STORED_JOB)
        .join(Flow, Flow.id == FlowJob.flow_id)
        .outerjoin(parent, parent.id == FlowJob.parent_id)
        .where(
            one_of(connection, FlowJob.flow_id, flow_ids),
            Flow.dispatch_due,
            ~Flow.withdraw_due,
            or_(FlowJob.status.in_(OPEN_STATUSES), parent.status.in_(OPEN_STATUSES)),
        )
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
    FlowJob.position,
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
        position=row.position,
        result=None if row.result is None else Json(row.result),
        error=mapping(row.error),
    )


async def to_withdraw(connection: Transaction, limit: int) -> list[str]:
    """Flows with jobs that were ended by a decision, and of which the engine has not been told for certain."""
    words = _to_withdraw(connection.dialect.name)
    return [flow_id for (flow_id,) in await connection.run(lambda driver: words.rows(driver, most=limit))]


@cache
def _to_withdraw(dialect: str) -> Words:
    return Words(select(Flow.id).where(_WITHDRAW).order_by(Flow.id).limit(bindparam("most")), dialect)


# As for `_DUE`.
_WITHDRAW: ColumnElement[bool] = literal_column("flows.withdraw_due")


async def jobs_to_withdraw(connection: Transaction, flow_id: str) -> list[Withdrawn]:
    """What of a flow must not run any more, in tree order: jobs that were cancelled or have failed, and runs before
    the present one of those that have not completed, which a retry or a recovery has left behind."""
    child = aliased(FlowJob)
    is_parent = select(child.id).where(child.parent_id == FlowJob.id).exists()
    rows = await connection.execute(
        select(FlowJob.id, FlowJob.job_id, FlowJob.queue_name, FlowJob.status, FlowJob.run, FlowJob.depth, is_parent)
        .where(FlowJob.flow_id == flow_id, _MAY_BE_WITHDRAWN)
        .order_by(FlowJob.position)
    )
    return [withdrawn for row in rows for withdrawn in _withdrawn(row)]


def _withdrawn(row: Any) -> Iterator[Withdrawn]:
    key, job_id, queue_name, status, run, depth, is_parent = row
    if run > 1:
        yield Withdrawn(
            job_id=run_id(key, run - 1), queue_name=queue_name, is_root=depth == 0, is_parent=bool(is_parent)
        )
    if status in _WITHDRAWN:
        yield Withdrawn(job_id=job_id, queue_name=queue_name, is_root=depth == 0, is_parent=bool(is_parent))


_WITHDRAWN = [JobStatus.CANCELLED.value, JobStatus.FAILED.value]
_MAY_BE_WITHDRAWN = or_(
    FlowJob.status.in_(_WITHDRAWN), and_(FlowJob.run > 1, FlowJob.status != JobStatus.COMPLETED.value)
)


async def withdrawn(connection: Transaction, flow_id: str, job_ids: Sequence[str]) -> None:
    """These BullMQ jobs of a flow are out of the engine; if there are others now, the flow stays to be withdrawn."""
    # Whoever ends jobs holds this lock, so what is read now is all.
    await connection.execute(select(Flow.id).where(Flow.id == flow_id).with_for_update())
    if {job.job_id for job in await jobs_to_withdraw(connection, flow_id)} <= set(job_ids):
        await connection.execute(
            update(Flow)
            .where(Flow.id == flow_id)
            .values(withdraw_due=False)
            .execution_options(synchronize_session=False)
        )


async def past_deadline(connection: Transaction, now: int, limit: int) -> list[str]:
    """Flows that run on past their deadline, the most overdue first."""
    words = _past_deadline(connection.dialect.name)
    return [flow_id for (flow_id,) in await connection.run(lambda driver: words.rows(driver, now=now, most=limit))]


@cache
def _past_deadline(dialect: str) -> Words:
    late = (Flow.deadline.is_not(None), Flow.finished_at.is_(None), Flow.deadline <= bindparam("now"))
    return Words(select(Flow.id).where(*late).order_by(Flow.deadline).limit(bindparam("most")), dialect)


async def is_late(connection: Transaction, flow_id: str, now: int) -> bool:
    """Whether a flow's deadline has passed."""
    deadline = await connection.scalar(select(Flow.deadline).where(Flow.id == flow_id))
    return deadline is not None and deadline <= now
