"""What comes with workers of any kind while they run: progress, logs, turns, neighbours, and their deaths."""

from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from bullmq import FlowProducer

from support.any_worker import WORK
from support.both_kinds import OTHER, at_work, to_be_killed
from support.queues import Bull, completed, failed, tree
from support.service import Service, running, settings_for
from support.sockets import connected
from support.story import end_of_story, expected, job, story


async def test_progress_is_seen_while_the_job_runs(service: Service, bull: Bull, tmp_path: Path, kind: str) -> None:
    release = tmp_path / "release"
    created = await service.create(job("until-file", queue=WORK, data={"path": str(release)}))
    async with connected(service.url) as socket:
        await socket.answer("subscribe", flowId=created.id, after=0)
        async with at_work(kind, bull, tmp_path):
            progress = (await socket.until(lambda message: message["type"] == "progress"))[-1]
            release.touch()
            await socket.until(lambda message: message.get("event") == "flow.completed")

    root = created.jobs[0].id
    assert progress == {"type": "progress", "flowId": created.id, "id": root, "progress": "waiting"}
    assert (await service.client.job(root)).progress == "waiting"


async def test_the_last_progress_and_all_log_lines_stay(
    service: Service, bull: Bull, tmp_path: Path, kind: str
) -> None:
    flow = job("report", queue=WORK, data={"steps": [40, {"frames": [1, 2]}, "nearly"]})
    async with at_work(kind, bull, tmp_path):
        created = await service.create(flow)
        await service.client.wait(created.id, timeout=30)

    root = created.jobs[0].id
    assert (await service.client.job(root)).progress == "nearly"
    lines = (await service.client.job_logs(root)).items
    assert [line.line for line in lines] == ["step 40", 'step {"frames":[1,2]}', 'step "nearly"']


async def test_jobs_have_their_turn_by_priority(service: Service, bull: Bull, tmp_path: Path, kind: str) -> None:
    children = [job("give", queue=WORK, data=name, priority=name) for name in (3, 1, 2, 0)]
    created = await service.create(job("sum", *children, queue=WORK))
    await bull.seen("added", created.jobs[0].job_id, WORK)
    async with at_work(kind, bull, tmp_path, concurrency=1):
        await service.client.wait(created.id, timeout=30)

    names = {child.id: child.data for child in created.jobs[1:]}
    log = await service.log_of(created.id)
    turns = [names[entry.id] for entry in log if entry.event == "job.completed" and entry.id in names]
    assert turns == [0, 1, 2, 3]


async def test_jobs_of_other_producers_are_done_and_disturb_no_record(
    service: Service, bull: Bull, tmp_path: Path, kind: str
) -> None:
    queue = bull.queue(WORK)
    async with at_work(kind, bull, tmp_path):
        plain = await queue.add("give", {"n": 1}, {})
        named = await queue.add("fail-first", {"times": 1}, {"jobId": "mine", "attempts": 2})
        told = await story(service, job("sum", job("give", queue=WORK, data=1), queue=WORK))
        alike = await queue.add("fail", {"reason": "boom"}, {"jobId": f"{uuid4()}-1"})
        ends = [await bull.ended(foreign.id, WORK) for foreign in (plain, named, alike)]

    assert [end.get("returnvalue", end.get("failedReason")) for end in ends] == ['{"n":1}', "2", "boom"]
    assert told == expected("""
        flow completed 1: created dispatched completed
          sum completed 1, attempts 1: waiting active completed
            give completed 1, attempts 1: active completed
    """)
    assert len((await service.client.flows()).items) == 1


async def test_a_job_whose_worker_was_killed_is_finished_by_one_of_the_other_kind(
    service: Service, bull: Bull, tmp_path: Path, kind: str
) -> None:
    release = tmp_path / "release"
    flow = job("take-stock", job("until-file", queue=WORK, data={"path": str(release)}), queue=WORK)
    with to_be_killed(kind, bull, tmp_path) as worker:
        created = await service.create(flow)
        await bull.seen("progress", created.jobs[1].job_id, WORK)
        worker.kill()
    release.touch()
    async with at_work(OTHER[kind], bull, tmp_path):
        told = await end_of_story(service, created.id)

    assert told == expected(f"""
        flow completed {{"failures":[],"values":["{OTHER[kind]}"]}}: created dispatched completed
          take-stock completed {{"failures":[],"values":["{OTHER[kind]}"]}}, attempts 1: waiting active completed
            until-file completed "{OTHER[kind]}", attempts 1: active waiting active completed
    """)


async def test_a_parent_sees_what_ended_in_an_earlier_run(bull: Bull, tmp_path: Path, kind: str) -> None:
    ended = [
        completed("give", "a", queue=WORK),
        failed("fail", "ignored", ignoreDependencyOnFailure=True),
        failed("fail", "continued", continueParentOnFailure=True),
        failed("fail", "forgotten", removeDependencyOnFailure=True),
    ]
    branch = tree("take-stock", tree("give", queue=WORK, data="b"), queue=WORK, ended=ended)
    async with at_work(kind, bull, tmp_path):
        await bull.add(branch)
        end = await bull.ended(branch.job.job_id, WORK)

    assert orjson.loads(end["returnvalue"]) == {"values": ["a", "b"], "failures": ["continued", "ignored"]}


async def test_attempts_that_are_recorded_late_keep_their_own_reasons(
    store_url: str, bull: Bull, data_dir: Path, tmp_path: Path, kind: str
) -> None:
    settings = settings_for(store_url, bull.url, bull.prefix, data_dir)
    async with running(settings) as service:
        created = await service.create(job("fail-first", queue=WORK, data={"times": 2}, attempts=3))
        await bull.seen("added", created.jobs[0].job_id, WORK)
    async with at_work(kind, bull, tmp_path):
        await bull.ended(created.jobs[0].job_id, WORK)
    async with running(settings) as service:
        await service.client.wait(created.id, timeout=30)
        log = await service.log_of(created.id)

    errors = [entry.data["error"] for entry in log if entry.event == "job.retrying"]
    assert [(error["attempt"], error["message"]) for error in errors] == [(1, "attempt 1"), (2, "attempt 2")]


@pytest.mark.parametrize("kind", ["python", "node"])
async def test_a_parent_of_another_producer_gets_the_values_of_its_children(
    bull: Bull, tmp_path: Path, kind: str
) -> None:
    children = [{"name": "give", "queueName": WORK, "data": value} for value in (1, 2)]
    async with at_work(kind, bull, tmp_path):
        producer = FlowProducer(opts={"connection": bull.client, "prefix": bull.prefix})
        added = await producer.add({"name": "sum", "queueName": WORK, "children": children})
        end = await bull.ended(added["job"].id, WORK)

    assert end["returnvalue"] == "3"
