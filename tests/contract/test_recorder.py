"""A batch is recorded whole, with the positions, or not at all and is read again; who was replaced records nothing."""

from datetime import timedelta

import pytest

from bullflow import telemetry
from bullflow.clock import milliseconds
from bullflow.engine.keys import grown_stream
from bullflow.engine.stream import EventStreams
from bullflow.errors import LeadershipLost, StoreAway
from bullflow.flow.plan import unfinished
from bullflow.recorder import Lease, Recorder
from bullflow.store import backlog, changing, leases, log
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.store.leases import Held
from bullflow.wire import Limits
from support.flows import HandClock, Submitter, node
from support.queues import JOBS, Bull

TERM = timedelta(seconds=10)


async def held(database: Database, holder: str, now: int) -> Held:
    async with database.write() as transaction:
        lease = await leases.acquire(transaction, leases.RECORDER, holder, now, TERM)
    assert lease is not None
    return lease


def recorder_of(database: Database, bull: Bull, lease: Held, clock: HandClock) -> Recorder:
    return Recorder(
        database,
        EventStreams(bull.client, bull.prefix),
        bull.client,
        bull.prefix,
        lease=Lease(held=lease, term=TERM),
        clock=clock,
        most_lines=100,
        limits=Limits(jobs=100, depth=10, data_bytes=1_000),
        recorded=lambda _: None,
        suspect=lambda _: None,
        log=telemetry.logger("recorder"),
    )


async def a_dispatched_flow(database: Database, bull: Bull) -> NewFlow:
    flow = await Submitter(database).one(node("root", queue=JOBS))
    async with database.read() as snapshot:
        branch = unfinished(await backlog.jobs_to_dispatch(snapshot, [flow.id]))
    assert branch is not None
    await bull.add(branch)
    return flow


async def events_of(database: Database, flow: NewFlow) -> list[str]:
    async with database.read() as snapshot:
        return [item.event for item in await log.after(snapshot, flow.id, 0, 10)]


async def away(*_: object) -> None:
    raise StoreAway("it has just died")


@pytest.mark.parametrize("restarted", [False, True], ids=["the same recorder", "one that was started again"])
async def test_a_batch_that_could_not_be_recorded_is_read_again(
    database: Database, bull: Bull, monkeypatch: pytest.MonkeyPatch, restarted: bool
) -> None:
    clock = HandClock()
    flow = await a_dispatched_flow(database, bull)
    recorder = recorder_of(database, bull, await held(database, "one", clock()), clock)

    with monkeypatch.context() as broken:
        broken.setattr(changing, "apply", away)
        with pytest.raises(StoreAway):
            await recorder.run_once()
    assert await events_of(database, flow) == ["flow.created"]
    if restarted:
        recorder = recorder_of(database, bull, await held(database, "one", clock()), clock)
    await recorder.run_once()

    assert await events_of(database, flow) == ["flow.created", "flow.dispatched"]


async def test_a_recorder_that_was_replaced_records_nothing(database: Database, bull: Bull) -> None:
    clock = HandClock()
    flow = await a_dispatched_flow(database, bull)
    replaced = recorder_of(database, bull, await held(database, "one", clock()), clock)
    clock.now += milliseconds(TERM) + 1
    await held(database, "other", clock())

    with pytest.raises(LeadershipLost):
        await replaced.run_once()

    assert await events_of(database, flow) == ["flow.created"]


async def test_what_workers_have_told_of_growth_stays_in_the_engine_until_it_is_recorded(
    database: Database, bull: Bull, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = HandClock()
    recorder = recorder_of(database, bull, await held(database, "one", clock()), clock)
    told = [await bull.client.xadd(grown_stream(bull.prefix), {"growth": "nothing"}) for _ in range(3)]

    with monkeypatch.context() as broken:
        broken.setattr(changing, "apply", away)
        with pytest.raises(StoreAway):
            await recorder.run_once()

    assert [key for key, _ in await bull.client.xrange(grown_stream(bull.prefix))] == told
    await recorder.run_once()
    assert await bull.client.xlen(grown_stream(bull.prefix)) <= 1
