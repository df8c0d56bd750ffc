"""Commands and BullMQ's scripts on one connection (see `line`)."""

from collections.abc import Sequence
from typing import Any

from bullmq.redis_connection import SCRIPT_DEFINITIONS, loadScript
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from bullflow.engine.line import Line

# The package has this script and does not name it.
_FILES = {**SCRIPT_DEFINITIONS, "addLog": "addLog-2.lua"}


class Pipe:
    """One connection's worth of commands. What is asked at the same time goes out together."""

    def __init__(self, client: Redis) -> None:
        self._line = Line(client)
        self._shas: dict[str, str] = {}
        self.call = self._line.ask
        """The answer to one command; raises EngineAway or EngineRefused when there is none."""
        self.close = self._line.close

    async def script(self, name: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
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
