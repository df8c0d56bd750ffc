"""Endings and retries are written down just as they were decided, and nothing else is touched."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from bullflow.flow import ending, retry
from bullflow.flow.facts import Fact, FactKind, Json
from bullflow.flow.record import Changes, FlowState, JobState
from bullflow.flow.states import JobStatus
from bullflow.flow.tree import FlowRequest
from bullflow.store import changing, decisions, log, states
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.store.tables import Flow, FlowJob
from support.flows import START, Submitter, node, record, rows
from support.ledger import a_fact

NOW = START + 500
TREE = node(
    "root",
    node("middle", node("deep", failParentOnFailure=False), node("late", delay=700), priority=2),
    node("runs", attempts=3),
    node("done"),
    node("failed", ignoreDependencyOnFailure=True),
    node("waits"),
)
NAMES = ("root", "middle", "deep", "late", "runs", "done", "failed", "waits")


async def a_flow_in_the_middle(database: Database, **options: Any) -> NewFlow:
    """One that runs, beside another that nobody touches."""
    submitter = Submitter(database)
    await submitter.one(TREE)
    flow = await submitter.one(FlowRequest(root=TREE, **options))

    def fact(kind: FactKind, name: str, at: int, **fields: Any) -> Fact:
        return a_fact(kind, START + at, flow.jobs[NAMES.index(name)].job_id, **fields)

    await record(
        database,
        [
            fact(FactKind.ADDED, "root", 1),
            fact(FactKind.ACTIVE, "runs", 2, worker="host:1"),
            fact(FactKind.PROGRESS, "runs", 3, progress=Json("40")),
            fact(FactKind.WAITING, "runs", 4, reason="again", after_attempt=True),
            fact(FactKind.ACTIVE, "runs", 5, worker="host:2"),
            fact(FactKind.COMPLETED, "done", 6, result=Json('{"n":1}')),
            fact(FactKind.FAILED, "failed", 7, reason="no matter"),
        ],
    )
    return flow


def expected(before: list[dict[str, Any]], changes: Changes) -> list[dict[str, Any]]:
    """The rows of the jobs as the decision says."""
    after = {job.id: _columns(job) for job in changes.jobs}
    return [{**row, **after.get(row["id"], {})} for row in before]


def _columns(job: JobState) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "run": job.run,
        "status": job.status.value,
        "attempts_made": job.attempts_made,
        "last_fact": str(job.last_fact),
        "updated_at": job.updated_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "result": None if job.result is None else job.result.text,
        "error": changing.text(job.error),
        "progress": None if job.progress is None else job.progress.text,
        "worker": job.worker,
    }


async def assert_written(database: Database, flow: NewFlow, changes: Changes, before: list[dict[str, Any]]) -> None:
    assert await rows(database, FlowJob) == expected(before, changes)
    async with database.read() as snapshot:
        state = await states.flow(snapshot, None, flow.id, lock=False)
        entries = await log.after(snapshot, flow.id, state.last_seq - len(changes.entries), 1_000)
    (after,) = changes.flows
    assert state == _counted(after)
    assert [(entry.seq, entry.at, entry.event, entry.id, entry.job_id, entry.data) for entry in entries] == [
        (entry.seq, entry.at, entry.event, entry.id, entry.job_id, log.encode(entry.data)) for entry in changes.entries
    ]


def _counted(flow: FlowState) -> FlowState:
    counts = {status: flow.counts.get(status, 0) for status in JobStatus}
    return replace(flow, counts=counts)


ENDINGS: dict[str, Callable[[FlowState, list[JobState]], Changes]] = {
    "cancelled": lambda flow, open_jobs: ending.cancel(flow, open_jobs, NOW),
    "late": lambda flow, open_jobs: ending.fail(flow, open_jobs, NOW, "it's \0 late \U0001f642"),
    "failed": lambda flow, open_jobs: (
        ending.after_failures(flow, [_failed(open_jobs, "deep")], _without(open_jobs, "deep"), NOW) or _nothing()
    ),
}


def _failed(open_jobs: list[JobState], name: str) -> JobState:
    (job,) = [job for job in open_jobs if job.name == name]
    return replace(job, status=JobStatus.FAILED, error={"message": "broken"})


def _without(open_jobs: list[JobState], name: str) -> list[JobState]:
    return [job for job in open_jobs if job.name != name]


def _nothing() -> Changes:
    raise AssertionError("nothing was decided")


@pytest.mark.parametrize("fail_fast", [False, True])
@pytest.mark.parametrize("kind", ENDINGS)
async def test_an_ending_is_read_back_as_it_was_decided(database: Database, kind: str, fail_fast: bool) -> None:
    flow = await a_flow_in_the_middle(database, fail_fast=fail_fast)
    before = await rows(database, FlowJob)

    async with database.write() as transaction:
        state = await states.flow(transaction, None, flow.id)
        changes = ENDINGS[kind](state, await states.open_jobs(transaction, flow.id))
        await decisions.end(transaction, changes)

    assert len(changes.jobs) >= 2
    await assert_written(database, flow, changes, before)


@pytest.mark.parametrize("alone", [False, True])
async def test_a_retry_is_read_back_as_it_was_decided(database: Database, alone: bool) -> None:
    flow = await a_flow_in_the_middle(database)
    async with database.write() as transaction:
        state = await states.flow(transaction, None, flow.id)
        cancelled = ending.cancel(state, await states.open_jobs(transaction, flow.id), NOW)
        await decisions.end(transaction, cancelled)
        # Some have run more often than others.
        for place, run in ((0, 3), (4, 10)):
            job = flow.jobs[place]
            await transaction.execute(
                update(FlowJob).where(FlowJob.id == job.id).values(run=run, job_id=f"{job.id}-{run}")
            )
    before = await rows(database, FlowJob)

    async with database.write() as transaction:
        state = await states.flow(transaction, None, flow.id)
        again = retry.of_flow(await states.unfinished_jobs(transaction, flow.id))
        if alone:
            again = retry.of_job(await states.job_with_those_above(transaction, flow.id, flow.jobs[4].id))
        changes = retry.reopen(state, again, [], {flow.jobs[3].id: 700}, NOW + 9)
        await decisions.rerun(transaction, changes)

    assert sorted({job.run for job in changes.jobs}) == ([4, 11] if alone else [2, 4, 11])
    await assert_written(database, flow, changes, before)


async def test_a_decision_about_a_wide_flow_is_written_whole(database: Database) -> None:
    wide = node("root", *(node(f"leaf-{number}", priority=number % 3) for number in range(2_000)))
    flow = await Submitter(database).one(wide)
    before = await rows(database, FlowJob)

    async with database.write() as transaction:
        state = await states.flow(transaction, None, flow.id)
        changes = ending.cancel(state, await states.open_jobs(transaction, flow.id), NOW)
        await decisions.end(transaction, changes)

    assert await rows(database, FlowJob) == expected(before, changes)
    (row,) = await rows(database, Flow)
    assert (row["n_cancelled"], row["n_waiting"], row["n_prioritized"], row["last_seq"]) == (2_001, 0, 0, 2_003)


async def test_a_decision_without_jobs_changes_the_flow_alone(database: Database) -> None:
    flow = await Submitter(database).one(node())
    await record(database, [a_fact(FactKind.COMPLETED, START + 1, flow.jobs[0].job_id)])
    before = await rows(database, FlowJob), await rows(database, Flow)

    async with database.write() as transaction:
        state = await states.flow(transaction, None, flow.id)
        await decisions.end(transaction, ending.cancel(state, [], NOW))

    assert (await rows(database, FlowJob), await rows(database, Flow)) == before
