"""Decisions and facts about one flow at the same moment: one after the other, one winner, and no deadlock."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select, text

from bullflow import telemetry
from bullflow.errors import Conflict, NotFound
from bullflow.flow.facts import Fact, FactKind, Json
from bullflow.flow.fold import fold
from bullflow.flow.record import Changes
from bullflow.flow.tree import FlowRequest
from bullflow.janitor import Janitor
from bullflow.recorder.failures import after_failures
from bullflow.service.cancel import Cancel
from bullflow.service.delete import Delete
from bullflow.service.quotas import Limits, Quotas
from bullflow.service.retry import Retry
from bullflow.store import backlog, changing, log, states, views
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.store.tables import FlowJob
from support.eventually import eventually
from support.flows import START, HandClock, Submitter, caller, node
from support.ledger import a_fact

Act = Callable[[], Coroutine[Any, Any, Any]]
JOB_ENDS = {"job.completed", "job.failed", "job.cancelled"}
FLOW_ENDS = {"flow.completed", "flow.failed", "flow.cancelled"}


@pytest_asyncio.fixture
async def other(store_url: str) -> AsyncIterator[Database]:
    """The same store, as another process has it."""
    database = Database(store_url)
    yield database
    await database.close()


class Process:
    """What one process does to flows, without an engine below it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        clock = HandClock(START + 100)
        self._cancel = Cancel(database, clock=clock, doom=self._nothing, decided=lambda _: None, doomed=lambda: None)
        self._retry = Retry(
            database, clock=clock, quotas=Quotas(Limits(), clock=clock), finish=self.withdraw, decided=lambda _: None
        )
        self._delete = Delete(database, clock=clock, finish=self.withdraw)
        self._janitor = Janitor(
            database, clock=HandClock(START + 60_000), decided=lambda _: None, log=telemetry.logger("janitor")
        )

    async def cancel(self, flow: NewFlow) -> None:
        await self._cancel(caller(flow.user_id), flow.id)

    async def retry(self, flow: NewFlow) -> None:
        await self._retry.flow(caller(flow.user_id), flow.id)

    async def delete(self, flow: NewFlow) -> None:
        await self._delete(caller(flow.user_id), flow.id)

    async def expire(self) -> None:
        await self._janitor.run_once()

    async def record(self, *facts: Fact) -> None:
        """Keep a batch with all that its failures bring along, in one transaction, as the recorder does."""
        async with self.database.write(replayable=True) as transaction:
            jobs, flows = await states.load_for_fold(transaction, sorted({fact.job_id for fact in facts}))
            changes = fold(jobs, flows, facts)
            await changing.apply(transaction, changes)
            await after_failures(transaction, changes, START + 100)

    async def withdraw(self, flow_id: str) -> None:
        async with self.database.read() as snapshot:
            jobs = await backlog.jobs_to_withdraw(snapshot, flow_id)
        async with self.database.write(replayable=True) as transaction:
            await backlog.withdrawn(transaction, flow_id, [job.job_id for job in jobs])

    async def _nothing(self, _flow_id: str) -> None:
        """There is no engine."""


@pytest.fixture
def first(database: Database) -> Process:
    return Process(database)


@pytest.fixture
def second(other: Database) -> Process:
    return Process(other)


async def in_turn(database: Database, flow: NewFlow, *acts: Act) -> list[BaseException | None]:
    """Do these while the flow is locked, so that they come to wait for it in this order; their errors."""
    tasks: list[asyncio.Task[Any]] = []

    async def all_wait() -> bool:
        async with database.read() as snapshot:
            waiting = await snapshot.scalar(text("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"))
            return bool(waiting == len(tasks))

    async with database.write() as transaction:
        await states.flow(transaction, None, flow.id)
        for act in acts:
            tasks.append(asyncio.create_task(act()))
            await eventually(all_wait)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    return [result if isinstance(result, BaseException) else None for result in results]


