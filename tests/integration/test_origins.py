"""A page of another site in the user's browser cannot use the service."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from support.servers import SqliteServer, Valkey
from support.service import Service, running, settings_for

FLOW = {"name": "sum", "queueName": "sums"}


@pytest_asyncio.fixture
async def service(sqlite: SqliteServer, valkey: Valkey, prefix: str, data_dir: Path) -> AsyncIterator[Service]:
    settings = settings_for(sqlite.new_database(), valkey.url, prefix, data_dir, allowed_hosts=["flows.example"])
    async with running(settings) as running_service:
        yield running_service


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://[", ""])
async def test_a_request_from_another_sites_page_is_refused(service: Service, origin: str) -> None:
    post = await service.http.post("/flows", json=FLOW, headers={"Origin": origin})
    get = await service.http.get("/flows", headers={"Origin": origin})

    assert (post.status_code, get.status_code) == (403, 403)
    assert post.headers["content-type"] == "application/problem+json"
    assert (await service.http.get("/flows")).json()["items"] == []


async def test_a_socket_from_another_sites_page_is_refused(service: Service) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        await connect(service.url.replace("http", "ws") + "/ws", origin="https://evil.example")  # type: ignore[arg-type]


async def test_own_pages_and_named_hosts_are_served(service: Service) -> None:
    for origin in (service.url, "https://flows.example"):
        assert (await service.http.get("/flows", headers={"Origin": origin})).status_code == 200
        socket = await connect(service.url.replace("http", "ws") + "/ws", origin=origin)  # type: ignore[arg-type]
        await socket.close()


async def test_a_name_that_was_made_to_point_here_opens_nothing(service: Service) -> None:
    rebound = await service.http.get("/flows", headers={"Host": "evil.example"})
    named = await service.http.get("/flows", headers={"Host": "flows.example"})
    local = await service.http.get("/flows", headers={"Host": "localhost:8420"})

    assert (rebound.status_code, named.status_code, local.status_code) == (403, 200, 200)
    assert "BULLFLOW_ALLOWED_HOSTS" in rebound.json()["detail"]


async def test_a_body_without_a_type_is_refused(service: Service) -> None:
    """A page may send such a body anywhere without being asked."""
    async with httpx.AsyncClient(base_url=service.url) as plain:
        answer = await plain.post("/flows", content=b'{"name": "sum", "queueName": "sums"}')

    assert answer.status_code == 415
