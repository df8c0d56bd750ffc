"""Queries of those who cancel, retry, withdraw and explain go through an index, however much the store holds.

As in test_store_plans, the statements are taken from the real calls; here some flows are large.
"""

import re
from collections.abc import AsyncIterator
from typing import cast

import pytest
import pytest_asyncio
from sqlalchemy import text

from bullflow.store import backlog, job_log, openings, reruns, states
from bullflow.store.database import Database
from support.plans import Query, explained, first_index
from support.servers import DatabaseServer

NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1999)",
    "postgresql": "WITH n(i) AS (SELECT * FROM generate_series(0, 1999))",
}
FILL = (
    "INSERT INTO users (id, name, created_at) VALUES ('me', 'me', 0)",
    """INSERT INTO flows (id, user_id, root_id, name, queue_name, status, last_seq, dispatch_due, withdraw_due,
           fail_fast, deadline, finished_at, tags, created_at, updated_at, n_waiting, n_waiting_children, n_delayed,
           n_prioritized, n_active, n_completed, n_failed, n_cancelled)
       {numbers} SELECT 'flow-' || i, 'me', 'job-' || i || '-0', 'name', 'q', 'failed', 4, false, i % 100 = 0, false,
           CASE WHEN i % 2 = 0 THEN i * 1000 END, CASE WHEN i % 50 <> 0 THEN 1 END, '[]', i, 0,
           7, 0, 0, 0, 0, 6, 7, 0 FROM n""",
    """INSERT INTO flow_jobs (id, job_id, flow_id, parent_id, position, depth, run, name, queue_name, data, opts,
           priority, status, attempts_made, last_fact, created_at, updated_at)
       {numbers} SELECT 'job-' || n.i || '-' || p.i, 'job-' || n.i || '-' || p.i || '-1', 'flow-' || n.i,
           CASE WHEN p.i > 0 THEN 'job-' || n.i || '-' || ((p.i - 1) / 4) END, p.i, p.i / 4, 1, 'name', 'q', '[]', '[]',
           0, CASE p.i % 3 WHEN 0 THEN 'failed' WHEN 1 THEN 'waiting' ELSE 'completed' END, 1, '0-0', 0, 0
           FROM n, n AS p WHERE p.i < 20 ORDER BY p.i""",
    """INSERT INTO job_log (id, n, run, at, line)
       {numbers} SELECT 'job-' || n.i || '-0', k.i, 1, 0, 'line' FROM n, n AS k WHERE k.i BETWEEN 1 AND 2""",
    "ANALYZE",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgres"])
async def full(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """A store with 40,000 jobs."""
    database = Database(cast("DatabaseServer", request.getfixturevalue(request.param)).new_database())
    async with database.write() as transaction:
        for statement in FILL:
            await transaction.execute(text(statement.format(numbers=NUMBERS[database.dialect])))
    yield database
    await database.close()


PARENTS = [f"job-{number}-0" for number in range(0, 400, 2)]
QUERIES: dict[str, tuple[Query, str]] = {
    "one flow": (lambda snapshot: states.flow(snapshot, "me", "flow-7"), "flows_pkey|flows_by_user"),
    "anybody's flow": (lambda snapshot: states.flow(snapshot, None, "flow-7", lock=False), "flows_pkey"),
    "open jobs": (lambda snapshot: states.open_jobs(snapshot, "flow-7"), "flow_jobs_in_tree_order"),
    "unfinished jobs": (lambda snapshot: states.unfinished_jobs(snapshot, "flow-7"), "flow_jobs_in_tree_order"),
    "those above": (lambda snapshot: states.job_with_those_above(snapshot, "flow-7", "job-7-19"), "flow_jobs_pkey"),
    "whose job": (lambda snapshot: states.flow_of(snapshot, "me", "job-7-3"), "flow_jobs_pkey|flows_by_user"),
    "what is to withdraw": (lambda snapshot: backlog.to_withdraw(snapshot, 20), "flows_to_withdraw"),
    "jobs to withdraw": (lambda snapshot: backlog.jobs_to_withdraw(snapshot, "flow-7"), "flow_jobs_in_tree_order"),
    "withdrawn": (lambda snapshot: backlog.withdrawn(snapshot, "flow-100", ["job-100-0-1"]), "flows_pkey"),
    "who is late": (lambda snapshot: backlog.past_deadline(snapshot, 1_000_000, 100), "flows_by_deadline"),
    "delays": (lambda snapshot: reruns.delays(snapshot, PARENTS), "flow_jobs_pkey"),
    "reused": (lambda snapshot: reruns.completed_below(snapshot, PARENTS), "flow_jobs_by_parent"),
    "groups": (lambda snapshot: openings.groups(snapshot, "flow-7", 10), "flow_jobs_in_tree_order"),
    "open children": (lambda snapshot: openings.open_children(snapshot, PARENTS, 10), "flow_jobs_by_parent"),
    "lines": (lambda snapshot: job_log.after(snapshot, "job-7-0", 1, 50), "job_log_pkey"),
}
IN_ORDER = ("open jobs", "unfinished jobs", "what is to withdraw", "jobs to withdraw", "who is late", "lines")
"""These come in the order of their index."""
SQLITE_NAMES = {
    "sqlite_autoindex_flows_1": "flows_pkey",
    "sqlite_autoindex_flow_jobs_1": "flow_jobs_pkey",
    "PRIMARY KEY": "job_log_pkey",
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", QUERIES)
async def test_a_query_finds_its_rows_by_an_index_and_reads_no_table_whole(full: Database, name: str) -> None:
    query, indexes = QUERIES[name]

    plan = await explained(full, query)

    assert not re.search(r"SCAN (flow|users|job_log)(?!.*flows_(to_withdraw|by_deadline))|Seq Scan", plan), plan
    assert first_index(plan, SQLITE_NAMES) in indexes.split("|"), plan


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", IN_ORDER)
async def test_what_has_an_order_comes_in_that_of_its_index(full: Database, name: str) -> None:
    plan = await explained(full, QUERIES[name][0])

    assert not re.search(r"B-TREE FOR ORDER BY|Sort", plan), plan


@pytest.mark.asyncio(loop_scope="module")
async def test_the_queries_that_were_explained_find_something(full: Database) -> None:
    async with full.write() as transaction:
        for name, (query, _) in QUERIES.items():
            assert await query(transaction) or name in ("withdrawn", "delays")
