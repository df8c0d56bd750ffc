"""Connections to Redis or Valkey, and what to do when it is away.

redis-py would retry for minutes before it says that the engine is gone. We ask for one quick second
try (a connection that died while idle) and let the loops above decide; they know how to wait.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from bullflow.errors import EngineAway

Client = Redis
"""A connection to the engine, for rooms that only hand it on."""

ANSWER_WITHIN = timedelta(seconds=10)


def connect(url: str, name: str, *, block: timedelta = timedelta(0), forever: bool = False) -> Redis:
    """A client that answers, or fails, within `ANSWER_WITHIN` on top of what its commands may `block`.

    With `forever` it may wait without end for messages, and finds out by pings whether the line is alive.
    """
    # redis-py takes this option for TCP only.
    tcp: dict[str, Any] = {} if url.startswith("unix:") else {"socket_keepalive": True}
    return Redis.from_url(
        url,
        decode_responses=True,
        encoding_errors="replace",
        client_name=name,
        socket_connect_timeout=5,
        socket_timeout=None if forever else (ANSWER_WITHIN + block).total_seconds(),
        health_check_interval=0 if block else 30,
        retry=Retry(ConstantBackoff(0.05), 1),
        retry_on_error=[RedisConnectionError],
        **tcp,
    )


@asynccontextmanager
async def away() -> AsyncIterator[None]:
    """Any refusal of the engine (gone, loading, full, read-only) is EngineAway."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise EngineAway(error) from error


async def ping(client: Redis) -> None:
    """Raises EngineAway when the engine does not answer."""
    async with away():
        await client.ping()
