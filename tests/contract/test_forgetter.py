"""Ended flows are deleted after their time, whole and in short steps; nothing else is, and no half of one is seen."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update

from bullflow import forgetter as forgetter_module
from bullflow import telemetry
from bullflow.errors import NotFound, StoreAway
from bullflow.flow import ending, retry
from bullflow.flow.facts import FactKind, Json, LogLine
from bullflow.flow.tree import FlowRequest
from bullflow.forgetter import FLOWS_A_ROUND, Forgetter
from bullflow.service.delete import Delete
from bullflow.store import decisions, erasing, job_log, log, reruns, states, users, views
from bullflow.store.database import Database
from bullflow.store.erasing import Eraser, next_size
from bullflow.store.flows import NewFlow
from bullflow.store.keys import Key
from bullflow.store.tables import Base, Flow, FlowJob, FlowTag, IdempotencyKey, JobLogLine, LogEntry
from bullflow.store.transaction import Transaction
from bullflow.store.views import FlowFilter
from support.flows import START, HandClock, Submitter, a_submit, caller, how_many, node, record, rows
from support.ledger import a_fact

KEEP = timedelta(days=1)
LATER = START + 86_400_000
"""When the time is over of what ended at START."""
TREE = node("root", node("left", node("left-1")), node("right"))
OWNED: Sequence[type[Base]] = (Flow, FlowJob, FlowTag, IdempotencyKey, LogEntry, JobLogLine)


def forgetter(database: Database, now: int = LATER + 10, keep: timedelta | None = KEEP) -> Forgetter:
    return Forgetter(database, keep=keep, clock=HandClock(now), log=telemetry.logger("forgetter"))


async def complete(database: Database, *new: NewFlow, at: int = START) -> None:
    await record(
        database,
        [
            a_fact(FactKind.COMPLETED, at, job.job_id, n=n, result=Json("1"))
            for flow in new
            for n, job in enumerate(reversed(flow.jobs))
        ],
    )


async def flows_left(database: Database) -> set[str]:
    return {row["id"] for row in await rows(database, Flow)}


async def counts(database: Database) -> list[int]:
    return [await how_many(database, table) for table in OWNED]


async def say(database: Database, flow: NewFlow, lines: int) -> None:
    """Each of the flow's jobs logs so many lines."""
    async with database.write() as transaction:
        jobs = {job.job_id: job for job in await states.open_jobs(transaction, flow.id)}
        said = [LogLine(job_id=job_id, at=START, line=f"{n}") for job_id in jobs for n in range(lines)]
        await job_log.append(transaction, jobs, said, lines)


# --- what goes ---------------------------------------------------------------------------------------


async def test_a_flow_goes_when_its_time_is_over_with_all_that_belongs_to_it(database: Database) -> None:
    submitter = Submitter(database)
    kept = await submitter.one(FlowRequest(root=TREE, tags=("mine",)))
    await complete(database, kept, at=START + 11)
    before = await counts(database)
    submit = a_submit(database, clock=HandClock(), new_id=HandClock().new_id, accepted=submitter.accepted)
    old = await submit.once(
        await submitter.caller(), FlowRequest(root=TREE, tags=("mine", "old")), Key(key="once", fingerprint="f")
    )
    assert isinstance(old, NewFlow)
    await say(database, old, 3)
    await complete(database, old)

    assert await forgetter(database, LATER - 1).run_once() == 0
    assert await flows_left(database) == {kept.id, old.id}

    await forgetter(database, LATER).run_once()

    assert await flows_left(database) == {kept.id}
    assert await counts(database) == before


async def test_a_flow_that_has_not_ended_stays_however_old_it_is(database: Database) -> None:
    flow = await Submitter(database).one(TREE)

    await forgetter(database, LATER * 2).run_once()

    assert await flows_left(database) == {flow.id}


