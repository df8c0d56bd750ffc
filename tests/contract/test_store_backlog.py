"""What is still to be taken out of the engine, and which flows are late."""

from collections.abc import Sequence

import pytest
from sqlalchemy import text, update

from bullflow.flow import ending, retry
from bullflow.flow.facts import FactKind, Json
from bullflow.flow.plan import accepted, unfinished
from bullflow.flow.record import Changes
from bullflow.flow.states import JobStatus
from bullflow.flow.tree import FlowRequest
from bullflow.store import backlog, changing, decisions, states
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.store.tables import Flow
from support.flows import START, HandClock, Submitter, node, record, rows
from support.ledger import a_fact

TREE = node("root", node("left", node("left-1", queue="far")), node("right"))


async def cancel(database: Database, flow: NewFlow) -> Changes:
    async with database.write() as transaction:
        state = await states.flow(transaction, None, flow.id)
        changes = ending.cancel(state, await states.open_jobs(transaction, flow.id), START + 9)
        await changing.apply(transaction, changes)
    return changes


async def rerun(database: Database, flow: NewFlow) -> None:
    async with database.write() as transaction:
        state = await states.flow(transaction, None, flow.id)
        again = retry.of_flow(await states.unfinished_jobs(transaction, flow.id))
        changes = retry.reopen(state, again, [], {}, START + 20)
        await decisions.rerun(transaction, changes)


async def ended_ids(database: Database, flow: NewFlow) -> list[str]:
    async with database.read() as snapshot:
        return [job.job_id for job in await backlog.jobs_to_withdraw(snapshot, flow.id)]


async def take_out(database: Database, flow: NewFlow, job_ids: Sequence[str]) -> None:
    async with database.write() as transaction:
        await backlog.withdrawn(transaction, flow.id, job_ids)


async def due(database: Database, limit: int = 10) -> list[str]:
    async with database.read() as snapshot:
        return await backlog.to_withdraw(snapshot, limit)


# --- what is to be withdrawn -------------------------------------------------------------------------


async def test_flows_whose_jobs_were_ended_are_to_be_withdrawn_the_oldest_first(database: Database) -> None:
    clock = HandClock()
    submitter = Submitter(database, clock)
    new = []
    for second in range(4):
        clock.now = START + 1_000 * second
        new.append(await submitter.one(TREE))
    for flow in (new[3], new[0], new[2]):
        await cancel(database, flow)

    assert await due(database) == [new[0].id, new[2].id, new[3].id]
    assert await due(database, limit=2) == [new[0].id, new[2].id]


async def test_a_flow_that_ends_by_itself_is_not_to_be_withdrawn(database: Database) -> None:
    flow = await Submitter(database).one(node())

    await record(database, [a_fact(FactKind.FAILED, START + 1, flow.jobs[0].job_id, reason="broken")])

    assert await due(database) == []


async def test_the_jobs_to_withdraw_are_those_that_failed_or_were_cancelled_in_tree_order(database: Database) -> None:
    submitter = Submitter(database)
    flow, other = await submitter.one(TREE), await submitter.one(TREE)
    root, left, left_1, right = flow.jobs
    await record(database, [a_fact(FactKind.COMPLETED, START + 1, right.job_id, result=Json("1"))])
    await record(database, [a_fact(FactKind.FAILED, START + 1, left_1.job_id, reason="broken")])
    await cancel(database, flow)
    await cancel(database, other)

    async with database.read() as snapshot:
        found = await backlog.jobs_to_withdraw(snapshot, flow.id)

    assert [(job.job_id, job.queue_name, job.is_root, job.is_parent) for job in found] == [
        (root.job_id, "flowQueue", True, True),
        (left.job_id, "flowQueue", False, True),
        (left_1.job_id, "far", False, False),
    ]


async def test_a_job_that_goes_on_is_not_withdrawn(database: Database) -> None:
    flow = await Submitter(database).one(TREE)

    assert await ended_ids(database, flow) == []


# --- what has been withdrawn -------------------------------------------------------------------------


async def test_a_flow_that_was_taken_out_whole_is_no_longer_due_and_others_still_are(database: Database) -> None:
    submitter = Submitter(database)
    flow, other = await submitter.one(TREE), await submitter.one(TREE)
    await cancel(database, flow)
    await cancel(database, other)
    before = {row["id"]: row for row in await rows(database, Flow)}

    await take_out(database, flow, await ended_ids(database, flow))

    assert await due(database) == [other.id]
    before[flow.id] |= {"withdraw_due": False}
    assert {row["id"]: row for row in await rows(database, Flow)} == before


async def test_a_flow_of_which_more_has_ended_meanwhile_stays_due(database: Database) -> None:
    flow = await Submitter(database).one(TREE)
    root, left, _, right = flow.jobs
    await record(database, [a_fact(FactKind.FAILED, START + 1, right.job_id, reason="broken")])
    async with database.write() as transaction:
        await transaction.execute(update(Flow).values(withdraw_due=True))
    read = await ended_ids(database, flow)

    await cancel(database, flow)
    await take_out(database, flow, read)

    assert read == [right.job_id]
    assert await due(database) == [flow.id]
    await take_out(database, flow, [job.job_id for job in flow.jobs])
    assert await due(database) == []
    assert {root.job_id, left.job_id} <= set(await ended_ids(database, flow))