async def assert_sound(database: Database, flow: NewFlow) -> list[str]:
    """Numbers without a gap, one end for each run, counts as they are; returns the flow's own entries."""
    async with database.read() as snapshot:
        entries = await log.after(snapshot, flow.id, 0, 1_000)
        view = await views.flow(snapshot, flow.user_id, flow.id)
        statuses = await snapshot.scalars(select(FlowJob.status).where(FlowJob.flow_id == flow.id))
        real = Counter(statuses)
    assert [entry.seq for entry in entries] == list(range(1, view.last_seq + 1))
    assert {status: number for status, number in view.counts.items() if number} == real
    ends = Counter(entry.job_id for entry in entries if entry.event in JOB_ENDS)
    assert max(ends.values(), default=0) <= 1
    told = [entry.event for entry in entries if entry.id is None]
    changes = [event for event in told if event in {*FLOW_ENDS, "flow.retried"}]
    assert all((event == "flow.retried") is bool(place % 2) for place, event in enumerate(changes))
    return told


def ends(flow: NewFlow, place: int, kind: FactKind, at: int = 50) -> Fact:
    result = Json("1") if kind is FactKind.COMPLETED else None
    reason = "broken" if kind is FactKind.FAILED else None
    return a_fact(kind, START + at, flow.jobs[place].job_id, result=result, reason=reason)


def refused(errors: Sequence[BaseException | None]) -> list[type[BaseException] | None]:
    return [None if error is None else type(error) for error in errors]


async def failed_flow(process: Process) -> NewFlow:
    """One whose root has failed because of `bad`, beside which `sibling` goes on."""
    flow = await Submitter(process.database).one(node("root", node("bad"), node("sibling", failParentOnFailure=False)))
    await process.record(ends(flow, 1, FactKind.FAILED, 1), ends(flow, 0, FactKind.FAILED, 2))
    return flow


async def statuses(database: Database, flow: NewFlow) -> list[tuple[str, int, str]]:
    async with database.read() as snapshot:
        found = await snapshot.execute(
            select(FlowJob.name, FlowJob.run, FlowJob.status)
            .where(FlowJob.flow_id == flow.id)
            .order_by(FlowJob.position)
        )
        return [(row.name, row.run, row.status) for row in found]


# --- in a known order --------------------------------------------------------------------------------

in_order = pytest.mark.parametrize("databases", ["postgres"], indirect=True)


@in_order
async def test_a_result_that_comes_after_the_cancellation_is_ignored(first: Process, second: Process) -> None:
    flow = await Submitter(first.database).one(node())

    errors = await in_turn(
        first.database, flow, lambda: first.cancel(flow), lambda: second.record(ends(flow, 0, FactKind.COMPLETED))
    )

    assert refused(errors) == [None, None]
    assert await assert_sound(first.database, flow) == ["flow.created", "flow.cancelled"]
    assert await statuses(first.database, flow) == [("root", 1, "cancelled")]


@in_order
async def test_a_cancellation_that_comes_after_the_result_is_refused(first: Process, second: Process) -> None:
    flow = await Submitter(first.database).one(node())

    errors = await in_turn(
        first.database, flow, lambda: first.record(ends(flow, 0, FactKind.COMPLETED)), lambda: second.cancel(flow)
    )

    assert refused(errors) == [None, Conflict]
    assert await assert_sound(first.database, flow) == ["flow.created", "flow.completed"]


@in_order
async def test_of_two_cancellations_one_is_told(first: Process, second: Process) -> None:
    flow = await Submitter(first.database).one(node("root", node("child")))

    errors = await in_turn(first.database, flow, lambda: first.cancel(flow), lambda: second.cancel(flow))

    assert refused(errors) == [None, None]
    assert await assert_sound(first.database, flow) == ["flow.created", "flow.cancelled"]


@in_order
async def test_of_two_retries_one_wins(first: Process, second: Process) -> None:
    flow = await failed_flow(first)

    errors = await in_turn(first.database, flow, lambda: first.retry(flow), lambda: second.retry(flow))

    assert refused(errors) == [None, Conflict]
    assert (await assert_sound(first.database, flow)).count("flow.retried") == 1
    assert await statuses(first.database, flow) == [
        ("root", 2, "waiting-children"),
        ("bad", 2, "waiting"),
        ("sibling", 1, "waiting"),
    ]


