"""One connection for many commands: what redis-py connects, and what becomes of what was asked."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
import uvloop

from bullflow.engine import duplex as duplex_module
from bullflow.engine import line as line_module
from bullflow.engine.connection import connect
from bullflow.engine.duplex import MOST_OWED
from bullflow.engine.line import Line
from bullflow.errors import EngineAway, EngineRefused
from support.eventually import eventually
from support.lines import line
from support.queues import Bull
from support.servers import Valkey

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

WAYS = ["unix", "tcp"]


@asynccontextmanager
async def lined(url: str, name: str = "line") -> Any:
    made = Line(connect(url, name))
    try:
        yield made
    finally:
        await made.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loop", LOOPS)
def test_it_works_on_every_loop_and_on_both_kinds_of_sockets(valkey: Valkey, loop: str, way: str) -> None:
    """What it takes from redis-py is there, and redis-py can close what was taken."""

    async def asks() -> list[Any]:
        async with AsyncExitStack() as stack:
            url = valkey.url if way == "unix" else (await stack.enter_async_context(line(valkey.url))).url
            asked = await stack.enter_async_context(lined(url))
            return [
                await asked.ask("ECHO", "first"),
                *await asyncio.gather(asked.ask("ECHO", "a"), asked.ask("ECHO", "b")),
            ]

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        answers = runner.run(asks())
    gc.collect()  # a connection that was not closed would complain

    assert answers == ["first", "a", "b"]


async def test_the_url_s_user_database_and_name_hold_again_after_a_loss(bull: Bull, prefix: str) -> None:
    await bull.client.acl_setuser(prefix, enabled=True, passwords=["+secret"], keys=["*"], categories=["+@all"])
    url = f"{bull.url.replace('unix://', f'unix://{prefix}:secret@')}?db=3"
    async with lined(url, f"line-{prefix}") as asked:

        async def known() -> tuple[str, str, str]:
            fields = dict(pair.split("=", 1) for pair in (await asked.ask("CLIENT", "INFO")).split())
            return fields["user"], fields["db"], fields["name"]

        before = await known()
        await bull.client.client_kill_filter(user=prefix)
        with suppress(EngineAway):  # unless it has noticed before
            await asked.ask("PING")

        assert before == await known() == (prefix, "3", f"line-{prefix}")
    await bull.client.acl_deluser(prefix)


async def test_what_was_asked_on_a_lost_connection_fails_and_nothing_is_sent_twice(bull: Bull) -> None:
    async with line(bull.url) as way, lined(way.url) as asked:
        await asked.ask("PING")
        way.freeze()
        answers = [asked.ask("INCR", bull.key("count")) for _ in range(MOST_OWED + 10)]
        await asyncio.sleep(0)
        await way.cut()
        outcomes = await asyncio.gather(*answers, return_exceptions=True)
        way.heal()

        assert {type(outcome) for outcome in outcomes} == {EngineAway}  # also of what had not gone out yet
        assert await asked.ask("PING") == "PONG"
    assert int(await bull.client.get(bull.key("count")) or 0) <= MOST_OWED


async def test_an_engine_that_says_nothing_is_away_after_a_while(bull: Bull, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplex_module, "ANSWER_WITHIN", timedelta(seconds=0.2))
    async with line(bull.url) as way, lined(way.url) as asked:
        await asked.ask("PING")
        way.freeze()
        with pytest.raises(EngineAway, match=r"no answer within 0\.2 s"):
            await asked.ask("PING")
        way.heal()

        assert await asked.ask("PING") == "PONG"


async def test_an_engine_that_answers_slowly_but_does_is_not_away(bull: Bull, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplex_module, "ANSWER_WITHIN", timedelta(seconds=0.2))
    async with lined(bull.url) as asked:
        # On one connection each waits for the one before.
        assert await asyncio.gather(*(asked.ask("BLPOP", bull.key("none"), 0.05) for _ in range(8))) == [None] * 8


async def test_an_engine_that_is_not_there_is_away_for_all_who_ask(bull: Bull) -> None:
    async with line(bull.url) as way, lined(way.url) as asked:
        await way.cut()
        outcomes = await asyncio.gather(*(asked.ask("PING") for _ in range(3)), return_exceptions=True)
        way.heal()

        assert {type(outcome) for outcome in outcomes} == {EngineAway}
        assert await asked.ask("PING") == "PONG"


async def test_what_is_asked_while_it_connects_waits_for_that(bull: Bull) -> None:
    async with line(bull.url) as way, lined(way.url) as asked:
        assert await asyncio.gather(*(asked.ask("ECHO", str(number)) for number in range(50))) == [
            str(number) for number in range(50)
        ]
        assert way.dialled == 1


async def test_who_has_gone_gets_no_answer_and_the_others_get_their_own(bull: Bull) -> None:
    async with lined(bull.url) as asked:
        answers = [asked.ask("ECHO", str(number)) for number in range(4)]
        answers[0].cancel()  # before it is sent
        await eventually(some_turns(asked))
        late = [asked.ask("ECHO", str(number)) for number in range(4, 8)]
        await asyncio.sleep(0)
        late[1].cancel()  # after that

        assert [await answer for answer in answers[1:]] == ["1", "2", "3"]
        assert [await answer for answer in late if answer is not late[1]] == ["4", "6", "7"]


def some_turns(asked: Line) -> Callable[[], Awaitable[bool]]:
    async def connected_now() -> bool:
        return bool(await asked.ask("PING"))

    return connected_now


async def test_more_than_the_engine_takes_at_once_arrives_whole(bull: Bull) -> None:
    large = "x" * 100_000
    async with lined(bull.url) as asked:
        answers = await asyncio.gather(*(asked.ask("ECHO", f"{number}{large}") for number in range(200)))

    assert [answer.removesuffix(large) for answer in answers] == [str(number) for number in range(200)]


async def test_what_a_server_tells_unasked_is_no_answer(bull: Bull) -> None:
    async with lined(f"{bull.url}?protocol=3") as asked:
        await asked.ask("CLIENT", "TRACKING", "ON")
        key = bull.key("tracked")
        await asked.ask("GET", key)
        await bull.client.set(key, "changed")  # of which the server tells

        assert await asked.ask("GET", key) == "changed"


async def test_text_that_has_no_utf_8_is_sent_without_what_has_none(bull: Bull) -> None:
    async with lined(bull.url) as asked:
        assert await asked.ask("ECHO", "a\ud800b") == "a?b"


async def test_once_closed_it_holds_no_connection_and_answers_nobody(bull: Bull, prefix: str) -> None:
    asked = Line(connect(bull.url, f"line-{prefix}"))
    pending = asked.ask("ECHO", "soon")
    await asked.close()

    assert await pending == "soon"
    with pytest.raises(EngineAway):
        await asked.ask("PING")

    async def is_gone() -> bool:
        return all(client["name"] != f"line-{prefix}" for client in await bull.client.client_list())

    await eventually(is_gone)


async def test_it_closes_in_time_when_the_engine_says_nothing(bull: Bull, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "SETTLE_WITHIN", timedelta(seconds=0.1))
    async with line(bull.url) as way:
        asked = Line(connect(way.url, "line"))
        await asked.ask("PING")
        way.freeze()
        connecting = Line(connect(way.url, "line"))
        answers = [asked.ask("PING"), connecting.ask("PING")]
        async with asyncio.timeout(5):
            await asyncio.gather(asked.close(), connecting.close())
            outcomes = await asyncio.gather(*answers, return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {EngineAway}


async def test_a_refusal_is_one_and_the_connection_goes_on(bull: Bull) -> None:
    async with lined(bull.url) as asked:
        outcomes = await asyncio.gather(
            asked.ask("ECHO", "a"), asked.ask("NONSENSE"), asked.ask("ECHO", "b"), return_exceptions=True
        )

    assert (outcomes[0], type(outcomes[1]), outcomes[2]) == ("a", EngineRefused, "b")