async def test_what_was_read_of_an_earlier_run_does_not_stand_for_as_many_jobs_of_this_one(database: Database) -> None:
    """Two withdraw at once; one is late, and meanwhile the flow was retried and cancelled once more."""
    flow = await Submitter(database).one(TREE)
    await cancel(database, flow)
    late = await ended_ids(database, flow)
    await take_out(database, flow, late)
    await rerun(database, flow)
    await cancel(database, flow)

    await take_out(database, flow, late)

    now = await ended_ids(database, flow)
    assert set(late) < set(now), "what is left of the run before is withdrawn too"
    assert await due(database) == [flow.id]
    await take_out(database, flow, now)
    assert await due(database) == []


async def test_taking_out_twice_and_taking_out_a_flow_that_is_gone_is_harmless(database: Database) -> None:
    flow = await Submitter(database).one(TREE)
    await cancel(database, flow)
    job_ids = await ended_ids(database, flow)

    await take_out(database, flow, job_ids)
    await take_out(database, flow, job_ids)
    async with database.write() as transaction:
        await transaction.execute(text("DELETE FROM flows"))
    await take_out(database, flow, job_ids)

    assert await due(database) == []


# --- what is to be dispatched, counted ---------------------------------------------------------------


async def test_flows_are_counted_until_they_are_known_to_be_in_the_engine(database: Database) -> None:
    submitter = Submitter(database)
    known, cancelled, _ = [await submitter.one(TREE) for _ in range(3)]

    assert await how_many_due(database) == 3
    assert await how_many_due(database, most=2) == 2

    await record(database, [a_fact(FactKind.ADDED, START + 1, known.jobs[0].job_id)])
    assert await how_many_due(database) == 2
    await cancel(database, cancelled)
    assert await how_many_due(database) == 1


async def how_many_due(database: Database, most: int = 10) -> int:
    async with database.read() as snapshot:
        return await backlog.how_many_to_dispatch(snapshot, most)


# --- what is late ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("now", "late"), [(4_999, []), (5_000, ["b"]), (9_000, ["b", "a"]), (60_000, ["b", "a", "c"])])
async def test_flows_past_their_deadline_are_found_the_most_overdue_first(
    database: Database, now: int, late: list[str]
) -> None:
    submitter = Submitter(database)
    for name, deadline in (("a", 8_000), ("b", 5_000), ("c", 20_000), ("none", None)):
        await submitter.one(FlowRequest(root=node(name), deadline=deadline))
    ids = {row["name"]: row["id"] for row in await rows(database, Flow)}

    async with database.read() as snapshot:
        found = await backlog.past_deadline(snapshot, START + now, 10)
        some = await backlog.past_deadline(snapshot, START + now, 1)

    assert found == [ids[name] for name in late]
    assert some == found[:1]


async def test_a_flow_that_has_ended_is_not_late(database: Database) -> None:
    submitter = Submitter(database)
    done, cancelled = [await submitter.one(FlowRequest(root=node(), deadline=1_000)) for _ in range(2)]
    await record(database, [a_fact(FactKind.COMPLETED, START + 1, done.jobs[0].job_id)])
    await cancel(database, cancelled)

    async with database.read() as snapshot:
        assert await backlog.past_deadline(snapshot, START + 5_000, 10) == []


async def test_a_flow_that_runs_again_can_be_late_again(database: Database) -> None:
    flow = await Submitter(database).one(FlowRequest(root=node(), deadline=1_000))
    await record(database, [a_fact(FactKind.FAILED, START + 1, flow.jobs[0].job_id, reason="broken")])
    await rerun(database, flow)

    async with database.read() as snapshot:
        assert await backlog.past_deadline(snapshot, START + 5_000, 10) == [flow.id]


async def test_what_is_to_be_dispatched_of_a_second_run_holds_what_ended_children_left(database: Database) -> None:
    flow = await Submitter(database).one(
        node("root", node("done"), node("spared", ignoreDependencyOnFailure=True), node("bad"))
    )
    root, done, spared, bad = flow.jobs
    facts = [
        a_fact(FactKind.COMPLETED, START + 1, done.job_id, result=Json('{"n":1}')),
        a_fact(FactKind.FAILED, START + 1, spared.job_id, reason="no matter"),
    ]
    await record(database, facts)
    await cancel(database, flow)
    await take_out(database, flow, await ended_ids(database, flow))
    async with database.write() as transaction:
        state = await states.flow(transaction, None, flow.id)
        line = await states.job_with_those_above(transaction, flow.id, bad.id)
        changes = retry.reopen(state, retry.of_job(line), [], {}, START + 20)
        await decisions.rerun(transaction, changes)

    async with database.read() as snapshot:
        jobs = await backlog.jobs_to_dispatch(snapshot, [flow.id])

    assert [(job.name, job.run, job.status, job.result, (job.error or {}).get("message")) for job in jobs] == [
        ("root", 2, JobStatus.WAITING_CHILDREN, None, None),
        ("done", 1, JobStatus.COMPLETED, Json('{"n":1}'), None),
        ("spared", 1, JobStatus.FAILED, None, "no matter"),
        ("bad", 2, JobStatus.WAITING, None, None),
    ]
    assert root.job_id not in {job.job_id for job in jobs}


async def test_what_was_accepted_is_read_as_it_can_be_handed_over(database: Database) -> None:
    """Status, options, data, order: whoever dispatches need not know where a flow comes from."""
    tree = node(
        "root",
        node("late", delay=5, failParentOnFailure=True),
        node("middle", node("urgent", priority=3), node("leaf", queue="far", backoff={"type": "fixed", "delay": 1})),
        data='{"ключ":[1.5,null]}',
        attempts=3,
    )
    flow = await Submitter(database).one(tree)

    async with database.read() as snapshot:
        jobs = await backlog.jobs_to_dispatch(snapshot, [flow.id])

    assert accepted(flow.id, flow.jobs, flow.created_at) == unfinished(jobs)
