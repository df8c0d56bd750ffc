"""A flow at a glance: all of its jobs in tree order, with nothing that may be large."""

from dataclasses import asdict

from bullflow.flow.facts import FactKind, Json
from bullflow.store import outlines, views
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.store.outlines import OutlinedJob
from support.flows import START, Submitter, node, record, wide
from support.ledger import a_fact

TREE = node("root", node("left", node("left-1", queue="far")), node("right"))
LARGE = {"data", "opts", "result", "error", "progress"}


async def outlined(database: Database, flow: NewFlow) -> list[OutlinedJob]:
    async with database.read() as snapshot:
        return await outlines.outline(snapshot, flow.id)


async def test_all_jobs_of_one_flow_come_in_tree_order(database: Database) -> None:
    submitter = Submitter(database)
    await submitter.one(TREE)
    flow = await submitter.one(TREE)
    await submitter.one(TREE)

    jobs = await outlined(database, flow)

    assert [job.id for job in jobs] == [job.id for job in flow.jobs]
    assert [job.parent_id for job in jobs] == [job.parent_id for job in flow.jobs]
    assert [(job.name, job.queue_name, job.run) for job in jobs] == [
        ("root", "flowQueue", 1),
        ("left", "flowQueue", 1),
        ("left-1", "far", 1),
        ("right", "flowQueue", 1),
    ]


async def test_a_job_in_an_outline_is_the_job_as_it_is_shown_alone(database: Database) -> None:
    flow = await Submitter(database).one(TREE)
    done, broken = flow.jobs[2].job_id, flow.jobs[3].job_id
    life = [
        a_fact(FactKind.ACTIVE, START + 1, done, worker="mill"),
        a_fact(FactKind.COMPLETED, START + 7, done, result=Json('{"large":1}')),
        a_fact(FactKind.ACTIVE, START + 8, broken),
        a_fact(FactKind.FAILED, START + 9, broken, reason="broken", attempts_made=1),
    ]
    await record(database, life)

    jobs = await outlined(database, flow)

    assert (jobs[2].started_at, jobs[2].finished_at, jobs[2].worker) == (START + 1, START + 7, "mill")
    assert (jobs[3].status, jobs[3].attempts_made) == ("failed", 1)
    assert LARGE.isdisjoint(OutlinedJob._fields)
    async with database.read() as snapshot:
        whole = await views.jobs(snapshot, flow.id, after=-1, limit=10)
    assert [job._asdict() for job in jobs] == [
        {"run": 1, **{name: value for name, value in asdict(job).items() if name in OutlinedJob._fields}}
        for job in whole
    ]


async def test_a_flow_of_many_jobs_comes_whole(database: Database) -> None:
    flow = await Submitter(database).one(wide(2_000))

    jobs = await outlined(database, flow)

    assert [job.id for job in jobs] == [job.id for job in flow.jobs]
