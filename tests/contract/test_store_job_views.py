"""What users read of jobs: in tree order, in pages, and the upper levels of a tree."""

from collections.abc import Sequence

import pytest
from sqlalchemy import text

from bullflow.flow.facts import FactKind
from bullflow.flow.tree import Node
from bullflow.store import backlog, views
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.store.views import JobView
from support.flows import START, Submitter, node, record, wide
from support.ledger import a_fact

TREE = node(
    "root",
    node("a", node("a1"), node("a2", node("a2x"))),
    node("b"),
    node("c", node("c1"), node("c2"), node("c3", node("c3x"))),
)


async def test_jobs_come_in_tree_order_with_the_ids_of_their_children(database: Database) -> None:
    flow, names = await _stored(database, TREE)

    jobs = await _jobs(database, flow)

    assert [(job.name, [names[child] for child in job.children]) for job in jobs] == [
        ("root", ["a", "b", "c"]),
        ("a", ["a1", "a2"]),
        ("a1", []),
        ("a2", ["a2x"]),
        ("a2x", []),
        ("b", []),
        ("c", ["c1", "c2", "c3"]),
        ("c1", []),
        ("c2", []),
        ("c3", ["c3x"]),
        ("c3x", []),
    ]


async def test_jobs_stay_in_tree_order_when_their_rows_are_written_anew(database: Database) -> None:
    first, _ = await _stored(database, TREE)
    second, _ = await _stored(database, wide(3))
    in_order = [*first.jobs, *second.jobs]
    for at, job in enumerate(reversed(in_order), start=START):
        await record(database, [a_fact(FactKind.ACTIVE, at, job.job_id)])
    async with database.write() as transaction:
        await transaction.execute(text("ANALYZE"))  # Postgres then reads so small a table as its rows lie

    async with database.read() as snapshot:
        due = await backlog.jobs_to_dispatch(snapshot, [second.id, first.id])

    assert [job.id for job in due] == [job.id for job in in_order]
    assert [job.id for job in await _jobs(database, first)] == [job.id for job in first.jobs]


async def test_one_job_has_the_ids_of_its_children_in_order(database: Database) -> None:
    flow, names = await _stored(database, TREE)

    async with database.read() as snapshot:
        job = await views.job(snapshot, flow.user_id, flow.jobs[6].id)

    assert (job.name, [names[child] for child in job.children]) == ("c", ["c1", "c2", "c3"])


async def test_a_job_in_a_page_has_its_children_though_they_stand_on_another(database: Database) -> None:
    flow, _ = await _stored(database, wide(30))

    (root,) = await _jobs(database, flow, limit=1)

    assert root.children == [job.id for job in flow.jobs[1:]]


@pytest.mark.parametrize("limit", [1, 3, 11, 500])
async def test_pages_of_jobs_join_without_a_seam(database: Database, limit: int) -> None:
    flow, _ = await _stored(database, TREE)
    await _stored(database, TREE)
    read: list[JobView] = []

    while (page := await _jobs(database, flow, after=read[-1].position if read else -1, limit=limit)) and len(
        read
    ) < 50:
        read += page

    assert [job.id for job in read] == [job.id for job in flow.jobs]


async def test_jobs_can_be_read_by_status(database: Database) -> None:
    flow, _ = await _stored(database, TREE)
    started = [flow.jobs[2], flow.jobs[7], flow.jobs[8]]
    await record(database, [a_fact(FactKind.ACTIVE, START + 1, job.job_id) for job in started])

    async with database.read() as snapshot:
        active = await views.jobs(snapshot, flow.id, after=-1, limit=2, status="active")
        rest = await views.jobs(snapshot, flow.id, after=active[-1].position, limit=2, status="active")
        failed = await views.jobs(snapshot, flow.id, after=-1, limit=2, status="failed")

    assert [job.name for job in active] == ["a1", "c1"]
    assert [job.name for job in rest] == ["c2"]
    assert failed == []


@pytest.mark.parametrize(
    ("depth", "max_children", "limit", "names"),
    [
        (100, 100, 100, "root a a1 a2 a2x b c c1 c2 c3 c3x"),
        (1, 100, 100, "root"),
        (2, 100, 100, "root a b c"),
        (3, 100, 100, "root a a1 a2 b c c1 c2 c3"),
        (100, 2, 100, "root a a1 a2 a2x b"),
        (100, 1, 100, "root a a1"),
        (100, 0, 100, "root"),
        (2, 2, 100, "root a b"),
        (100, 100, 5, "root a a1 a2 a2x"),
    ],
)
async def test_the_upper_part_of_a_tree_is_whole_where_it_is_shown(
    database: Database, depth: int, max_children: int, limit: int, names: str
) -> None:
    flow, _ = await _stored(database, TREE)

    async with database.read() as snapshot:
        jobs = await views.upper_jobs(snapshot, flow.id, depth=depth, max_children=max_children, limit=limit)

    assert [job.name for job in jobs] == names.split()


async def test_a_job_at_the_edge_still_names_all_its_children(database: Database) -> None:
    flow, names = await _stored(database, TREE)

    async with database.read() as snapshot:
        jobs = await views.upper_jobs(snapshot, flow.id, depth=1, max_children=1, limit=100)

    assert [[names[child] for child in job.children] for job in jobs] == [["a", "b", "c"]]


async def test_what_is_left_out_does_not_use_up_the_limit(database: Database) -> None:
    bushes = [node(f"bush-{number}", node("first"), node("second")) for number in range(20)]
    flow, _ = await _stored(database, node("root", *bushes))

    async with database.read() as snapshot:
        jobs = await views.upper_jobs(snapshot, flow.id, depth=3, max_children=1, limit=4)

    assert [job.name for job in jobs] == ["root", "bush-0", "first"]


async def test_a_flow_without_jobs_that_anybody_knows_has_none(database: Database) -> None:
    async with database.read() as snapshot:
        assert await views.jobs(snapshot, "nobody", after=-1, limit=10) == []
        assert await views.upper_jobs(snapshot, "nobody", depth=3, max_children=3, limit=10) == []


async def _stored(database: Database, root: Node) -> tuple[NewFlow, dict[str, str]]:
    flow = await Submitter(database).one(root)
    return flow, {job.id: job.node.name for job in flow.jobs}


async def _jobs(database: Database, flow: NewFlow, *, after: int = -1, limit: int = 100) -> Sequence[JobView]:
    async with database.read() as snapshot:
        return await views.jobs(snapshot, flow.id, after=after, limit=limit)
