"""A connection of redis-py's on which commands go out while answers come in.

redis-py packs commands in Python, reads answer by answer with a timeout each, and while it waits for a
batch nothing else goes out: three quarters of what a small job costs. So redis-py does what it does well,
to connect by any URL and to say who we are, and then its transport gets another protocol: this one.

Taken from redis-py is its connection's `_writer`, for nothing public leads to the transport. The protocol
that the transport had is told of its end, so that redis-py can close the connection as if nothing had
happened. `test_line.py` fails when that is no longer so.

Failure: when the connection is lost, or nothing is heard for `ANSWER_WITHIN` while answers are owed, all that
is owed fails with EngineAway, and so does the connection: it is of no use any more.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import DefaultParser
from redis.exceptions import InvalidResponse, NoScriptError, RedisError

from bullflow.engine.connection import ANSWER_WITHIN, asked, engine_error
from bullflow.errors import EngineAway

MOST_OWED = 500
"""So many answers may be owed at a time, so that memory is bounded at both ends."""

Answer = asyncio.Future[Any]

_NOTHING = object()


class Duplex(asyncio.Protocol):
    """One connection, taken over. `has_room` is called when it may take more commands, or is lost."""

    def __init__(self, client: Redis, connection: Any, has_room: Callable[[], None]) -> None:
        self._client = client
        self._connection = connection
        self._has_room = has_room
        self._loop = asyncio.get_running_loop()
        self._owed: deque[Answer] = deque()
        self._is_full = False
        self._heard_at = 0.0
        self._watchdog: asyncio.TimerHandle | None = None
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse,
            replyError=DefaultParser.parse_error,
            encoding="utf-8",
            errors="replace",
            notEnoughData=_NOTHING,
        )
        self._transport: asyncio.Transport = connection._writer.transport
        self._former = self._transport.get_protocol()
        self._transport.set_protocol(self)
        self.is_lost = False

    @property
    def room(self) -> int:
        """How many commands may be sent now."""
        return 0 if self._is_full else MOST_OWED - len(self._owed)

    @property
    def owed(self) -> Iterable[Answer]:
        """The answers that have not come yet."""
        return self._owed

    def send(self, commands: Iterable[bytes], answers: Iterable[Answer]) -> None:
        """Send packed commands, whose answers will come in this order."""
        if not self._owed:
            self._watch()
        self._owed.extend(answers)
        self._transport.write(b"".join(commands))

    def data_received(self, data: bytes) -> None:
        """Hand out the answers that have come."""
        self._heard_at = self._loop.time()
        reader, owed = self._reader, self._owed
        try:
            reader.feed(data)
            while (found := reader.gets()) is not _NOTHING:
                if isinstance(found, hiredis.PushNotification):
                    continue  # what a server tells on its own accord is not asked for here
                answer = owed.popleft()
                if answer.done():
                    continue  # who has asked has gone
                if isinstance(found, RedisError):
                    answer.set_exception(found if isinstance(found, NoScriptError) else engine_error(found))
                else:
                    answer.set_result(found)
        except (InvalidResponse, IndexError) as error:
            self.lose(f"it answers what nobody asked: {error}")
        self._has_room()

    def pause_writing(self) -> None:
        """The engine does not read as fast as we write."""
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._has_room()

    def connection_lost(self, error: Exception | None) -> None:
        """Fail all that is owed, and let redis-py know."""
        self._former.connection_lost(error)
        self.lose(error or "the connection was closed")

    def lose(self, reason: Exception | str) -> None:
        """Give up the connection, and fail all that is owed with EngineAway."""
        if self.is_lost:
            return
        self.is_lost = True
        self._transport.abort()
        if self._watchdog is not None:
            self._watchdog.cancel()
        fail(self._owed, EngineAway(reason))
        self._owed.clear()
        self._has_room()

    def _watch(self) -> None:
        self._heard_at = self._loop.time()
        if self._watchdog is None:
            self._watchdog = self._loop.call_later(ANSWER_WITHIN.total_seconds(), self._look)

    def _look(self) -> None:
        """One timer for all commands: it looks again when the last sign of life would be too old."""
        self._watchdog = None
        if not self._owed:
            return
        left = self._heard_at + ANSWER_WITHIN.total_seconds() - self._loop.time()
        if left <= 0:
            self.lose(f"no answer within {ANSWER_WITHIN.total_seconds():g} s")
        else:
            self._watchdog = self._loop.call_later(left, self._look)

    async def give_back(self) -> None:
        """Let redis-py have its connection back, closed."""
        self.lose("the connection was closed")
        with suppress(RedisError, OSError, TimeoutError):
            await self._connection.disconnect(nowait=True)
        await self._client.connection_pool.release(self._connection)


async def dial(client: Redis, has_room: Callable[[], None]) -> Duplex:
    """A connection by the client's URL; raises EngineAway or EngineRefused."""
    pool: Any = client.connection_pool
    try:
        connection = await asked(pool.get_connection())
    except (RedisError, OSError, TimeoutError) as error:
        raise engine_error(error) from error
    try:
        is_clean = not await connection.can_read()
    except BaseException as error:
        await connection.disconnect(nowait=True)
        await pool.release(connection)
        if isinstance(error, RedisError | OSError | TimeoutError):
            raise engine_error(error) from error
        raise
    duplex = Duplex(client, connection, has_room)
    if not is_clean:
        await duplex.give_back()
        raise EngineAway("it speaks unasked")
    return duplex


def fail(answers: Iterable[Answer], error: Exception) -> None:
    """Tell everybody who still waits."""
    for answer in answers:
        if not answer.done():
            answer.set_exception(error)


def packed(command: tuple[Any, ...]) -> bytes:
    """A command with its arguments, as the engine reads it."""
    try:
        text: bytes = hiredis.pack_command(command)
    except UnicodeEncodeError:
        # What handlers say may hold what has no UTF-8.
        text = packed(tuple(part.encode(errors="replace") if isinstance(part, str) else part for part in command))
    return text
