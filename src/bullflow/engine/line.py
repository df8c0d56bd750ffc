"""Commands to the engine as they come, each with its own answer, on one connection that is made anew when it is lost.

Commands that come within one turn of the event loop are written together; none waits for a timer, nor for
another's answer. While there is no connection they wait for it, and fail with EngineAway when there is none to be
had. What was sent on a connection that is lost fails too: nothing is sent twice. The next command connects anew.
"""

import asyncio
from collections import deque
from contextlib import suppress
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis

from bullflow.engine.duplex import Answer, Duplex, dial, fail, packed
from bullflow.errors import EngineAway, EngineRefused

SETTLE_WITHIN = timedelta(seconds=2)


class Line:
    """Commands by one connection of a client. The client is closed with it."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[bytes, Answer]] = deque()
        self._duplex: Duplex | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._is_due = False
        self._is_closed = False

    def ask(self, *command: Any) -> Answer:
        """The answer to one command; fails with EngineAway, EngineRefused, or redis-py's NoScriptError."""
        answer = self._loop.create_future()
        self._waiting.append((packed(command), answer))
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._send)
        return answer

    def _send(self) -> None:
        self._is_due = False
        waiting, duplex = self._waiting, self._duplex
        if not waiting:
            return
        if duplex is None or duplex.is_lost:
            self._dial()
            return
        commands: list[bytes] = []
        answers: list[Answer] = []
        room = duplex.room
        while waiting and len(answers) < room:
            command, answer = waiting.popleft()
            if not answer.done():  # else who has asked has gone
                commands.append(command)
                answers.append(answer)
        if commands:
            duplex.send(commands, answers)

    def _dial(self) -> None:
        if self._is_closed:
            self._give_up(EngineAway("the connection was closed"))
        elif self._dialling is None:
            self._dialling = asyncio.create_task(self._dial_anew())

    async def _dial_anew(self) -> None:
        lost, self._duplex = self._duplex, None
        try:
            if lost is not None:
                await lost.give_back()
            self._duplex = await dial(self._client, self._send)
        except (EngineAway, EngineRefused) as error:
            self._give_up(error)
        except Exception as error:
            self._give_up(EngineAway(error))  # whoever waits must hear of it, whatever it is
            raise
        finally:
            self._dialling = None
        self._send()

    def _give_up(self, error: Exception) -> None:
        fail([answer for _, answer in self._waiting], error)
        self._waiting.clear()

    async def close(self) -> None:
        """Let what was asked be answered, if it is soon, then close the connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_WITHIN.total_seconds()):
                while unanswered := self._unanswered():
                    await asyncio.wait(unanswered)
        self._is_closed = True
        if self._dialling is not None:
            self._dialling.cancel()
            await asyncio.wait({self._dialling})
        self._give_up(EngineAway("the connection was closed"))
        if self._duplex is not None:
            await self._duplex.give_back()
        await self._client.aclose()

    def _unanswered(self) -> list[Answer]:
        owed = self._duplex.owed if self._duplex is not None else ()
        return [answer for answer in (*owed, *(answer for _, answer in self._waiting)) if not answer.done()]
