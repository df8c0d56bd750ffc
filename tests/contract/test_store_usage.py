"""What users have in the store, counted by everybody who writes, and what follows when it is too much."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from bullflow.bookkeeper import Bookkeeper
from bullflow.errors import Invalid, Limited, StoreFull
from bullflow.flow.access import Caller
from bullflow.flow.facts import Fact, FactId, FactKind, Json
from bullflow.flow.tree import FlowRequest
from bullflow.service.delete import Delete
from bullflow.service.quotas import Limits, Quotas
from bullflow.service.retry import Retry
from bullflow.store import acts, erasing, usage
from bullflow.store.account_tables import Session, Usage
from bullflow.store.acts import Done
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.store.keys import Key
from bullflow.store.tables import Flow
from bullflow.telemetry import logger
from support.flows import START, HandClock, Submitter, caller, how_many, node, record, rows

DATA = '{"a":"é"}'  # 10 bytes, 9 characters


async def stored(database: Database, user_id: str) -> int:
    async with database.read() as snapshot:
        return await usage.stored(snapshot, user_id)


async def running(database: Database, user_id: str, most: int = 100) -> int:
    async with database.read() as snapshot:
        return await usage.running(snapshot, user_id, most)


async def by_flows(database: Database, user_id: str) -> int:
    async with database.read() as snapshot:
        return int(
            await snapshot.scalar(select(func.coalesce(func.sum(Flow.stored_bytes), 0)).where(Flow.user_id == user_id))
        )


def completed(flow: NewFlow, result: str, at: int = START + 10) -> list[Fact]:
    job_id = flow.jobs[0].job_id
    return [
        Fact(id=FactId(at, 0), kind=FactKind.ACTIVE, job_id=job_id),
        Fact(id=FactId(at, 1), kind=FactKind.COMPLETED, job_id=job_id, result=Json(result)),
    ]


def failed(flow: NewFlow, at: int = START + 10) -> list[Fact]:
    job_id = flow.jobs[0].job_id
    return [
        Fact(id=FactId(at, 0), kind=FactKind.ACTIVE, job_id=job_id),
        Fact(id=FactId(at, 1), kind=FactKind.FAILED, job_id=job_id, reason="no"),
    ]


def bookkeeper(database: Database, now: int = START, keep: timedelta | None = None) -> Bookkeeper:
    return Bookkeeper(database, keep=keep, clock=HandClock(now), log=logger("bookkeeper"))


async def test_data_counts_from_the_creation_on_and_results_when_they_are_recorded(database: Database) -> None:
    submitter = Submitter(database)
    flow = await submitter.one(node("root", node("child", data=DATA), data=DATA))
    other = await submitter.one(node("root", data=DATA), user="other")
    assert await stored(database, flow.user_id) == 20

    lone = await submitter.one(node("root", data="{}"))
    await record(database, completed(lone, '"éé"'))

    assert await stored(database, flow.user_id) == 20 + 2 + 6 == await by_flows(database, flow.user_id)
    assert await stored(database, other.user_id) == 10


async def test_what_is_recorded_twice_counts_once(database: Database) -> None:
    flow = await Submitter(database).one(node("root"))
    await record(database, completed(flow, '"x"'))
    before = await stored(database, flow.user_id)

    await record(database, completed(flow, '"x"'))

    assert await stored(database, flow.user_id) == before == 2 + 3


async def test_a_flow_that_goes_gives_back_what_it_had(database: Database) -> None:
    submitter = Submitter(database)
    flow, kept = await submitter.all(node("root", data=DATA), node("root", data=DATA))
    await record(database, completed(flow, '"x"'))

    async def finish(_: str) -> None:
        raise AssertionError("there is nothing of it in the engine")

    await Delete(database, clock=HandClock(), finish=finish)(caller(flow.user_id), flow.id)

    assert await stored(database, kept.user_id) == 10
    await record(database, completed(kept, '"x"'))
    async with database.write() as transaction:
        await erasing.hide_ended(transaction, [kept.id], START + 100)
    assert await stored(database, kept.user_id) == 0


async def test_the_books_are_kept_short_and_stay_right_while_others_write(database: Database) -> None:
    submitter = Submitter(database)
    for _ in range(5):
        await submitter.one(node("root", data=DATA))
    user = await submitter.user()

    await asyncio.gather(
        *(bookkeeper(database).run_once() for _ in range(2)),
        *(submitter.one(node("root", data=DATA)) for _ in range(5)),
    )
    await bookkeeper(database).run_once()

    assert await stored(database, user) == 100
    assert len(await rows(database, Usage)) == 1


async def test_flows_that_run_are_counted_up_to_a_limit(database: Database) -> None:
    submitter = Submitter(database)
    flows = [await submitter.one(node("root")) for _ in range(4)]
    await record(database, completed(flows[0], "1"))

    user = await submitter.user()
    assert await running(database, user) == 3
    assert await running(database, user, most=2) == 2


async def test_no_more_flows_run_than_allowed_however_many_are_asked_for_at_once(database: Database) -> None:
    submitter = Submitter(database, limits=Limits(running_flows=3))
    asked = await asyncio.gather(*(submitter.one(node("root")) for _ in range(10)), return_exceptions=True)

    let_through = [flow for flow in asked if isinstance(flow, NewFlow)]
    refused = [error for error in asked if isinstance(error, Limited)]
    assert (len(let_through), len(refused)) == (3, 7)
    assert await how_many(database, Flow) == 3
    assert isinstance(await submitter.one(node("root"), user="somebody else"), NewFlow)

    await record(database, completed(let_through[0], "1"))
    await submitter.one(node("root"))
    with pytest.raises(Limited, match="MAX_RUNNING_FLOWS"):
        await submitter.one(node("root"))
    with pytest.raises(Invalid):
        await Submitter(database, limits=Limits(running_flows=3)).all(*[node("root")] * 4, user="a third")


async def test_of_several_processes_too_no_more_flows_run_than_allowed(database: Database, store_url: str) -> None:
    others = [Database(store_url) for _ in range(4)]
    submitters = [Submitter(other, limits=Limits(running_flows=2)) for other in others]
    await submitters[0].user()
    asked = await asyncio.gather(*(each.one(node("root")) for each in submitters * 3), return_exceptions=True)
    for other in others:
        await other.close()

    assert sum(isinstance(flow, NewFlow) for flow in asked) == 2
    assert {type(error) for error in asked} == {NewFlow, Limited}
    assert await how_many(database, Flow) == 2


async def test_who_is_refused_does_not_use_up_the_key_and_harms_nobody_beside_it(database: Database) -> None:
    submitter = Submitter(database, limits=Limits(running_flows=1))
    first = await submitter.one(node("root"))
    mine, other = await submitter.caller(), await submitter.caller("somebody else")
    asked, key = FlowRequest(root=node("root")), Key(key="k", fingerprint="f")
    refused, made = await asyncio.gather(
        submitter.once(mine, asked, key), submitter.once(other, asked, key), return_exceptions=True
    )
    assert isinstance(refused, Limited)
    assert isinstance(made, NewFlow)

    await record(database, completed(first, "1"))
    now_made = await submitter.once(mine, asked, key)
    assert isinstance(now_made, NewFlow)
    assert await submitter.once(mine, asked, key) == now_made.id  # told again, though nothing more may run


async def test_a_retry_needs_room_and_its_new_data_counts(database: Database) -> None:
    submitter = Submitter(database)
    flow = await submitter.one(node("root", data=DATA))
    await record(database, failed(flow))
    before = await stored(database, flow.user_id)
    me, clock = caller(flow.user_id), HandClock(START + 100)

    async def finish(_: str) -> None:
        raise AssertionError("there is nothing of it in the engine")

    def retry(limits: Limits) -> Retry:
        quotas = Quotas(limits, clock=clock)
        return Retry(database, clock=clock, quotas=quotas, finish=finish, decided=lambda _: None)

    job_id = flow.jobs[0].id
    with pytest.raises(StoreFull):
        await retry(Limits(stored_bytes=before + 5)).job(me, job_id, Json('"0123456789"'))
    running_one = await submitter.one(node("root", data="{}"))
    with pytest.raises(Limited, match="MAX_RUNNING_FLOWS"):
        await retry(Limits(running_flows=1)).flow(me, flow.id)
    await retry(Limits(running_flows=2, stored_bytes=1_000)).job(me, job_id, Json('"0123456789"'))

    assert running_one.user_id == flow.user_id
    assert await stored(database, flow.user_id) == before + 2 + 2 == await by_flows(database, flow.user_id)


async def test_no_more_is_stored_than_allowed(database: Database) -> None:
    submitter = Submitter(database, limits=Limits(stored_bytes=25))
    first = await submitter.one(node("root", data=DATA))
    await submitter.one(node("root", data=DATA))
    with pytest.raises(StoreFull, match="20 bytes in the store, of 25"):
        await submitter.one(node("root", data=DATA))
    assert await how_many(database, Flow) == 2

    await record(database, completed(first, '"12345678"'))
    with pytest.raises(StoreFull):
        await submitter.one(node("root", data="1"))


async def test_old_acts_and_sessions_that_are_over_are_removed(database: Database) -> None:
    by = Caller(name="u", user_id="u")
    async with database.write() as transaction:
        acts.note(transaction, [Done(caller=by, action=f"a{n}", target=None, at=START + n) for n in range(10)])
    from_then_on = START + 5 + 3_600_000

    assert await bookkeeper(database, from_then_on, timedelta(hours=1)).run_once() == 5
    assert await bookkeeper(database, from_then_on, timedelta(hours=1)).run_once() == 0
    async with database.read() as snapshot:
        left = await acts.newest(snapshot, None, None, 100)
    assert _actions(left) == [f"a{n}" for n in range(9, 4, -1)]
    assert await bookkeeper(database, from_then_on + 1_000_000).run_once() == 0  # for ever
    assert await rows(database, Session) == []


def _actions(found: Sequence[acts.ActView]) -> list[str]:
    return [act.action for act in found]
