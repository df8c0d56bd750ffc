"""Commands of many tasks in one round trip (see `together`)."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from bullmq.redis_connection import SCRIPT_DEFINITIONS, loadScript
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from bullflow.engine.connection import engine_error
from bullflow.together import Together

SETTLE_WITHIN = timedelta(seconds=2)
_LARGEST_BATCH = 500
# The package has this script and does not name it.
_FILES = {**SCRIPT_DEFINITIONS, "addLog": "addLog-2.lua"}


class Pipe:
    """One connection's worth of commands."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._commands: Together[tuple[Any, ...], Any] = Together(self._send, most=_LARGEST_BATCH)
        self._shas: dict[str, str] = {}

    async def call(self, *command: Any) -> Any:
        """The answer to one command; raises EngineAway or EngineRefused when there is none."""
        return await self._commands.ask(command)

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
        sha: str = await self.call("SCRIPT", "LOAD", loadScript(_FILES[name]))
        self._shas[name] = sha
        return sha

    async def _send(self, commands: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                for command in commands:
                    pipe.execute_command(*command)
                answers = await pipe.execute(raise_on_error=False)
        except (RedisError, OSError, TimeoutError) as error:
            raise engine_error(error) from error
        return [_refusal(answer) if isinstance(answer, Exception) else answer for answer in answers]

    async def close(self) -> None:
        """Let what was called be answered, if it is soon, then close the connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_WITHIN.total_seconds()):
                await self._commands.settled()
        await self._client.aclose()


def _refusal(error: Exception) -> Exception:
    return error if isinstance(error, NoScriptError) else engine_error(error)
