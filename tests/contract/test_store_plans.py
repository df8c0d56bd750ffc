"""Queries of every size of store go through an index: no plan reads a whole table or sorts what an index has in order.

The statements are taken from the real calls and explained by the database that holds 40,000 flows.
"""

import re
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
import pytest_asyncio
from sqlalchemy import text

from bullflow.store import backlog, job_log, log, outlines, states, timings, views
from bullflow.store.database import Database
from bullflow.store.views import FlowFilter
from support.plans import Query, explained, first_index
from support.servers import DatabaseServer

ROWS = 40_000
NUMBERS = {
    "sqlite": f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS - 1})",
    "postgresql": f"WITH n(i) AS (SELECT * FROM generate_series(0, {ROWS - 1}))",
}
HEX = {"sqlite": "printf('%012x', i * 1000)", "postgresql": "lpad(to_hex(i * 1000), 12, '0')"}
FILL = (
    "INSERT INTO users (id, name, created_at) VALUES ('me', 'me', 0), ('them', 'them', 0)",
    """INSERT INTO flows (id, user_id, root_id, name, queue_name, status, last_seq, dispatch_due, fail_fast, tags,
           created_at, updated_at, n_waiting, n_waiting_children, n_delayed, n_prioritized, n_active, n_completed,
           n_failed, n_cancelled)
       {numbers} SELECT {flow}, CASE WHEN i % 40 = 0 THEN 'me' ELSE 'them' END, {root}, 'name-' || (i / 40 % 4),
           'queue-' || (i / 40 % 4), CASE WHEN i / 40 % 4 = 0 THEN 'failed' ELSE 'completed' END, 4, i >= 39900,
           false, '[]', i * 1000, 0, 0, 0, 0, 0, 0, 1, 0, 0 FROM n""",
    """INSERT INTO flow_jobs (id, job_id, flow_id, parent_id, position, depth, run, name, queue_name, data, opts,
           priority, status, attempts_made, last_fact, created_at, updated_at)
       {numbers} SELECT {root}, {root} || '-1', {flow}, NULL, 0, 0, 1, 'root', 'q', '[]', '[]', 0, 'completed', 1,
           '0-0', 0, 0 FROM n""",
    """INSERT INTO flow_log (flow_id, seq, at, event, data)
       {numbers} SELECT {flow}, seq, 0, 'job.active', '[]' FROM n,
           (SELECT 1 AS seq UNION SELECT 2 UNION SELECT 3) AS seqs""",
    "INSERT INTO flow_tags (tag, flow_id) {numbers} SELECT 'tag-' || (i % 20), {flow} FROM n",
    "ANALYZE",
)


def flow(number: int) -> str:
    return _id(number, "flow")


def root(number: int) -> str:
    return _id(number, "root")


def _id(number: int, kind: str) -> str:
    head = f"{number * 1000:012x}"
    return f"{head[:8]}-{head[8:]}-7000-8000-00000000{kind}"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgres"])
