"""What the contract tests of the engine room and of the workers share."""

import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from bullflow.worker import runner as runner_module
from bullflow.worker import worker as worker_module
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


@pytest.fixture
def little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers that do not listen are waited for only for a moment."""
    for module in (runner_module, worker_module):
        monkeypatch.setattr(module, "GRACE", timedelta(seconds=0.1))


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Lets go of the threads of those handlers that nothing else can stop."""
    event = threading.Event()
    yield event
    event.set()
