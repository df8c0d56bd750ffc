"""News between processes: who has written something that others wait for.

A message is a hint and may be lost, but not unnoticed: whoever could not send says so as soon as it can,
and whoever may have missed something is told so (None). A line is looked at by pings, so one that
is dead without a word is found out within two of them. So ringing never waits for the engine, and a full
or missing engine costs seconds of delay, never an event.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import orjson
from redis.asyncio import Redis
from structlog.typing import FilteringBoundLogger

from bullflow.engine.connection import asked, away
from bullflow.errors import EngineAway, EngineRefused
from bullflow.loop import Pauses, outlive

MOST_WAITING = 1_000
PING_AFTER = timedelta(seconds=5)


def sealed(origin: str, message: Any) -> bytes:
    """A message as it is published: whoever has rung does not hear it twice."""
    return orjson.dumps({"from": origin, "news": message})


class Bell:
    """One channel. What is rung here is heard in this process at once, and in all others soon after."""

    def __init__(self, client: Redis, channel: str, *, origin: str, log: FilteringBoundLogger) -> None:
        self._client = client
        self._channel = channel
        self._origin = origin
        self._log = log
        self._heard: list[Callable[[Any], None]] = []
        self._waiting: deque[Any] = deque()
        self._rung = asyncio.Event()

    def on(self, heard: Callable[[Any], None]) -> None:
        """Call `heard` with every message, and with None whenever some may have been missed."""
        self._heard.append(heard)

    def ring(self, message: Any) -> None:
        """Tell everybody, as well as can be; with None that they may have missed something."""
        self._tell(message)
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(message)
        else:
            self._lose_what_waits()
        self._rung.set()

    def _lose_what_waits(self) -> None:
        self._waiting = deque([None])

    async def run(self) -> None:
        """Send what is rung here and hear what is rung elsewhere, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send())
            if self._heard:
                tasks.create_task(self._listen())

    async def _send(self) -> None:
        pauses = Pauses()
        while True:
            await self._rung.wait()
            self._rung.clear()
            messages, self._waiting = self._waiting, deque()
            try:
                await self._publish(messages)
            except (EngineAway, EngineRefused) as error:
                outlive(error)
                self._lose_what_waits()
                self._rung.set()
                await pauses.rest()
            else:
                pauses.reset()

    async def _publish(self, messages: Iterable[Any]) -> None:
        async with away(), self._client.pipeline(transaction=False) as pipe:
            for message in messages:
                pipe.publish(self._channel, sealed(self._origin, message))
            await pipe.execute()

    async def _listen(self) -> None:
        pauses = Pauses()
        while True:
            try:
                await self._listen_until_gone(pauses)
            except (EngineAway, EngineRefused) as error:
                outlive(error)
                self._log.debug("bell.engine_away", error=str(error))
            await pauses.rest()

    async def _listen_until_gone(self, pauses: Pauses) -> None:
        async with away(), self._client.pubsub() as messages:
            await asked(messages.subscribe(self._channel))
            was_pinged = True  # the answer to the subscription is owed as well
            while True:
                message = await asked(messages.get_message(timeout=PING_AFTER.total_seconds()))
                if message is None:
                    if was_pinged:
                        raise EngineAway(f"no answer within {PING_AFTER.total_seconds():g} s")
                    await asked(messages.ping())
                elif message["type"] == "message":
                    self._receive(message["data"])
                elif message["type"] == "subscribe":
                    self._tell(None)
                    pauses.reset()
                was_pinged = message is None

    def _receive(self, data: str) -> None:
        try:
            parsed = orjson.loads(data)
            if parsed["from"] != self._origin:
                self._tell(parsed["news"])
        except Exception as error:
            # Another version, or somebody else on this channel: a hint that cannot be read is a hint that was lost.
            self._log.warning("bell.not_understood", error=repr(error))
            self._tell(None)

    def _tell(self, message: Any) -> None:
        for heard in self._heard:
            heard(message)
