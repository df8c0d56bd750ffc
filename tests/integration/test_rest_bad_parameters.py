"""Ids that name nothing, parameters that break rules, paths and methods that are not there."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from bullflow.store import cursors
from support.servers import Valkey
from support.service import Service, running, settings_for
from support.shapes import pointers, problem_of

NOBODY = "019ab3c1-7d7a-7000-8000-000000000000"
NO_IDS = (
    NOBODY,
    "1",
    "null",
    NOBODY.replace("-", ""),
    f"{NOBODY}-1",
    f"{{{NOBODY}}}",
    "x" * 5_000,
    "%00",
    f"{NOBODY}%00",
    "%ff%fe",
    "%F0%9F%98%80",
    "'%20OR%201=1--",
    "%2e%2e",
    "%25",
)
PATHS = (
    "/flows/{}",
    "/flows/{}/jobs",
    "/flows/{}/tree",
    "/flows/{}/outline",
    "/flows/{}/events",
    "/jobs/{}",
)


@pytest_asyncio.fixture
async def service(store_url: str, valkey: Valkey, prefix: str, data_dir: Path) -> AsyncIterator[Service]:
    async with running(settings_for(store_url, valkey.url, prefix, data_dir)) as running_service:
        yield running_service


async def refused(service: Service, path: str, **params: Any) -> list[str]:
    """The pointers of the faults that these parameters are refused for."""
    return pointers(problem_of(await service.http.get(path, params=params), 422))


async def a_flow(service: Service, jobs: int = 1) -> str:
    leaf = {"name": "a", "queueName": "nobody"}
    return (await service.create({**leaf, "children": [leaf] * (jobs - 1)})).id


async def test_an_id_that_names_nothing_is_a_404_on_every_route(service: Service) -> None:
    for name in NO_IDS:
        for path in PATHS:
            found = problem_of(await service.http.get(path.format(name)), 404)
            assert len(found.detail) < 200


async def test_the_id_of_a_flow_is_not_that_of_a_job(service: Service) -> None:
    flow_id = await a_flow(service)
    job_id = (await service.http.get(f"/flows/{flow_id}/jobs")).json()["items"][0]["id"]

    problem_of(await service.http.get(f"/jobs/{flow_id}"), 404)
    problem_of(await service.http.get(f"/flows/{job_id}"), 404)
    problem_of(await service.http.get(f"/jobs/{job_id}-1"), 404)


async def test_a_page_holds_one_to_five_hundred_items(service: Service) -> None:
    flow_id = await a_flow(service)

    for path in ("/flows", f"/flows/{flow_id}/jobs", f"/flows/{flow_id}/events"):
        for limit in ("0", "501", "-1", "x", "", "1.5", "9" * 30):
            assert await refused(service, path, limit=limit) == ["?limit"]
        for limit in ("1", "500"):
            assert (await service.http.get(path, params={"limit": limit})).status_code == 200


async def test_a_cursor_that_was_changed_or_is_of_another_list_is_refused(service: Service) -> None:
    flow_id, other_id = await a_flow(service, 3), await a_flow(service, 3)
    flows = (await service.http.get("/flows", params={"limit": 1})).json()["next"]
    jobs = (await service.http.get(f"/flows/{flow_id}/jobs", params={"limit": 1})).json()["next"]
    waiting = (await service.http.get(f"/flows/{flow_id}/jobs", params={"limit": 1, "status": "waiting"})).json()[
        "next"
    ]

    for cursor in ("", "x", "é", "\x00", jobs, flows[:-2], flows + "AA", flows.swapcase(), "A" * 501):
        assert await refused(service, "/flows", cursor=cursor) == ["?cursor"]
    for cursor in (flows, waiting, jobs[:-1]):
        assert await refused(service, f"/flows/{flow_id}/jobs", cursor=cursor) == ["?cursor"]
    assert await refused(service, f"/flows/{other_id}/jobs", cursor=jobs) == ["?cursor"]
    assert await refused(service, f"/flows/{other_id}/events", cursor=jobs) == ["?cursor"]


async def test_a_cursor_with_a_right_sum_and_a_wrong_place_is_refused_too(service: Service) -> None:
    flow_id = await a_flow(service)

    for place in ("", "x", "1.5", str(2**63), "-1", "\x00", "१"):
        for listing, path in ((f"jobs:{flow_id}:", "jobs"), (f"events:{flow_id}", "events")):
            made = cursors.encode(listing, place)
            assert await refused(service, f"/flows/{flow_id}/{path}", cursor=made) == ["?cursor"]
    for place in ("", "x", "\x00"):
        assert await refused(service, "/flows", cursor=cursors.encode("flows", place)) == ["?cursor"]
    assert base64.urlsafe_b64decode(cursors.encode("flows", "place") + "==")


async def test_filters_that_can_match_nothing_sensible_are_refused(service: Service) -> None:
    flow_id = await a_flow(service)

    assert await refused(service, "/flows", status="done") == ["?status"]
    assert await refused(service, f"/flows/{flow_id}/jobs", status="done") == ["?status"]
    for name in ("name", "queueName", "tag"):
        assert await refused(service, "/flows", **{name: "x" * 500}) == [f"?{name}"]
        assert await refused(service, "/flows", **{name: "a\x00b"}) == [f"?{name}"]
    assert (await service.http.get("/flows", params={"name": "ü '%_ 😀"})).json()["items"] == []


async def test_times_that_are_none_are_refused_and_all_others_work(service: Service) -> None:
    await a_flow(service)

    for name in ("createdAfter", "createdBefore"):
        for text in (
            "",
            "yesterday",
            "2026-13-01",
            "1767225600",
            "2026-01-01T25:00:00Z",
            "\x00",
            "0001-01-01T00:00+23:59",
        ):
            answer = await service.http.get("/flows", params={name: text})
            if text != "0001-01-01T00:00+23:59":
                assert pointers(problem_of(answer, 422)) == [f"?{name}"]
            else:
                assert answer.status_code in {200, 422}
        for text in (
            "2026-01-01",
            "2026-01-01T00:00:00Z",
            "20260101T000000+0100",
            "0001-01-01",
            "9999-12-31T23:59:59.999999Z",
        ):
            assert (await service.http.get("/flows", params={name: text})).status_code == 200


async def test_the_place_in_a_log_is_a_number_that_can_be_one(service: Service) -> None:
    flow_id = await a_flow(service)

    for after in ("-1", "x", "", "1.5", str(2**31), "9" * 40):
        assert await refused(service, f"/flows/{flow_id}/events", after=after) == ["?after"]
    assert (await service.http.get(f"/flows/{flow_id}/events", params={"after": 2**31 - 1})).json()["items"] == []


async def test_a_tree_has_at_least_one_level(service: Service) -> None:
    flow_id = await a_flow(service)

    for name, values in (("depth", ("0", "-1", "121", "x")), ("maxChildren", ("-1", "5001", "x"))):
        for value in values:
            assert await refused(service, f"/flows/{flow_id}/tree", **{name: value}) == [f"?{name}"]


async def test_every_wrong_parameter_is_told_at_once(service: Service) -> None:
    assert await refused(service, "/flows", status="x", limit="x") == ["?status", "?limit"]


async def test_a_path_that_is_not_there_is_a_404(service: Service) -> None:
    for path in ("/nothing", "/flow", "/flows/x/y/z", "/nothing//", "/%00", "/openapi.yaml"):
        assert "/docs" in problem_of(await service.http.get(path), 404).detail


async def test_a_method_that_is_not_there_is_a_405_with_those_that_are(service: Service) -> None:
    for method, path, allowed in (
        ("PUT", "/flows", {"GET", "POST"}),
        ("POST", "/healthz", {"GET"}),
        ("PATCH", f"/jobs/{NOBODY}", {"GET"}),
        ("PUT", f"/flows/{NOBODY}", {"GET", "DELETE"}),
        ("OPTIONS", "/session", {"POST", "DELETE"}),
        ("PUT", "/flows/bulk", {"POST"}),
        ("POST", "/ui/flows", {"GET", "HEAD"}),
    ):
        answer = await service.http.request(method, path)
        problem_of(answer, 405)
        assert set(answer.headers["allow"].split(", ")) == allowed
