"""Writes down endings and retries. Many jobs change alike, so there is a statement for each kind, not for each job."""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import Text, cast, update

from bullflow.flow.record import Changes, JobState
from bullflow.store import changing
from bullflow.store.sql import one_of
from bullflow.store.tables import FlowJob
from bullflow.store.transaction import Transaction


async def end(connection: Transaction, changes: Changes) -> None:
    """Jobs that were ended without a worker: nothing of them changes but their end."""
    alike: defaultdict[Hashable, list[JobState]] = defaultdict(list)
    for job in changes.jobs:
        alike[job.status, orjson.dumps(job.error), job.finished_at].append(job)
    for jobs in alike.values():
        one = jobs[0]
        ended = {
            "status": one.status.value,
            "error": changing.text(one.error),
            "updated_at": one.updated_at,
            "finished_at": one.finished_at,
        }
        await _write(connection, jobs, ended)
    await changing.apply(connection, replace(changes, jobs=()))


async def rerun(connection: Transaction, changes: Changes) -> None:
    """Jobs that begin a new run: nothing of the one before is left but its log lines."""
    alike: defaultdict[Hashable, list[JobState]] = defaultdict(list)
    for job in changes.jobs:
        alike[job.status].append(job)
    for jobs in alike.values():
        await _write(connection, jobs, {**_AFRESH, "status": jobs[0].status.value, "updated_at": jobs[0].updated_at})
    await changing.apply(connection, replace(changes, jobs=()))


_AFRESH: dict[str, Any] = {
    "run": FlowJob.run + 1,
    "job_id": FlowJob.id.concat("-").concat(cast(FlowJob.run + 1, Text)),
    "attempts_made": 0,
    "last_fact": "0-0",
    "started_at": None,
    "finished_at": None,
    "result": None,
    "error": None,
    "progress": None,
    "worker": None,
}


async def _write(connection: Transaction, jobs: Iterable[JobState], values: dict[str, Any]) -> None:
    await connection.execute(
        update(FlowJob)
        .where(one_of(connection, FlowJob.id, [job.id for job in jobs]))
        .values(values)
        .execution_options(synchronize_session=False)
    )
