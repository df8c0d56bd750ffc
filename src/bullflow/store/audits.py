"""What an audit compares with the engine, in pages: open flows, and those that have ended with jobs that go on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, exists, literal, or_, select, update
from sqlalchemy.orm import aliased

from bullflow.flow.audit import AuditedJob, Sign
from bullflow.flow.facts import FactId
from bullflow.flow.states import OPEN, JobStatus
from bullflow.store import writing
from bullflow.store.sql import Words, one_of
from bullflow.store.states import OPEN_STATUSES
from bullflow.store.tables import ALL_JOBS, COUNT_COLUMNS, TRAILING, UNFINISHED, EngineMark, Flow, FlowJob
from bullflow.store.transaction import Transaction

FLOWS_A_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Flows to audit with how many jobs they have, and the place after which the next page begins: None at the end."""

    flows: dict[str, int]
    next: str | None


async def unfinished(connection: Transaction, after: str, quiet_since: int | None = None) -> Page:
    """Flows that have not ended; with `quiet_since`, those that have not changed since that instant."""
    return await _going_on(connection, UNFINISHED, after, quiet_since)


async def trailing(connection: Transaction, after: str, quiet_since: int | None = None) -> Page:
    """Flows that have ended while jobs of them go on; with `quiet_since`, as in `unfinished`."""
    return await _going_on(connection, TRAILING, after, quiet_since)


async def _going_on(connection: Transaction, which: ColumnElement[bool], after: str, quiet_since: int | None) -> Page:
    jobs = ALL_JOBS if quiet_since is None else _OPEN_JOBS
    query = select(Flow.id, jobs.label("jobs")).where(which, Flow.id > after)
    if quiet_since is not None:
        query = query.where(Flow.updated_at < quiet_since)
    return await _page(connection, query)


async def ended(connection: Transaction, after: str, since: int) -> Page:
    """Flows that have ended since that instant, with nothing of them that goes on."""
    query = select(Flow.id, ALL_JOBS.label("jobs")).where(Flow.finished_at >= since, Flow.id > after)
    return await _page(connection, query.where(_OPEN_JOBS == 0))


async def _page(connection: Transaction, query: Select[Any, Any]) -> Page:
    rows = list(await connection.execute(query.order_by(Flow.id).limit(FLOWS_A_PAGE)))
    return Page(flows={row.id: row.jobs for row in rows}, next=rows[-1].id if len(rows) == FLOWS_A_PAGE else None)


_OPEN_JOBS: ColumnElement[int] = sum((getattr(Flow, COUNT_COLUMNS[status]) for status in OPEN), start=literal(0))


async def jobs(connection: Transaction, flow_ids: Sequence[str], *, ended: bool) -> list[AuditedJob]:
    """The open jobs of these flows, in tree order; with `ended` all of them."""
    child = aliased(FlowJob)
    query = select(
        FlowJob.id,
        FlowJob.job_id,
        FlowJob.flow_id,
        FlowJob.queue_name,
        FlowJob.status,
        FlowJob.depth,
        exists(select(child.id).where(child.parent_id == FlowJob.id)),
        FlowJob.last_fact,
        or_(Flow.dispatch_due, Flow.withdraw_due),
    ).join(Flow, Flow.id == FlowJob.flow_id)
    query = query.where(one_of(connection, FlowJob.flow_id, flow_ids))
    if not ended:
        query = query.where(FlowJob.status.in_(OPEN_STATUSES))
    rows = await connection.execute(query.order_by(FlowJob.flow_id, FlowJob.position))
    return [_audited_job(row) for row in rows]


def _audited_job(row: Any) -> AuditedJob:
    key, job_id, flow_id, queue_name, status, depth, is_parent, last_fact, is_due = row
    return AuditedJob(
        id=key,
        job_id=job_id,
        flow_id=flow_id,
        queue_name=queue_name,
        status=JobStatus(status),
        is_root=depth == 0,
        is_parent=bool(is_parent),
        last_fact=FactId.parse(last_fact),
        is_due=bool(is_due),
    )


async def sign(connection: Transaction, prefix: str) -> Sign | None:
    """What the engine was last seen to have; None before the first time."""
    query = select(EngineMark.mark, EngineMark.server).where(EngineMark.prefix == prefix)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Sign(mark=row.mark, server=row.server)


def remember(connection: Transaction, prefix: str, sign: Sign) -> None:
    """Keep what the engine has, with whatever is asked next or with the commit."""
    connection.later(lambda driver: _remember(driver, prefix, sign))


def _remember(driver: Connection, prefix: str, sign: Sign) -> None:
    words = _words_to_remember(driver.dialect.name)
    if not words.done(driver, of=prefix, mark=sign.mark, server=sign.server):
        row = (prefix, sign.mark, sign.server)
        writing.insert_or_leave(driver, EngineMark, ("prefix", "mark", "server"), [row], key=("prefix",))


@cache
def _words_to_remember(dialect: str) -> Words:
    known = update(EngineMark).where(EngineMark.prefix == bindparam("of"))
    return Words(known.values(mark=bindparam("mark"), server=bindparam("server")), dialect)
