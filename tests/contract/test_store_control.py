"""What those read and write who cancel, retry and explain: bound to a flow and its user, and nothing else touched."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import update

from bullflow.errors import NotFound
from bullflow.flow import retry
from bullflow.flow.facts import FactId, Json
from bullflow.flow.record import JobState
from bullflow.flow.states import OPEN, JobStatus
from bullflow.flow.tree import FlowRequest, Policy
from bullflow.store import decisions, openings, reruns, states
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.store.tables import Flow, FlowJob
from support.flows import START, Submitter, node, rows, wide

TREE = node(
    "root",
    node("left", node("left-1"), node("left-2", ignoreDependencyOnFailure=True), continueParentOnFailure=True),
    node("right", failParentOnFailure=False, priority=4),
)
STRANGER = "somebody else"
NOBODY = "019ab3c1-7d7a-7000-8000-000000000000"


async def set_statuses(database: Database, flow: NewFlow, statuses: Sequence[JobStatus]) -> None:
    """The jobs of a flow, in tree order, as if that had become of them."""
    async with database.write() as transaction:
        for job, status in zip(flow.jobs, statuses, strict=True):
            await transaction.execute(update(FlowJob).where(FlowJob.id == job.id).values(status=status.value))


def names(jobs: Sequence[JobState]) -> list[str]:
    return [job.name for job in jobs]


# --- whose flow it is --------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", [True, False])
async def test_a_flow_is_found_by_its_user_and_by_who_may_see_all_and_by_nobody_else(
    database: Database, lock: bool
) -> None:
    submitter = Submitter(database)
    flow = await submitter.one(FlowRequest(root=TREE, fail_fast=True))
    stranger = await submitter.user(STRANGER)

    async with database.write() as transaction:
        mine = await states.flow(transaction, flow.user_id, flow.id, lock=lock)
        anybodys = await states.flow(transaction, None, flow.id, lock=lock)
        for user_id, flow_id in ((stranger, flow.id), (flow.user_id, NOBODY), (None, NOBODY)):
            with pytest.raises(NotFound) as missing:
                await states.flow(transaction, user_id, flow_id, lock=lock)
            assert (missing.value.kind, missing.value.key) == ("flow", flow_id)

    assert mine == anybodys
    assert (mine.id, mine.status, mine.last_seq, mine.fail_fast) == (flow.id, "waiting", 1, True)
    assert (mine.dispatch_due, mine.withdraw_due) == (True, False)
    assert mine.counts == dict.fromkeys(JobStatus, 0) | {
        JobStatus.WAITING_CHILDREN: 2,
        JobStatus.WAITING: 2,
        JobStatus.PRIORITIZED: 1,
    }


async def test_the_flow_of_a_job_is_told_to_its_user_alone(database: Database) -> None:
    submitter = Submitter(database)
    flow, theirs = await submitter.one(TREE), await submitter.one(TREE, user=STRANGER)

    async with database.read() as snapshot:
        assert await states.flow_of(snapshot, flow.user_id, flow.jobs[2].id) == flow.id
        for user_id, job_id in ((theirs.user_id, flow.jobs[2].id), (flow.user_id, NOBODY), (flow.user_id, flow.id)):
            with pytest.raises(NotFound) as missing:
                await states.flow_of(snapshot, user_id, job_id)
            assert (missing.value.kind, missing.value.key) == ("job", job_id)


# --- its jobs ----------------------------------------------------------------------------------------


async def test_open_and_unfinished_jobs_are_those_of_one_flow_in_tree_order(database: Database) -> None:
    submitter = Submitter(database)
    await submitter.one(TREE)
    flow = await submitter.one(wide(len(JobStatus) - 1))
    await set_statuses(database, flow, list(JobStatus))
    by_name = dict(zip((job.node.name for job in flow.jobs), JobStatus, strict=True))

    async with database.read() as snapshot:
        open_jobs = await states.open_jobs(snapshot, flow.id)
        unfinished = await states.unfinished_jobs(snapshot, flow.id)

    assert names(open_jobs) == [name for name, status in by_name.items() if status in OPEN]
    assert names(unfinished) == [name for name, status in by_name.items() if status is not JobStatus.COMPLETED]
    assert {job.name: job.status for job in unfinished} == {
        name: status for name, status in by_name.items() if status is not JobStatus.COMPLETED
    }


async def test_a_job_is_loaded_with_its_place_and_its_policy(database: Database) -> None:
    flow = await Submitter(database).one(TREE)
    root, left, *_ = flow.jobs

    async with database.read() as snapshot:
        loaded = await states.open_jobs(snapshot, flow.id)

    assert [(job.name, job.depth, job.parent_id, job.policy, job.priority) for job in loaded] == [
        ("root", 0, None, Policy.FAIL, 0),
        ("left", 1, root.id, Policy.CONTINUE, 0),
        ("left-1", 2, left.id, Policy.WAIT, 0),
        ("left-2", 2, left.id, Policy.IGNORE, 0),
        ("right", 1, root.id, Policy.WAIT, 4),
    ]
    assert {(job.flow_id, job.run, job.last_fact) for job in loaded} == {(flow.id, 1, FactId(0, 0))}


@pytest.mark.parametrize(
    ("place", "line"), [(0, ["root"]), (3, ["root", "left", "left-2"]), (4, ["root", "right"])], ids=str
)
async def test_a_job_comes_with_every_job_above_it_the_root_first(
    database: Database, place: int, line: list[str]
) -> None:
    flow = await Submitter(database).one(TREE)

    async with database.read() as snapshot:
        found = await states.job_with_those_above(snapshot, flow.id, flow.jobs[place].id)

    assert names(found) == line


async def test_a_deep_line_of_jobs_is_found_whole(database: Database) -> None:
    tree = node("leaf")
    for depth in range(99):
        tree = node(f"above-{depth}", tree)
    flow = await Submitter(database).one(tree)

    async with database.read() as snapshot:
        found = await states.job_with_those_above(snapshot, flow.id, flow.jobs[-1].id)

    assert [job.id for job in found] == [job.id for job in flow.jobs]


async def test_a_job_of_another_flow_is_not_found(database: Database) -> None:
    submitter = Submitter(database)
    flow, other = await submitter.one(TREE), await submitter.one(TREE)

    async with database.read() as snapshot:
        for job_id in (other.jobs[2].id, NOBODY):
            with pytest.raises(NotFound) as missing:
                await states.job_with_those_above(snapshot, flow.id, job_id)
            assert (missing.value.kind, missing.value.key) == ("job", job_id)


# --- another run -------------------------------------------------------------------------------------


async def test_a_new_run_is_read_back_whole_and_no_other_job_is_touched(database: Database) -> None:
    submitter = Submitter(database)
    flow = await submitter.one(TREE)
    await submitter.one(TREE)
    failed, done = JobStatus.FAILED, JobStatus.COMPLETED
    await set_statuses(database, flow, [failed, failed, failed, done, done])
    before = await rows(database, FlowJob)

    async with database.write() as transaction:
        state = await states.flow(transaction, None, flow.id)
        again = retry.of_flow(await states.unfinished_jobs(transaction, flow.id))
        changes = retry.reopen(state, again, [], {}, START + 50)
        await decisions.rerun(transaction, changes)

    async with database.read() as snapshot:
        assert await states.open_jobs(snapshot, flow.id) == list(changes.jobs)
        assert (await states.flow(snapshot, None, flow.id, lock=False)).dispatch_due
    renewed = {job.id for job in flow.jobs[:3]}
    after = {row["id"]: row for row in await rows(database, FlowJob)}
    for row in before:
        if row["id"] in renewed:
            assert (after[row["id"]]["run"], after[row["id"]]["job_id"]) == (2, f"{row['id']}-2")
        else:
            assert after[row["id"]] == row


async def test_delays_are_those_that_were_asked_for(database: Database) -> None:
    flow = await Submitter(database).one(
        node("root", node("late", delay=700), node("backoff", backoff={"type": "fixed", "delay": 5}), node("plain"))
    )
    root, late, backoff, plain = (job.id for job in flow.jobs)

    async with database.read() as snapshot:
        found = await reruns.delays(snapshot, [root, late, backoff, plain])
        without = await reruns.delays(snapshot, [root, plain])

    assert {job_id: delay for job_id, delay in found.items() if delay} == {late: 700}
    assert without == {}


async def test_results_that_are_used_again_are_those_of_completed_children_that_do_not_run_again(
    database: Database,
) -> None:
    flow = await Submitter(database).one(TREE)
    root, left, left_1, left_2, right = flow.jobs
    done, failed = JobStatus.COMPLETED, JobStatus.FAILED
    await set_statuses(database, flow, [failed, done, done, failed, done])

    async with database.read() as snapshot:
        of_root = await reruns.completed_below(snapshot, [root.id])
        of_both = await reruns.completed_below(snapshot, [root.id, left.id])
        of_leaf = await reruns.completed_below(snapshot, [left_1.id])

    assert list(of_root.items()) == [(left.id, "left"), (right.id, "right")]
    assert of_both == {left_1.id: "left-1", right.id: "right"}
    assert left_2.id not in of_both
    assert of_leaf == {}


@pytest.mark.parametrize(("limit", "deadline"), [(60_000, START + 50 + 60_000), (None, None)])
async def test_a_flow_that_runs_again_has_its_whole_time(
    database: Database, limit: int | None, deadline: int | None
) -> None:
    submitter = Submitter(database)
    flow = await submitter.one(FlowRequest(root=TREE, deadline=limit))
    other = await submitter.one(FlowRequest(root=TREE, deadline=9_000))

    async with database.write() as transaction:
        await reruns.begin(transaction, flow.id, START + 50)

    found = {row["id"]: (row["deadline"], row["time_limit"]) for row in await rows(database, Flow)}
    assert found == {flow.id: (deadline, limit), other.id: (START + 9_000, 9_000)}


async def test_new_data_is_that_of_one_job(database: Database) -> None:
    flow = await Submitter(database).one(node("root", node("a", data='{"n":1}'), node("b", data='{"n":1}')))

    async with database.write() as transaction:
        await reruns.set_data(transaction, flow.user_id, flow.jobs[1].id, Json('{"n": 2, "ü":"\\u0000"}'))

    data = {row["name"]: row["data"] for row in await rows(database, FlowJob)}
    assert data == {"root": "{}", "a": '{"n": 2, "ü":"\\u0000"}', "b": '{"n":1}'}


# --- what is open, for an explanation ----------------------------------------------------------------


async def test_open_jobs_are_grouped_by_state_and_queue_with_the_first_of_each_and_counted_all(
    database: Database,
) -> None:
    submitter = Submitter(database)
    leaves = [node(f"leaf-{number}", queue="a" if number % 2 else "b") for number in range(7)]
    flow = await submitter.one(node("root", *leaves, queue="a"))
    await submitter.one(TREE)
    waiting, active, done = JobStatus.WAITING, JobStatus.ACTIVE, JobStatus.COMPLETED
    await set_statuses(
        database, flow, [JobStatus.WAITING_CHILDREN, waiting, waiting, waiting, active, waiting, waiting, done]
    )

    async with database.read() as snapshot:
        groups = await openings.groups(snapshot, flow.id, 2)

    assert [
        (group.status, group.queue_name, group.count, [job.name for job in group.examples]) for group in groups
    ] == [
        ("waiting-children", "a", 1, ["root"]),
        ("waiting", "b", 3, ["leaf-0", "leaf-2"]),
        ("waiting", "a", 2, ["leaf-1", "leaf-5"]),
        ("active", "a", 1, ["leaf-3"]),
    ]
    (root,) = groups[0].examples
    assert (root.id, root.job_id, root.status) == (flow.jobs[0].id, flow.jobs[0].job_id, "waiting-children")


async def test_open_children_are_counted_for_each_parent_with_the_first_by_name(database: Database) -> None:
    flow = await Submitter(database).one(TREE)
    statuses: list[Any] = [JobStatus.WAITING_CHILDREN, JobStatus.WAITING_CHILDREN, *[JobStatus.ACTIVE] * 2]
    await set_statuses(database, flow, [*statuses, JobStatus.COMPLETED])
    root, left, left_1, _, right = flow.jobs

    async with database.read() as snapshot:
        found = await openings.open_children(snapshot, [root.id, left.id, right.id, left_1.id], 1)

    assert {parent: (children.count, [job.name for job in children.first]) for parent, children in found.items()} == {
        root.id: (1, ["left"]),
        left.id: (2, ["left-1"]),
    }
