"""What users read: flows and jobs, bound to their owner, by keyset and never by offset."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, func, or_, select

from bullflow.errors import NotFound
from bullflow.flow.states import JobStatus
from bullflow.store.sql import Words, listed, one_of, one_of_listed
from bullflow.store.tables import COUNT_COLUMNS, UNFINISHED, Flow, FlowJob, FlowTag
from bullflow.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowView:
    """A flow as it is shown. `result`, `error` and `tags` are JSON text."""

    id: str
    name: str
    status: str
    queue_name: str
    user_id: str
    created_at: int
    updated_at: int
    finished_at: int | None
    result: str | None
    error: str | None
    last_seq: int
    tags: str
    fail_fast: bool
    deadline: int | None
    counts: dict[JobStatus, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as it is shown. `data`, `opts`, `result`, `error` and `progress` are JSON text."""

    id: str
    job_id: str
    flow_id: str
    parent_id: str | None
    position: int
    depth: int
    name: str
    queue_name: str
    status: str
    data: str
    opts: str
    result: str | None
    error: str | None
    progress: str | None
    attempts_made: int
    worker: str | None
    created_at: int
    updated_at: int
    started_at: int | None
    finished_at: int | None
    children: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFilter:
    """Which flows to list; None does not ask. Instants are milliseconds since the epoch."""

    status: str | None = None
    name: str | None = None
    queue_name: str | None = None
    tag: str | None = None
    created_after: int | None = None
    created_before: int | None = None


async def flow(connection: Transaction, user_id: str, flow_id: str) -> FlowView:
    """One flow of this user; raises NotFound."""
    found = await flows_by_id(connection, user_id, [flow_id])
    if not found:
        raise NotFound("flow", flow_id)
    return found[0]


async def flows_by_id(connection: Transaction, user_id: str, flow_ids: Sequence[str]) -> list[FlowView]:
    """Those of these flows that exist and belong to this user."""
    dialect = connection.dialect.name
    words, ids = _flows_by_id(dialect), listed(dialect, flow_ids)
    rows = await connection.run(lambda driver: words.rows(driver, user_id=user_id, flow_ids=ids))
    return [_flow_view(row) for row in rows]


@cache
def _flows_by_id(dialect: str) -> Words:
    """Made once: it is what is asked most."""
    return Words(_flows(bindparam("user_id")).where(one_of_listed(dialect, Flow.id, "flow_ids")), dialect)


async def flows(
    connection: Transaction, user_id: str, only: FlowFilter, before: str | None, limit: int
) -> list[FlowView]:
    """Flows older than the flow `before`, newest first."""
    query = _filtered(_flows(user_id), only)
    # A tag's own index holds the ids of its flows in order; by the flow's id all of them would be read and sorted.
    key = Flow.id if only.tag is None else FlowTag.flow_id
    if before is not None:
        query = query.where(key < before)
    rows = await connection.execute(query.order_by(key.desc()).limit(limit))
    return [_flow_view(row) for row in rows]


async def changed_since(connection: Transaction, user_id: str, since: int, limit: int) -> list[str]:
    """Flows of this user that go on and have changed since that instant, or have ended since; at most so many."""
    going_on = select(Flow.id).where(UNFINISHED, Flow.user_id == user_id, Flow.updated_at >= since).limit(limit)
    ended = select(Flow.id).where(Flow.finished_at >= since, Flow.user_id == user_id).limit(limit)
    rows = [*await connection.scalars(going_on), *await connection.scalars(ended)]
    return rows[:limit]


def _flows(user_id: str | BindParameter[str]) -> Select[Any]:
    return select(*_FLOW, FlowJob.result).join(FlowJob, FlowJob.id == Flow.root_id).where(Flow.user_id == user_id)


def _filtered(query: Select[Any], only: FlowFilter) -> Select[Any]:
    if only.status is not None:
        query = query.where(Flow.status == only.status)
    if only.name is not None:
        query = query.where(Flow.name == only.name)
    if only.queue_name is not None:
        query = query.where(Flow.queue_name == only.queue_name)
    if only.tag is not None:
        query = query.join(FlowTag, FlowTag.flow_id == Flow.id).where(FlowTag.tag == only.tag)
    # Ids begin with their time, so that a bound on the time is a bound in the index as well. The
    # second of slack is for an id that was drawn a moment before its flow's `created_at`.
    if only.created_after is not None:
        query = query.where(Flow.created_at > only.created_after, Flow.id >= _first_id(only.created_after - 1000))
    if only.created_before is not None:
        query = query.where(Flow.created_at < only.created_before, Flow.id < _first_id(only.created_before + 1000))
    return query


