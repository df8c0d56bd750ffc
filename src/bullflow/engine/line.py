"""One connection on which commands go out as they come, and answers arrive in the same order.

redis-py packs commands in Python, reads answer by answer with a timeout each, and while it waits for a
batch nothing else goes out: three quarters of what a small job costs. So redis-py does what it does well,
to connect by any URL and to say who we are, and then its transport gets another protocol: this one.
Commands that come within one turn of the event loop are written together; none waits for a timer.

Taken from redis-py is its connection's `_writer`, for nothing public leads to the transport. Its former
protocol is told of the end, so that redis-py can close the connection as if nothing had happened.
`test_line.py` fails when that is no longer so.

Failure: when the connection is lost, or nothing is heard for `ANSWER_WITHIN` while answers are owed, all
that was asked fails with EngineAway. Nothing is sent twice. The next command connects anew.
"""

import asyncio
from collections import deque
from contextlib import suppress
from datetime import timedelta
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import DefaultParser
from redis.exceptions import InvalidResponse, NoScriptError, RedisError

from bullflow.engine.connection import ANSWER_WITHIN, asked, engine_error
from bullflow.errors import EngineAway

MOST_OWED = 500
"""So many answers may be owed at a time; what is asked beyond that waits, so that memory is bounded at both ends."""
_SETTLE_WITHIN = timedelta(seconds=2)
_NOTHING = object()


class Line(asyncio.Protocol):
    """Commands to the engine by one connection of a client. The client is closed with it."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[bytes, asyncio.Future[Any]]] = deque()
        self._owed: deque[asyncio.Future[Any]] = deque()
        self._connection: Any = None
        self._connecting: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._former: asyncio.BaseProtocol | None = None
        self._reader = _reader()
        self._sending = False
        self._full = False
        self._closed = False
        self._heard_at = 0.0
        self._watchdog: asyncio.TimerHandle | None = None

    def ask(self, *command: Any) -> "asyncio.Future[Any]":
        """The answer to one command; fails with EngineAway, EngineRefused, or redis-py's NoScriptError."""
        answer = self._loop.create_future()
        self._waiting.append((_packed(command), answer))
        if not self._sending:
            self._sending = True
            self._loop.call_soon(self._send)
        return answer

    def _send(self) -> None:
        self._sending = False
        if self._transport is None:
            self._connect()
        elif not self._full:
            self._write(self._transport)

    def _write(self, transport: asyncio.Transport) -> None:
        waiting, owed = self._waiting, self._owed
        if not owed:
            self._watch()
        packed: list[bytes] = []
        while waiting and len(owed) < MOST_OWED:
            command, answer = waiting.popleft()
            if not answer.done():  # else who has asked has gone
                packed.append(command)
                owed.append(answer)
        if packed:
            transport.write(b"".join(packed))

    def data_received(self, data: bytes) -> None:
        """Hand out the answers that have come."""
        self._heard_at = self._loop.time()
        reader, owed = self._reader, self._owed
        try:
            reader.feed(data)
            while (answer := reader.gets()) is not _NOTHING:
                if isinstance(answer, hiredis.PushNotification):
                    continue  # what a server tells on its own accord is not asked for here
                future = owed.popleft()
                if future.done():
                    continue
                if isinstance(answer, RedisError):
                    future.set_exception(answer if isinstance(answer, NoScriptError) else engine_error(answer))
                else:
                    future.set_result(answer)
        except (InvalidResponse, IndexError) as error:
            self._lose(EngineAway(f"it answers what nobody asked: {error}"))
            return
        if self._waiting:
            self._send()

    def pause_writing(self) -> None:
        """The engine does not read as fast as we write."""
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        """Fail all that was asked, and let redis-py know."""
        if self._former is not None:
            self._former.connection_lost(error)
        self._lose(EngineAway(error or "the connection was closed"))

    def _lose(self, error: Exception) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        self._full = False
        self._fail(error)

    def _fail(self, error: Exception) -> None:
        asked_for = [*self._owed, *(answer for _, answer in self._waiting)]
        self._owed.clear()
        self._waiting.clear()
        for answer in asked_for:
            if not answer.done():
                answer.set_exception(error)

    def _watch(self) -> None:
        self._heard_at = self._loop.time()
        if self._watchdog is None:
            self._watchdog = self._loop.call_later(ANSWER_WITHIN.total_seconds(), self._look)

    def _look(self) -> None:
        """One timer for all commands: it looks again when the youngest sign of life would be too old."""
        self._watchdog = None
        if not self._owed:
            return
        left = self._heard_at + ANSWER_WITHIN.total_seconds() - self._loop.time()
        if left <= 0:
            self._lose(EngineAway(f"no answer within {ANSWER_WITHIN.total_seconds():g} s"))
        else:
            self._watchdog = self._loop.call_later(left, self._look)

    def _connect(self) -> None:
        if self._closed:
            self._fail(EngineAway("the connection was closed"))
        elif self._connecting is None and self._waiting:
            self._connecting = asyncio.create_task(self._connected())

    async def _connected(self) -> None:
        try:
            await self._give_back()
            pool: Any = self._client.connection_pool
            self._connection = await asked(pool.get_connection())
            if await self._connection.can_read():
                raise EngineAway("it speaks unasked")
            self._take_over(self._connection)
        except (RedisError, OSError, TimeoutError) as error:
            self._fail(engine_error(error))
        except EngineAway as error:
            self._fail(error)
        finally:
            self._connecting = None
        self._send()

    def _take_over(self, connection: Any) -> None:
        transport: asyncio.Transport = connection._writer.transport
        self._former = transport.get_protocol()
        self._reader = _reader()
        self._transport = transport
        transport.set_protocol(self)

    async def _give_back(self) -> None:
        """Give the connection back to redis-py, closed, so that it can be connected anew."""
        connection, self._connection, self._former = self._connection, None, None
        if connection is not None:
            with suppress(RedisError, OSError, TimeoutError):
                await connection.disconnect(nowait=True)
            await self._client.connection_pool.release(connection)

    async def close(self) -> None:
        """Let what was asked be answered, if it is soon, then close the connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_WITHIN.total_seconds()):
                while answers := [*self._owed, *(answer for _, answer in self._waiting)]:
                    await asyncio.wait(answers)
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._lose(EngineAway("the connection was closed"))
        await self._give_back()
        await self._client.aclose()


def _reader() -> hiredis.Reader:
    return hiredis.Reader(
        protocolError=InvalidResponse,
        replyError=DefaultParser.parse_error,
        encoding="utf-8",
        errors="replace",
        notEnoughData=_NOTHING,
    )


def _packed(command: tuple[Any, ...]) -> bytes:
    try:
        packed: bytes = hiredis.pack_command(command)
    except UnicodeEncodeError:
        # What handlers say may hold what has no UTF-8.
        packed = _packed(tuple(part.encode(errors="replace") if isinstance(part, str) else part for part in command))
    return packed
