"""The bell between processes: whatever becomes of the line, nobody misses a message without being told so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from bullflow import telemetry
from bullflow.engine import bell as bell_module
from bullflow.engine.bell import Bell
from bullflow.engine.connection import connect
from support.eventually import eventually
from support.lines import Line, line
from support.queues import Bull


@pytest.fixture(autouse=True)
def frequent_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bell_module, "PING_AFTER", timedelta(seconds=0.3))


class Ringer:
    """A bell and what was heard of it."""

    def __init__(self, bell: Bell) -> None:
        self.ring = bell.ring
        self.heard: list[Any] = []
        bell.on(self.heard.append)

    async def hears(self, message: Any, *, times: int = 1) -> None:
        async def heard() -> bool:
            return self.heard.count(message) >= times

        await eventually(heard)


@asynccontextmanager
async def ringer(url: str, channel: str, origin: str) -> AsyncIterator[Ringer]:
    client = connect(url, origin, block=timedelta(seconds=1))
    bell = Bell(client, channel, origin=origin, log=telemetry.logger("test"))
    found = Ringer(bell)
    running = asyncio.create_task(bell.run())
    try:
        await found.hears(None)
        yield found
    finally:
        running.cancel()
        await asyncio.wait({running})
        await client.aclose()


@pytest_asyncio.fixture
async def cable(bull: Bull) -> AsyncIterator[Line]:
    async with line(bull.url) as found:
        yield found


@pytest_asyncio.fixture
async def ends(bull: Bull, cable: Line) -> AsyncIterator[tuple[Ringer, Ringer]]:
    """Somebody near the engine, and somebody at the other end of a line."""
    async with AsyncExitStack() as stack:
        near = await stack.enter_async_context(ringer(bull.url, bull.prefix, "near"))
        far = await stack.enter_async_context(ringer(cable.url, bull.prefix, "far"))
        yield near, far


async def test_what_is_rung_is_heard_by_all_and_once(ends: tuple[Ringer, Ringer]) -> None:
    near, far = ends
    near.ring("hello")
    await far.hears("hello")
    far.ring("good day")
    await near.hears("good day")

    assert near.heard == far.heard == [None, "hello", "good day"]


async def test_who_was_cut_off_hears_that_it_may_have_missed_something(
    ends: tuple[Ringer, Ringer], cable: Line
) -> None:
    near, far = ends
    await cable.cut()
    near.ring("missed")
    cable.heal()

    await far.hears(None, times=2)
    near.ring("heard")
    await far.hears("heard")
    assert "missed" not in far.heard


async def test_a_line_that_is_dead_without_a_word_is_found_out_and_replaced(
    ends: tuple[Ringer, Ringer], cable: Line
) -> None:
    _, far = ends
    cable.freeze()
    await until_asked_again(cable)
    await cable.cut()
    cable.heal()

    await far.hears(None, times=2)


async def until_asked_again(cable: Line) -> None:
    """Wait until somebody dials anew at the frozen line, which they do when they have given up the old one."""
    before = cable.dialled

    async def dialled() -> bool:
        return cable.dialled > before

    await eventually(dialled, within=5)


async def test_a_line_that_is_only_quiet_is_kept(ends: tuple[Ringer, Ringer], cable: Line) -> None:
    near, far = ends
    dialled, passed = cable.dialled, cable.passed

    async def was_pinged_often() -> bool:
        return cable.passed >= passed + 8  # each ping has an answer

    await eventually(was_pinged_often)
    near.ring("hello")
    await far.hears("hello")
    assert cable.dialled == dialled
    assert far.heard == [None, "hello"]


async def test_what_could_not_be_sent_is_made_up_for(ends: tuple[Ringer, Ringer], cable: Line) -> None:
    near, far = ends
    await cable.cut()
    for n in range(5):
        far.ring(n)
    before = cable.dialled

    async def tried_in_vain() -> bool:
        return cable.dialled > before + 5  # both who send and who listen

    await eventually(tried_in_vain)
    cable.heal()

    await near.hears(None, times=2)
    far.ring("heard")
    await near.hears("heard")
    assert near.heard == [None, None, "heard"]
    assert far.heard[1:6] == [0, 1, 2, 3, 4]


async def test_more_than_can_wait_is_lost_and_said_so(ends: tuple[Ringer, Ringer], monkeypatch: Any) -> None:
    monkeypatch.setattr(bell_module, "MOST_WAITING", 10)
    near, far = ends
    for n in range(25):
        far.ring(n)

    await near.hears(None, times=2)
    await near.hears(24)
    assert len(near.heard) < 25