async def test_a_flow_stays_while_jobs_of_it_go_on_or_it_is_still_in_the_engine(database: Database) -> None:
    submitter = Submitter(database)
    goes_on, in_engine, not_there = [await submitter.one(node("root", node("bad"), node("other"))) for _ in range(3)]
    for flow in (goes_on, not_there):
        await record(database, [a_fact(FactKind.FAILED, START, job.job_id, reason="bad") for job in flow.jobs[1::-1]])
    await record(database, [a_fact(FactKind.COMPLETED, START + 1, not_there.jobs[2].job_id, result=Json("1"))])
    async with database.write() as transaction:
        state = await states.flow(transaction, None, in_engine.id)
        open_jobs = await states.open_jobs(transaction, in_engine.id)
        await decisions.end(transaction, ending.cancel(state, open_jobs, START))
        await transaction.execute(update(Flow).where(Flow.id == not_there.id).values(dispatch_due=True))
    ended = {row["id"]: row["finished_at"] for row in await rows(database, Flow)}
    assert None not in ended.values()

    await forgetter(database).run_once()

    assert await flows_left(database) == {goes_on.id, in_engine.id, not_there.id}

    async with database.write() as transaction:
        await transaction.execute(update(Flow).values(dispatch_due=False, withdraw_due=False))
    await forgetter(database).run_once()

    assert await flows_left(database) == {goes_on.id}

    await record(database, [a_fact(FactKind.COMPLETED, START + 2, goes_on.jobs[2].job_id, result=Json("1"))])
    await forgetter(database).run_once()

    assert await flows_left(database) == set()


async def test_flows_are_kept_for_ever_if_nothing_else_is_said(database: Database) -> None:
    flow = await Submitter(database).one(TREE)
    await complete(database, flow)

    await forgetter(database, LATER * 9, keep=None).run_once()

    assert await flows_left(database) == {flow.id}


async def test_a_backlog_is_worked_off_batch_by_batch_and_a_few_wait_for_the_next_look(database: Database) -> None:
    submitter = Submitter(database)
    new = await submitter.all(*(node() for _ in range(FLOWS_A_ROUND + 5)))
    await complete(database, *new)
    loop = forgetter(database)

    assert await loop.run_once() == FLOWS_A_ROUND
    assert len(await flows_left(database)) == 5
    assert await loop.run_once() == 0
    assert await flows_left(database) == set()


async def test_flows_that_cannot_go_hold_no_others_up_and_go_when_they_can(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetter_module, "FLOWS_A_ROUND", 2)
    stuck, *old = await Submitter(database).all(*(node() for _ in range(6)))
    await complete(database, stuck, *old)
    async with database.write() as transaction:
        await transaction.execute(update(Flow).where(Flow.id == stuck.id).values(withdraw_due=True, finished_at=1))
    loop = forgetter(database)

    assert [await loop.run_once() for _ in range(3)] == [2, 2, 0]
    assert await flows_left(database) == {stuck.id}

    async with database.write() as transaction:
        await transaction.execute(update(Flow).values(withdraw_due=False))
    await loop.run_once()
    assert await flows_left(database) == set()


# --- in steps, and seen by nobody --------------------------------------------------------------------


async def test_a_flow_is_gone_for_all_before_the_first_of_its_rows(database: Database) -> None:
    submitter = Submitter(database)
    flow = await submitter.one(FlowRequest(root=TREE, tags=("mine",)))
    await complete(database, flow)

    async with database.write() as transaction:
        await erasing.hide_ended(transaction, [flow.id], LATER)

    async with database.read() as snapshot:
        for only in (FlowFilter(), FlowFilter(tag="mine")):
            assert await views.flows(snapshot, flow.user_id, only, None, 10) == []
        with pytest.raises(NotFound):
            await views.flow(snapshot, flow.user_id, flow.id)
        with pytest.raises(NotFound):
            await views.job(snapshot, flow.user_id, flow.jobs[0].id)
        with pytest.raises(NotFound):
            await states.flow_of(snapshot, flow.user_id, flow.jobs[0].id)
    assert await how_many(database, FlowJob) == 4


