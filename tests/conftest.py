"""Fixtures that all rings share: a real Valkey and real databases, new and empty for each test."""

import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest
import pytest_asyncio

from bullflow.store.database import Database
from bullflow.telemetry import configure
from support.servers import DatabaseServer, PostgresServer, SqliteServer, Valkey

BOTH = ("sqlite", "postgres")

configure("debug", "text")


def pytest_collection_finish() -> None:
    """What has been imported and collected stays: looking through it for garbage again and again takes a tenth."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """One Valkey for the whole run; tests keep apart by their prefix."""
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def prefix() -> str:
    """A BullMQ prefix that no other test uses."""
    return f"t{uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> SqliteServer:
    return SqliteServer(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(params=BOTH)
def databases(request: pytest.FixtureRequest) -> DatabaseServer:
    """SQLite, then Postgres: whatever asks for this, directly or through `store_url`, runs over both."""
    return cast("DatabaseServer", request.getfixturevalue(request.param))


@pytest.fixture
def store_url(databases: DatabaseServer) -> Iterator[str]:
    """The url of a database with all tables and nothing in them."""
    url = databases.new_database()
    yield url
    databases.take_back(url)


@pytest_asyncio.fixture
async def database(store_url: str) -> AsyncIterator[Database]:
    store = Database(store_url)
    yield store
    await store.close()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"
