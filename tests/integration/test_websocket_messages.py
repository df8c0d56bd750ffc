"""Messages that the WebSocket cannot use: each gets an error, and what the socket follows goes on."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from support.servers import Valkey
from support.service import Service, running, settings_for
from support.sockets import connected

NOBODY = "019ab3c1-7d7a-7000-8000-000000000000"
LATER = {"name": "later", "queueName": "nobody"}


@pytest_asyncio.fixture
async def service(store_url: str, valkey: Valkey, prefix: str, data_dir: Path) -> AsyncIterator[Service]:
    settings = settings_for(store_url, valkey.url, prefix, data_dir, max_subscriptions=3)
    async with running(settings) as running_service:
        yield running_service


async def refused(service: Service, frame: str | bytes) -> str:
    """The code of the error that this frame gets, on a socket that goes on living."""
    async with connected(service.url) as socket:
        await socket.send_raw(frame)
        error = await socket.next()
        assert error["type"] == "error", error
        assert error["detail"]
        assert await socket.answer("ping") == {"type": "pong"}
        return str(error["code"])


async def test_what_is_not_json_is_an_error(service: Service) -> None:
    for frame in ("", "hello", "{", '{"action": "ping"} x', "NaN"):
        assert await refused(service, frame) == "not-json"


async def test_a_binary_frame_is_an_error(service: Service) -> None:
    for frame in (b"", b"\x00\xff", b'{"action": "ping"}'):
        assert await refused(service, frame) == "not-text"


async def test_what_breaks_the_rules_of_a_message_is_an_error(service: Service) -> None:
    subscribe = {"action": "subscribe", "flowId": NOBODY}
    messages: list[Any] = [
        None,
        [],
        "ping",
        {},
        {"action": None},
        {"action": "dance"},
        {"action": ["ping"]},
        {"action": "ping", "flowId": NOBODY},
        {**subscribe, "colour": "red"},
        {**subscribe, "after": -1},
        {**subscribe, "after": "0"},
        {**subscribe, "after": 1.5},
        {**subscribe, "after": True},
        {**subscribe, "after": 2**31},
        {**subscribe, "flowId": 5},
        {**subscribe, "flowId": "x" * 65},
        {"action": "unsubscribe", "after": 0},
    ]
    for message in messages:
        assert (message, await refused(service, json.dumps(message))) == (message, "invalid-message")


async def test_the_error_names_the_field(service: Service) -> None:
    async with connected(service.url) as socket:
        error = await socket.answer("subscribe", flowId=NOBODY, after="0", colour="red")

    assert "/after" in error["detail"]
    assert "/colour" in error["detail"]


async def test_a_message_that_is_too_large_is_an_error(service: Service) -> None:
    assert await refused(service, json.dumps({"action": "ping", "x": "x" * 5_000})) == "message-too-large"


async def test_a_frame_that_is_far_too_large_ends_the_connection(service: Service) -> None:
    async with connected(service.url) as socket:
        await socket.send_raw("x" * 70_000)

        assert await socket.closed() == (1009, [])


async def test_more_flows_than_the_limit_are_refused_and_the_others_go_on(service: Service) -> None:
    flows = [await service.create(LATER) for _ in range(4)]
    async with connected(service.url) as socket:
        for flow in flows[:3]:
            assert (await socket.reply("subscribe", flowId=flow.id))["type"] == "subscribed"
        error = await socket.reply("subscribe", flowId=flows[3].id)
        assert (error["type"], error["code"], error["flowId"]) == ("error", "too-many-subscriptions", flows[3].id)
        assert "3" in error["detail"]
        assert (await socket.reply("subscribe", flowId=flows[0].id))["type"] == "subscribed"
        await socket.send("unsubscribe", flowId=flows[1].id)
        assert (await socket.reply("subscribe", flowId=flows[3].id))["type"] == "subscribed"


async def test_what_was_followed_is_followed_on_after_every_mistake(service: Service) -> None:
    created = await service.create(LATER)
    async with connected(service.url) as socket:
        await socket.reply("subscribe", flowId=created.id, after=1)
        for frame in ("{", b"\x00", '{"action": "dance"}', json.dumps({"x": "x" * 5_000})):
            await socket.send_raw(frame)
        messages = await socket.until(lambda message: message["type"] == "event")
        messages += await socket.pending()

    codes = [message["code"] for message in messages if message["type"] == "error"]
    events = [(message["seq"], message["event"]) for message in messages if message["type"] == "event"]
    assert codes == ["not-json", "not-text", "invalid-message", "message-too-large"]
    assert events == [(2, "flow.dispatched")]
