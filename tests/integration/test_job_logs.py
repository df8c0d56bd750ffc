"""What a handler logs is kept in the store, capped, and told to watchers."""

import asyncio
import json
from pathlib import Path

import bullmq
import pytest
from websockets.asyncio.client import connect

from bullflow import Job, Worker
from bullflow.errors import NotFound
from support.eventually import eventually
from support.servers import Valkey
from support.service import Service, running, settings_for

LINES = "talkers"


def talker() -> Worker:
    worker = Worker(LINES, concurrency=5)

    @worker.task("talk")
    async def talk(job: Job) -> None:
        for number in range(job.data["lines"]):
            await job.log(f"line {number} of attempt {job.attempt}")
        if job.attempt <= job.data.get("failures", 0):
            raise ValueError("again")

    @worker.task("mutter")
    def mutter(job: Job) -> None:
        job.log("from a thread: \0 ü \U0001f642")

    return worker


def talk(lines: int, **more: object) -> dict[str, object]:
    opts = more.pop("opts", {})
    return {"name": "talk", "queueName": LINES, "data": {"lines": lines, **more}, "opts": opts}


async def logs(service: Service, job_id: str, **query: object) -> list[dict[str, object]]:
    answer = await service.http.get(f"/jobs/{job_id}/logs", params={"limit": 500, **query})  # type: ignore[dict-item]
    items: list[dict[str, object]] = answer.json()["items"]
    return items


async def test_lines_of_all_attempts_are_kept_in_order(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path
) -> None:
    async with running(settings_for(store_url, valkey.url, prefix, data_dir), [talker()]) as service:
        flow = await service.client.create(talk(2, failures=1, opts={"attempts": 2}))
        await service.client.wait(flow.id, timeout=10)

        found = await logs(service, flow.jobs[0].id)

    assert [(line["n"], line["run"], line["line"]) for line in found] == [
        (1, 1, "line 0 of attempt 1"),
        (2, 1, "line 1 of attempt 1"),
        (3, 1, "line 0 of attempt 2"),
        (4, 1, "line 1 of attempt 2"),
    ]


async def test_any_text_can_be_logged_from_a_thread(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path
) -> None:
    async with running(settings_for(store_url, valkey.url, prefix, data_dir), [talker()]) as service:
        flow = await service.client.create({"name": "mutter", "queueName": LINES})
        await service.client.wait(flow.id, timeout=10)

        (line,) = await logs(service, flow.jobs[0].id)

    assert line["line"] == "from a thread: \ufffd ü \U0001f642"


@pytest.mark.parametrize(("opts", "kept"), [({}, 5), ({"keepLogs": 3}, 3)], ids=["the service's limit", "keepLogs"])
async def test_the_last_lines_are_kept(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path, opts: dict[str, int], kept: int
) -> None:
    settings = settings_for(store_url, valkey.url, prefix, data_dir, max_log_lines=5)
    async with running(settings, [talker()]) as service:
        flow = await service.client.create(talk(12, opts=opts))
        await service.client.wait(flow.id, timeout=10)

        found = await logs(service, flow.jobs[0].id)

    assert [line["n"] for line in found] == list(range(13 - kept, 13))


async def test_lines_come_in_pages(store_url: str, valkey: Valkey, prefix: str, data_dir: Path) -> None:
    async with running(settings_for(store_url, valkey.url, prefix, data_dir), [talker()]) as service:
        flow = await service.client.create(talk(5))
        await service.client.wait(flow.id, timeout=10)
        path = f"/jobs/{flow.jobs[0].id}/logs"

        first = (await service.http.get(path, params={"limit": 3})).json()
        second = (await service.http.get(path, params={"limit": 3, "cursor": first["next"]})).json()

        assert [line["n"] for line in first["items"] + second["items"]] == [1, 2, 3, 4, 5]
        assert second["next"] is None
        with pytest.raises(NotFound):
            await service.client.job_logs(flow.id)


async def test_watchers_get_lines_live(store_url: str, valkey: Valkey, prefix: str, data_dir: Path) -> None:
    gate = asyncio.Event()
    worker = Worker(LINES)

    @worker.task("talk")
    async def talk_when_watched(job: Job) -> None:
        await gate.wait()
        await job.log("now")

    async with running(settings_for(store_url, valkey.url, prefix, data_dir), [worker]) as service:
        flow = await service.client.create(talk(1))
        async with connect(f"ws{service.url.removeprefix('http')}/ws") as socket:
            await socket.send(json.dumps({"action": "subscribe", "flowId": flow.id}))
            seen = [json.loads(await socket.recv())]
            while seen[-1].get("event") != "job.active":
                seen.append(json.loads(await socket.recv()))
            gate.set()
            while seen[-1]["type"] != "log":
                seen.append(json.loads(await asyncio.wait_for(socket.recv(), 10)))

    line = seen[-1]
    assert {key: line[key] for key in ("flowId", "id", "n", "run", "line")} == {
        "flowId": flow.id,
        "id": flow.jobs[0].id,
        "n": 1,
        "run": 1,
        "line": "now",
    }


async def test_lines_that_another_worker_logs_are_kept_when_its_job_ends(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path
) -> None:
    async def process(job: bullmq.Job, _token: str) -> str:
        await job.log("one")
        await job.log("two")
        return "said"

    async with running(settings_for(store_url, valkey.url, prefix, data_dir)) as service:
        options = {"connection": valkey.url, "prefix": prefix}
        worker = bullmq.Worker("others", process, options)
        try:
            flow = await service.client.create({"name": "any", "queueName": "others"})
            await service.client.wait(flow.id, timeout=10)

            async def lines() -> list[object]:
                return [line["line"] for line in await logs(service, flow.jobs[0].id)]

            assert await eventually(lines) == ["one", "two"]
        finally:
            await worker.close(force=True)