async def test_a_key_makes_another_flow_once_its_own_is_hidden(database: Database) -> None:
    submitter, clock = Submitter(database), HandClock()
    submit = a_submit(database, clock=clock, new_id=clock.new_id, accepted=submitter.accepted)
    user, key = await submitter.caller(), Key(key="k", fingerprint="f")
    first = await submit.once(user, FlowRequest(root=TREE), key)
    assert isinstance(first, NewFlow)
    await complete(database, first)
    async with database.write() as transaction:
        await erasing.hide_ended(transaction, [first.id], LATER)

    assert isinstance(await submit.once(user, FlowRequest(root=TREE), key), NewFlow)


@pytest.mark.parametrize("most", [1, 2, 3, 7])
async def test_no_step_erases_more_than_it_may_and_a_log_never_has_a_gap(database: Database, most: int) -> None:
    flow, other = await Submitter(database).all(TREE, TREE)
    await say(database, flow, 4)
    await complete(database, flow)
    async with database.write() as transaction:
        await erasing.hide_ended(transaction, [flow.id], LATER)

    before, steps, done = await counts(database), 0, False
    while not done:
        async with database.write() as transaction:
            done = await erasing.erase_rows(transaction, [flow.id], most)
        now = await counts(database)
        erased = sum(before) - sum(now) - (before[0] - now[0])
        assert erased <= 2 * most, "jobs that have no lines go together with the lines of others"
        async with database.read() as snapshot:
            seqs = [item.seq for item in await log.after(snapshot, flow.id, 0, 1_000)]
            jobs = await snapshot.scalars(select(FlowJob.position).where(FlowJob.flow_id == flow.id))
        assert seqs == list(range(1, len(seqs) + 1))
        assert sorted(positions := list(jobs)) == list(range(len(positions)))
        before, steps = now, steps + 1

    assert steps >= 27 / (2 * most)
    assert await flows_left(database) == {other.id}
    assert await how_many(database, FlowJob) == 4


@pytest.mark.parametrize("keep", [KEEP, None])
async def test_what_somebody_has_begun_to_delete_is_finished(database: Database, keep: timedelta | None) -> None:
    """A process has ended in the middle of a DELETE."""
    flow, other = await Submitter(database).all(TREE, TREE)
    await complete(database, flow)
    async with database.write() as transaction:
        await erasing.hide(transaction, [flow.id])
    async with database.write() as transaction:
        assert not await erasing.erase_rows(transaction, [flow.id], 3)

    await forgetter(database, START + 1, keep).run_once()

    assert await flows_left(database) == {other.id}
    assert await how_many(database, FlowJob) == 4


async def test_two_erase_the_same_flow_at_once(database: Database, store_url: str) -> None:
    flow, other = await Submitter(database).all(node("root", *(node(f"n{n}") for n in range(300))), TREE)
    await complete(database, flow)
    async with database.write() as transaction:
        await erasing.hide(transaction, [flow.id])
    async with database.read() as snapshot:
        hidden = await erasing.hidden(snapshot, 10)
    assert [one.rows for one in hidden] == [301 + 303]
    elsewhere = Database(store_url)

    await asyncio.gather(Eraser(database).erase(hidden), Eraser(elsewhere).erase(hidden))

    await elsewhere.close()
    assert await flows_left(database) == {other.id}


async def test_only_what_is_hidden_is_erased(database: Database) -> None:
    flow = await Submitter(database).one(TREE)
    await complete(database, flow)

    await Eraser(database).erase([erasing.Hidden(id=flow.id, rows=8)])

    assert await flows_left(database) == {flow.id}
    assert await how_many(database, FlowJob) == 4


# --- others who want the flow ------------------------------------------------------------------------


