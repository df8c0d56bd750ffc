"""What the integration tests share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from support.servers import Valkey
from support.service import Service, running, settings_for
from support.stage import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest_asyncio.fixture
async def staged(store_url: str, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage) -> AsyncIterator[Service]:
    """A service whose worker does what the stage says, over both databases."""
    settings = settings_for(store_url, valkey.url, prefix, data_dir)
    async with running(settings, [stage.worker()]) as service:
        yield service
