"""The lines that handlers have logged, the last so many of each job."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, bindparam, delete, func, select

from bullflow.flow.facts import LogLine
from bullflow.flow.record import JobState
from bullflow.store import writing
from bullflow.store.sql import one_of
from bullflow.store.tables import FlowJob, JobLogLine
from bullflow.store.transaction import Transaction

LONGEST_LINE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLine:
    """A line with its number `n`, which counts within the job, and the run that logged it."""

    flow_id: str
    id: str
    n: int
    run: int
    at: int
    line: str


async def append(
    connection: Transaction, jobs: Mapping[str, JobState], lines: Sequence[LogLine], most: int
) -> list[KeptLine]:
    """Keep lines of these jobs (by their BullMQ ids), in order, and of each job the last `most` or its `keepLogs`."""
    ours = [(jobs[line.job_id], line) for line in lines if line.job_id in jobs]
    if not ours:
        return []
    ids = sorted({job.id for job, _ in ours})
    newest = await _newest(connection, ids)
    kept: list[KeptLine] = []
    for job, line in ours:
        newest[job.id] += 1
        text = line.line[:LONGEST_LINE]
        kept.append(KeptLine(flow_id=job.flow_id, id=job.id, n=newest[job.id], run=job.run, at=line.at, line=text))
    oldest = await _oldest_to_keep(connection, newest, ids, most)
    kept = [line for line in kept if line.n >= oldest[line.id]]
    connection.later(lambda driver: _write(driver, kept, [(job_id, oldest[job_id]) for job_id in ids]))
    return kept


def _write(driver: Connection, kept: Sequence[KeptLine], oldest: Sequence[tuple[str, int]]) -> None:
    lines = [(line.id, line.n, line.run, line.at, line.line) for line in kept]
    writing.insert(driver, JobLogLine, ("id", "n", "run", "at", "line"), lines)
    forget = delete(JobLogLine).where(JobLogLine.id == bindparam("job"), JobLogLine.n < bindparam("oldest"))
    driver.execute(forget, [{"job": job_id, "oldest": first} for job_id, first in oldest])


async def _newest(connection: Transaction, ids: Sequence[str]) -> defaultdict[str, int]:
    rows = await connection.execute(
        select(JobLogLine.id, func.max(JobLogLine.n).label("n"))
        .where(one_of(connection, JobLogLine.id, ids))
        .group_by(JobLogLine.id)
    )
    return defaultdict(int, {row.id: row.n for row in rows})


async def _oldest_to_keep(
    connection: Transaction, newest: Mapping[str, int], ids: Sequence[str], most: int
) -> dict[str, int]:
    rows = await connection.execute(select(FlowJob.id, FlowJob.opts).where(one_of(connection, FlowJob.id, ids)))
    wanted = {row.id: orjson.loads(row.opts).get("keepLogs") or most for row in rows}
    return {job_id: newest[job_id] - min(most, wanted.get(job_id, most)) + 1 for job_id in ids}


async def after(connection: Transaction, job_id: str, n: int, limit: int) -> list[KeptLine]:
    """Up to `limit` lines of one job behind the number `n`, oldest first. The caller has checked whose job it is."""
    rows = await connection.execute(
        select(JobLogLine.n, JobLogLine.run, JobLogLine.at, JobLogLine.line)
        .where(JobLogLine.id == job_id, JobLogLine.n > n)
        .order_by(JobLogLine.n)
        .limit(limit)
    )
    return [KeptLine(flow_id="", id=job_id, n=row.n, run=row.run, at=row.at, line=row.line) for row in rows]
