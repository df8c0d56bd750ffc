"""Processes die, engines come late: every accepted flow reaches its right end with a log without gaps."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx
import psutil

from bullflow import AsyncClient
from bullflow.wire import Event, Flow
from support.eventually import eventually
from support.handlers import a_sum_of
from support.processes import processes
from support.servers import Valkey

FLOWS = 100
WORKER = "tests.support.handlers:worker"


async def ended(client: AsyncClient, count: int) -> list[Flow]:
    """All flows, once `count` of them have completed."""

    async def look() -> list[Flow]:
        page = await client.flows(status="completed", limit=500)
        return list(page.items) if len(page.items) >= count else []

    return await eventually(look, within=60)


async def log_of(url: str, flow_id: str) -> list[Event]:
    async with httpx.AsyncClient(base_url=url) as http:
        answer = await http.get(f"/flows/{flow_id}/events", params={"limit": 500})
    return [Event.model_validate(item) for item in answer.json()["items"]]


async def assert_right(url: str, flows: list[Flow], expected: dict[str, int]) -> None:
    """Results are right, logs are 1..n, and each run has one end."""
    assert {flow.id: flow.result for flow in flows} == expected
    for flow in flows:
        entries = await log_of(url, flow.id)
        assert [entry.seq for entry in entries] == list(range(1, flow.last_seq + 1))
        ends = Counter(entry.job_id for entry in entries if entry.event in ("job.completed", "job.failed"))
        assert set(ends.values()) == {1}
        assert len(ends) == sum(flow.counts.values())
        assert entries[-1].event == "flow.completed"


async def test_a_recorder_that_is_killed_in_the_middle_of_100_flows_loses_nothing(
    store_url: str, valkey: Valkey, prefix: str, tmp_path: Path
) -> None:
    with processes(tmp_path, database_url=store_url, redis_url=valkey.url, prefix=prefix, lease="1") as run:
        _, url = run.start_ready("api", "--port", "0")
        recorder, _ = run.start_ready("recorder")
        run.start("worker", WORKER)
        async with AsyncClient(url) as client:
            expected = {}
            for index in range(FLOWS):
                created = await client.create(a_sum_of(index, 1, 2, 3))
                expected[created.id] = index + 6
                if index == FLOWS // 2:
                    await ended(client, 5)
                    recorder.kill()
            assert len((await client.flows(status="completed", limit=500)).items) < FLOWS

            run.start_ready("recorder")

            await assert_right(url, await ended(client, FLOWS), expected)


async def test_flows_that_were_accepted_without_an_engine_run_when_it_is_there(
    store_url: str, data_dir: Path, tmp_path: Path
) -> None:
    late = Valkey(data_dir)
    with processes(tmp_path / "logs", database_url=store_url, redis_url=late.url) as run:
        _, url = run.start_ready("api", "--port", "0")
        run.start_ready("recorder")
        run.start("worker", WORKER)
        async with AsyncClient(url) as client:
            created = [await client.create(a_sum_of(index, 1)) for index in range(20)]
            waiting = await client.flows(status="waiting")
            assert len(waiting.items) == 20

            async with late:
                await assert_right(
                    url, await ended(client, 20), {flow.id: index + 1 for index, flow in enumerate(created)}
                )
                run.end_all()


async def test_everything_killed_at_once_goes_on_when_it_is_started_again(tmp_path: Path) -> None:
    data_dir, release = tmp_path / "data", tmp_path / "release"
    with processes(tmp_path / "logs", data_dir=str(data_dir), lease="1", test_notes=str(tmp_path / "notes")) as run:
        up, url = run.start_ready("up", WORKER, "--port", "0")
        async with AsyncClient(url) as client:
            done = await client.create(a_sum_of(1, 2))
            await client.wait(done.id, timeout=30)
            pending = [await client.create({"name": "nobody", "queueName": "later"}) for _ in range(3)]
            more = [await client.create(a_sum_of(index, 5)) for index in range(50)]
        up.kill()

        again, url = run.start_ready("up", WORKER, "--port", "0")

        async with AsyncClient(url) as client:
            flows = await ended(client, 51)
            expected = {done.id: 3, **{flow.id: index + 5 for index, flow in enumerate(more)}}
            await assert_right(url, flows, expected)
            assert {(await client.get(flow.id)).status for flow in pending} == {"waiting"}
        assert again.stop() == 0
        assert not (data_dir / "engine.url").exists()
    assert not release.exists()


async def test_two_detached_workers_both_get_jobs(store_url: str, valkey: Valkey, prefix: str, tmp_path: Path) -> None:
    notes, release = tmp_path / "notes", tmp_path / "release"
    shared = {"database_url": store_url, "redis_url": valkey.url, "prefix": prefix, "test_notes": str(notes)}
    with processes(tmp_path / "logs", **shared) as run:
        _, url = run.start_ready("api", "--port", "0")
        run.start_ready("recorder")
        workers = [run.start("worker", WORKER, "--concurrency", "2") for _ in range(2)]
        async with AsyncClient(url) as client:
            job = {"name": "until-file", "queueName": "sums", "data": {"path": str(release)}}
            created = await client.create({"name": "sum", "queueName": "sums", "children": [job] * 4})

            async def all_running() -> bool:
                return notes.exists() and notes.read_text().count("until-file") == 4

            # Four jobs that do not end, two slots a worker: all four run only if both workers have two.
            await eventually(all_running)
            release.touch()
            flow = await client.wait(created.id, timeout=30)

        assert flow.status == "completed"
        pids = Counter(line.split()[0] for line in notes.read_text().splitlines() if "until-file" in line)
        assert pids == {str(worker.pid): 2 for worker in workers}


async def test_sigterm_lets_running_jobs_finish(store_url: str, valkey: Valkey, prefix: str, tmp_path: Path) -> None:
    notes, release = tmp_path / "notes", tmp_path / "release"
    shared = {"database_url": store_url, "redis_url": valkey.url, "prefix": prefix, "test_notes": str(notes)}
    with processes(tmp_path / "logs", **shared) as run:
        _, url = run.start_ready("api", "--port", "0")
        run.start_ready("recorder")
        worker = run.start("worker", WORKER)
        async with AsyncClient(url) as client:
            created = await client.create({"name": "until-file", "queueName": "sums", "data": {"path": str(release)}})

            async def running() -> bool:
                return notes.exists()

            await eventually(running)
            stopping = asyncio.get_running_loop().run_in_executor(None, worker.stop)

            async def asked_to_stop() -> bool:
                return "worker.stopping" in worker.log()

            await eventually(asked_to_stop)
            release.touch()

            assert await stopping == 0
            flow = await client.wait(created.id, timeout=30)
        assert (flow.status, flow.result) == ("completed", "done")


async def test_an_embedded_engine_that_is_killed_is_started_again(tmp_path: Path) -> None:
    with processes(tmp_path / "logs", data_dir=str(tmp_path / "data")) as run:
        up, url = run.start_ready("up", WORKER, "--port", "0")
        async with AsyncClient(url) as client:
            first = await client.create(a_sum_of(1, 2))
            assert (await client.wait(first.id, timeout=30)).result == 3
            (engine,) = psutil.Process(up.pid).children()

            engine.kill()

            second = await client.create(a_sum_of(3, 4))
            assert (await client.wait(second.id, timeout=60)).result == 7
        assert up.stop() == 0
