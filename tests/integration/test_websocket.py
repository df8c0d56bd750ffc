"""The WebSocket /ws: following one flow from any place, all flows as they change, and progress."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from bullflow import Job, Worker, wire
from bullflow.flow.states import JobStatus
from support.eventually import eventually
from support.servers import SqliteServer, Valkey
from support.service import Service, running, settings_for
from support.shapes import exactly
from support.sockets import Message, connected

NOBODY = "019ab3c1-7d7a-7000-8000-000000000000"


class Stage:
    """A worker whose jobs wait until the test lets them go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.worker = Worker("stage", concurrency=10)

        @self.worker.task("echo")
        async def echo(job: Job) -> Any:
            return job.data

        @self.worker.task("wait")
        async def wait(job: Job) -> Any:
            await self.go.wait()
            return job.data

        @self.worker.task("advance")
        async def advance(job: Job) -> None:
            for percent in range(101):
                await job.progress(percent)


@pytest_asyncio.fixture
async def stage() -> Stage:
    return Stage()


@pytest_asyncio.fixture
async def service(
    sqlite: SqliteServer, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage
) -> AsyncIterator[Service]:
    settings = settings_for(sqlite.new_database(), valkey.url, prefix, data_dir)
    async with running(settings, [stage.worker]) as running_service:
        yield running_service
        stage.go.set()


def job(name: str, *children: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "queueName": "stage", "children": list(children), **more}


def about(flow_id: str, kind: str = "event") -> Any:
    """Whether a message is the last one of a flow that completes."""
    return lambda message: (
        message["type"] == kind and message["event"] == "flow.completed" and message["flowId"] == flow_id
    )


async def items(service: Service, flow_id: str, after: int = 0) -> list[Message]:
    """The log as REST shows it."""
    answer = await service.http.get(f"/flows/{flow_id}/events", params={"after": after, "limit": 500})
    found: list[Message] = answer.json()["items"]
    return found


def entries(messages: list[Message]) -> list[Message]:
    """What the event messages carry: the same items as REST's."""
    return [{k: v for k, v in message.items() if k != "type"} for message in messages if message["type"] == "event"]


async def test_a_watcher_from_the_start_gets_rests_log_to_the_letter(service: Service) -> None:
    created = await service.create(job("echo", job("echo"), job("echo", data={"ü": [1.5, None]})))
    async with connected(service.url) as socket:
        first = await socket.answer("subscribe", flowId=created.id, after=0)
        messages = await socket.until(about(created.id))

    assert first == {"type": "subscribed", "flowId": created.id, "lastSeq": first["lastSeq"]}
    assert entries(messages) == await items(service, created.id)


async def test_a_watcher_of_an_ended_flow_gets_what_it_asks_for_and_no_more(service: Service) -> None:
    flow = await service.run(job("echo", job("echo"), job("echo")))
    async with connected(service.url) as socket:
        for after in (0, 1, 5, flow.last_seq - 1, flow.last_seq, flow.last_seq + 1, 2**31 - 1):
            subscribed = await socket.answer("subscribe", flowId=flow.id, after=after)
            expected = await items(service, flow.id, after)
            found = [await socket.next() for _ in expected]
            assert subscribed == {"type": "subscribed", "flowId": flow.id, "lastSeq": flow.last_seq}
            assert entries(found) == expected
            assert await socket.pending() == []


async def test_without_a_place_the_log_comes_from_its_start(service: Service) -> None:
    flow = await service.run(job("echo"))
    async with connected(service.url) as socket:
        await socket.answer("subscribe", flowId=flow.id)

        assert (await socket.next())["seq"] == 1


async def test_who_subscribes_beyond_the_end_hears_from_there_on(service: Service, stage: Stage) -> None:
    created = await service.create(job("wait"))
    async with connected(service.url) as socket:
        await socket.answer("subscribe", flowId=created.id, after=4)
        stage.go.set()
        await service.client.wait(created.id)
        messages = await socket.until(about(created.id))

    assert entries(messages) == await items(service, created.id, after=4)


async def test_subscribing_again_starts_again_from_the_new_place(service: Service, stage: Stage) -> None:
    created = await service.create(job("wait", job("echo")))

    async def waits_for_the_test() -> bool:
        return (await service.client.get(created.id)).counts[JobStatus.ACTIVE] == 1

    await eventually(waits_for_the_test)
    async with connected(service.url) as socket:
        await socket.answer("subscribe", flowId=created.id, after=0)
        before = await socket.pending()
        await socket.send("subscribe", flowId=created.id, after=2)
        before += await socket.until(lambda message: message["type"] == "subscribed")
        stage.go.set()
        messages = await socket.until(about(created.id))

    log = await items(service, created.id)
    assert entries(before) == log[: len(before) - 1]
    assert entries(messages) == log[2:]


