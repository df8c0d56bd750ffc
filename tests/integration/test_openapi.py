"""The contract: every route is described whole, and its examples are true."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from bullflow import wire
from bullflow.http.problems import MEDIA_TYPE
from support.servers import SqliteServer, Valkey
from support.service import Service, running, settings_for
from support.shapes import exactly

LIMITS = wire.Limits(jobs=100, depth=10, data_bytes=10_000)
PROBE = "/readyz"
"""Its 503 says what is wrong in the form of its 200."""


@pytest_asyncio.fixture
async def service(sqlite: SqliteServer, valkey: Valkey, prefix: str, data_dir: Path) -> AsyncIterator[Service]:
    async with running(settings_for(sqlite.new_database(), valkey.url, prefix, data_dir)) as running_service:
        yield running_service


@pytest_asyncio.fixture
async def contract(service: Service) -> dict[str, Any]:
    answer = await service.http.get("/openapi.json")
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


def operations(contract: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation with its name, like `GET /flows`."""
    for path, methods in contract["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


async def test_the_contract_names_the_routes_of_the_design(contract: dict[str, Any]) -> None:
    assert {
        "POST /flows",
        "GET /flows",
        "GET /flows/{flow_id}",
        "GET /flows/{flow_id}/jobs",
        "GET /flows/{flow_id}/tree",
        "GET /flows/{flow_id}/outline",
        "GET /flows/{flow_id}/events",
        "GET /jobs/{job_id}",
        "GET /queues",
        "GET /queues/{name}",
        "GET /queues/{name}/tasks",
        "POST /queues/{name}/pause",
        "POST /queues/{name}/resume",
        "PUT /queues/{name}/limits",
        "GET /healthz",
        "GET /readyz",
    } <= {name for name, _ in operations(contract)}
    assert contract["openapi"].startswith("3.1")
    assert contract["info"]["title"] == "bullflow"


async def test_every_route_has_a_summary_a_description_and_the_schema_of_its_answer(contract: dict[str, Any]) -> None:
    for name, operation in operations(contract):
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["operationId"], name
        good = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
        assert good, name
        for status, answer in good.items():
            assert status == "204" or answer["content"]["application/json"]["schema"], name


async def test_every_error_of_a_route_is_a_problem(contract: dict[str, Any]) -> None:
    for name, operation in operations(contract):
        for status, answer in operation["responses"].items():
            if status.startswith(("4", "5")) and PROBE not in name:
                content = answer["content"]
                assert set(content) == {MEDIA_TYPE}, (name, status)
                assert content[MEDIA_TYPE]["schema"] == {"$ref": "#/components/schemas/Problem"}
                assert exactly(wire.Problem, {"errors": [], **content[MEDIA_TYPE]["example"]}).status == int(status)
                assert answer["description"], (name, status)


async def test_routes_tell_the_errors_that_they_give(contract: dict[str, Any]) -> None:
    told = {name: set(operation["responses"]) for name, operation in operations(contract)}

    assert {"400", "413", "415", "422", "503"} <= told["POST /flows"]
    assert {"400", "413", "415", "422", "503"} <= told["PUT /queues/{name}/limits"]
    for name, statuses in told.items():
        if "{" in name:
            assert "404" in statuses, name
        if any("in" in parameter and parameter["in"] == "query" for parameter in parameters(contract, name)):
            assert "422" in statuses, name
        if "/healthz" not in name:
            assert "503" in statuses, name


def parameters(contract: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dict(operations(contract))[name].get("parameters", [])
    return found


async def test_every_query_parameter_is_described_by_what_it_may_be(contract: dict[str, Any]) -> None:
    names = {
        (name, parameter["name"])
        for name, _ in operations(contract)
        for parameter in parameters(contract, name)
        if parameter["in"] == "query"
    }
    assert {
        ("GET /flows", name)
        for name in ("status", "name", "queueName", "tag", "createdAfter", "createdBefore", "limit", "cursor")
    } <= names
    assert {("GET /flows/{flow_id}/events", name) for name in ("after", "limit", "cursor")} <= names
    assert {("GET /flows/{flow_id}/tree", name) for name in ("depth", "maxChildren")} <= names


async def test_every_reference_leads_somewhere(contract: dict[str, Any]) -> None:
    schemas = contract["components"]["schemas"]
    for reference in references(contract):
        assert reference.removeprefix("#/components/schemas/") in schemas
    assert not {"HTTPValidationError", "ValidationError"} & set(schemas)


async def test_what_creates_a_flow_links_to_every_route_about_it(contract: dict[str, Any]) -> None:
    known = {
        operation["operationId"]: names
        for name, operation in operations(contract)
        if (names := {p["name"] for p in parameters(contract, name) if p["in"] == "path"})
    }
    for path in ("/flows", "/flows/bulk"):
        links = contract["paths"][path]["post"]["responses"]["201"]["links"]
        assert {link["operationId"]: set(link["parameters"]) for link in links.values()} == known


async def test_the_example_of_a_flow_is_one_that_the_service_accepts(
    contract: dict[str, Any], service: Service
) -> None:
    content = contract["paths"]["/flows"]["post"]["requestBody"]["content"]["application/json"]

    assert content["schema"] == {"$ref": "#/components/schemas/FlowIn"}
    assert wire.read_flow(content["example"], LIMITS).root.name == content["example"]["name"]
    wire.FlowIn.model_validate(content["example"])
    answer = await service.http.post("/flows", json=content["example"])
    assert answer.status_code == 201


async def test_the_example_of_limits_is_one_that_the_service_accepts(contract: dict[str, Any]) -> None:
    content = contract["paths"]["/queues/{name}/limits"]["put"]["requestBody"]["content"]["application/json"]

    assert content["schema"] == {"$ref": "#/components/schemas/QueueLimitsIn"}
    assert wire.read_queue_limits(content["example"]).concurrency == content["example"]["concurrency"]
    assert contract["components"]["schemas"]["QueueLimitsIn"]["additionalProperties"] is False


async def test_the_schema_of_a_flow_names_every_option_that_is_allowed(contract: dict[str, Any]) -> None:
    schemas = contract["components"]["schemas"]

    assert set(schemas["FlowIn"]["properties"]) == {
        "name",
        "queueName",
        "data",
        "opts",
        "children",
        "failFast",
        "deadline",
        "tags",
    }
    assert schemas["FlowIn"]["additionalProperties"] is False
    assert set(schemas["JobOptions"]["properties"]) == {
        "attempts",
        "backoff",
        "delay",
        "priority",
        "lifo",
        "timeout",
        "keepLogs",
        "stackTraceLimit",
        "sizeLimit",
        "removeOnComplete",
        "removeOnFail",
        "failParentOnFailure",
        "ignoreDependencyOnFailure",
        "removeDependencyOnFailure",
        "continueParentOnFailure",
        "timestamp",
    }


async def test_answers_are_documented_with_exactly_the_fields_that_come(
    contract: dict[str, Any], service: Service
) -> None:
    created = (await service.http.post("/flows", json={"name": "a", "queueName": "nobody"})).json()
    flow_id, job_id = created["id"], created["jobs"][0]["id"]
    answers: dict[str, Any] = {
        "CreatedFlow": created,
        "Flow": (await service.http.get(f"/flows/{flow_id}")).json(),
        "FlowPage": (await service.http.get("/flows")).json(),
        "JobPage": (await service.http.get(f"/flows/{flow_id}/jobs")).json(),
        "Job": (await service.http.get(f"/jobs/{job_id}")).json(),
        "FlowTree": (await service.http.get(f"/flows/{flow_id}/tree")).json(),
        "FlowOutline": (await service.http.get(f"/flows/{flow_id}/outline")).json(),
        "EventPage": (await service.http.get(f"/flows/{flow_id}/events")).json(),
        "QueuePage": (await service.http.get("/queues")).json(),
        "QueueDetail": (await service.http.get("/queues/nobody")).json(),
        "QueueTasks": (await service.http.get("/queues/nobody/tasks")).json(),
        "QueueSettings": (await service.http.post("/queues/nobody/pause")).json(),
        "Health": (await service.http.get("/healthz")).json(),
        "Readiness": (await service.http.get("/readyz")).json(),
    }
    for name, document in answers.items():
        assert set(contract["components"]["schemas"][name]["properties"]) == set(document), name
        exactly(getattr(wire, name), document)


async def test_the_stream_is_told_beside_the_page(contract: dict[str, Any]) -> None:
    content = contract["paths"]["/flows/{flow_id}/events"]["get"]["responses"]["200"]["content"]

    assert set(content) == {"application/json", "text/event-stream"}


async def test_the_docs_answer(service: Service) -> None:
    answer = await service.http.get("/docs")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "/openapi.json" in answer.text
