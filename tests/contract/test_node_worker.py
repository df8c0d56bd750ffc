"""What BullMQ's own worker can do besides: children removed or added while it runs, and jobs that come back."""

from pathlib import Path

from support.any_worker import WORK
from support.both_kinds import at_work
from support.queues import Bull
from support.service import Service
from support.story import expected, job, story

HOUR = 3_600_000


async def test_a_parent_that_continues_may_remove_what_has_not_begun(
    service: Service, bull: Bull, tmp_path: Path
) -> None:
    failing = job("fail", queue=WORK, data={"reason": "boom"}, continueParentOnFailure=True)
    unbegun = job("sum", job("give", queue="elsewhere", delay=HOUR), job("give", queue="elsewhere"), queue=WORK)
    flow = job("go-on", failing, unbegun, queue=WORK)
    async with at_work("node", bull, tmp_path):
        told = await story(service, flow)

    assert told == expected("""
        flow completed ["boom"]: created dispatched completed
          go-on completed ["boom"], attempts 1: waiting active completed
            fail failed (boom), attempts 1: active failed
            sum cancelled (it was removed from its queue), attempts 0: waiting cancelled
              give cancelled (it was removed from its queue), attempts 0: cancelled
              give cancelled (it was removed from its queue), attempts 0: cancelled
    """)


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
