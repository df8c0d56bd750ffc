"""Whoever deletes what is old finds it by an index, and each piece reads no more than it deletes.

As in test_store_plans, the statements are taken from the real calls.
"""

import re
from collections.abc import AsyncIterator
from typing import cast

import pytest
import pytest_asyncio
from sqlalchemy import text

from bullflow.store import erasing, recorded
from bullflow.store.database import Database
from support.plans import Query, explained, first_index
from support.servers import DatabaseServer

NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)",
    "postgresql": "WITH n(i) AS (SELECT * FROM generate_series(0, 9999))",
}
FILL = (
    "INSERT INTO users (id, name, created_at) VALUES ('me', 'me', 0), ('\\:nobody', '\\:nobody', 0)",
    """INSERT INTO flows (id, user_id, root_id, name, queue_name, status, last_seq, dispatch_due, withdraw_due,
           fail_fast, finished_at, tags, created_at, updated_at, n_waiting, n_waiting_children, n_delayed,
           n_prioritized, n_active, n_completed, n_failed, n_cancelled)
       {numbers} SELECT 'flow-' || i, CASE WHEN i % 1000 = 999 THEN '\\:nobody' ELSE 'me' END, 'job-' || i || '-0',
           'name', 'q', 'failed', 4, false, false, false, CASE WHEN i % 50 <> 0 THEN i END, '[]', i, 0,
           0, 0, 0, 0, 0, 2, 0, 0 FROM n""",
    """INSERT INTO flow_jobs (id, job_id, flow_id, parent_id, position, depth, run, name, queue_name, data, opts,
           priority, status, attempts_made, last_fact, created_at, updated_at)
       {numbers} SELECT 'job-' || n.i || '-' || p.i, 'job-' || n.i || '-' || p.i || '-1', 'flow-' || n.i,
           CASE WHEN p.i > 0 THEN 'job-' || n.i || '-0' END, p.i, p.i, 1, 'name', 'q', '[]', '[]',
           0, 'completed', 1, '0-0', 0, 0
           FROM n, n AS p WHERE p.i < 2 ORDER BY p.i""",
    """INSERT INTO job_log (id, n, run, at, line)
       {numbers} SELECT 'job-' || n.i || '-0', k.i, 1, 0, 'line' FROM n, n AS k WHERE k.i BETWEEN 1 AND 2""",
    """INSERT INTO flow_log (flow_id, seq, at, event, data)
       {numbers} SELECT 'flow-' || n.i, k.i, 0, 'job.active', '[]' FROM n, n AS k WHERE k.i BETWEEN 1 AND 4""",
    "ANALYZE",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgres"])
async def full(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """A store with 10,000 flows, of which ten are hidden."""
    database = Database(cast("DatabaseServer", request.getfixturevalue(request.param)).new_database())
    async with database.write() as transaction:
        for statement in FILL:
            await transaction.execute(text(statement.format(numbers=NUMBERS[database.dialect])))
    yield database
    await database.close()


LOOKS: dict[str, tuple[Query, str]] = {
    "what has ended": (lambda snapshot: erasing.ended(snapshot, 10, 5_000, 100), "flows_by_end"),
    "what is hidden": (lambda snapshot: erasing.hidden(snapshot, 100), "flows_by_user"),
    "what is recorded": (
        lambda snapshot: recorded.unrecorded(snapshot, [f"job-{n}-0-1" for n in range(200)]),
        "flow_jobs_pkey",
    ),
}
ERASES: dict[str, Query] = {
    "hiding": lambda snapshot: erasing.hide_ended(snapshot, [f"flow-{n}" for n in range(1, 5)], 5_000),
    "some entries": lambda snapshot: erasing.erase_rows(snapshot, ["flow-1999", "flow-2999"], 3),
    "some jobs": lambda snapshot: erasing.erase_rows(snapshot, ["flow-3999"], 7),
    "all of a flow": lambda snapshot: erasing.erase_rows(snapshot, ["flow-5999"], 100),
}
AGAIN: dict[str, Query] = {
    "some entries": lambda snapshot: erasing.erase_rows(snapshot, ["flow-6999"], 3),
    "some jobs": lambda snapshot: erasing.erase_rows(snapshot, ["flow-7999"], 7),
}
"""As above, of flows that are still there."""
SQLITE_NAMES = {"sqlite_autoindex_flow_jobs_1": "flow_jobs_pkey"}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", LOOKS)
async def test_a_look_finds_its_rows_by_an_index_and_in_its_order(full: Database, name: str) -> None:
    query, index = LOOKS[name]

    plan = await explained(full, query)

    assert not re.search(r"SCAN (flow|users|job_log|idem)|Seq Scan|B-TREE FOR ORDER BY|Sort", plan), plan
    assert first_index(plan, SQLITE_NAMES) == index, plan


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ERASES)
async def test_no_step_of_erasing_reads_a_table_whole(full: Database, name: str) -> None:
    plan = await explained(full, ERASES[name])

    assert not re.search(r"SCAN (flow|users|job_log|idem)|Seq Scan", plan), plan


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("name", "range_"), [("some entries", r"seq>\?|\(seq >= "), ("some jobs", r"n>\?|\(n >= ")])
async def test_of_a_long_log_just_the_end_is_read(full: Database, name: str, range_: str) -> None:
    plan = await explained(full, AGAIN[name])

    assert re.search(range_, plan), plan


@pytest.mark.asyncio(loop_scope="module")
async def test_the_looks_that_were_explained_find_something(full: Database) -> None:
    async with full.read() as snapshot:
        assert len(await erasing.ended(snapshot, 10, 5_000, 100)) == 100
        assert len(await erasing.hidden(snapshot, 100)) > 0
