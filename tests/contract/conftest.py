"""What the contract tests of the engine room share."""

from collections.abc import AsyncIterator

import pytest_asyncio

from support.queues import Bull, connected
from support.servers import Valkey


@pytest_asyncio.fixture
async def bull(valkey: Valkey, prefix: str) -> AsyncIterator[Bull]:
    """BullMQ on the Valkey that all tests share, under a prefix that no other test uses."""
    async with connected(valkey.url, prefix) as queues:
        yield queues
