"""Commands of many tasks in one round trip.

Whoever calls first is sent at once; what others call while the answer is on its way goes out
together with the next send. So a lone command waits for nobody, and a busy worker needs few round
trips, without a timer anywhere.
"""

import asyncio
from typing import Any

from bullmq.redis_connection import SCRIPT_DEFINITIONS, loadScript
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from bullflow.errors import EngineAway

_Command = tuple[tuple[Any, ...], "asyncio.Future[Any]"]
_LARGEST_BATCH = 500


class Pipe:
    """One connection's worth of commands."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._waiting: list[_Command] = []
        self._sender: asyncio.Task[None] | None = None
        self._shas: dict[str, str] = {}

    async def call(self, *command: Any) -> Any:
        """The answer to one command; raises EngineAway when the engine does not give one."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, answer))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_all())
        return await answer

    async def script(self, name: str, keys: list[str], args: list[Any]) -> Any:
        """The answer of one of BullMQ's own Lua scripts, by its name."""
        sha = self._shas.get(name) or await self._load(name)
        try:
            return await self.call("EVALSHA", sha, len(keys), *keys, *args)
        except NoScriptError:
            # The engine was restarted since the script was loaded.
            sha = await self._load(name)
            return await self.call("EVALSHA", sha, len(keys), *keys, *args)

    async def _load(self, name: str) -> str:
        self._shas[name] = await self.call("SCRIPT", "LOAD", loadScript(SCRIPT_DEFINITIONS[name]))
        return self._shas[name]

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_LARGEST_BATCH], self._waiting[_LARGEST_BATCH:]
                await self._send(batch)
        finally:
            self._sender = None

    async def _send(self, batch: list[_Command]) -> None:
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                for command, _ in batch:
                    pipe.execute_command(*command)
                answers = await pipe.execute(raise_on_error=False)
        except (RedisError, OSError, TimeoutError) as error:
            answers = [EngineAway(error)] * len(batch)
        except asyncio.CancelledError:
            answers = [EngineAway("closing")] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            _settle(future, answer)

    async def close(self) -> None:
        """Let what was called be answered, then close the connection."""
        while self._sender is not None:
            await asyncio.wait({self._sender})
        await self._client.aclose()


def _settle(future: "asyncio.Future[Any]", answer: Any) -> None:
    if future.done():
        return
    if isinstance(answer, NoScriptError | EngineAway):
        future.set_exception(answer)
    elif isinstance(answer, Exception):
        future.set_exception(EngineAway(answer))
    else:
        future.set_result(answer)