def _first_id(instant: int) -> str:
    """The smallest UUIDv7 of an instant."""
    head = f"{min(max(instant, 0), 2**48 - 1):012x}"
    return f"{head[:8]}-{head[8:]}-7000-8000-000000000000"


async def job(connection: Transaction, user_id: str, job_id: str) -> JobView:
    """One job of this user's flows, by its id; raises NotFound."""
    rows = await connection.execute(
        select(*_JOB).join(Flow, Flow.id == FlowJob.flow_id).where(FlowJob.id == job_id, Flow.user_id == user_id)
    )
    found = await _with_children(connection, [_job_view(row) for row in rows])
    if not found:
        raise NotFound("job", job_id)
    return found[0]


async def jobs(
    connection: Transaction, flow_id: str, *, after: int, limit: int, status: str | None = None
) -> list[JobView]:
    """Jobs of one flow behind the position `after`, in tree order. The caller has checked whose flow it is."""
    query = select(*_JOB).where(FlowJob.flow_id == flow_id, FlowJob.position > after)
    if status is not None:
        query = query.where(FlowJob.status == status)
    rows = await connection.execute(query.order_by(FlowJob.position).limit(limit))
    return await _with_children(connection, [_job_view(row) for row in rows])


async def upper_jobs(
    connection: Transaction, flow_id: str, *, depth: int, max_children: int, limit: int
) -> list[JobView]:
    """The jobs of the first `depth` levels, the first `max_children` below each, in tree order, at most `limit`."""
    place = func.row_number().over(partition_by=FlowJob.parent_id, order_by=FlowJob.position).label("place")
    ranked = (
        select(FlowJob.id, FlowJob.parent_id, FlowJob.position, place)
        .where(FlowJob.flow_id == flow_id, FlowJob.depth < depth)
        .subquery()
    )
    candidates = await connection.execute(
        select(ranked.c.id, ranked.c.parent_id)
        .where(or_(ranked.c.parent_id.is_(None), ranked.c.place <= max_children))
        .order_by(ranked.c.position)
    )
    shown = _with_parents(candidates)[:limit]
    rows = await connection.execute(
        select(*_JOB).where(one_of(connection, FlowJob.id, shown)).order_by(FlowJob.position)
    )
    return await _with_children(connection, [_job_view(row) for row in rows])


def _with_parents(candidates: Iterable[Any]) -> list[str]:
    """Those of these jobs, in tree order, whose parents are among them all the way up."""
    shown: dict[str, None] = {}
    for job_id, parent_id in candidates:
        if parent_id is None or parent_id in shown:
            shown[job_id] = None
    return list(shown)


async def _with_children(connection: Transaction, found: Sequence[JobView]) -> list[JobView]:
    if not found:
        return []
    rows = await connection.execute(
        select(FlowJob.parent_id, FlowJob.id)
        .where(one_of(connection, FlowJob.parent_id, [job.id for job in found]))
        .order_by(FlowJob.parent_id, FlowJob.position)
    )
    children: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        children[str(row.parent_id)].append(row.id)
    return [_replace_children(job, children.get(job.id, ())) for job in found]


def _replace_children(job: JobView, children: Sequence[str]) -> JobView:
    return replace(job, children=children) if children else job


_FLOW_FIELDS = tuple(name for name in FlowView.__dataclass_fields__ if name not in ("result", "counts"))
_FLOW = tuple(getattr(Flow, name) for name in (*_FLOW_FIELDS, *COUNT_COLUMNS.values()))
_JOB_FIELDS = tuple(name for name in JobView.__dataclass_fields__ if name != "children")
_JOB = tuple(getattr(FlowJob, name) for name in _JOB_FIELDS)


def _flow_view(row: Sequence[Any]) -> FlowView:
    """A row of `_FLOW` with the root's result, by SQLAlchemy or as the driver gives it."""
    fields, (*counts, result) = row[: len(_FLOW_FIELDS)], row[len(_FLOW_FIELDS) :]
    told = dict(zip(_FLOW_FIELDS, fields, strict=True))
    told["fail_fast"] = bool(told["fail_fast"])  # SQLite has no booleans
    return FlowView(**told, result=result, counts=dict(zip(COUNT_COLUMNS, counts, strict=True)))


def _job_view(row: Any) -> JobView:
    return JobView(**dict(zip(_JOB_FIELDS, row, strict=True)))
