"""Optimistic transactions: WATCH and a look in one write, then MULTI … EXEC in another.

redis-py watches, looks, and asks for scripts in a round trip each, and packs and reads in Python; here a
transaction is two round trips on a connection of its own, whatever it holds. A connection that is lost
between the two takes the watch with it, so a transaction never goes on with another one.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from bullflow.engine.connection import engine_error
from bullflow.engine.duplex import Answer, Duplex, dial, packed
from bullflow.errors import EngineAway, EngineRefused

Command = tuple[str | bytes | int, ...]
"""A command of the engine with its arguments."""


class Transaction:
    """One transaction: `look`, then `commit`."""

    def __init__(self, duplex: Duplex) -> None:
        self._duplex = duplex

    async def look(
        self, watched: Sequence[str], questions: Sequence[Command], scripts: Mapping[str, str]
    ) -> Sequence[Any]:
        """The answers to questions asked under WATCH; the scripts, by their SHA-1, are loaded when it returns.

        Raises EngineAway and EngineRefused.
        """
        # Whoever was here before may have gone away without an end.
        beginning: list[Command] = [("UNWATCH",), ("WATCH", *watched), ("SCRIPT", "EXISTS", *scripts)]
        answers = await self._ask([*beginning, *questions])
        known = answers[len(beginning) - 1]
        missing = [source for source, is_known in zip(scripts.values(), known, strict=True) if not is_known]
        if missing:
            await self._ask([("SCRIPT", "LOAD", source) for source in missing])
        return answers[len(beginning) :]

    async def commit(self, commands: Sequence[Command]) -> Sequence[Any] | None:
        """Do all of it, or nothing and return None because something that was watched has changed.

        Raises EngineAway, and then it may have been done, and EngineRefused.
        """
        *_, done = await self._ask([("MULTI",), *commands, ("EXEC",)])
        for answer in done or ():
            if isinstance(answer, NoScriptError):
                raise EngineAway("its scripts were thrown away just now") from answer
            if isinstance(answer, RedisError):
                raise engine_error(answer) from answer
        return done  # type: ignore[no-any-return]

    async def _ask(self, commands: Sequence[Command]) -> Sequence[Any]:
        """Send all in one write; whoever goes away meanwhile leaves nothing half sent."""
        if self._duplex.is_lost:
            raise EngineAway("the connection was lost")
        text = b"".join(map(packed, commands))
        loop = asyncio.get_running_loop()
        answers: list[Answer] = [loop.create_future() for _ in commands]
        self._duplex.send([text], answers)
        try:
            with suppress(EngineAway, EngineRefused, NoScriptError):
                await answers[-1]
        finally:
            for answer in answers:
                answer.cancel()  # only those that have not come
        errors = [error for answer in answers if (error := answer.exception()) is not None]
        if errors:
            raise errors[0]
        return [answer.result() for answer in answers]


class Transactions:
    """One after the other, on one connection of a client."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._turn = asyncio.Lock()
        self._duplex: Duplex | None = None

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Raises EngineAway and EngineRefused."""
        async with self._turn:
            if self._duplex is None or self._duplex.is_lost:
                await self._give_back()
                self._duplex = await dial(self._client, _has_room)
            yield Transaction(self._duplex)

    async def close(self) -> None:
        """Give the connection back."""
        async with self._turn:
            await self._give_back()

    async def _give_back(self) -> None:
        duplex, self._duplex = self._duplex, None
        if duplex is not None:
            await duplex.give_back()


def _has_room() -> None:
    """Nobody waits for it: a transaction is sent whole."""
