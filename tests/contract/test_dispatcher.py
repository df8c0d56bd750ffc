"""Accepted flows come into the engine, and one that cannot be sent does not hold up those beside it."""

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from bullflow import telemetry
from bullflow.clock import milliseconds
from bullflow.dispatcher import SEND_AGAIN_AFTER, Dispatcher
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.store.tables import FlowJob
from support.flows import HandClock, Submitter, node
from support.queues import JOBS, Bull

TREE = node("root", node("child", queue=JOBS), queue=JOBS)


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
    dispatcher = Dispatcher(database, bull.producer(), clock=clock, log=telemetry.logger("dispatcher"))

    with capture_logs() as lines:
        await dispatcher.run_once()

    assert await in_engine(bull, before, bad, after) == [True, False, True]
    assert [line["flow_id"] for line in lines if line["event"] == "dispatcher.flow_refused"] == [bad.id]
    await set_options(database, bad, "{}")
    clock.now += milliseconds(SEND_AGAIN_AFTER) + 1
    await dispatcher.run_once()
    assert await in_engine(bull, before, bad, after) == [True, True, True]
