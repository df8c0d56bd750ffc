"""What the contract tests of the engine room and of the workers share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from support.both_kinds import KINDS
from support.queues import Bull, connected
from support.servers import Valkey
from support.service import Service, running, settings_for


@pytest_asyncio.fixture
async def bull(valkey: Valkey, prefix: str) -> AsyncIterator[Bull]:
    """BullMQ on the Valkey that all tests share, under a prefix that no other test uses."""
    async with connected(valkey.url, prefix) as queues:
        yield queues


@pytest_asyncio.fixture
async def service(store_url: str, bull: Bull, data_dir: Path) -> AsyncIterator[Service]:
    """A service without workers."""
    async with running(settings_for(store_url, bull.url, bull.prefix, data_dir)) as running_service:
        yield running_service


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of worker: bullflow's own, then BullMQ's for Node."""
    return str(request.param)