@in_order
@pytest.mark.parametrize("retry_first", [True, False])
@pytest.mark.parametrize("kind", [FactKind.COMPLETED, FactKind.ACTIVE])
async def test_what_a_sibling_does_during_a_retry_is_recorded_once_and_counted(
    first: Process, second: Process, kind: FactKind, retry_first: bool
) -> None:
    flow = await failed_flow(first)
    acts: list[Act] = [lambda: first.retry(flow), lambda: second.record(ends(flow, 2, kind))]

    errors = await in_turn(first.database, flow, *(acts if retry_first else acts[::-1]))

    assert refused(errors) == [None, None]
    await assert_sound(first.database, flow)
    assert await statuses(first.database, flow) == [
        ("root", 2, "waiting-children"),
        ("bad", 2, "waiting"),
        ("sibling", 1, kind.value),
    ]


@in_order
async def test_a_bare_failure_just_before_a_retry_runs_again_and_just_after_it_ends_the_flow_once_more(
    first: Process, second: Process
) -> None:
    before, after = await failed_flow(first), await failed_flow(first)

    await in_turn(
        first.database,
        before,
        lambda: second.record(ends(before, 2, FactKind.FAILED)),
        lambda: first.retry(before),
    )
    await in_turn(
        first.database, after, lambda: first.retry(after), lambda: second.record(ends(after, 2, FactKind.FAILED))
    )

    assert (await assert_sound(first.database, before))[-1] == "flow.retried"
    assert await statuses(first.database, before) == [
        ("root", 2, "waiting-children"), ("bad", 2, "waiting"), ("sibling", 2, "waiting"),
    ]  # fmt: skip
    assert (await assert_sound(first.database, after))[-1] == "flow.failed"
    assert await statuses(first.database, after) == [
        ("root", 2, "failed"), ("bad", 2, "cancelled"), ("sibling", 1, "failed"),
    ]  # fmt: skip


@in_order
@pytest.mark.parametrize("cancel_first", [True, False])
async def test_a_cancellation_and_a_retry_follow_each_other(
    first: Process, second: Process, cancel_first: bool
) -> None:
    flow = await failed_flow(first)
    acts: list[Act] = [lambda: first.cancel(flow), lambda: second.retry(flow)]

    errors = await in_turn(first.database, flow, *(acts if cancel_first else acts[::-1]))

    assert refused(errors) == [None, None]
    assert (await assert_sound(first.database, flow))[-1] == ("flow.retried" if cancel_first else "flow.cancelled")
    run = [("root", 2), ("bad", 2), ("sibling", 2 if cancel_first else 1)]
    states_now = ["waiting-children", "waiting", "waiting"] if cancel_first else ["cancelled"] * 3
    assert await statuses(first.database, flow) == [
        (name, number, status) for (name, number), status in zip(run, states_now, strict=True)
    ]


@in_order
async def test_of_a_flow_that_is_being_deleted_nothing_is_recorded_and_it_cannot_be_retried(
    first: Process, second: Process
) -> None:
    flow = await Submitter(first.database).one(node("root", node("child")))
    await first.record(ends(flow, 1, FactKind.FAILED, 1), ends(flow, 0, FactKind.FAILED, 2))

    errors = await in_turn(
        first.database,
        flow,
        lambda: first.delete(flow),
        lambda: second.record(a_fact(FactKind.PROGRESS, START + 9, flow.jobs[1].job_id, progress=Json("1"))),
        lambda: second.retry(flow),
    )

    assert refused(errors) == [None, None, NotFound]
    assert await statuses(first.database, flow) == []


@in_order
@pytest.mark.parametrize("late_first", [True, False])
async def test_a_flow_that_ends_at_its_deadline_ends_once(first: Process, second: Process, late_first: bool) -> None:
    flow = await Submitter(first.database).one(FlowRequest(root=node(), deadline=1_000))
    acts: list[Act] = [first.expire, lambda: second.record(ends(flow, 0, FactKind.COMPLETED))]

    errors = await in_turn(first.database, flow, *(acts if late_first else acts[::-1]))

    assert refused(errors) == [None, None]
    assert await assert_sound(first.database, flow) == [
        "flow.created", "flow.failed" if late_first else "flow.completed",
    ]  # fmt: skip


