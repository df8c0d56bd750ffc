"""GET /queues/{name}/tasks: what is slow in a queue."""

from pathlib import Path

from bullflow.store.database import Database
from bullflow.wire import QueueTask, QueueTasks
from support.flows import Submitter, node
from support.queues import connected, kill_engine
from support.servers import SqliteServer, Valkey
from support.service import Service, running, settings_for
from support.shapes import exactly, problem_of
from support.stage import QUEUE, Stage, job


async def tasks(service: Service, queue: str = QUEUE) -> tuple[int, dict[str, QueueTask]]:
    answer = await service.http.get(f"/queues/{queue}/tasks")
    assert answer.status_code == 200, answer.text
    shown = exactly(QueueTasks, answer.json())
    return shown.jobs, {item.name: item for item in shown.items}


async def test_jobs_are_told_by_name_with_their_times(staged: Service, stage: Stage) -> None:
    stage.broken.add("bad")
    done = await staged.run(job("sum", "root", job("value", "left"), job("value", "right")))
    await staged.run(job("value", "bad"))

    jobs, told = await tasks(staged)

    assert jobs == 4
    assert {name: (task.count, task.failed) for name, task in told.items()} == {"sum": (1, 0), "value": (3, 1)}
    total = told["sum"]
    assert total.slowest is not None
    assert total.slowest.flow_id == done.id
    assert total.slowest.running == total.running.median == total.running.p95
    assert total.waiting.median is not None
    assert [task.running.p95 or 0 for task in told.values()] == sorted(
        (task.running.p95 or 0 for task in told.values()), reverse=True
    )


async def test_what_has_not_begun_has_no_times(staged: Service) -> None:
    await staged.create({"name": "value", "queueName": "nobody"})

    jobs, told = await tasks(staged, "nobody")

    assert jobs == 1
    task = told["value"]
    assert (task.count, task.failed, task.slowest) == (1, 0, None)
    assert (task.waiting.median, task.waiting.p95, task.running.median, task.running.p95) == (None,) * 4


async def test_other_users_jobs_do_not_count_and_their_queues_are_known(staged: Service) -> None:
    database = Database(staged.settings.store_url)
    await Submitter(database).one(node("secret", queue="theirs"), user="them")
    await database.close()

    assert await tasks(staged, "theirs") == (0, {})


async def test_a_queue_that_no_flow_has_used_is_a_404(staged: Service) -> None:
    for name in ("nobody", "a:b", "%3Agrown", "%00", "x" * 129):
        found = problem_of(await staged.http.get(f"/queues/{name}/tasks"), 404)
        assert "a queue is known once a flow has used it" in found.detail


async def test_a_name_with_a_slash_is_a_name(staged: Service) -> None:
    await staged.create({"name": "value", "queueName": "a/tasks"})

    assert (await tasks(staged, "a%2Ftasks"))[0] == 1
    problem_of(await staged.http.get("/queues/a/tasks"), 404)


async def test_it_is_told_without_the_engine(sqlite: SqliteServer, data_dir: Path, stage: Stage) -> None:
    async with Valkey(data_dir / "engine") as engine:
        settings = settings_for(sqlite.new_database(), engine.url, "bull", data_dir)
        async with running(settings, [stage.worker()]) as service:
            await service.run(job("value", "a"))
            async with connected(engine.url, "bull") as bull:
                await kill_engine(bull)

            assert (await tasks(service))[0] == 1
