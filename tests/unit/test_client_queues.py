"""The clients' words for queues, against a small real service on localhost."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from starlette.responses import JSONResponse

from bullflow.client import AsyncClient, Client
from bullflow.errors import ApiError, Invalid, NotFound
from bullflow.flow.states import JobStatus
from support.small_service import SmallService, problem, queue_document, queue_settings, serving

RATE = {"max": 10, "duration": 1_000}
WORKER = {"name": "alice", "address": "10.0.0.3:1", "age": 9, "idle": 1}


@pytest_asyncio.fixture
async def service() -> AsyncIterator[SmallService]:
    async with serving() as service:
        gpu = queue_document("gpu", paused=True, rateLimit=RATE, limitedFor=3)
        service.answers["GET", "/queues"] = JSONResponse({"items": [gpu], "next": "more"})
        service.answers["GET", "/queues/gpu"] = JSONResponse({**gpu, "workerList": [WORKER]})
        service.answers["POST", "/queues/gpu/pause"] = JSONResponse(queue_settings("gpu", paused=True), 202)
        service.answers["POST", "/queues/gpu/resume"] = JSONResponse(queue_settings("gpu", applied=False), 202)
        service.answers["PUT", "/queues/gpu/limits"] = JSONResponse(queue_settings("gpu", rateLimit=RATE), 202)
        yield service


@pytest_asyncio.fixture
async def client(service: SmallService) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(service.url) as client:
        yield client


async def test_queues_come_in_pages(service: SmallService, client: AsyncClient) -> None:
    page = await client.queues(limit=7, cursor="xyz")

    assert [queue.name for queue in page.items] == ["gpu"]
    assert page.next == "more"
    assert page.items[0].counts[JobStatus.WAITING] == 0
    assert dict(service.requests[0].query_params) == {"limit": "7", "cursor": "xyz"}


async def test_a_queue_comes_with_its_workers(client: AsyncClient) -> None:
    queue = await client.queue("gpu")

    assert (queue.paused, queue.limited_for) == (True, 3)
    assert queue.rate_limit is not None
    assert queue.rate_limit.model_dump() == RATE
    assert [worker.model_dump() for worker in queue.worker_list] == [WORKER]


async def test_a_queue_is_paused_and_resumed(client: AsyncClient) -> None:
    assert (await client.pause_queue("gpu")).paused
    resumed = await client.resume_queue("gpu")

    assert (resumed.paused, resumed.applied) == (False, False)


async def test_limits_are_sent_as_a_whole(service: SmallService, client: AsyncClient) -> None:
    assert (await client.limit_queue("gpu", rate_limit=RATE)).rate_limit is not None
    await client.limit_queue("gpu", concurrency=3)
    await client.limit_queue("gpu")

    assert [json.loads(body) for body in service.bodies] == [
        {"concurrency": None, "rateLimit": RATE},
        {"concurrency": 3, "rateLimit": None},
        {"concurrency": None, "rateLimit": None},
    ]
    assert {request.headers["content-type"] for request in service.requests} == {"application/json"}


@pytest.mark.parametrize("name", ["..", "a/b?c#d", "é %2F", "gpu/pause"])
async def test_a_name_cannot_lead_to_another_path(service: SmallService, client: AsyncClient, name: str) -> None:
    for ask in (client.queue(name), client.pause_queue(name), client.resume_queue(name), client.limit_queue(name)):
        with pytest.raises(NotFound) as caught:
            await ask
        assert (caught.value.kind, caught.value.key) == ("queue", name)

    for request, depth in zip(service.requests, (2, 3, 3, 3), strict=True):
        path = bytes(request.scope["raw_path"])
        assert path.startswith(b"/queues/")
        assert path.count(b"/") == depth
        assert b"." not in path


async def test_what_the_service_refuses_is_raised(service: SmallService, client: AsyncClient) -> None:
    faults = [{"pointer": "/concurrency", "detail": "must be at least 1"}]
    service.answers["PUT", "/queues/gpu/limits"] = problem(422, "Invalid", "1 fault", errors=faults)

    with pytest.raises(ApiError, match="/concurrency: must be at least 1"):
        await client.limit_queue("gpu", concurrency=0)
    with pytest.raises(Invalid, match="cannot be written as JSON"):
        await client.limit_queue("gpu", concurrency=float("nan"))  # type: ignore[arg-type]


async def test_the_same_calls_work_from_a_plain_function(service: SmallService) -> None:
    def plain() -> None:
        with Client(service.url) as client:
            assert [queue.name for queue in client.queues(limit=1, cursor="c").items] == ["gpu"]
            assert client.queue("gpu").worker_list[0].name == "alice"
            assert client.pause_queue("gpu").paused
            assert not client.resume_queue("gpu").applied
            assert client.limit_queue("gpu", concurrency=2, rate_limit=RATE).rate_limit is not None
            with pytest.raises(NotFound):
                client.queue("missing")

    await asyncio.to_thread(plain)
    assert dict(service.requests[0].query_params) == {"limit": "1", "cursor": "c"}
    assert json.loads(service.bodies[-2]) == {"concurrency": 2, "rateLimit": RATE}
