"""What BullMQ's own worker can do besides: jobs that it puts off, and children that bullflow knows nothing of."""

from pathlib import Path

from support.any_worker import WORK
from support.both_kinds import at_work
from support.queues import Bull
from support.service import Service
from support.story import expected, job, story


async def test_a_handler_may_put_off_its_job(service: Service, bull: Bull, tmp_path: Path) -> None:
    async with at_work("node", bull, tmp_path):
        told = await story(service, job("put-off", queue=WORK, data={"times": 1}))

    assert told == expected("""
        flow completed "at last": created dispatched completed
          put-off completed "at last", attempts 1: active delayed waiting active completed
    """)


async def test_a_handler_may_bring_children_of_its_own(service: Service, bull: Bull, tmp_path: Path) -> None:
    async with at_work("node", bull, tmp_path):
        told = await story(service, job("bring-children", queue=WORK, data={"values": [1, 2]}))

    assert told == expected("""
        flow completed 3: created dispatched completed
          bring-children completed 3, attempts 1: active waiting active completed
    """)
