"""Connections to Redis or Valkey, and what to do when it is away.

redis-py would retry for minutes before it says that the engine is gone, and a command whose answer was
lost would be done twice. Here nothing is repeated: the loops above know what may be, and how to wait.

redis-py sends with `asyncio.wait_for`, which before Python 3.12 swallows a cancellation that comes just
as the command has gone out. A loop that was told to end would go on for ever, so nothing here waits for
an answer without `away`, which raises such a cancellation afterwards, and nothing waits long without
`asked`, which repeats it until it is heard.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from bullflow.errors import EngineAway, EngineRefused

Client = Redis
"""A connection to the engine, for rooms that only hand it on."""

ANSWER_WITHIN = timedelta(seconds=10)
QUESTION_WITHIN = timedelta(seconds=3)
_KEPT = timedelta(seconds=60)
_CANCEL_AGAIN_AFTER = timedelta(seconds=0.05)

T = TypeVar("T")


def connect(url: str, name: str, *, block: timedelta = timedelta(0)) -> Redis:
    """A client that answers, or fails, within `ANSWER_WITHIN` on top of what its commands may `block`."""
    # redis-py takes this option for TCP only.
    tcp: dict[str, Any] = {} if url.startswith("unix:") else {"socket_keepalive": True}
    return Redis.from_url(
        url,
        decode_responses=True,
        encoding_errors="replace",
        client_name=name,
        socket_connect_timeout=5,
        socket_timeout=(ANSWER_WITHIN + block).total_seconds(),
        health_check_interval=0 if block else 30,
        retry=Retry(NoBackoff(), 0),
        **tcp,
    )


_AWAY_FOR_NOW = (
    *("LOADING", "READONLY", "OOM", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "MISCONF"),
    "UNBLOCKED",  # it has become a replica while somebody waited
)
_IN_A_SCRIPT = re.compile(r"-(OOM|READONLY|MISCONF|NOREPLICAS) ")
"""How Redis before version 7 tells that a script was refused for such a reason."""


@asynccontextmanager
async def away() -> AsyncIterator[None]:
    """What will pass (gone, loading, full, read-only) is EngineAway; what trying will not change, EngineRefused."""
    cancellations = _cancellations()
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        if _cancellations() > cancellations:
            raise asyncio.CancelledError from error
        raise engine_error(error) from error
    if _cancellations() > cancellations:
        raise asyncio.CancelledError


def _cancellations() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


async def asked(command: Awaitable[T]) -> T:
    """The answer to a command that may wait long, for whoever may be cancelled meanwhile."""
    waiting = asyncio.ensure_future(command)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        while not waiting.done():
            waiting.cancel()
            await asyncio.wait({waiting}, timeout=_CANCEL_AGAIN_AFTER.total_seconds())
        with suppress(asyncio.CancelledError, Exception):
            waiting.result()  # it may have failed instead, which nobody wants to know any more
        raise


def engine_error(error: Exception) -> EngineAway | EngineRefused:
    """The error of ours for one of redis-py's."""
    if isinstance(error, ResponseError) and not isinstance(error, _PASSING):
        told = str(error)
        if not told.startswith(_AWAY_FOR_NOW) and not _IN_A_SCRIPT.search(told):
            return EngineRefused(error)
    return EngineAway(next((words for kind, words in _WORDS.items() if isinstance(error, kind)), error))


_WORDS: dict[type[Exception], str] = {
    OutOfMemoryError: "it is out of memory (maxmemory)",
    ReadOnlyError: "it may only be read for now (it is a replica)",
}
_PASSING = (BusyLoadingError, ReadOnlyError, OutOfMemoryError, TryAgainError, ClusterDownError, MasterDownError)


async def in_time(answer: Awaitable[T], at_most: timedelta = QUESTION_WITHIN) -> T:
    """The answer to a question for which somebody waits; EngineAway when it takes longer than that."""
    try:
        async with asyncio.timeout(at_most.total_seconds()):
            return await answer
    except TimeoutError:
        raise EngineAway(f"no answer within {at_most.total_seconds():g} s") from None


async def take(client: Redis, key: str) -> None:
    """Raises EngineAway when the engine takes nothing, though it may answer: it is full, or may only be read."""
    async with away():
        await client.set(key, "1", ex=_KEPT)


async def ping(client: Redis) -> None:
    """Raises EngineAway when the engine does not answer."""
    async with away():
        await client.ping()
