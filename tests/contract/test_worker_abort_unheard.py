"""Withdrawals that no message tells of: lost ones, late ones, and such that nobody understands."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from support.aborting import running, send, tell, until_listening, waiting_worker, withdraw
from support.queues import Bull, tree, working

SHORT_LOCK = timedelta(seconds=0.3)


async def test_a_message_that_was_lost_is_made_good_when_the_lock_is_renewed(bull: Bull) -> None:
    started = asyncio.Event()
    branch = tree("root", attempts=5)
    async with running(bull, waiting_worker(started, lock=SHORT_LOCK), branch, started):
        await withdraw(bull, branch, reason="said in the hash")
        event = await bull.ended(branch.job.job_id)

    assert event["failedReason"] == "said in the hash"
    assert (await bull.history(branch.job.job_id)).count("active") == 1


async def test_messages_that_came_while_nobody_listened_are_made_good_at_once(bull: Bull) -> None:
    started = asyncio.Event()
    branch = tree("root")
    async with running(bull, waiting_worker(started), branch, started):
        connection = await until_listening(bull)
        await withdraw(bull, branch)
        await bull.client.client_kill_filter(_id=str(connection))
        async with asyncio.timeout(10):  # the next renewal is 15 s away
            event = await bull.ended(branch.job.job_id)

    assert event["failedReason"] == "cancelled"


async def test_a_worker_goes_on_while_its_listening_connection_is_away(bull: Bull) -> None:
    started = asyncio.Event()
    connection = 0
    async with working(bull, waiting_worker(started)):
        for _ in range(2):
            connection = await until_listening(bull, but=connection)
            await bull.client.client_kill_filter(_id=str(connection))
            job = tree("next")
            await bull.add(job)
            await bull.seen("completed", job.job.job_id)
        branch = tree("root")
        await bull.add(branch)
        await started.wait()
        await until_listening(bull, but=connection)
        await tell(bull, branch)
        assert (await bull.ended(branch.job.job_id))["failedReason"] == "cancelled"


@pytest.mark.parametrize("message", ["not an object", {"from": "x"}, {"from": "x", "news": {"jobs": 5}}])
async def test_a_message_that_nobody_understands_makes_workers_look_for_themselves(bull: Bull, message: Any) -> None:
    started = asyncio.Event()
    branch = tree("root")
    async with running(bull, waiting_worker(started), branch, started):
        await withdraw(bull, branch)
        await send(bull, message)
        async with asyncio.timeout(10):
            event = await bull.ended(branch.job.job_id)

    assert event["failedReason"] == "cancelled"