async def full(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """A store with 40,000 flows, of which 1,000 are mine."""
    database = Database(cast("DatabaseServer", request.getfixturevalue(request.param)).new_database())
    digits = HEX[database.dialect]
    texts = {"numbers": NUMBERS[database.dialect]} | {
        kind: f"substr({digits}, 1, 8) || '-' || substr({digits}, 9) || '-7000-8000-00000000{kind}'"
        for kind in ("flow", "root")
    }
    async with database.write() as transaction:
        for statement in FILL:
            await transaction.execute(text(statement.format(**texts)))
    yield database
    await database.close()


FLOWS = [flow(number) for number in range(0, 400, 2)]


def listing(**only: Any) -> Query:
    return lambda snapshot: views.flows(snapshot, "me", FlowFilter(**only), flow(30_000), 50)


PAGES: dict[str, tuple[Query, str]] = {
    "flows": (listing(), "flows_by_user"),
    "flows by status": (listing(status="failed"), "flows_by_status"),
    "flows by name": (listing(name="name-1"), "flows_by_name"),
    "flows by queue": (listing(queue_name="queue-1"), "flows_by_queue"),
    "flows by tag": (listing(tag="tag-0"), "flow_tags_pkey|flows_by_user"),
    "flows after a time": (listing(created_after=9_000_000), "flows_by_user"),
    "flows before a time": (listing(created_before=9_000_000), "flows_by_user"),
    "jobs": (lambda snapshot: views.jobs(snapshot, flow(100), after=-1, limit=50), "flow_jobs_in_tree_order"),
    "jobs by status": (
        lambda snapshot: views.jobs(snapshot, flow(100), after=-1, limit=50, status="completed"),
        "flow_jobs_in_tree_order",
    ),
    "a status after a time": (listing(status="failed", created_after=9_000_000), "flows_by_status"),
    "lines of a job": (lambda snapshot: job_log.after(snapshot, root(400), 0, 50), "job_log_pkey"),
    "a log": (lambda snapshot: log.after(snapshot, flow(100), 1, 50), "flow_log_pkey"),
    "an outline": (lambda snapshot: outlines.outline(snapshot, flow(100)), "flow_jobs_in_tree_order"),
    "the newest jobs of a queue": (lambda snapshot: timings.newest_jobs(snapshot, "me", "q"), "flows_by_user"),
    "what is due": (lambda snapshot: backlog.to_dispatch(snapshot, FLOWS, 200), "flows_to_dispatch"),
}
OTHERS: dict[str, tuple[Query, str]] = {
    "one flow": (lambda snapshot: views.flows_by_id(snapshot, "me", [flow(100)]), "flows_by_user|flows_pkey"),
    "many flows": (lambda snapshot: views.flows_by_id(snapshot, "me", FLOWS), "flows_by_user|flows_pkey"),
    "one job": (lambda snapshot: views.job(snapshot, "me", root(400)), "flow_jobs_pkey"),
    "how many are due": (lambda snapshot: backlog.how_many_to_dispatch(snapshot, 10_000), "flows_to_dispatch"),
    "upper jobs": (
        lambda snapshot: views.upper_jobs(snapshot, flow(100), depth=3, max_children=5, limit=50),
        "flow_jobs_in_tree_order",
    ),
    "many logs": (lambda snapshot: log.after_each(snapshot, dict.fromkeys(FLOWS, 1), 50), "flow_log_pkey"),
    "last numbers": (lambda snapshot: log.last_seqs(snapshot, FLOWS), "flows_pkey"),
    "jobs to dispatch": (lambda snapshot: backlog.jobs_to_dispatch(snapshot, FLOWS), "flow_jobs_in_tree_order"),
    "jobs to fold": (
        lambda snapshot: states.load_for_fold(snapshot, [f"{root(number)}-1" for number in range(200)]),
        "flows_pkey|flow_jobs_job_id_key",
    ),
}
QUERIES = PAGES | OTHERS
SQLITE_NAMES = {
    "sqlite_autoindex_flows_1": "flows_pkey",
    "sqlite_autoindex_flow_jobs_1": "flow_jobs_pkey",
    "sqlite_autoindex_flow_jobs_2": "flow_jobs_job_id_key",
    "sqlite_autoindex_flow_tags_1": "flow_tags_pkey",
    "PRIMARY KEY": "flow_log_pkey|job_log_pkey",
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", QUERIES)
async def test_a_query_finds_its_rows_by_an_index_and_reads_no_table_whole(full: Database, name: str) -> None:
    query, indexes = QUERIES[name]

    plan = await explained(full, query)

    assert not re.search(r"SCAN (flow|users)(?!.*flows_to_dispatch)|Seq Scan", plan), plan
    assert {*first_index(plan, SQLITE_NAMES).split("|")} & {*indexes.split("|")}, plan


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", PAGES)
async def test_a_page_comes_in_the_order_of_its_index(full: Database, name: str) -> None:
    query, _ = PAGES[name]

    plan = await explained(full, query)

    page, _, _ = plan.partition("\n\n")
    assert not re.search(r"B-TREE FOR ORDER BY|Sort", page), plan


@pytest.mark.asyncio(loop_scope="module")
async def test_the_jobs_of_the_newest_flows_come_in_the_order_of_their_index(full: Database) -> None:
    plan = await explained(full, lambda snapshot: timings.newest_jobs(snapshot, "me", "q"))

    _, _, jobs = plan.partition("\n\n")
    assert first_index(jobs, SQLITE_NAMES) == "flow_jobs_in_tree_order", plan
    assert not re.search(r"B-TREE FOR ORDER BY|Sort", jobs), plan


@pytest.mark.asyncio(loop_scope="module")
async def test_the_pages_that_were_explained_are_full(full: Database) -> None:
    async with full.read() as snapshot:
        for name in ("flows", "flows by status", "flows by tag", "flows after a time", "flows before a time"):
            assert len(await PAGES[name][0](snapshot)) == 50
        assert len(await backlog.to_dispatch(snapshot, [], 200)) == 100
        assert await backlog.how_many_to_dispatch(snapshot, 10_000) == 100
        assert len(await timings.newest_jobs(snapshot, "me", "q")) == timings.MOST_FLOWS
        assert len(await log.after(snapshot, flow(100), 1, 50)) == 2
