"""Accepted flows come into the engine, and one that cannot be sent does not hold up those beside it."""

from datetime import timedelta

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from bullflow import telemetry
from bullflow.clock import milliseconds
from bullflow.dispatcher import SEND_AGAIN_AFTER, Dispatcher
from bullflow.engine.connection import connect
from bullflow.engine.producer import Producer
from bullflow.engine.remover import Remover
from bullflow.errors import EngineAway
from bullflow.flow.ending import Withdrawn
from bullflow.handover import AT_MOST, Handover
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.store.tables import FlowJob
from support.flows import HandClock, Submitter, node
from support.queues import JOBS, Bull

TREE = node("root", node("child", queue=JOBS), queue=JOBS)


def a_dispatcher(database: Database, bull: Bull, handover: Handover, producer: Producer | None = None) -> Dispatcher:
    return Dispatcher(
        database,
        producer or bull.producer(),
        handover=handover,
        clock=handover.clock,
        log=telemetry.logger("dispatcher"),
    )


async def set_options(database: Database, flow: NewFlow, text: str) -> None:
    """What the store keeps as the options of the flow's jobs."""
    async with database.write() as transaction:
        await transaction.execute(update(FlowJob).where(FlowJob.flow_id == flow.id).values(opts=text))


async def in_engine(bull: Bull, *new: NewFlow) -> list[bool]:
    """Of each of these flows, whether the engine has all of its jobs; it must not have some of them."""
    known = [{await bull.client.exists(bull.key(job.job_id)) for job in flow.jobs} for flow in new]
    assert all(len(answers) == 1 for answers in known)
    return [answers == {1} for answers in known]


@pytest.mark.parametrize("options", ["not JSON", "[1]"], ids=["unreadable", "of another shape"])
async def test_a_flow_that_cannot_be_sent_does_not_hold_up_the_others_of_its_round_and_is_tried_again(
    database: Database, bull: Bull, options: str
) -> None:
    before, bad, after = await Submitter(database).all(TREE, TREE, TREE)
    await set_options(database, bad, options)
    clock = HandClock()
    dispatcher = a_dispatcher(database, bull, Handover(clock))

    with capture_logs() as lines:
        await dispatcher.run_once()

    assert await in_engine(bull, before, bad, after) == [True, False, True]
    assert [line["flow_id"] for line in lines if line["event"] == "dispatcher.flow_refused"] == [bad.id]
    await set_options(database, bad, "{}")
    clock.now += milliseconds(SEND_AGAIN_AFTER) + 1
    await dispatcher.run_once()
    assert await in_engine(bull, before, bad, after) == [True, True, True]


class Handing:
    """A dispatcher that leads, and a flow that was accepted in its process."""

    def __init__(self, database: Database, bull: Bull, producer: Producer | None = None) -> None:
        self.clock = HandClock()
        self.handover = Handover(self.clock)
        self.dispatcher = a_dispatcher(database, bull, self.handover, producer)
        self._database = database

    async def begin(self) -> None:
        """After that it looks for nothing in the store by itself."""
        self.dispatcher.begin()
        await self.dispatcher.run_once()

    async def accept(self) -> NewFlow:
        flow = await Submitter(self._database, self.clock).one(TREE)
        self.handover.give([flow])
        return flow

    async def send(self, flow: NewFlow) -> None:
        self.dispatcher.hear([(flow.id, len(flow.jobs))])
        await self.dispatcher.run_once()


async def test_a_flow_that_was_accepted_here_is_sent_without_being_read_again_and_only_once(
    database: Database, bull: Bull
) -> None:
    here = Handing(database, bull)
    await here.begin()
    flow = await here.accept()
    await set_options(database, flow, "not JSON")

    await here.send(flow)

    assert await in_engine(bull, flow) == [True]
    with capture_logs() as lines:
        await here.send(flow)
    assert [line["event"] for line in lines] == ["dispatcher.flow_refused", "dispatcher.sent"]


async def test_one_that_was_accepted_too_long_ago_is_read(database: Database, bull: Bull) -> None:
    here = Handing(database, bull)
    await here.begin()
    flow = await here.accept()
    here.clock.forward(AT_MOST)
    here.clock.now += 1
    await set_options(database, flow, '{"delay": 60000}')

    await here.send(flow)

    assert await bull.state(flow.jobs[1].job_id) == "delayed"


async def test_one_that_was_cancelled_before_it_was_sent_is_kept_out(database: Database, bull: Bull) -> None:
    here = Handing(database, bull)
    await here.begin()
    flow = await here.accept()
    root = Withdrawn(job_id=flow.jobs[0].job_id, queue_name=JOBS, is_root=True, is_parent=True)
    await Remover(bull.client, bull.prefix, origin="test").doom([root])

    await here.send(flow)

    assert await in_engine(bull, flow) == [False]


async def test_after_the_engine_was_away_everything_is_read(database: Database, bull: Bull) -> None:
    """A cancellation may have left no mark there."""
    client = connect("unix:///tmp/no-such-valkey.sock", "test")
    here = Handing(database, bull, Producer(client, bull.prefix, keep=timedelta(hours=1), stream_length=1_000))
    here.dispatcher.begin()
    first, second = await here.accept(), await here.accept()

    with pytest.raises(EngineAway):
        await here.send(first)

    assert here.handover.take(second.id) is None
    await client.aclose()


async def test_whoever_leads_no_more_takes_nothing(database: Database, bull: Bull) -> None:
    here = Handing(database, bull)
    await here.begin()
    before = await here.accept()

    here.dispatcher.end()

    after = await here.accept()
    assert (here.handover.take(before.id), here.handover.take(after.id)) == (None, None)


async def test_a_flow_that_was_sent_stays_due_until_the_engine_tells_of_it_and_is_sent_again(
    database: Database, bull: Bull
) -> None:
    """Nobody records here, so nobody has seen it arrive."""
    flow = await Submitter(database).one(TREE)
    clock = HandClock()
    dispatcher = a_dispatcher(database, bull, Handover(clock))
    await dispatcher.run_once()
    assert await in_engine(bull, flow) == [True]
    for job in flow.jobs:
        await bull.client.delete(bull.key(job.job_id))

    clock.now += milliseconds(SEND_AGAIN_AFTER) + 1
    await dispatcher.run_once()

    assert await in_engine(bull, flow) == [True]
