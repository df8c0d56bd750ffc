"""What was looked at under watch is done whole, or nothing is: whoever comes between, and whatever is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bullflow.engine.connection import connect
from bullflow.engine.transaction import Transactions
from bullflow.errors import EngineAway, EngineRefused
from support.lines import line
from support.queues import Bull

SCRIPT = {"e0e1f9fabfc9d4800c877a703b823ac0578ff8db": "return 1"}


@asynccontextmanager
async def transactions(url: str) -> AsyncIterator[Transactions]:
    client = connect(url, "transactions")
    made = Transactions(client)
    try:
        yield made
    finally:
        await made.close()
        await client.aclose()


async def test_questions_are_answered_and_what_follows_is_done(bull: Bull) -> None:
    key = bull.key("a")
    async with transactions(bull.url) as made, made.begin() as transaction:
        assert await transaction.look([key], [("EXISTS", key), ("ECHO", "é")], SCRIPT) == [0, "é"]
        assert await transaction.commit([("SET", key, 1), ("INCR", key), ("GET", key)]) == ["OK", 2, "2"]


async def test_scripts_are_there_when_they_are_called(bull: Bull) -> None:
    await bull.client.script_flush()
    async with transactions(bull.url) as made, made.begin() as transaction:
        await transaction.look([bull.key("a")], [], SCRIPT)
        assert await transaction.commit([("EVALSHA", next(iter(SCRIPT)), 0)]) == [1]


async def test_nothing_is_done_when_something_that_was_watched_has_changed(bull: Bull) -> None:
    key, other = bull.key("a"), bull.key("b")
    async with transactions(bull.url) as made:
        async with made.begin() as transaction:
            await transaction.look([key], [], SCRIPT)
            await bull.client.set(key, "theirs")
            assert await transaction.commit([("SET", key, "ours"), ("SET", other, "ours")]) is None
        async with made.begin() as transaction:
            await transaction.look([other], [], SCRIPT)
            await bull.client.set(key, "theirs again")
            assert await transaction.commit([("SET", other, "ours")]) == ["OK"]

    assert await bull.client.get(key) == "theirs again"


async def test_what_was_watched_by_one_that_went_away_is_forgotten(bull: Bull) -> None:
    key = bull.key("a")
    async with transactions(bull.url) as made:
        async with made.begin() as transaction:
            await transaction.look([key], [], SCRIPT)
        await bull.client.set(key, "theirs")
        async with made.begin() as transaction:
            await transaction.look([bull.key("b")], [], SCRIPT)
            assert await transaction.commit([("SET", key, "ours")]) == ["OK"]


async def test_a_connection_that_is_lost_in_between_ends_the_transaction(bull: Bull) -> None:
    """A new one would watch nothing."""
    key = bull.key("a")
    async with line(bull.url) as way, transactions(way.url) as made:
        async with made.begin() as transaction:
            await transaction.look([key], [], SCRIPT)
            await way.cut()
            way.heal()
            with pytest.raises(EngineAway):
                await transaction.commit([("SET", key, "ours")])
        assert await bull.client.get(key) is None

        async with made.begin() as transaction:
            await transaction.look([key], [], SCRIPT)
            assert await transaction.commit([("SET", key, "ours")]) == ["OK"]


async def test_a_connection_that_is_lost_while_the_engine_is_asked_fails(bull: Bull) -> None:
    async with line(bull.url) as way, transactions(way.url) as made, made.begin() as transaction:
        await transaction.look([bull.key("a")], [], SCRIPT)
        way.freeze()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(way.cut())
            with pytest.raises(EngineAway):
                await transaction.commit([("SET", bull.key("a"), "ours")])


async def test_a_command_that_is_refused_is_told_of_though_others_were_done(bull: Bull) -> None:
    key = bull.key("a")
    async with transactions(bull.url) as made, made.begin() as transaction:
        await transaction.look([key], [], SCRIPT)
        with pytest.raises(EngineRefused, match="WRONGTYPE"):
            await transaction.commit([("SET", key, 1), ("LPUSH", key, 1)])


async def test_a_command_that_cannot_be_done_at_all_keeps_the_others_from_being_done(bull: Bull) -> None:
    key = bull.key("a")
    async with transactions(bull.url) as made:
        async with made.begin() as transaction:
            await transaction.look([key], [], SCRIPT)
            with pytest.raises(EngineRefused, match="unknown command"):
                await transaction.commit([("SET", key, 1), ("NONSENSE",)])
        async with made.begin() as transaction:
            assert await transaction.look([key], [("GET", key)], SCRIPT) == [None]


async def test_nothing_is_sent_when_something_cannot_be_packed(bull: Bull) -> None:
    key = bull.key("a")
    async with transactions(bull.url) as made:
        async with made.begin() as transaction:
            await transaction.look([key], [], SCRIPT)
            with pytest.raises(TypeError):
                await transaction.commit([("SET", key, 1), ("SET", key, object())])  # type: ignore[list-item]
        async with made.begin() as transaction:
            assert await transaction.look([key], [("GET", key)], SCRIPT) == [None]


async def test_one_that_is_cancelled_sends_all_or_nothing_and_the_next_goes_on(bull: Bull) -> None:
    keys = [bull.key(str(n)) for n in range(2_000)]
    async with transactions(bull.url) as made:

        async def set_all() -> None:
            async with made.begin() as transaction:
                await transaction.look(keys[:1], [], SCRIPT)
                await transaction.commit([("SET", key, "x" * 1_000) for key in keys])

        for turns in range(12):
            setting = asyncio.create_task(set_all())
            for _ in range(turns):
                await asyncio.sleep(0.001)
            setting.cancel()
            await asyncio.wait({setting})
            async with made.begin() as transaction:
                there = await transaction.look(keys[:1], [("EXISTS", key) for key in keys], SCRIPT)
                assert len(set(there)) == 1


async def test_they_take_turns(bull: Bull) -> None:
    key = bull.key("a")
    async with transactions(bull.url) as made:

        async def count() -> None:
            async with made.begin() as transaction:
                (before,) = await transaction.look([key], [("GET", key)], SCRIPT)
                assert await transaction.commit([("SET", key, int(before or 0) + 1)]) == ["OK"]

        await asyncio.gather(*(count() for _ in range(20)))

    assert await bull.client.get(key) == "20"