@in_order
async def test_a_flow_that_fails_just_before_its_deadline_lets_go_on_what_goes_on(
    first: Process, second: Process
) -> None:
    tree = node("root", node("bad"), node("sibling"))
    flow = await Submitter(first.database).one(FlowRequest(root=tree, deadline=1_000))
    facts = [ends(flow, 1, FactKind.FAILED, 1), ends(flow, 0, FactKind.FAILED, 2)]

    await in_turn(first.database, flow, lambda: second.record(*facts), first.expire)

    assert await assert_sound(first.database, flow) == ["flow.created", "flow.failed"]
    assert await statuses(first.database, flow) == [
        ("root", 1, "failed"),
        ("bad", 1, "failed"),
        ("sibling", 1, "waiting"),
    ]


async def test_a_flow_that_is_retried_after_it_was_found_late_has_its_whole_time_again(
    first: Process, second: Process
) -> None:
    """The janitor comes after its first deadline, and before the one that it has been given by the retry."""
    flow = await Submitter(first.database).one(FlowRequest(root=node("root", node("bad")), deadline=59_950))
    decided: list[Changes] = []

    class Overtaken(Janitor):
        async def _expire(self, flow_id: str) -> None:
            await second.record(ends(flow, 1, FactKind.FAILED, 1), ends(flow, 0, FactKind.FAILED, 2))
            await second.retry(flow)
            await super()._expire(flow_id)

    janitor = Overtaken(
        first.database, clock=HandClock(START + 60_000), decided=decided.append, log=telemetry.logger("janitor")
    )
    assert await janitor.run_once() == 1

    assert await assert_sound(first.database, flow) == ["flow.created", "flow.failed", "flow.retried"]
    assert await statuses(first.database, flow) == [("root", 2, "waiting-children"), ("bad", 2, "waiting")]
    assert decided == []


@in_order
async def test_a_withdrawal_that_was_read_before_another_ending_leaves_the_flow_due(
    first: Process, second: Process
) -> None:
    """On Postgres a condition that waits for a row looks at its new version, but at older ones of other rows."""
    flow = await failed_flow(first)
    async with first.database.read() as snapshot:
        jobs = await backlog.jobs_to_withdraw(snapshot, flow.id)

    async def settle() -> None:
        async with first.database.write() as transaction:
            await backlog.withdrawn(transaction, flow.id, [job.job_id for job in jobs])

    await in_turn(first.database, flow, lambda: second.cancel(flow), settle)

    async with first.database.read() as snapshot:
        assert (await states.flow(snapshot, None, flow.id, lock=False)).withdraw_due


# --- in whatever order -------------------------------------------------------------------------------


async def test_cancellations_retries_and_facts_of_several_flows_at_once_leave_each_sound(
    first: Process, second: Process
) -> None:
    submitter = Submitter(first.database)
    tree = node("root", *(node(f"leaf-{place}", failParentOnFailure=bool(place % 2)) for place in range(8)))
    new = [await submitter.one(tree) for _ in range(3)]
    chance = Random(7)

    async def work(process: Process, place: int) -> None:
        kind = chance.choice((FactKind.ACTIVE, FactKind.COMPLETED, FactKind.FAILED))
        await process.record(*(ends(flow, place, kind, place) for flow in chance.sample(new, 3)))

    async def decide(process: Process, flow: NewFlow) -> None:
        for act in chance.sample([process.cancel, process.retry, process.cancel, process.retry], 4):
            with suppress(Conflict):
                await act(flow)

    async with asyncio.TaskGroup() as tasks:
        for place in range(1, 9):
            tasks.create_task(work((first, second)[place % 2], place))
        for flow in new:
            for process in (first, second):
                tasks.create_task(decide(process, flow))

    for flow in new:
        await assert_sound(first.database, flow)


async def test_a_flow_that_many_cancel_retry_and_delete_at_once_is_gone_or_sound(
    first: Process, second: Process
) -> None:
    flow = await failed_flow(first)
    await first.cancel(flow)

    async def decide(
        process: Process, act: Callable[[Process], Callable[[NewFlow], Coroutine[Any, Any, None]]]
    ) -> None:
        with suppress(Conflict, NotFound):
            await act(process)(flow)

    acts = [lambda process: process.cancel, lambda process: process.retry, lambda process: process.delete]
    async with asyncio.TaskGroup() as tasks:
        for number in range(12):
            tasks.create_task(decide((first, second)[number % 2], acts[number % 3]))

    try:
        await assert_sound(first.database, flow)
    except NotFound:
        assert await statuses(first.database, flow) == []
