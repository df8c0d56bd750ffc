"""The promise of the log: who comes back with its last `seq` gets every later entry, once and in order.

Watchers join and leave at random moments of a running flow, readers stall, the service goes away:
whatever happens, what a watcher has put together is exactly the log that REST shows.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from bullflow import Job, Worker
from support.servers import SqliteServer, Valkey
from support.service import Service, running, settings_for
from support.sockets import Message, Socket, connected, reluctant

AT_ONCE = 4
TOO_SLOW = 4008
GOING_AWAY = {1001, 1012}


class Stage:
    """A worker each of whose jobs needs a permit of the test."""

    def __init__(self) -> None:
        self.permits = asyncio.Semaphore(0)
        self.worker = Worker("stage", concurrency=AT_ONCE)

        @self.worker.task("echo")
        async def echo(job: Job) -> Any:
            await self.permits.acquire()
            return job.data

        @self.worker.task("talk")
        async def talk(job: Job) -> Any:
            await self.permits.acquire()
            return "x" * 400_000

    def allow(self, jobs: int) -> None:
        for _ in range(jobs):
            self.permits.release()

    @asynccontextmanager
    async def open(
        self, store_url: str, valkey: Valkey, prefix: str, data_dir: Path, buffer: int
    ) -> AsyncIterator[Service]:
        settings = settings_for(
            store_url, valkey.url, prefix, data_dir, socket_buffer=buffer, stop_timeout=timedelta(seconds=1)
        )
        async with running(settings, [self.worker]) as service:
            yield service


@pytest.fixture
def stage() -> Stage:
    return Stage()


def tree(branches: int, name: str = "echo") -> dict[str, Any]:
    """A root with branches of ten jobs each."""
    leaf = {"name": name, "queueName": "stage", "data": {"some": "data"}}
    branch = {**leaf, "children": [leaf] * 9}
    return {**leaf, "children": [branch] * branches}


def is_end(message: Message) -> bool:
    return message.get("event") == "flow.completed"


def as_rest(messages: list[Message]) -> list[Message]:
    """The entries among these messages, as REST's items."""
    entries = (message for message in messages if message["type"] == "event")
    return [{key: value for key, value in entry.items() if key != "type"} for entry in entries]


async def rest_log(service: Service, flow_id: str) -> list[Message]:
    """The log as REST shows it, page by page."""
    found: list[Message] = []
    params: dict[str, Any] = {"limit": 100}
    while True:
        page = (await service.http.get(f"/flows/{flow_id}/events", params=params)).json()
        found += page["items"]
        if page["next"] is None:
            return found
        params = {"limit": 100, "cursor": page["next"]}


async def take(socket: Socket, flow_id: str, after: int, most: int) -> list[Message]:
    """Up to so many entries behind `after`, fewer when the flow ends."""
    taken: list[Message] = []
    await take_into(taken, socket, flow_id, after, most)
    return taken


async def take_into(taken: list[Message], socket: Socket, flow_id: str, after: int, most: int) -> None:
    first = await socket.answer("subscribe", flowId=flow_id, after=after)
    assert first["type"] == "subscribed"
    enough = len(taken) + most
    while len(taken) < enough and not (taken and is_end(taken[-1])):
        message = await socket.next()
        if message["type"] == "event":
            taken.append(message)


async def run_slowly(service: Service, stage: Stage, jobs: int) -> None:
    """One permit after the other, with a request in between."""
    for _ in range(jobs):
        await service.http.get("/healthz")
        stage.allow(1)


async def watch_brokenly(service: Service, flow_id: str, chance: random.Random) -> list[Message]:
    """The log as one gets it who joins somewhere in the middle and loses its connections at random."""
    for _ in range(chance.choice((0, 0, chance.randrange(100)))):
        await service.http.get("/healthz")
    seen: list[Message] = []
    while not (seen and is_end(seen[-1])):
        patience = chance.choice((0, 1, 7, 40, 200, 10_000))
        async with connected(service.url) as socket:
            try:
                await take_into(seen, socket, flow_id, seen[-1]["seq"] if seen else 0, patience)
            except ConnectionClosed as closed:
                if closed.rcvd is None or closed.rcvd.code != TOO_SLOW:
                    raise
            socket.cut()
    return seen


async def random_watchers_see_the_log(service: Service, stage: Stage, count: int, seed: int) -> None:
    chance = random.Random(seed)
    created = await service.create(tree(20))
    watchers = (watch_brokenly(service, created.id, random.Random(chance.random())) for _ in range(count))
    running_slowly = asyncio.create_task(run_slowly(service, stage, 201))
    async with asyncio.timeout(60):
        seen = await asyncio.gather(*watchers)
        await running_slowly
    log = await rest_log(service, created.id)

    assert [item["seq"] for item in log] == list(range(1, len(log) + 1))
    assert len(log) > 400
    for one in seen:
        assert as_rest(one) == log


async def test_watchers_that_come_and_go_at_random_each_see_the_log_exactly(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage
) -> None:
    async with stage.open(store_url, valkey, prefix, data_dir, buffer=2_000) as service:
        await random_watchers_see_the_log(service, stage, count=20, seed=20_260)


async def test_they_do_so_with_a_buffer_so_small_that_they_are_often_too_slow(
    sqlite: SqliteServer, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage
) -> None:
    async with stage.open(sqlite.new_database(), valkey, prefix, data_dir, buffer=12) as service:
        await random_watchers_see_the_log(service, stage, count=8, seed=4_008)


async def test_a_reader_that_stalls_is_closed_with_4008_slows_nobody_and_resumes_without_a_gap(
    sqlite: SqliteServer, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage
) -> None:
    async with (
        stage.open(sqlite.new_database(), valkey, prefix, data_dir, buffer=30) as service,
        reluctant(service.url) as slow,
        connected(service.url) as quick,
    ):
        created = await service.create(tree(6, "talk"))
        for socket in (slow, quick):
            await socket.send("subscribe", flowId=created.id, after=0)
        stage.allow(AT_ONCE)
        complete: list[Message] = []
        while not (complete and is_end(complete[-1])):
            stage.allow(1)
            complete += await quick.until(lambda message: message.get("event") in {"job.completed", "flow.completed"})

        code, messages = await slow.closed()
        assert code == TOO_SLOW
        log = await rest_log(service, created.id)
        got = as_rest(messages)
        assert as_rest(complete) == log
        assert got == log[: len(got)]
        assert len(got) < len(log)
        async with connected(service.url) as again:
            rest = await take(again, created.id, len(got), 10_000)
        assert got + as_rest(rest) == log


async def test_when_the_service_stops_sockets_are_closed_and_the_next_one_goes_on_from_there(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path
) -> None:
    first, second = Stage(), Stage()
    async with AsyncExitStack() as stack:
        async with first.open(store_url, valkey, prefix, data_dir, buffer=2_000) as service:
            created = await service.create(tree(5))
            socket = await stack.enter_async_context(connected(service.url))
            first.allow(7)
            seen = await take(socket, created.id, 0, 12)
            first.allow(100)  # jobs that run now end before the worker does
        code, rest = await socket.closed()
        seen += [message for message in rest if message["type"] == "event"]
    second.allow(100)
    async with second.open(store_url, valkey, prefix, data_dir, buffer=2_000) as service:
        async with connected(service.url) as again:
            seen += await take(again, created.id, seen[-1]["seq"], 10_000)
        log = await rest_log(service, created.id)

    assert code in GOING_AWAY
    assert as_rest(seen) == log
