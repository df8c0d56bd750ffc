"""Flows that are retried or cancelled, whichever kind of worker runs them."""

from pathlib import Path

from support.any_worker import WORK
from support.both_kinds import OTHER, at_work
from support.eventually import eventually
from support.queues import Bull
from support.service import Service
from support.sockets import connected
from support.story import end_of_story, expected, job, story

HOUR = 3_600_000


async def test_what_failed_with_one_kind_is_retried_with_the_other_and_uses_the_results_of_both(
    service: Service, bull: Bull, tmp_path: Path, kind: str
) -> None:
    needed = tmp_path / "needed"
    below = job("sum", job("give", queue=WORK, data=1), job("give", queue=WORK, data=2), queue=WORK)
    needing = job("need-file", below, job("give", queue=WORK, data=4), queue=WORK, data={"path": str(needed)})
    created = await service.create(job("sum", needing, queue=WORK))
    async with at_work(kind, bull, tmp_path):
        await service.client.wait(created.id, timeout=30)

    needed.touch()
    await service.client.retry(created.id)
    async with at_work(OTHER[kind], bull, tmp_path):
        told = await end_of_story(service, created.id)

    assert told == expected("""
        flow completed 7: created dispatched failed retried dispatched completed
          sum completed 7, attempts 1: waiting active failed waiting (waiting-children) waiting active completed
            need-file completed 7, attempts 1: waiting active failed waiting active completed
              sum completed 3, attempts 1: waiting active completed
                give completed 1, attempts 1: active completed
                give completed 2, attempts 1: active completed
              give completed 4, attempts 1: active completed
    """)


async def test_a_cancelled_flow_stays_cancelled_whatever_its_running_job_returns(
    service: Service, bull: Bull, tmp_path: Path, kind: str
) -> None:
    release = tmp_path / "release"
    endless = job("until-file", queue=WORK, data={"path": str(release)})
    created = await service.create(job("sum", endless, job("give", queue=WORK, delay=HOUR), queue=WORK))

    async def has_ended() -> bool:
        return await bull.state(created.jobs[1].job_id, WORK) != "active"

    async with at_work(kind, bull, tmp_path), connected(service.url) as socket:
        await socket.send("subscribe", flowId=created.id, after=0)
        await socket.until(lambda message: message.get("event") == "job.active")
        await service.client.cancel(created.id)
        release.touch()
        await eventually(has_ended)
        # When this one is recorded, so is all that was told of the other.
        await story(service, job("nothing", queue=WORK))

    assert await end_of_story(service, created.id) == expected("""
        flow cancelled (the flow was cancelled): created dispatched cancelled
          sum cancelled (the flow was cancelled), attempts 0: cancelled
            until-file cancelled (the flow was cancelled), attempts 0: active cancelled
            give cancelled (the flow was cancelled), attempts 0: cancelled
    """)
