"""Watchers outlive the api: killed and started again at the same address, it costs them no entry."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from bullflow import AsyncClient
from bullflow.wire import Event
from support.eventually import eventually
from support.processes import Process, Processes, processes
from support.servers import Valkey
from support.sockets import event_stream

WORKER = "tests.support.handlers:worker"
JOBS = 24
KILLS = 2


class Api:
    """An api process at an address that stays the same."""

    def __init__(self, run: Processes) -> None:
        self._run = run
        self._process, self.url = run.start_ready("api", "--port", "0")

    def kill(self) -> None:
        self._process.kill()

    async def start(self) -> None:
        self._process = self._run.start("api", "--port", str(urlsplit(self.url).port))
        await asyncio.to_thread(Process.first_line, self._process)


def flow_of(folder: Path) -> dict[str, Any]:
    """Each job ends when the file with its number is there."""
    paths = [str(folder / str(n)) for n in range(JOBS)]
    jobs = [{"name": "until-file", "queueName": "sums", "data": {"path": path}} for path in paths]
    return {"name": "sum", "queueName": "sums", "children": jobs}


async def watched(url: str, flow_id: str, seen: list[int]) -> None:
    async with AsyncClient(url) as client:
        async for entry in client.watch(flow_id):
            seen += [entry.seq] if isinstance(entry, Event) else []


async def streamed(url: str, flow_id: str, seen: list[int]) -> None:
    """As a browser does it: whenever the stream ends, it is asked for again from the last event on."""
    async with httpx.AsyncClient(base_url=url, timeout=5) as http:
        while True:
            last = seen[-1] if seen else None
            with suppress(httpx.TransportError, AssertionError):
                async with event_stream(http, f"/flows/{flow_id}/events", last_event_id=last) as events:
                    async for event in events:
                        seen.append(event.id)
                        if event.item["event"] == "flow.completed":
                            return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def at_once(*watchers: Any) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(watcher) for watcher in watchers]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_watches_and_streams_through_kills_of_the_api_miss_nothing_and_repeat_nothing(
    store_url: str, valkey: Valkey, prefix: str, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    with processes(tmp_path / "logs", database_url=store_url, redis_url=valkey.url, prefix=prefix) as run:
        api = Api(run)
        run.start_ready("recorder")
        run.start("worker", WORKER, "--concurrency", "4")
        async with AsyncClient(api.url) as client:
            flow = await client.create(flow_of(files))
            seen: list[list[int]] = [[], [], []]
            async with at_once(
                watched(api.url, flow.id, seen[0]),
                watched(api.url, flow.id, seen[1]),
                streamed(api.url, flow.id, seen[2]),
            ) as tasks:
                for part in range(KILLS + 1):
                    files_until(files, JOBS * (2 * part + 1) // (2 * KILLS + 2))
                    await have_seen(seen, more_than=min(map(len, seen)))
                    if part < KILLS:
                        api.kill()
                        files_until(files, JOBS * (2 * part + 2) // (2 * KILLS + 2))
                        await api.start()
                files_until(files, JOBS)
                async with asyncio.timeout(20):
                    await asyncio.gather(*tasks)
            last = (await client.get(flow.id)).last_seq

    assert seen == [list(range(1, last + 1))] * 3


def files_until(folder: Path, number: int) -> None:
    for n in range(number):
        (folder / str(n)).touch()


async def have_seen(seen: list[list[int]], *, more_than: int) -> None:
    async def all_have() -> bool:
        return all(len(one) > more_than for one in seen)

    await eventually(all_have)
