"""What one user may take up: over HTTP each limit has an answer that says which it is and when to come again."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest_asyncio

from support.eventually import eventually
from support.servers import SqliteServer, Valkey
from support.service import Service, running, settings_for
from support.shapes import problem_of
from support.sockets import connected
from support.tenants import ADMIN, Tenant, tenant

FLOW = {"name": "a", "queueName": "nobodys"}
LIMITS = {
    "create_rate": 0.001,
    "create_burst": 6,
    "max_running_flows": 4,
    "max_stored_bytes": 1_000,
    "max_sockets": 2,
}


@pytest_asyncio.fixture
async def service(sqlite: SqliteServer, valkey: Valkey, prefix: str, data_dir: Path) -> AsyncIterator[Service]:
    settings = settings_for(sqlite.new_database(), valkey.url, prefix, data_dir, auth="token", **LIMITS)
    async with running(settings) as service:
        yield service


@pytest_asyncio.fixture
async def alice(service: Service) -> AsyncIterator[Tenant]:
    async with tenant(service, "alice") as made:
        yield made


def refused(answer: httpx.Response, status: int, setting: str) -> int:
    """The seconds after which to come again."""
    assert setting in problem_of(answer, status).detail
    return int(answer.headers["retry-after"])


async def test_whoever_creates_too_fast_is_told_when_to_come_again_and_nobody_else_is(
    service: Service, alice: Tenant
) -> None:
    too_many = await alice.http.post("/flows/bulk", json={"flows": [FLOW] * 7})
    assert "at once" in problem_of(too_many, 422).errors[0].detail
    assert (await alice.http.post("/flows/bulk", json={"flows": [FLOW] * 4})).status_code == 201
    assert refused(await alice.http.post("/flows/bulk", json={"flows": [FLOW] * 3}), 429, "CREATE_RATE") > 100
    async with tenant(service, "bob") as bob:
        assert (await bob.http.post("/flows", json=FLOW)).status_code == 201


async def test_a_refusal_ends_the_connection_only_where_the_body_was_not_read(service: Service, alice: Tenant) -> None:
    await alice.http.post("/flows/bulk", json={"flows": [FLOW] * 4})
    read = await alice.http.post("/flows", json=FLOW)
    assert (read.status_code, read.headers.get("connection")) == (429, None)
    for path, status in (
        ("/flows/x/cancel", 404),
        ("/flows/nothing", 405),
        ("/nothing", 404),
        ("/flows?dryRun=x", 422),
    ):
        unread = await alice.http.post(path, json=FLOW)
        assert (unread.status_code, unread.headers.get("connection")) == (status, "close")
    unread = await service.http.post("/flows", json=FLOW)
    assert (unread.status_code, unread.headers.get("connection")) == (401, "close")
    without = await service.http.post("/flows/x/cancel")
    assert (without.status_code, without.headers.get("connection")) == (401, None)


async def test_what_is_only_checked_takes_nothing(alice: Tenant) -> None:
    for _ in range(10):
        assert (await alice.http.post("/flows?dryRun=true", json=FLOW)).status_code == 200


async def test_too_many_flows_that_run_are_a_429_until_one_has_ended(alice: Tenant) -> None:
    made = (await alice.http.post("/flows/bulk", json={"flows": [FLOW] * 4})).json()["flows"]
    assert refused(await alice.http.post("/flows", json=FLOW), 429, "BULLFLOW_MAX_RUNNING_FLOWS") >= 1
    await alice.http.post(f"/flows/{made[0]['id']}/cancel")
    assert (await alice.http.post("/flows", json=FLOW)).status_code == 201


async def test_too_much_in_the_store_is_a_413_until_something_is_deleted(alice: Tenant) -> None:
    made = (await alice.http.post("/flows", json={**FLOW, "data": "x" * 900})).json()
    assert refused(await alice.http.post("/flows", json={**FLOW, "data": "x" * 200}), 413, "MAX_STORED_BYTES") >= 1
    assert len((await alice.http.get("/flows")).json()["items"]) == 1
    await alice.http.post(f"/flows/{made['id']}/cancel")

    async def is_gone() -> bool:
        return (await alice.http.delete(f"/flows/{made['id']}")).status_code == 204

    await eventually(is_gone)
    assert (await alice.http.post("/flows", json={**FLOW, "data": "x" * 200})).status_code == 201


async def test_what_an_admin_watches_of_somebody_counts_as_the_admins(service: Service, alice: Tenant) -> None:
    async with (
        tenant(service, "root", scopes=ADMIN) as root,
        connected(service.url, query="?user=alice", additional_headers=root.headers) as first,
        connected(service.url, query="?user=alice", additional_headers=root.headers) as second,
        connected(service.url, additional_headers=alice.headers) as own,
    ):
        for socket in (first, second, own):
            assert (await socket.answer("ping"))["type"] == "pong"
        async with connected(service.url, query="?user=alice", additional_headers=root.headers) as third:
            assert (await third.closed())[0] == 4029
        flow = await alice.create(FLOW)
        events = f"/flows/{flow['id']}/events?user=alice"
        refused(await root.http.get(events, headers={"Accept": "text/event-stream"}), 429, "BULLFLOW_MAX_SOCKETS")
        waiting = f"/flows/{flow['id']}?user=alice&wait=1"
        refused(await root.http.get(waiting), 429, "BULLFLOW_MAX_SOCKETS")


async def test_sockets_and_streams_are_counted_together(service: Service, alice: Tenant) -> None:
    flow = await alice.create(FLOW)
    events, stream = f"/flows/{flow['id']}/events", {"Accept": "text/event-stream"}
    async with connected(service.url, additional_headers=alice.headers) as first:
        assert (await first.answer("ping"))["type"] == "pong"
        async with alice.http.stream("GET", events, headers=stream) as second:
            assert second.status_code == 200
            refused(await alice.http.get(events, headers=stream), 429, "BULLFLOW_MAX_SOCKETS")
            async with connected(service.url, additional_headers=alice.headers) as third:
                code, (told,) = await third.closed()
                assert (code, told["code"]) == (4029, "too-many-sockets")
            assert (await alice.http.get(events)).status_code == 200

    async def is_let_in() -> bool:
        async with connected(service.url, additional_headers=alice.headers) as again:
            return bool((await again.answer("ping"))["type"] == "pong")

    await eventually(is_let_in)
