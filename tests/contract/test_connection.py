"""Connections to the engine: errors in our words, and cancellations that are heard."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from bullflow import telemetry
from bullflow.engine.bell import PING_AFTER, Bell
from bullflow.engine.connection import asked, away, connect
from bullflow.engine.stream import EventStreams
from bullflow.errors import EngineAway, EngineRefused
from support.eventually import eventually
from support.queues import Bull

STEPS = range(1, 25)
"""So many turns of the event loop are more than one command takes."""


@pytest_asyncio.fixture
async def client(bull: Bull) -> AsyncIterator[Any]:
    client = connect(bull.url, "cancelled", block=timedelta(seconds=20))
    await client.ping()
    yield client
    await client.aclose()


async def cancelled_after(steps: int, waiting: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
    """The task, when it has ended, that was cancelled after so many turns of the loop."""
    task = asyncio.create_task(waiting())
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait({task})
    return task


@pytest.mark.parametrize("steps", STEPS)
async def test_whoever_waits_long_is_cancelled_at_once(client: Any, bull: Bull, steps: int) -> None:
    task = await cancelled_after(steps, lambda: asked(client.bzpopmin(bull.key("marker"), 15)))

    assert task.cancelled()


@pytest.mark.parametrize("steps", STEPS)
async def test_a_reader_of_streams_is_cancelled_at_once(client: Any, bull: Bull, steps: int) -> None:
    streams = EventStreams(client, bull.prefix)
    task = await cancelled_after(steps, lambda: streams.read({}, timedelta(seconds=15)))

    assert task.cancelled()


@pytest.mark.parametrize("steps", STEPS)
async def test_a_listener_to_the_bell_is_cancelled_at_once(bull: Bull, steps: int) -> None:
    listening = connect(bull.url, "bell", block=PING_AFTER)
    bell = Bell(listening, bull.prefix, origin="test", log=telemetry.logger("test"))
    bell.on(lambda _: None)
    task = await cancelled_after(steps, bell.run)
    await listening.aclose()

    assert task.cancelled()


@pytest.mark.parametrize("steps", STEPS)
async def test_a_loop_of_short_commands_ends_when_it_is_cancelled(client: Any, steps: int) -> None:
    """A cancellation that were lost would let it go on for ever."""

    async def loop() -> None:
        while True:
            async with away():
                await client.ping()

    task = await cancelled_after(steps, loop)

    assert task.cancelled()


async def test_an_answer_is_given_on(client: Any) -> None:
    assert await asked(client.ping()) is True


async def test_what_trying_again_does_not_change_is_a_refusal(client: Any, bull: Bull) -> None:
    await client.set(bull.key("text"), "text")

    with pytest.raises(EngineRefused, match="WRONGTYPE"):
        await within(client.lpush(bull.key("text"), "x"))


async def test_an_engine_without_room_is_away_for_now(client: Any) -> None:
    await client.config_set("maxmemory", 1)
    try:
        with pytest.raises(EngineAway, match="maxmemory"):
            await within(client.set("a", "b"))
    finally:
        await client.config_set("maxmemory", 0)


async def test_a_connection_that_was_cut_is_made_again(client: Any, bull: Bull) -> None:
    own_id = await client.client_id()

    async def works_again() -> bool:
        try:
            return bool(await within(client.ping()))
        except EngineAway:
            return False

    await bull.client.client_kill_filter(_id=own_id)

    assert await eventually(works_again)


async def within(command: Awaitable[Any]) -> Any:
    async with away():
        return await command