async def test_one_socket_follows_many_flows_at_once(service: Service) -> None:
    async with connected(service.url) as socket:
        flows = [await service.create(job("echo", job("echo"))) for _ in range(5)]
        for flow in flows:
            await socket.send("subscribe", flowId=flow.id, after=0)
        open_flows = {flow.id for flow in flows}
        messages: list[Message] = []
        while open_flows:
            messages.append(await socket.next())
            if messages[-1].get("event") == "flow.completed":
                open_flows.discard(messages[-1]["flowId"])

    for flow in flows:
        mine = [message for message in messages if message["flowId"] == flow.id]
        assert mine[0]["type"] == "subscribed"
        assert entries(mine) == await items(service, flow.id)


async def test_after_unsubscribing_nothing_more_comes(service: Service, stage: Stage) -> None:
    left, kept = await service.create(job("wait")), await service.create(job("wait"))
    async with connected(service.url) as socket:
        for flow in (left, kept):
            await socket.send("subscribe", flowId=flow.id, after=0)
        await socket.send("unsubscribe", flowId=left.id)
        await socket.pending()
        stage.go.set()
        await service.client.wait(left.id)
        messages = [*await socket.until(about(kept.id)), *await socket.pending()]

        assert {message["flowId"] for message in messages} == {kept.id}
        await socket.send("unsubscribe", flowId=left.id)
        await socket.send("unsubscribe", flowId=NOBODY)
        assert await socket.pending() == []


async def test_a_ping_gets_a_pong(service: Service) -> None:
    async with connected(service.url) as socket:
        assert await socket.answer("ping") == {"type": "pong"}


async def test_a_flow_that_is_not_there_is_an_error_and_the_socket_lives_on(service: Service) -> None:
    flow = await service.run(job("echo"))
    async with connected(service.url) as socket:
        for name in (NOBODY, "x", "", "\x00", f"{NOBODY}-1"):
            error = await socket.answer("subscribe", flowId=name, after=0)
            assert (error["type"], error["code"], error["flowId"]) == ("error", "not-found", name)
            assert error["detail"]
        assert (await socket.answer("subscribe", flowId=flow.id))["type"] == "subscribed"


async def test_who_follows_all_flows_gets_summaries_of_new_and_changing_ones(service: Service, stage: Stage) -> None:
    old = await service.create(job("wait"))
    async with connected(service.url) as socket, connected(service.url) as other:
        assert await socket.answer("subscribe") == {"type": "subscribed", "flowId": None, "lastSeq": None}
        await other.answer("ping")
        new = await service.create(job("echo", tags=["new"]))
        stage.go.set()
        ended: dict[str, Message] = {}
        seen: set[str] = set()
        while set(ended) != {old.id, new.id}:
            message = await socket.next()
            assert set(message) == {"type", "flow"}
            assert message["type"] == "flow"
            summary = exactly(wire.Flow, message["flow"])
            seen.add(summary.id)
            if summary.status == "completed":
                ended[summary.id] = message["flow"]

        assert seen == {old.id, new.id}
        for flow_id, summary_of in ended.items():
            assert summary_of == (await service.http.get(f"/flows/{flow_id}")).json()
        await socket.send("unsubscribe")
        await socket.pending()
        await service.run(job("echo"))
        assert await socket.pending() == await other.pending() == []


async def test_progress_has_no_number_is_thinned_out_and_ends_with_the_last_value(service: Service) -> None:
    async with connected(service.url) as socket:
        started = asyncio.get_running_loop().time()
        created = await service.create(job("wait", job("advance")))
        await socket.answer("subscribe", flowId=created.id, after=0)
        messages = await socket.until(lambda message: message.get("progress") == 100)
        seconds = asyncio.get_running_loop().time() - started

    progress = [message for message in messages if message["type"] == "progress"]
    jobs = {item["name"]: item["id"] for item in (await service.http.get(f"/flows/{created.id}/jobs")).json()["items"]}
    for message in progress:
        assert message == {
            "type": "progress",
            "flowId": created.id,
            "id": jobs["advance"],
            "progress": message["progress"],
        }
    values = [message["progress"] for message in progress]
    assert values == sorted(set(values))
    assert len(values) <= 10 * seconds + 2
    assert len(values) < 100
