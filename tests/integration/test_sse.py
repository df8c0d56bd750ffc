"""The log as server-sent events: the same items and the same promise as over the WebSocket."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from bullflow import Job, Worker
from bullflow.http.app import create_app
from bullflow.wire import Event
from support.rooms import CountingDatabase, Tail
from support.servers import SqliteServer, Valkey
from support.service import Service, running, settings_for
from support.shapes import exactly, pointers, problem_of
from support.sockets import SentEvent, event_stream

NOBODY = "019ab3c1-7d7a-7000-8000-000000000000"
STREAM = {"Accept": "text/event-stream"}


class Stage:
    """A worker each of whose jobs needs a permit of the test."""

    def __init__(self) -> None:
        self.permits = asyncio.Semaphore(0)
        self.worker = Worker("stage", concurrency=4)

        @self.worker.task("echo")
        async def echo(job: Job) -> Any:
            await self.permits.acquire()
            return job.data

    def allow(self, jobs: int) -> None:
        for _ in range(jobs):
            self.permits.release()


@pytest_asyncio.fixture
async def stage() -> Stage:
    return Stage()


@pytest_asyncio.fixture
async def service(store_url: str, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage) -> AsyncIterator[Service]:
    settings = settings_for(store_url, valkey.url, prefix, data_dir, stop_timeout=timedelta(seconds=1))
    async with running(settings, [stage.worker]) as running_service:
        yield running_service


@pytest_asyncio.fixture
async def idle(sqlite: SqliteServer, valkey: Valkey, prefix: str, data_dir: Path) -> AsyncIterator[Service]:
    """A service without workers."""
    async with running(settings_for(sqlite.new_database(), valkey.url, prefix, data_dir)) as running_service:
        yield running_service


def echo(*children: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "echo", "queueName": "stage", "children": list(children), **more}


async def rest_log(service: Service, flow_id: str) -> list[dict[str, Any]]:
    answer = await service.http.get(f"/flows/{flow_id}/events", params={"limit": 500})
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def take(events: AsyncIterator[SentEvent], most: int) -> list[SentEvent]:
    """Up to so many events, fewer when the flow ends."""
    taken: list[SentEvent] = []
    async with asyncio.timeout(15):
        while len(taken) < most and not (taken and is_end(taken[-1])):
            taken.append(await anext(events))
    return taken


def is_end(event: SentEvent) -> bool:
    return bool(event.item["event"] == "flow.completed")


async def test_a_stream_from_the_start_is_rests_log_to_the_letter(service: Service, stage: Stage) -> None:
    created = await service.create(echo(echo(), echo(data={"ü": ["\n\r\u2028", None]})))
    async with event_stream(service.http, f"/flows/{created.id}/events") as events:
        stage.allow(3)
        found = await take(events, 1_000)
    log = await rest_log(service, created.id)

    assert [event.item for event in found] == log
    assert [event.id for event in found] == [item["seq"] for item in log] == list(range(1, len(log) + 1))
    for event in found:
        exactly(Event, event.item)


async def test_a_stream_stays_open_after_what_there_is_and_brings_what_comes(service: Service, stage: Stage) -> None:
    created = await service.create(echo(echo()))
    async with event_stream(service.http, f"/flows/{created.id}/events") as events:
        first = await take(events, 3)
        stage.allow(2)
        rest = await take(events, 1_000)

    assert [event.item for event in (*first, *rest)] == await rest_log(service, created.id)


async def test_a_lost_stream_is_resumed_by_the_last_id_however_often(service: Service, stage: Stage) -> None:
    created = await service.create(echo(*(echo() for _ in range(12))))
    path, found = f"/flows/{created.id}/events", list[SentEvent]()
    async with asyncio.timeout(20):
        while not (found and is_end(found[-1])):
            stage.allow(2)
            last = found[-1].id if found else None
            async with event_stream(service.http, path, last_event_id=last) as events:
                found += await take(events, 3)

    assert [event.item for event in found] == await rest_log(service, created.id)


async def test_the_last_id_counts_more_than_after(service: Service, stage: Stage) -> None:
    stage.allow(2)
    flow = await service.run(echo(echo()))
    path, log = f"/flows/{flow.id}/events", await rest_log(service, flow.id)
    async with event_stream(service.http, path, after=4) as events:
        assert [event.item for event in await take(events, 1_000)] == log[4:]
    async with event_stream(service.http, path, after=0, last_event_id=6) as events:
        assert [event.item for event in await take(events, 1_000)] == log[6:]


async def test_many_streams_of_one_flow_all_bring_everything(service: Service, stage: Stage) -> None:
    created = await service.create(echo(*(echo() for _ in range(20))))

    async def watch(after: int) -> list[dict[str, Any]]:
        async with event_stream(service.http, f"/flows/{created.id}/events", after=after) as events:
            return [event.item for event in await take(events, 1_000)]

    watching = asyncio.gather(*(watch(n % 5) for n in range(20)))
    for _ in range(21):
        await service.http.get("/healthz")
        stage.allow(1)
    seen, log = await watching, await rest_log(service, created.id)
    assert seen == [log[n % 5 :] for n in range(20)]


async def test_headers_keep_proxies_from_holding_the_stream_back(idle: Service) -> None:
    created = await idle.create(echo())
    async with idle.http.stream("GET", f"/flows/{created.id}/events", headers=STREAM) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"


async def test_a_last_id_that_is_none_is_a_422(idle: Service) -> None:
    created = await idle.create(echo())
    for text in ("", "x", "-1", "1.5", "+1", "2147483648", "9" * 400):
        answer = await idle.http.get(f"/flows/{created.id}/events", headers={**STREAM, "Last-Event-ID": text})
        assert pointers(problem_of(answer, 422)) == ["Last-Event-ID"]


async def test_a_flow_that_is_not_there_is_a_404(idle: Service) -> None:
    for name in (NOBODY, "x", "%00"):
        problem_of(await idle.http.get(f"/flows/{name}/events", headers=STREAM), 404)


async def test_whoever_does_not_ask_for_a_stream_gets_a_page(idle: Service) -> None:
    created = await idle.create(echo())
    for accept in ("*/*", "application/json", "text/html"):
        answer = await idle.http.get(f"/flows/{created.id}/events", headers={"Accept": accept})
        assert answer.headers["content-type"] == "application/json"


async def test_a_stop_of_the_service_ends_the_stream(
    sqlite: SqliteServer, valkey: Valkey, prefix: str, data_dir: Path
) -> None:
    async with httpx.AsyncClient(timeout=15) as http:
        async with running(settings_for(sqlite.new_database(), valkey.url, prefix, data_dir)) as service:
            created = await service.create({"name": "a", "queueName": "nobody"})
            answer = await http.send(
                http.build_request("GET", f"{service.url}/flows/{created.id}/events", headers=STREAM), stream=True
            )
            lines = answer.aiter_lines()
            first = [await anext(lines) for _ in range(3)]
        rest = [line async for line in lines]
    assert first[-1] == "id: 1"
    assert rest[-1] == ""


async def test_a_client_that_goes_at_once_leaves_nothing_behind(sqlite: SqliteServer, data_dir: Path) -> None:
    database = CountingDatabase(sqlite.new_database())
    tail = Tail(database)
    app = create_app(await tail.rooms(data_dir))
    flow_id = await tail.flow()

    async def gone() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    async def nowhere(message: MutableMapping[str, Any]) -> None:
        """A send that waits a moment, as it does while the transport is full."""
        await asyncio.sleep(0)

    await app(
        {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": f"/flows/{flow_id}/events",
            "raw_path": b"",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"accept", b"text/event-stream")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        },
        gone,
        nowhere,
    )
    await tail.notifier.run_once()
    database.reads = 0
    await tail.notifier.run_once()
    await database.close()
    assert database.reads == 0
