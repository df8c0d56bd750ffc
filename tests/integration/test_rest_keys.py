"""Sending twice makes one flow, checking makes none."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from support.servers import Valkey
from support.service import Service, running, settings_for

FLOW = {"name": "sum", "queueName": "sums", "children": [{"name": "number", "queueName": "numbers"}]}


@pytest_asyncio.fixture
async def service(store_url: str, valkey: Valkey, prefix: str, data_dir: Path) -> AsyncIterator[Service]:
    async with running(settings_for(store_url, valkey.url, prefix, data_dir)) as running_service:
        yield running_service


async def stored(service: Service) -> int:
    return len((await service.http.get("/flows")).json()["items"])


async def test_the_same_key_gives_the_same_flow(service: Service) -> None:
    first = await service.http.post("/flows", json=FLOW, headers={"Idempotency-Key": "once"})
    again = await service.http.post("/flows", json=FLOW, headers={"Idempotency-Key": "once"})

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["location"] == first.headers["location"]
    assert [job["id"] for job in again.json()["jobs"]] == [job["id"] for job in first.json()["jobs"]]
    assert await stored(service) == 1


async def test_equal_requests_with_one_key_at_the_same_moment_make_one_flow(service: Service) -> None:
    answers = await asyncio.gather(
        *(service.http.post("/flows", json=FLOW, headers={"Idempotency-Key": "together"}) for _ in range(20))
    )

    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await stored(service) == 1


async def test_a_key_with_another_body_is_a_conflict_and_stores_nothing(service: Service) -> None:
    await service.http.post("/flows", json=FLOW, headers={"Idempotency-Key": "once"})

    other = await service.http.post("/flows", json={**FLOW, "name": "other"}, headers={"Idempotency-Key": "once"})

    assert other.status_code == 409
    assert other.headers["content-type"] == "application/problem+json"
    assert "once" in other.json()["detail"]
    assert await stored(service) == 1


async def test_a_conflict_among_requests_that_are_stored_together_hurts_nobody_else(service: Service) -> None:
    await service.http.post("/flows", json=FLOW, headers={"Idempotency-Key": "taken"})

    answers = await asyncio.gather(
        *(
            service.http.post("/flows", json={**FLOW, "name": f"flow-{number}"}, headers={"Idempotency-Key": key})
            for number, key in enumerate(["a", "taken", "b", "taken", "c"])
        )
    )

    assert [answer.status_code for answer in answers] == [201, 409, 201, 409, 201]
    assert await stored(service) == 4


async def test_a_request_that_was_refused_leaves_its_key_free(service: Service) -> None:
    refused = await service.http.post("/flows", json={"name": "x"}, headers={"Idempotency-Key": "free"})
    accepted = await service.http.post("/flows", json=FLOW, headers={"Idempotency-Key": "free"})

    assert (refused.status_code, accepted.status_code) == (422, 201)


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_that_cannot_be_kept_is_refused(service: Service, key: str) -> None:
    answer = await service.http.post("/flows", json=FLOW, headers={"Idempotency-Key": key})

    assert answer.status_code == 422
    assert await stored(service) == 0


async def test_a_dry_run_checks_and_stores_nothing(service: Service) -> None:
    checked = await service.http.post("/flows?dryRun=true", json=FLOW, headers={"Idempotency-Key": "dry"})
    refused = await service.http.post("/flows?dryRun=true", json={"name": "x"})

    assert (checked.status_code, checked.json()) == (200, {"jobs": 2, "depth": 2, "queues": ["numbers", "sums"]})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/queueName")
    assert await stored(service) == 0
    assert (await service.http.post("/flows", json=FLOW, headers={"Idempotency-Key": "dry"})).status_code == 201