async def test_a_flow_that_is_retried_after_the_look_is_left_alone(database: Database) -> None:
    flow = await Submitter(database).one(node())
    await record(database, [a_fact(FactKind.FAILED, START, flow.jobs[0].job_id, reason="bad")])
    async with database.read() as snapshot:
        found = await erasing.ended(snapshot, 0, LATER, 10)
    await rerun(database, flow)

    async with database.write() as transaction:
        await erasing.hide_ended(transaction, list(found), LATER)

    assert list(found) == [flow.id]
    assert [row["user_id"] for row in await rows(database, Flow)] == [flow.user_id]


async def rerun(database: Database, flow: NewFlow) -> None:
    async with database.write() as transaction:
        state = await states.flow(transaction, None, flow.id)
        again = retry.of_flow(await states.unfinished_jobs(transaction, flow.id))
        await decisions.rerun(transaction, retry.reopen(state, again, [], {}, START + 20))
        await reruns.begin(transaction, flow.id, START + 20)


# SQLite has one lock for all.
@pytest.mark.parametrize("databases", ["postgres"], indirect=True)
async def test_a_flow_that_somebody_holds_is_left_for_later_and_not_waited_for(database: Database) -> None:
    held, free = await Submitter(database).all(node(), node())
    await complete(database, held, free)

    async with database.write() as transaction:
        await states.flow(transaction, None, held.id)
        await asyncio.wait_for(forgetter(database).run_once(), 5)
        assert await flows_left(database) == {held.id}


async def test_a_flow_is_deleted_by_its_user_in_the_same_steps(database: Database) -> None:
    flow, other = await Submitter(database).all(node("root", *(node(f"n{n}") for n in range(2_500))), TREE)
    await complete(database, flow)

    async def finish(_flow_id: str) -> None:
        raise AssertionError("there is nothing of it in the engine")

    delete = Delete(database, clock=HandClock(), finish=finish)
    await delete(caller(flow.user_id), flow.id)

    assert await flows_left(database) == {other.id}
    assert await how_many(database, FlowJob) == 4
    with pytest.raises(NotFound):
        await delete(caller(flow.user_id), flow.id)


async def test_a_deletion_is_answered_once_nobody_sees_the_flow_though_the_store_goes_away_then(
    database: Database,
) -> None:
    flow = await Submitter(database).one(TREE)
    await complete(database, flow)

    class Failing(Database):
        """Goes away after its first transaction."""

        writes = 0

        @asynccontextmanager
        async def write(self, *, replayable: bool = False) -> AsyncIterator[Transaction]:
            self.writes += 1
            if self.writes > 1:
                raise StoreAway("the test has taken it away")
            async with super().write(replayable=replayable) as transaction:
                yield transaction

    failing = Failing(database.url)
    await Delete(failing, clock=HandClock(), finish=None)(caller(flow.user_id), flow.id)  # type: ignore[arg-type]

    await failing.close()
    assert await flows_left(database) == {flow.id}
    await forgetter(database, START).run_once()
    assert await flows_left(database) == set()


async def test_no_user_is_the_one_to_whom_hidden_flows_belong(database: Database) -> None:
    submitter = Submitter(database)
    async with database.write() as transaction:
        for _ in range(2):
            await users.ensure_nobody(transaction)
    await submitter.user("nobody")

    async with database.read() as snapshot:
        names = list((await snapshot.execute(text("SELECT name FROM users ORDER BY name"))).scalars())
    assert names == [users.NOBODY, "nobody"]


# --- how large a step is -----------------------------------------------------------------------------


def test_steps_that_take_long_get_smaller_and_those_that_do_not_larger_within_bounds() -> None:
    assert next_size(800, took=0.06) == 400
    assert next_size(800, took=0.03) == 800
    assert next_size(800, took=0.01) == 1_600
    assert (next_size(60, took=9), next_size(1_900, took=0)) == (50, 2_000)
