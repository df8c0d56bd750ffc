"""News between processes: who has written something that others wait for.

A message is a hint and may be lost; whoever listens has a slow look at the store as a net. So
nothing here retries, and a full or missing engine costs a second of delay, never an event.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
from redis.asyncio import Redis
from structlog.typing import FilteringBoundLogger

from bullflow.engine.connection import away
from bullflow.errors import EngineAway
from bullflow.loop import Pauses


class Bell:
    """One channel. What is rung here is heard in this process at once, and in all others soon after."""

    def __init__(self, client: Redis, channel: str, *, origin: str) -> None:
        self._client = client
        self._channel = channel
        self._origin = origin
        self._heard: list[Callable[[Any], None]] = []

    def on(self, heard: Callable[[Any], None]) -> None:
        """Call `heard` with every message."""
        self._heard.append(heard)

    async def ring(self, message: Any) -> None:
        """Tell everybody, as well as can be."""
        self._tell(message)
        with suppress(EngineAway):
            async with away():
                await self._client.publish(self._channel, orjson.dumps({"from": self._origin, "news": message}))

    async def listen(self, log: FilteringBoundLogger) -> None:
        """Hear what other processes ring, for ever; whoever listens is told `None` after a gap."""
        pauses = Pauses()
        while True:
            try:
                await self._listen_until_gone(pauses)
            except EngineAway as error:
                log.debug("bell.engine_away", error=error.reason)
            await pauses.rest()

    async def _listen_until_gone(self, pauses: Pauses) -> None:
        async with away(), self._client.pubsub(ignore_subscribe_messages=True) as messages:
            await messages.subscribe(self._channel)
            self._tell(None)
            pauses.reset()
            while True:
                message = await messages.get_message(timeout=None)
                if message is not None:
                    self._receive(message["data"])

    def _receive(self, data: str) -> None:
        with suppress(orjson.JSONDecodeError, KeyError, TypeError):
            parsed = orjson.loads(data)
            if parsed["from"] != self._origin:
                self._tell(parsed["news"])

    def _tell(self, message: Any) -> None:
        for heard in self._heard:
            heard(message)
