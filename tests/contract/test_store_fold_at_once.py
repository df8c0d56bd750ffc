"""Two processes that fold the same flow at the same time: one after the other, and nothing is lost."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio
from sqlalchemy import text

from bullflow.flow.facts import FactKind, Json
from bullflow.flow.fold import fold
from bullflow.flow.states import JobStatus
from bullflow.store import changing, log, states, views
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from support.eventually import eventually
from support.flows import START, HandClock, Submitter, both_wait, node, record, wide
from support.ledger import a_fact


@pytest_asyncio.fixture
async def other(store_url: str) -> AsyncIterator[Database]:
    """The same store, as another process has it."""
    database = Database(store_url)
    yield database
    await database.close()


async def test_a_fold_waits_for_the_one_before_and_goes_on_from_there(database: Database, other: Database) -> None:
    flow = await Submitter(database).one(wide(2))
    left, right = flow.jobs[1].job_id, flow.jobs[2].job_id

    async with database.write() as transaction:
        jobs, their_flows = await states.load_for_fold(transaction, [left])
        second = asyncio.create_task(record(other, [a_fact(FactKind.ACTIVE, START + 2, right)]))
        done, _ = await asyncio.wait({second}, timeout=0.2)
        assert not done
        first = fold(jobs, their_flows, [a_fact(FactKind.ACTIVE, START + 1, left)])
        await changing.apply(transaction, first)
    changes = await second

    assert [entry.seq for entry in first.entries] == [2]
    assert [entry.seq for entry in changes.entries] == [3]
    assert (await _flow(database, flow)).counts[JobStatus.ACTIVE] == 2


async def test_a_job_that_has_ended_meanwhile_is_seen_as_ended(database: Database, other: Database) -> None:
    flow = await Submitter(database).one(node())
    job_id = flow.jobs[0].job_id
    await record(database, [a_fact(FactKind.ACTIVE, START + 1, job_id)])

    async with database.write() as transaction:
        jobs, their_flows = await states.load_for_fold(transaction, [job_id])
        late = asyncio.create_task(record(other, [a_fact(FactKind.FAILED, START + 3, job_id, reason="zombie")]))
        done, _ = await asyncio.wait({late}, timeout=0.2)
        assert not done
        facts = [a_fact(FactKind.COMPLETED, START + 2, job_id, result=Json("1"))]
        await changing.apply(transaction, fold(jobs, their_flows, facts))
    await late

    view = await _flow(database, flow)
    assert (view.status, view.result, view.last_seq) == ("completed", "1", 4)


async def test_many_folds_of_one_flow_from_two_processes_lose_nothing(database: Database, other: Database) -> None:
    flow = await Submitter(database).one(wide(40))
    leaves = [job.job_id for job in flow.jobs[1:]]

    async def work(place: int, job_id: str) -> None:
        at = START + place
        await record((database, other)[place % 2], [a_fact(FactKind.ACTIVE, at, job_id)])
        await record((other, database)[place % 2], [a_fact(FactKind.COMPLETED, at + 1, job_id, result=Json("1"))])

    async with asyncio.TaskGroup() as tasks:
        for place, job_id in enumerate(leaves):
            tasks.create_task(work(place, job_id))

    async with database.read() as snapshot:
        entries = await log.after(snapshot, flow.id, 0, 1_000)
    assert [entry.seq for entry in entries] == list(range(1, 82))
    assert Counter(entry.event for entry in entries) == {"flow.created": 1, "job.active": 40, "job.completed": 40}
    view = await _flow(database, flow)
    assert (view.last_seq, view.counts[JobStatus.COMPLETED], view.counts[JobStatus.WAITING]) == (81, 40, 0)


@pytest.mark.parametrize("databases", ["postgres"], indirect=True)
async def test_batches_with_the_same_flows_never_wait_for_each_other_crosswise(
    database: Database, other: Database
) -> None:
    new = await _stored_backwards(database, 9)
    oldest_first = [flow.jobs[1].job_id for flow in reversed(new)]
    newest_first = [flow.jobs[2].job_id for flow in new]

    async with database.write() as transaction:
        await states.load_for_fold(transaction, [new[4].jobs[0].job_id])
        folds = asyncio.gather(
            _fold(database, oldest_first, "SET LOCAL enable_seqscan = off", "SET LOCAL enable_bitmapscan = off"),
            _fold(other, newest_first, "SET LOCAL enable_indexscan = off", "SET LOCAL enable_bitmapscan = off"),
        )
        await eventually(lambda: both_wait(other))
    await folds

    for flow in new:
        assert (await _flow(database, flow)).counts[JobStatus.ACTIVE] == 2


async def _stored_backwards(database: Database, number: int) -> list[NewFlow]:
    """Flows whose rows lie in their table in the opposite order of their ids."""
    clock = HandClock()
    submitter = Submitter(database, clock)
    new = []
    for place in range(number):
        clock.now = START - place
        new.append(await submitter.one(wide(2)))
    return new


async def _fold(database: Database, job_ids: Sequence[str], *hints: str) -> None:
    """Start these jobs; the hints say whether Postgres finds them in the order of their ids or of their rows."""
    async with database.write() as transaction:
        for hint in hints:
            await transaction.execute(text(hint))
        jobs, their_flows = await states.load_for_fold(transaction, job_ids)
        facts = [a_fact(FactKind.ACTIVE, START + 1, job_id) for job_id in job_ids]
        await changing.apply(transaction, fold(jobs, their_flows, facts))


async def _flow(database: Database, flow: NewFlow) -> views.FlowView:
    async with database.read() as snapshot:
        return await views.flow(snapshot, flow.user_id, flow.id)
